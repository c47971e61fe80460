/** Heartbeats against a server that a test answers for. Leases are a second, the shortest there is: a heartbeat every third of it. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { connect } from '../../../src/client/client.ts';
import { Heartbeats } from '../../../src/client/worker/heartbeats.ts';
import { RunLine } from '../../../src/client/worker/run-line.ts';
import { type ScriptedAnswer, scriptedFetch } from '../fixtures/scripted-fetch.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const WELL: ScriptedAnswer = { json: { lease_expires_at: 'later', cancel_requested: false, messages: [] } };
const AWAY: ScriptedAnswer = { status: 503, json: { code: 'draining', status: 503 } };
const LOST: ScriptedAnswer = { status: 409, json: { code: 'claim_lost', status: 409, reason: 'reclaimed' } };
const REFUSED: ScriptedAnswer = { status: 400, json: { code: 'invalid_request', status: 400 } };

function keepOne(answers: () => ScriptedAnswer) {
  const { fetch, requests } = scriptedFetch(answers);
  const client = connect({ url: 'http://127.0.0.1:9', fetch });
  const heartbeats = new Heartbeats(client, new RunLine(client), 1);
  const heard: string[] = [];
  heartbeats.keep(
    { runId: 'run', token: 't' },
    {
      onCancelRequested: () => heard.push('cancel'),
      onMessages: () => heard.push('messages'),
      onClaimLost: () => heard.push('lost'),
      onLeaseExpired: () => heard.push('expired'),
    },
  );
  return { heartbeats, heard, bodies: () => requests.map(({ body }) => body) };
}

const LEASE = { lease_seconds: 1 };

test('what is said goes at once, and what is said meanwhile goes together, the later values winning', async () => {
  const { heartbeats, bodies } = keepOne(() => WELL);
  const first = heartbeats.say('run', { progress: 0.1 });
  await vi.advanceTimersByTimeAsync(0);
  const others = [
    heartbeats.say('run', { progress: 0.2, note: 'two', metadata: { a: 1 } }),
    heartbeats.say('run', { progress: 0.3, metadata: { b: 2 } }),
  ];
  await vi.advanceTimersByTimeAsync(1);
  await Promise.all([first, ...others]);
  expect(bodies()).toEqual([
    { progress: 0.1, ...LEASE },
    { progress: 0.3, note: 'two', metadata: { a: 1, b: 2 }, ...LEASE },
  ]);
  heartbeats.drop('run');
});

test('what is said while the server is away is heard when it is back', async () => {
  let isAway = true;
  const { heartbeats, bodies } = keepOne(() => (isAway ? AWAY : WELL));
  let isHeard = false;
  const said = heartbeats.say('run', { checkpoint: { line: 7 } }).then(() => {
    isHeard = true;
  });
  await vi.advanceTimersByTimeAsync(300);
  expect(isHeard).toBe(false);
  const tries = bodies().length;
  isAway = false;
  await vi.advanceTimersByTimeAsync(400);
  await said;
  expect(bodies()[tries]).toEqual({ checkpoint: { line: 7 }, ...LEASE });
  heartbeats.drop('run');
});

test('what the server refuses is told to whoever said it, and the lease is renewed without it', async () => {
  const answers = [REFUSED, WELL];
  const { heartbeats, bodies, heard } = keepOne(() => answers.shift() ?? WELL);
  const said = heartbeats.say('run', { checkpoint: 'x' });
  const refused = expect(said).rejects.toMatchObject({ code: 'invalid_request' });
  await vi.advanceTimersByTimeAsync(5);
  await refused;
  expect(bodies()).toEqual([{ checkpoint: 'x', ...LEASE }, LEASE]);
  expect(heard).toEqual([]);
  heartbeats.drop('run');
});

test('what is no JSON is told to whoever said it, and costs no claim', async () => {
  const { heartbeats, bodies, heard } = keepOne(() => WELL);
  const refused = expect(heartbeats.say('run', { checkpoint: 10n })).rejects.toThrow(TypeError);
  await vi.advanceTimersByTimeAsync(5);
  await refused;
  expect([bodies(), heard]).toEqual([[LEASE], []]);
  heartbeats.drop('run');
});

test('a claim that is gone is told once, to its holder and to whoever said something', async () => {
  const { heartbeats, bodies, heard } = keepOne(() => LOST);
  const refused = expect(heartbeats.say('run', { progress: 1 })).rejects.toMatchObject({
    code: 'claim_lost',
  });
  await vi.advanceTimersByTimeAsync(3_000);
  await refused;
  expect([heard, bodies().length]).toEqual([['lost'], 1]);
  await expect(heartbeats.say('run', { progress: 1 })).rejects.toThrow('not kept');
});

test('a lease for which no heartbeat has got through expires, and no run is asked for that has ended', async () => {
  const { heartbeats, heard, bodies } = keepOne(() => AWAY);
  await vi.advanceTimersByTimeAsync(1_500);
  expect(heard).toEqual(['expired']);
  const count = bodies().length;
  expect(count).toBeGreaterThan(2);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(bodies()).toHaveLength(count);
  heartbeats.drop('run');
});

/** A socket whose answers come when a test gives them. */
function overSocket(runIds: readonly string[], leaseSeconds: number) {
  const { fetch } = scriptedFetch(() => AWAY);
  const client = connect({ url: 'http://127.0.0.1:9', fetch });
  const line = new RunLine(client);
  const sent: string[] = [];
  const answer: Record<string, () => void> = {};
  line.use({
    state: 'live',
    heartbeat: (runId) => {
      sent.push(runId);
      return new Promise((resolve) => {
        answer[runId] = () => resolve({ cancel_requested: true, messages: [] });
      });
    },
    end: () => Promise.reject(new Error('not asked for')),
    output: () => Promise.resolve(),
    acknowledge: () => Promise.resolve(),
  });
  const heartbeats = new Heartbeats(client, line, leaseSeconds);
  const heard: string[] = [];
  for (const runId of runIds) {
    const hear = (what: string) => () => heard.push(`${runId} ${what}`);
    heartbeats.keep(
      { runId, token: null },
      {
        onCancelRequested: hear('cancel'),
        onMessages: hear('messages'),
        onClaimLost: hear('lost'),
        onLeaseExpired: hear('expired'),
      },
    );
  }
  return { heartbeats, sent, answer, heard };
}

