/** Servers as processes of their own on one Postgres: they wake each other, and are restarted one after the other under load. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Claim } from '../../../src/contract/claims.ts';
import { CLOSE_CODES } from '../../../src/contract/constants.ts';
import type { EventKind } from '../../../src/contract/statuses.ts';
import { auditBoard } from '../../fixtures/audit.ts';
import { endClaim, expectStatus, makeBoard, type TestBoard } from '../../fixtures/board.ts';
import { breakPolls } from '../../fixtures/broken-polls.ts';
import { eventually, only } from '../../fixtures/eventually.ts';
import { untilLanesOnline } from '../../fixtures/lanes-online.ts';
import { RollingLoad } from '../../fixtures/rolling-load.ts';
import { call } from '../../fixtures/server.ts';
import { buildServer, type ServerProcess } from '../../fixtures/server-process.ts';
import { asTestServer, type ServerProcesses, startServerProcesses } from '../../fixtures/server-processes.ts';

/** A waiter looks for itself every five seconds, and not at the end of its wait: who gets a task in this time was woken. */
const WAIT_SECONDS = 4;
/** On a machine that stands still the wait may be over before the task is there. */
const WAITS_MAX = 5;
const HTTP_WORKERS = 6;
const SOCKET_WORKERS = 3;
const FAILURES: readonly EventKind[] = ['task.crashed', 'task.failed', 'task.timed_out', 'task.gave_up'];

let processes: ServerProcesses;
/** In turns for whoever has no server of its own; one is replaced while it restarts. */
const servers: ServerProcess[] = [];
let polling: ServerProcess;

beforeAll(async () => {
  buildServer();
  processes = await startServerProcesses();
  // The first one migrates; the others would only wait for it.
  servers.push(await processes.start());
  const [second, third] = await Promise.all([
    processes.start(),
    processes.start({ LANEKEEPER_NOTIFY: 'poll' }),
  ]);
  servers.push(second);
  polling = third;
});
afterAll(() => processes?.stop());

function serverAt(turn: number): ServerProcess {
  const server = servers[turn % servers.length];
  if (server === undefined) throw new Error('the servers are started before the tests');
  return server;
}

async function newBoard(): Promise<TestBoard> {
  const board = await makeBoard(asTestServer(serverAt(0)));
  await board.lane('work');
  return board;
}

describe('a long poll that waits on one server', () => {
  async function figure(server: ServerProcess, metric: string): Promise<number> {
    const { body } = await call(server.url, 'GET', '/metrics');
    const values = [...body.matchAll(new RegExp(`^${metric}(?:{[^}]*})? (\\d+)$`, 'gm'))];
    return values.reduce((sum, [, value]) => sum + Number(value), 0);
  }

  async function expectWoken(waiter: ServerProcess, meanwhile?: () => Promise<void>): Promise<void> {
    const board = await newBoard();
    const through = board.through(asTestServer(waiter));
    for (let count = 0; count < WAITS_MAX; count += 1) {
      const before = await figure(waiter, 'lanekeeper_empty_claims_total');
      const waiting = through.claims('work', {}, { waitSeconds: WAIT_SECONDS });
      // Before it waits, and once it would be woken.
      await eventually(
        'it has looked twice in vain',
        async () => (await figure(waiter, 'lanekeeper_empty_claims_total')) >= before + 2,
      );
      await meanwhile?.();
      const task = await board.task('work');
      const claims = expectStatus(await waiting, 200).body.claims as Claim[];
      if (claims.length > 0) {
        expect(only(claims).task.id).toBe(task.id);
        return;
      }
      expectStatus(await endClaim(board.server, await board.claim('work'), 'complete'), 200);
    }
    throw new Error(`none of ${WAITS_MAX} long polls was woken`);
  }

  test('is answered with a task that is created on another, by notification alone', async () => {
    await breakPolls(processes.sql);
    // Whichever server writes that a lane is online looks at the log by itself, so that was before.
    await expectWoken(serverAt(1), () => untilLanesOnline(processes.sql));
  });

  test('is answered without any notification', () => expectWoken(polling));

  test('is answered when its listener has just been cut off, and the listeners come back', async () => {
    const { sql } = processes;
    const listeners = () => sql`SELECT pid FROM pg_stat_activity WHERE query ILIKE 'listen %'`;
    const before = await eventually('both listen', async () => {
      const rows = await listeners();
      return rows.length === servers.length ? rows : null;
    });
    const pids = before.map((row) => row['pid'] as number);
    await expectWoken(serverAt(1), async () => {
      await sql`SELECT pg_terminate_backend(pid) FROM unnest(${pids}::int[]) AS pid`;
    });
    await eventually('both listen again', async () => {
      const after = (await listeners()).map((row) => row['pid'] as number);
      return after.length === servers.length && !after.some((pid) => pids.includes(pid));
    });
  });
});

async function restart(place: number): Promise<void> {
  const old = serverAt(place);
  expect(await old.stop()).toBe(0);
  servers[place] = await processes.start({ PORT: new URL(old.url).port });
}

test('a restart of one server after the other under load loses nothing, and counts no failure against anybody', async () => {
  const board = await newBoard();
  await board.lane('pushed', { claim_mode: 'push' });
  const load = new RollingLoad(board, serverAt);
  const workers = [
    ...Array.from({ length: HTTP_WORKERS }, (_, index) => load.workOverHttp(index)),
    ...Array.from({ length: SOCKET_WORKERS }, (_, index) => load.workOverSocket(index)),
  ];
  const creators = [load.create(0), load.create(1)];
  const everybody = Promise.all([...workers, ...creators]);
  const story = async (): Promise<void> => {
    const untilCompleted = (count: number): Promise<unknown> =>
      eventually(`${count} are completed`, () => load.completed.size >= count);
    await untilCompleted(100);
    await restart(0);
    await untilCompleted(load.completed.size + 100);
    await restart(1);
    await untilCompleted(load.completed.size + 100);
    load.isCreating = false;
    await Promise.all(creators);
    await untilCompleted(load.created.size);
    load.isOver = true;
  };
  // A worker that fails says so at once.
  await Promise.race([story(), everybody.then(() => new Promise<never>(() => undefined))]);
  await everybody;

  const { events, fold } = await auditBoard(processes.sql, board.name);
  expect(fold.counts).toMatchObject({
    done: load.created.size,
    ready: 0,
    running: 0,
    scheduled: 0,
    blocked: 0,
  });
  expect(events.filter((event) => FAILURES.includes(event.kind))).toEqual([]);
  const completions = events.filter((event) => event.kind === 'task.completed');
  expect(new Map(completions.map((event) => [event.run_id, event.task_id]))).toEqual(load.completed);
  expect(new Set(load.completed.values())).toEqual(load.created);
  expect(load.closeCodes.length).toBeGreaterThanOrEqual(SOCKET_WORKERS);
  expect(new Set(load.closeCodes)).toEqual(new Set([CLOSE_CODES.drain]));
  const after = await board.through(asTestServer(serverAt(0))).task('work');
  expect(after.status).toBe('ready');
  const claim = await board.through(asTestServer(serverAt(1))).claim('work');
  expectStatus(await endClaim(asTestServer(serverAt(0)), claim, 'complete'), 200);
});
