/** What is counted as a fault was done; what could not be done is counted as that. */
import { expect, test } from 'vitest';
import { FaultRunner } from '../../chaos/fault-runner.ts';
import type { FaultTargets } from '../../chaos/fault-targets.ts';
import type { FaultKind, PlannedFault } from '../../chaos/faults.ts';
import type { FaultEntry } from '../../chaos/history.ts';

const planned = (kind: FaultKind): PlannedFault => ({ kind, atMs: 0, target: 0, durationMs: 1 });

interface Stand {
  readonly runner: FaultRunner;
  readonly faults: () => string[];
  readonly targets: () => string[];
  readonly skipped: () => Record<string, number>;
}

/** Each may be replaced; what is not hit is not there. */
function standWith(targets: Record<string, unknown>): Stand {
  const written: FaultEntry[] = [];
  const party = { process: 'p-1', name: 'p', kill: async () => undefined, start: () => undefined };
  const server = { name: 'server-1', front: {}, back: {}, replace: async (begin: () => void) => begin() };
  const all = {
    ...{ cluster: {}, pair: null, servers: [server] },
    ...{ workers: [party], gateways: [party], synthesizers: [party], churners: [party] },
    ...targets,
  } as unknown as FaultTargets;
  const recorder = { write: (entry: FaultEntry) => void written.push(entry) };
  const runner = new FaultRunner(all, recorder as never, () => undefined, 1);
  return {
    runner,
    faults: () => written.map(({ fault }) => fault),
    targets: () => written.map(({ target }) => target),
    skipped: () => Object.fromEntries(runner.skipped),
  };
}

/** Something that is under way until the test says so. */
function held() {
  let letGo: () => void = () => undefined;
  const until = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  return { until, letGo };
}

test('a fault that was carried out is one', async () => {
  const stand = standWith({ cluster: { killBackend: async () => true } });
  await stand.runner.inflict(planned('kill-backend'));
  expect([stand.faults(), stand.skipped()]).toEqual([['kill backend'], {}]);
});

test('what works on the board that prunes is killed, and stopped, under its own name', async () => {
  const done: string[] = [];
  const churner = {
    process: 'churn.1',
    kill: async () => void done.push('killed'),
    start: () => void done.push('started'),
    signal: (signal: string) => void done.push(signal),
  };
  const stand = standWith({ churners: [churner] });
  await stand.runner.inflict(planned('kill-churn'));
  await stand.runner.inflict(planned('stop-churn'));
  expect(done).toEqual(['killed', 'started', 'SIGSTOP', 'SIGCONT']);
  expect(stand.faults()).toEqual(['kill churn', 'stop churn']);
  expect(stand.targets()).toEqual(['churn.1', 'churn.1']);
});

test('one that finds nothing to hit is none', async () => {
  const cluster = {
    killBackend: async () => false,
    terminateBackend: async () => false,
    terminateListeners: async () => 0,
  };
  const stand = standWith({ cluster });
  for (const kind of ['kill-backend', 'terminate-backend', 'terminate-listener'] as const)
    await stand.runner.inflict(planned(kind));
  expect(stand.faults()).toEqual([]);
  expect(stand.skipped()).toEqual({ 'kill backend': 1, 'terminate backend': 1, 'terminate listener': 1 });
});

test('one that fails before it began is none, and its failure is told', async () => {
  const failOver = async (): Promise<void> => {
    throw new Error('there is no standby that has everything');
  };
  const stand = standWith({ pair: { failOver } });
  await expect(stand.runner.inflict(planned('failover'))).rejects.toThrow('no standby');
  expect([stand.faults(), stand.skipped()]).toEqual([[], { failover: 1 }]);
});

test('one that fails after it began was one: what it did is not to be held against the system', async () => {
  const failOver = async (begin: () => void): Promise<void> => {
    begin();
    throw new Error('the standby was not promoted in time');
  };
  const stand = standWith({ pair: { failOver } });
  await expect(stand.runner.inflict(planned('failover'))).rejects.toThrow('not promoted');
  expect([stand.faults(), stand.skipped()]).toEqual([['failover'], {}]);
});

test('what is busy is neither hit a second time nor waited for without end', async () => {
  const crash = held();
  const cluster = { crash: () => crash.until };
  let failovers = 0;
  const pair = {
    failOver: async () => {
      failovers += 1;
    },
  };
  const stand = standWith({ cluster, pair });
  const first = stand.runner.inflict(planned('kill-postgres'));
  await stand.runner.inflict(planned('stop-postgres'));
  await stand.runner.inflict(planned('failover'));
  expect([stand.faults(), stand.skipped(), failovers]).toEqual([[], { 'stop postgres': 1, failover: 1 }, 0]);
  crash.letGo();
  await first;
  expect(stand.faults()).toEqual(['kill postgres']);
});

test('of those that could be hit, one is to which nothing is being done', async () => {
  const death = held();
  const partyOf = (process: string) => ({
    ...{ process, name: process, start: () => undefined },
    kill: () => (process === 'w-1' ? death.until : Promise.resolve()),
  });
  const stand = standWith({ workers: [partyOf('w-1'), partyOf('w-2')] });
  const first = stand.runner.inflict(planned('kill-worker'));
  await stand.runner.inflict(planned('kill-worker'));
  expect([stand.targets(), stand.skipped()]).toEqual([['w-2'], {}]);
  death.letGo();
  await first;
  expect(stand.targets()).toEqual(['w-2', 'w-1']);
});

test('the clocks of workers jump when each has just been given something', async () => {
  const jumps: string[] = [];
  const workerOf = (name: string, looksBefore: number) => {
    let looks = 0;
    return {
      ...{
        name,
        process: name,
        clock: { set: (seconds: number) => void jumps.push(`${name} ${seconds} ${looks}`) },
      },
      get hasNewWork() {
        looks += 1;
        return looks > looksBefore;
      },
    };
  };
  const names = ['w-1', 'w-2', 'w-3', 'w-4'];
  const stand = standWith({ workers: names.map((name, place) => workerOf(name, place)) });
  await stand.runner.inflict(planned('jump-worker-clock'));
  expect(jumps).toEqual(['w-1 3600 1', 'w-1 0 1', 'w-4 -3600 4', 'w-4 0 4']);
  expect(stand.targets()).toEqual(['w-1', 'w-4']);
});

test('a rolling restart leaves out the server that is not free in time, and that alone', async () => {
  const death = held();
  const replaced: string[] = [];
  const serverOf = (name: string) => ({
    ...{ name, front: {}, back: {} },
    end: () => death.until,
    revive: async () => undefined,
    replace: async (begin: () => void) => {
      begin();
      replaced.push(name);
    },
  });
  const stand = standWith({ servers: [serverOf('server-1'), serverOf('server-2')] });
  const dying = stand.runner.inflict(planned('kill-server'));
  await stand.runner.inflict(planned('rolling-restart'));
  expect([replaced, stand.faults(), stand.skipped()]).toEqual([
    ['server-2'],
    ['rolling restart'],
    { 'rolling restart': 1 },
  ]);
  death.letGo();
  await dying;
});
