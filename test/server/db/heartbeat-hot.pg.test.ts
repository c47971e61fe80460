/** Heartbeats change their rows in place: no index learns of them, and the page has room for the next version of each of its rows. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../../src/server/db/client.ts';
import { claimReady } from '../../../src/server/features/claims/store/claim.ts';
import { extendLeases } from '../../../src/server/features/claims/store/heartbeat.ts';
import { insertTasks } from '../../../src/server/features/tasks/store/create.ts';
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts';
import {
  BOARD_ID,
  beatsOf,
  type Hold,
  holdsOf,
  newTasks,
  prepareBoards,
  slots,
  untilPrunable,
} from './claim-path.ts';

/** As many as one statement takes. */
const FLEET = 500;
const ROUNDS = 5;
/** The bar for heartbeats (docs/performance.md). */
const HOT_SHARE_MIN = 0.95;

let site: TestDatabase;
let database: Database;
let holds: readonly Hold[] = [];

beforeAll(async () => {
  site = await createTestDatabase({ plainBecause: 'updates in place are counted, of one table' });
  await prepareBoards(site);
  database = openDatabase({ url: site.url, hotConnectionsMax: 1 });
  await insertTasks(database.hot, BOARD_ID, newTasks(FLEET));
  holds = holdsOf(await claimReady(database.hot, BOARD_ID, 1, slots(FLEET)));
  expect(holds).toHaveLength(FLEET);
});
afterAll(async () => {
  await database.close();
  await site.drop();
});

async function updates(): Promise<{ all: number; hot: number }> {
  await database.hot`SELECT pg_stat_force_next_flush()`;
  const [row] = await site.sql<{ all: number; hot: number }[]>`
    SELECT n_tup_upd::int AS "all", n_tup_hot_upd::int AS hot FROM pg_stat_user_tables WHERE relname = 'claims'`;
  if (row === undefined) throw new Error('there is a table of claims');
  return row;
}

async function hotShareOf(round: () => Promise<void>): Promise<number> {
  const before = await updates();
  for (let count = 0; count < ROUNDS; count += 1) {
    await untilPrunable(site);
    await round();
  }
  const after = await updates();
  expect(after.all - before.all).toBe(FLEET * ROUNDS);
  return (after.hot - before.hot) / (after.all - before.all);
}

test('one by one', async () => {
  const share = await hotShareOf(async () => {
    for (const beat of beatsOf(holds)) await extendLeases(database.hot, BOARD_ID, [beat]);
  });
  expect(share).toBeGreaterThanOrEqual(HOT_SHARE_MIN);
});

test('a whole fleet in one statement, again and again', async () => {
  const share = await hotShareOf(async () => {
    expect(await extendLeases(database.hot, BOARD_ID, beatsOf(holds))).toHaveLength(FLEET);
  });
  expect(share).toBeGreaterThanOrEqual(HOT_SHARE_MIN);
});
