/** After an outage everything is overdue at once: what one sweep of the reaper and of the scheduler gets done, and for whom first. */
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { openDatabase } from '../../../../src/server/db/client.ts';
import type { Wake } from '../../../../src/server/db/wake.ts';
import { Reaper } from '../../../../src/server/features/claims/service.ts';
import { listOverdueBoards } from '../../../../src/server/features/claims/store/end.ts';
import { Scheduler } from '../../../../src/server/features/tasks/service.ts';
import { listBoardsWithDueTasks } from '../../../../src/server/features/tasks/store/change.ts';
import { makeBoard, type TestBoard } from '../../../fixtures/board.ts';
import { type TestDatabase, useTestDatabase } from '../../../fixtures/database.ts';
import { only } from '../../../fixtures/eventually.ts';
import { type HeldLock, holdCounter, untilTestEnds } from '../../../fixtures/held-lock.ts';
import { startTestServer, type TestServer } from '../../../fixtures/server.ts';
import { stopClock } from '../../../fixtures/stopped-clock.ts';

/** More than four portions of 500. */
const WRECKED = 2200;
/** More than one sweep can wait for with all of its time, if it waits a second for each. */
const STUCK = 3;
/** One of them is waited for, half a second; two would take more than this by what they are waited for alone. */
const STUCK_SWEEP_MS_MAX = 1000;
const NEVER = new AbortController().signal;

/** The time of a sweep is bounded. Here it does not pass, so one sweep gets everything done, however slow the machine is. */
function stopSweepTime(): void {
  vi.useFakeTimers({ toFake: ['performance'] });
  onTestFinished(() => void vi.useRealTimers());
}

/** A database as a server leaves it that was stopped, with a clock that stands still; and the order in which boards were rung. */
async function leftBehind(prepare: (server: TestServer) => Promise<void>) {
  const database = await useTestDatabase();
  const server = await startTestServer(database.url);
  await prepare(server);
  await server.stop();
  await stopClock(database);
  const client = openDatabase({ url: database.url });
  onTestFinished(() => client.close());
  const rung: number[] = [];
  const wake: Wake = {
    ring: (boardId) => rung.push(boardId),
    subscribe: () => () => undefined,
    nudge: () => undefined,
    subscribeNudges: () => () => undefined,
    run: () => Promise.resolve(),
    close: () => Promise.resolve(),
    pollAgeMs: () => 0,
  };
  return { sql: database.sql, client, wake, rung };
}

/** As if other servers were there all the time. */
async function beatPulse(sql: TestDatabase['sql']): Promise<void> {
  await sql`UPDATE pulse SET beat_at = moment.at FROM stopped_clock.moment`;
}

async function letLeasesLapse(sql: TestDatabase['sql']): Promise<void> {
  await sql`UPDATE claims SET lease_expires_at = moment.at - interval '1 s' FROM stopped_clock.moment`;
}

async function letTasksBeDue(sql: TestDatabase['sql']): Promise<void> {
  await sql`UPDATE tasks SET run_at = moment.at FROM stopped_clock.moment WHERE status = 'scheduled'`;
}

async function makeTasks(board: TestBoard, count: number, body: object): Promise<void> {
  await board.lane('work');
  for (let made = 0; made < count; made += 1000)
    await board.tasks('work', Math.min(1000, count - made), { ...body });
}

async function claimAll(board: TestBoard, count: number): Promise<void> {
  await makeTasks(board, count, { backoff: { base_seconds: 3600 } });
  for (let claimed = 0; claimed < count; claimed += 100)
    await board.claims('work', { max: Math.min(100, count - claimed), lease_seconds: 600 });
}

test('the reaper takes all leases of a fleet that lapsed together in one go, and a small board is not behind it', async () => {
  const { sql, client, wake, rung } = await leftBehind(async (server) => {
    await claimAll(await makeBoard(server), WRECKED);
    await claimAll(await makeBoard(server), 3);
  });
  await letLeasesLapse(sql);
  let reaped = 0;
  const reaper = new Reaper(client.sweeps, wake, () => {
    reaped += 1;
  });
  await beatPulse(sql);
  stopSweepTime();
  await reaper.sweep(NEVER);
  expect(reaped).toBe(WRECKED + 3);
  expect(await sql`SELECT 1 FROM claims`).toHaveLength(0);
  // Two boards: the small one is done with in the first round.
  expect(new Set(rung.slice(0, 2)).size).toBe(2);
  expect(rung).toHaveLength(1 + Math.ceil(WRECKED / 500));
});

