/** Claims from a place in the line on: which tasks they take, and that they do not read what stands before it. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../../../src/server/db/client.ts';
import { claimReady } from '../../../../src/server/features/claims/store/claim.ts';
import type { Heads } from '../../../../src/server/features/claims/store/ready-line.ts';
import { insertTasks, type NewTask } from '../../../../src/server/features/tasks/store/create.ts';
import { createTestDatabase, type TestDatabase } from '../../../fixtures/database.ts';
import { BATCH, BOARD_ID, countReads, newTasks, prepareBoards, slots } from '../../db/claim-path.ts';

let site: TestDatabase;
let database: Database;

beforeAll(async () => {
  site = await createTestDatabase();
  await prepareBoards(site);
  database = openDatabase({ url: site.url, hotConnectionsMax: 1 });
});
afterAll(async () => {
  await database.close();
  await site.drop();
});
beforeEach(async () => {
  await site.sql`TRUNCATE tasks, task_details, claims, runs, events`;
});

async function make(...tasks: NewTask[]): Promise<NewTask[]> {
  await insertTasks(database.hot, BOARD_ID, tasks);
  return tasks;
}

const behind = (lane: string, { priority, id }: NewTask): Heads => new Map([[lane, { priority, id }]]);

async function claim(count: number, heads: Heads, lanes = ['lane-0']): Promise<string[]> {
  const wanted = lanes.flatMap((lane) => slots(count, BOARD_ID, lane));
  return (await claimReady(database.hot, BOARD_ID, 1, wanted, { heads })).map(({ id }) => id);
}

const idsOf = (tasks: readonly NewTask[]): string[] => tasks.map(({ id }) => id);

test('a claim behind a place takes the younger tasks of its priority, then those of lower ones', async () => {
  const [lowest] = await make(...newTasks(1, { priority: -3 }));
  const level = await make(...newTasks(4));
  const low = await make(...newTasks(2, { priority: -1 }));
  const high = await make(...newTasks(1, { priority: 5 }));
  const [, place, ...younger] = level;
  if (place === undefined || lowest === undefined) throw new Error('there are as many as were made');
  expect(await claim(3, behind('lane-0', place))).toEqual(idsOf([...younger, ...low.slice(0, 1)]));
  expect(await claim(3, behind('lane-0', place))).toEqual(idsOf([...low.slice(1), lowest]));
  // What stands before the place is there for a look from the start.
  expect(await claim(3, new Map())).toEqual(idsOf([...high, ...level.slice(0, 2)]));
});

test('of lanes in one claim each has its own place, and one without a place is looked at from its start', async () => {
  const first = await make(...newTasks(3));
  const second = await make(...newTasks(3, { lane: 'lane-1' }));
  const [place] = first;
  if (place === undefined) throw new Error('there are as many as were made');
  const claimed = await claim(2, behind('lane-0', place), ['lane-0', 'lane-1']);
  expect(claimed).toEqual(idsOf([...first.slice(1), ...second.slice(0, 2)]));
});

test('what was claimed and may not be cleared away is not read again', async () => {
  const tasks = await make(...newTasks(40 * BATCH));
  const snapshot = await site.sql.reserve();
  await snapshot`BEGIN ISOLATION LEVEL REPEATABLE READ`;
  await snapshot`SELECT count(*) FROM tasks`;
  try {
    for (let batch = 0; batch < 30; batch += 1) await claim(BATCH, new Map());
    const last = tasks[30 * BATCH - 1];
    if (last === undefined) throw new Error('there are as many as were made');
    const entriesOf = async (heads: Heads): Promise<number> => {
      const reads = await countReads(site, database.hot, () => claim(BATCH, heads));
      return reads.get('tasks')?.entries ?? 0;
    };
    expect(await entriesOf(behind('lane-0', last))).toBeLessThan(5 * BATCH);
    // As a look from the start does: else this would show nothing.
    expect(await entriesOf(new Map())).toBeGreaterThan(30 * BATCH);
  } finally {
    await snapshot`ROLLBACK`;
    snapshot.release();
  }
});
