/** After an outage everything is overdue at once: what one sweep of the reaper and of the scheduler gets done, and for whom first. */
import { expect, onTestFinished, test } from 'vitest';
import { openDatabase } from '../../../../src/server/db/client.ts';
import type { Wake } from '../../../../src/server/db/wake.ts';
import { Reaper } from '../../../../src/server/features/claims/service.ts';
import { TaskService } from '../../../../src/server/features/tasks/service.ts';
import { IdSource } from '../../../../src/server/kernel/ids.ts';
import { makeBoard, type TestBoard } from '../../../fixtures/board.ts';
import { useTestDatabase } from '../../../fixtures/database.ts';
import { startTestServer, type TestServer } from '../../../fixtures/server.ts';

/** More than four portions of 500. */
const WRECKED = 2200;
/** One would do, but its time is bounded, and this machine may be slow. */
const SWEEPS_MAX = 2;
const NEVER = new AbortController().signal;

/** A database as a server leaves it that was stopped; and the order in which boards were rung. */
async function leftBehind(prepare: (server: TestServer) => Promise<void>) {
  const database = await useTestDatabase();
  const server = await startTestServer(database.url);
  await prepare(server);
  await server.stop();
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
  await sql`UPDATE claims SET lease_expires_at = clock_timestamp()`;
  // As if other servers had been there all the time, and for as long as this takes.
  await sql`UPDATE pulse SET beat_at = clock_timestamp() + interval '1 hour'`;
  let reaped = 0;
  const reaper = new Reaper(client.sweeps, wake, () => {
    reaped += 1;
  });
  for (let sweep = 0; sweep < SWEEPS_MAX; sweep += 1) await reaper.sweep(NEVER);
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
  await sql`UPDATE tasks SET run_at = clock_timestamp()`;
  const ids = new IdSource({ now: () => Date.now() });
  const tasks = new TaskService({ sql: client.cold, wake, ids });
  for (let sweep = 0; sweep < SWEEPS_MAX; sweep += 1) await tasks.wakeDueTasks(NEVER);
  expect(await sql`SELECT 1 FROM tasks WHERE status = 'ready'`).toHaveLength(WRECKED + 3);
  expect(new Set(rung.slice(0, 2)).size).toBe(2);
  expect(rung).toHaveLength(1 + Math.ceil(WRECKED / 500));
});
