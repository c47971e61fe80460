/** What the statistics say of a board is what its log says, point by point; and nothing of a deleted board is left. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { BoardStats } from '../../../../src/contract/stats.ts';
import { OUTCOMES } from '../../../../src/contract/statuses.ts';
import { type Database, openDatabase } from '../../../../src/server/db/client.ts';
import { LogCounting } from '../../../../src/server/features/stats/service.ts';
import { endClaim, expectStatus, makeBoard, type TestBoard } from '../../../fixtures/board.ts';
import { createTestDatabase, type TestDatabase } from '../../../fixtures/database.ts';
import { eventually } from '../../../fixtures/eventually.ts';
import { startTestServer, type TestServer } from '../../../fixtures/server.ts';

let site: TestDatabase;
let server: TestServer;
let database: Database;
beforeAll(async () => {
  site = await createTestDatabase();
  server = await startTestServer(site.url);
  database = openDatabase({ url: site.url });
});
afterAll(async () => {
  await database?.close();
  await server?.stop();
  await site?.drop();
});

async function statsOf(board: TestBoard, window?: string): Promise<BoardStats> {
  const query = window === undefined ? '' : `?window=${window}`;
  return expectStatus(await board.call('GET', `/stats${query}`), 200).body.stats;
}

async function idOf(board: TestBoard): Promise<number> {
  const [row] = await site.sql<{ id: number }[]>`SELECT id FROM boards WHERE name = ${board.name}`;
  return row?.id ?? 0;
}

/** Without waiting for the server, which does the same every few seconds. */
async function countAll(board: TestBoard): Promise<void> {
  const id = await idOf(board);
  const counting = new LogCounting(database.cold);
  await eventually('the log is added up', async () => {
    await counting.sweep(new AbortController().signal);
    const rows = await site.sql`
      SELECT FROM stats_progress p JOIN board_seq s ON s.board_id = p.board_id AND s.seq = p.seq WHERE p.board_id = ${id}`;
    return rows.length > 0;
  });
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

test('claims and their ends are counted by outcome, and what a person ends is not among them', async () => {
  const board = await makeBoard(server);
  await board.lane('work');
  await board.lane('other');
  await board.tasks('work', 8);
  const verbs = ['complete', 'complete', 'block', 'release', 'fail'] as const;
  const bodies = { complete: {}, block: { reason: 'x' }, release: {}, fail: { error: 'x', permanent: true } };
  for (const verb of verbs)
    expectStatus(await endClaim(server, await board.claim('work'), verb, bodies[verb]), 200);
  const cancelled = await board.claim('work');
  expectStatus(
    await board.operate(cancelled.task.id, 'cancel', { reason: 'x', deadline_seconds: 0 }),
    200,
    202,
  );
  await board.untilStatus(cancelled.task.id, 'cancelled');
  expectStatus(
    await board.call('POST', '/lanes/work/takeover', { body: { mode: 'adopt', worker: 'b' } }),
    200,
  );
  const held = await board.claim('work', { worker: 'b' });
  const byHand = await board.task('other');
  expectStatus(await board.operate(byHand.id, 'complete', { summary: 'x' }), 200);
  await countAll(board);

  const { totals, points, lanes, other_lanes } = await statsOf(board);
  expect(totals.created).toBe(9);
  expect(totals.claims).toBe(7);
  const none = Object.fromEntries(OUTCOMES.map((outcome) => [outcome, 0]));
  expect(totals.ends).toEqual({ ...none, completed: 2, blocked: 1, released: 1, failed: 1, cancelled: 1 });
  expect([totals.queue_wait.count, totals.run_time.count]).toEqual([7, 6]);
  expect((await board.read(held.task.id)).status).toBe('running');
  expect(points.at(-1)?.depth).toMatchObject({ running: 1, done: 3, cancelled: 1 });
  for (const key of ['created', 'claims'] as const)
    expect(sum(points.map((point) => point[key]))).toBe(totals[key]);
  expect(Object.keys(lanes)).toEqual(['work']);
  expect(other_lanes).toBeNull();
  expect([sum(lanes['work']?.claims ?? []), sum(lanes['work']?.completed ?? [])]).toEqual([7, 2]);
});

test('a claim that a takeover adopts is an end and a claim', async () => {
  const board = await makeBoard(server);
  await board.lane('work');
  await board.task('work');
  await board.claim('work', { worker: 'a' });
  expectStatus(
    await board.call('POST', '/lanes/work/takeover', { body: { mode: 'adopt', worker: 'b' } }),
    200,
  );
  await countAll(board);
  const { totals } = await statsOf(board);
  expect([totals.claims, sum(Object.values(totals.ends))]).toEqual([2, 1]);
});

test('every window is without a gap, with nothing where nothing happened, and says how far it goes', async () => {
  const board = await makeBoard(server);
  await board.lane('work');
  await board.task('work');
  const before = await statsOf(board, '15m');
  expect(before.points.map(({ depth }) => depth).slice(0, -1)).toEqual(Array(14).fill(null));
  expect(Date.parse(before.counted_at)).toBeLessThan(Date.parse(before.to_at));
  await countAll(board);
  for (const [window, points, step] of [
    ['15m', 15, 60],
    [undefined, 60, 60],
    ['6h', 72, 300],
    ['24h', 96, 900],
  ] as const) {
    const stats = await statsOf(board, window);
    expect([stats.points.length, stats.step_seconds]).toEqual([points, step]);
    const starts = stats.points.map(({ at }) => Date.parse(at));
    expect(starts[0]).toBe(Date.parse(stats.from_at));
    expect(new Set(starts.slice(1).map((start, index) => start - (starts[index] ?? 0)))).toEqual(
      new Set([step * 1000]),
    );
    expect(starts.every((start) => start % (step * 1000) === 0)).toBe(true);
    expect(Date.parse(stats.to_at) - (starts.at(-1) ?? 0)).toBeLessThan(step * 1000);
    expect(stats.counted_at).toBe(stats.to_at);
    expect(stats.totals.created).toBe(1);
    expect(stats.points[0]).toMatchObject({
      created: 0,
      claims: 0,
      run_time: { count: 0, p50_seconds: null },
    });
  }
  const refused = await board.call('GET', '/stats?window=2h');
  expect([refused.status, refused.code]).toEqual([400, 'invalid_request']);
});

test('depth is what was last written down, from before the window too, and is now in the last point', async () => {
  const board = await makeBoard(server);
  await board.tasks('work', 2);
  await countAll(board);
  const id = await idOf(board);
  const depth = (ready: number) => JSON.stringify({ ready });
  await site.sql`UPDATE board_minutes SET minute = minute - interval '40 minutes' WHERE board_id = ${id}`;
  await site.sql`
    INSERT INTO board_minutes (board_id, minute, depth)
    SELECT ${id}, date_trunc('minute', now()) - interval '5 minutes', ${depth(7)}::text::jsonb`;
  const { points } = await statsOf(board, '15m');
  const ready = points.map((point) => point.depth?.ready);
  expect(ready.slice(0, 8)).toEqual(Array(8).fill(2));
  expect(ready.slice(-5)).toEqual([7, 7, 7, 7, 2]);
});

test('percentiles are of the points and of the whole window', async () => {
  const board = await makeBoard(server);
  const id = await idOf(board);
  await site.sql`
    INSERT INTO board_minutes (board_id, minute, claims, waits)
    SELECT ${id}, date_trunc('minute', now()) - make_interval(mins => age), 10, waits::jsonb
    FROM (VALUES (2, '{"40": 10}'), (3, '{"40": 1, "60": 9}')) AS minute (age, waits)`;
  const { points, totals } = await statsOf(board, '15m');
  // Steps 40 and 60 of the scale: 1.02 s and 32.8 s, and a little.
  expect(points.at(-3)?.queue_wait).toEqual({ count: 10, p50_seconds: 1.12, p95_seconds: 1.12 });
  expect(points.at(-4)?.queue_wait).toEqual({ count: 10, p50_seconds: 35.7, p95_seconds: 35.7 });
  expect(totals.queue_wait).toEqual({ count: 20, p50_seconds: 1.12, p95_seconds: 35.7 });
});

test('nothing is left of a deleted board, nor comes back while somebody counts', async () => {
  const board = await makeBoard(server);
  await board.tasks('work', 3);
  await countAll(board);
  const id = await idOf(board);
  const rows = () => site.sql`
    SELECT FROM stats_progress WHERE board_id = ${id} UNION ALL SELECT FROM board_minutes WHERE board_id = ${id}`;
  expect((await rows()).length).toBeGreaterThan(1);
  expectStatus(await board.call('DELETE', ''), 204);
  await new LogCounting(database.cold).sweep(new AbortController().signal);
  expect((await rows()).length).toBe(0);
});

test('the metrics say how much is left to add up', async () => {
  const { body } = await server.call('GET', '/metrics');
  expect(body).toMatch(/^lanekeeper_uncounted_events \d+$/m);
});