test('the scheduler wakes all that became due together in one go, and a small board is not behind it', async () => {
  const { sql, client, wake, rung } = await leftBehind(async (server) => {
    await makeTasks(await makeBoard(server), WRECKED, { run_at: '2100-01-01T00:00:00Z' });
    await makeTasks(await makeBoard(server), 3, { run_at: '2100-01-01T00:00:00Z' });
  });
  await letTasksBeDue(sql);
  const scheduler = new Scheduler({ sql: client.sweeps, wake });
  stopSweepTime();
  await scheduler.sweep(NEVER);
  expect(await sql`SELECT 1 FROM tasks WHERE status = 'ready'`).toHaveLength(WRECKED + 3);
  expect(new Set(rung.slice(0, 2)).size).toBe(2);
  expect(rung).toHaveLength(1 + Math.ceil(WRECKED / 500));
});

/** Boards with one claim that has lapsed and one task that is due: the counter rows of all but the last are held. */
async function stuckBoards() {
  const boards: TestBoard[] = [];
  const left = await leftBehind(async (server) => {
    for (let count = 0; count <= STUCK; count += 1) {
      const board = await makeBoard(server);
      boards.push(board);
      await claimAll(board, 1);
      await board.tasks('work', 1, { run_at: '2100-01-01T00:00:00Z' });
    }
  });
  const { sql } = left;
  await letLeasesLapse(sql);
  await letTasksBeDue(sql);
  const locks: HeldLock[] = [];
  for (const board of boards.slice(0, STUCK)) locks.push(await untilTestEnds(holdCounter(sql, board.name)));
  const idOf = async (board: TestBoard | undefined): Promise<number> =>
    only(await sql<{ id: number }[]>`SELECT id FROM boards WHERE name = ${board?.name ?? ''}`).id;
  const release = (): Promise<unknown> => Promise.all(locks.map((lock) => lock.release()));
  return { ...left, healthyId: await idOf(boards[STUCK]), release };
}

describe('boards on which everything stands still', () => {
  test.each(['reaper', 'scheduler'])(
    'hold up the %s on no other, however many they are, and are done when it goes on',
    async (name) => {
      const { sql, client, wake, rung, healthyId, release } = await stuckBoards();
      const parts = { sql: client.sweeps, wake };
      const sweeper =
        name === 'reaper' ? new Reaper(client.sweeps, wake, () => undefined) : new Scheduler(parts);
      const sweep = async (): Promise<number> => {
        await beatPulse(sql);
        const startedAt = performance.now();
        await sweeper.sweep(NEVER).catch((error: unknown) => expect(error).toMatchObject({ code: '55P03' }));
        return performance.now() - startedAt;
      };
      // Some may be met before it the first time, but none a second time.
      for (let count = 0; count < 2; count += 1) await sweep();
      expect(rung).toEqual([healthyId]);
      // Known by now: a sweep waits for one of them only, so the next one for all others comes soon.
      const times: number[] = [];
      for (let count = 0; count < 3; count += 1) times.push(await sweep());
      expect(Math.min(...times)).toBeLessThan(STUCK_SWEEP_MS_MAX);
      await release();
      for (let count = 0; count < STUCK && rung.length <= STUCK; count += 1) await sweep();
      expect(new Set(rung).size).toBe(STUCK + 1);
    },
  );

  test('are listed by chance when there are too many, and not at all when they are known', async () => {
    const { sql, client } = await stuckBoards();
    for (const list of [listOverdueBoards, listBoardsWithDueTasks]) {
      await beatPulse(sql);
      const all = await list(client.sweeps, [], 100);
      expect(all).toHaveLength(STUCK + 1);
      const [first = 0, ...others] = all;
      expect(await list(client.sweeps, others, 100)).toEqual([first]);
      const met = new Set<number>();
      for (let count = 0; count < 100; count += 1)
        for (const id of await list(client.sweeps, [], 1)) met.add(id);
      expect(met.size).toBe(STUCK + 1);
    }
  });
});
