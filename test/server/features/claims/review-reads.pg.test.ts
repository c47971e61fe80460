/** What a worker has handed over to its own lane is not read through for each of its claims, and is not kept from the others by them. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Database, openDatabase, type Tx } from '../../../../src/server/db/client.ts';
import { lockReviews, type ReviewRow } from '../../../../src/server/features/claims/store/review.ts';
import type { Uuid } from '../../../../src/server/kernel/ids.ts';
import { createTestDatabase, type TestDatabase } from '../../../fixtures/database.ts';
import { BOARD_ID, countReads, fillBoard, prepareBoards } from '../../db/claim-path.ts';

const LANE = 'lane-0';
const REVIEWS = 5000;
const idOf = (n: number) => `01900000-0000-7000-8000-${n.toString(16).padStart(12, '0')}` as Uuid;

let site: TestDatabase;
let database: Database;
beforeAll(async () => {
  site = await createTestDatabase();
  await prepareBoards(site);
  await fillBoard(site, { ready: 0, done: 0, running: 0, reviews: REVIEWS, lanes: 1 });
  await implement('ann', 1, REVIEWS);
  database = openDatabase({ url: site.url, hotConnectionsMax: 2 });
});
afterAll(async () => {
  await database?.close();
  await site?.drop();
});

/** Reviews from this one to that one are of this worker's work, in the order in which they are claimed. */
async function implement(worker: string, first: number, last: number): Promise<void> {
  await site.sql`
    UPDATE tasks SET implementer_lane = ${LANE}, implementer_worker = ${worker}
    WHERE board_id = ${BOARD_ID} AND id BETWEEN ${idOf(first)} AND ${idOf(last)}`;
}

const lock = (tx: Tx, worker: string, count: number, namedTaskId: Uuid | null = null): Promise<ReviewRow[]> =>
  lockReviews(tx, BOARD_ID, [{ lane: LANE, worker, count }], { namedTaskId, exceptIds: [] });

const idsOf = async (worker: string, count: number): Promise<Uuid[]> =>
  (await database.hot.begin((tx) => lock(tx, worker, count))).map(({ id }) => id);

describe('looking for a review', () => {
  test('behind much of its own work, a worker finds what is near, and reads no further', async () => {
    const reads = await countReads(site, database.hot, async () => expect(await idsOf('ann', 5)).toEqual([]));
    // A thousand, each in the order of the lane and by its key, where it may have an older version.
    expect(reads.get('tasks')?.entries).toBeGreaterThanOrEqual(1000);
    expect(reads.get('tasks')?.entries).toBeLessThan(REVIEWS);
    await implement('bob', 900, 901);
    await implement('bob', 2000, 2000);
    expect(await idsOf('ann', 5)).toEqual([idOf(900), idOf(901)]);
    const [named] = await database.hot.begin((tx) => lock(tx, 'ann', 1, idOf(2000)));
    expect(named?.id).toBe(idOf(2000));
    await site.sql`UPDATE tasks SET priority = 1 WHERE board_id = ${BOARD_ID} AND id = ${idOf(2000)}`;
    expect(await idsOf('ann', 5)).toEqual([2000, 900, 901].map(idOf));
  });

  test('others get what is passed over, and not what somebody has locked', async () => {
    await implement('bob', 1000, 1000);
    await database.hot.begin(async (tx) => {
      const [first] = await lock(tx, 'ann', 1);
      const others = await idsOf('carl', 3);
      expect(others).toHaveLength(3);
      expect(others).not.toContain(first?.id);
      expect(others).toContain(idOf(1));
    });
  });

  test('of others, a worker reads what it gets', async () => {
    const reads = await countReads(site, database.hot, async () => {
      expect(await idsOf('carl', 5)).toHaveLength(5);
    });
    expect(reads.get('tasks')?.entries).toBeLessThan(50);
  });
});