test('an answer that does not come holds up none of those that came', async () => {
  const { heartbeats, answer, heard } = overSocket(['slow', 'quick'], 60);
  await vi.advanceTimersByTimeAsync(20_000);
  answer['quick']?.();
  await vi.advanceTimersByTimeAsync(1);
  expect(heard).toEqual(['quick cancel']);
  for (const runId of ['slow', 'quick']) heartbeats.drop(runId);
});

test('a lease that ends while a heartbeat is under way is told then, and not when somebody gives up waiting', async () => {
  let isAsked = false;
  const { fetch } = scriptedFetch(() => WELL);
  const never: typeof globalThis.fetch = async (...request) => {
    if (isAsked) return new Promise(() => undefined);
    isAsked = true;
    return fetch(...request);
  };
  const client = connect({ url: 'http://127.0.0.1:9', fetch: never });
  const heartbeats = new Heartbeats(client, new RunLine(client), 3);
  const heard: string[] = [];
  const hear = (what: string) => () => heard.push(what);
  heartbeats.keep(
    { runId: 'run', token: 't' },
    {
      onCancelRequested: hear('cancel'),
      onMessages: hear('messages'),
      onClaimLost: hear('lost'),
      onLeaseExpired: hear('expired'),
    },
  );
  // Renewed after one second, until the fourth.
  await vi.advanceTimersByTimeAsync(3_900);
  expect(heard).toEqual([]);
  await vi.advanceTimersByTimeAsync(200);
  expect(heard).toEqual(['expired']);
});

test('what happens while a heartbeat is under way is asked about with another', async () => {
  const { heartbeats, sent, answer } = overSocket(['run'], 60);
  heartbeats.hurry('run');
  await vi.advanceTimersByTimeAsync(1);
  heartbeats.hurry('run');
  await vi.advanceTimersByTimeAsync(1);
  expect(sent).toHaveLength(1);
  answer['run']?.();
  await vi.advanceTimersByTimeAsync(1);
  expect(sent).toHaveLength(2);
  heartbeats.drop('run');
});
