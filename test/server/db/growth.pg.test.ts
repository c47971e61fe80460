/**
 * What a claim, an end and a creation cost does not grow with what has piled up: tasks, lanes, boards. Counted in pages looked at and not
 * in time, so that it means the same on any machine. Statistics are never made, vacuum never runs.
 */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../../src/server/db/client.ts';
import { claimReady } from '../../../src/server/features/claims/store/claim.ts';
import { completeRuns } from '../../../src/server/features/claims/store/complete.ts';
import { insertTasks } from '../../../src/server/features/tasks/store/create.ts';
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts';
import {
  BOARD_ID,
  completionsOf,
  countReads,
  fillBoard,
  holdsOf,
  newTasks,
  prepareBoards,
  slots,
  untilPrunable,
} from './claim-path.ts';

const BATCH = 20;
const ROUNDS = 10;
/** An index of 200,000 entries is one page deeper than one of 1,000: for each of a dozen look-ups a row, one page more. */
const GROWTH_MAX = 1.6;

let site: TestDatabase;
let database: Database;

beforeEach(async () => {
  site = await createTestDatabase({
    plainBecause: 'vacuums are switched off table by table, and pages are counted',
  });
  database = openDatabase({ url: site.url, hotConnectionsMax: 1 });
});
afterEach(async () => {
  await database.close();
  await site.drop();
});

interface Costs {
  readonly create: number;
  readonly claim: number;
  readonly complete: number;
}

/** Pages looked at for one task, on average; ten batches, so that a page split here and there does not matter. */
async function pagesPerTask(lanes: readonly string[] = ['lane-0']): Promise<Costs> {
  const { hot } = database;
  const total = { create: 0, claim: 0, complete: 0 };
  const add = async <T>(verb: keyof Costs, work: () => Promise<T>): Promise<T> => {
    let result: T | undefined;
    const reads = await countReads(site, hot, async () => {
      result = await work();
    });
    for (const { blocks } of reads.values()) total[verb] += blocks / (BATCH * ROUNDS);
    return result as T;
  };
  for (let round = 0; round < ROUNDS; round += 1) {
    const lane = lanes[round % lanes.length] ?? 'lane-0';
    await add('create', () => insertTasks(hot, BOARD_ID, newTasks(BATCH, { lane })));
    const claimed = await add('claim', () => claimReady(hot, BOARD_ID, 1, slots(BATCH, BOARD_ID, lane)));
    expect(claimed).toHaveLength(BATCH);
    const done = await add('complete', () => completeRuns(hot, BOARD_ID, completionsOf(holdsOf(claimed))));
    expect(done).toHaveLength(BATCH);
  }
  return total;
}

const VERBS = ['create', 'claim', 'complete'] as const;

function expectFlat(before: Costs, after: Costs, verbs: readonly (keyof Costs)[] = VERBS): void {
  for (const verb of verbs)
    expect(after[verb] / before[verb], `${verb}: ${before[verb]} pages, then ${after[verb]}`).toBeLessThan(
      GROWTH_MAX,
    );
}

test('with 200,000 tasks ready or done instead of 1,000', async () => {
  await prepareBoards(site);
  await fillBoard(site, { ready: 500, done: 500, running: 0, lanes: 1 });
  await pagesPerTask();
  const before = await pagesPerTask();
  await site.sql`TRUNCATE tasks, task_details, runs, claims`;
  await fillBoard(site, { ready: 100_000, done: 100_000, running: 1000, lanes: 1 });
  expectFlat(before, await pagesPerTask());
});

test('with 1,000 lanes instead of one', async () => {
  await prepareBoards(site);
  await fillBoard(site, { ready: 10_000, done: 10_000, running: 0, lanes: 1 });
  await pagesPerTask();
  const before = await pagesPerTask();
  await site.sql`TRUNCATE tasks, task_details, runs, claims`;
  await fillBoard(site, { ready: 20_000, done: 20_000, running: 0, lanes: 1000 });
  expectFlat(before, await pagesPerTask(Array.from({ length: ROUNDS }, (_, index) => `lane-${index * 100}`)));
});

test('with 100 boards instead of one', async () => {
  await prepareBoards(site, 100);
  await fillBoard(site, { ready: 300, done: 300, running: 50, lanes: 10 });
  await pagesPerTask();
  const before = await pagesPerTask();
  for (let boardId = 2; boardId <= 100; boardId += 1)
    await fillBoard(site, { boardId, ready: 300, done: 300, running: 50, lanes: 10 });
  expectFlat(before, await pagesPerTask());
});

test('with everything that was claimed before in the same lane, as long as no transaction still needs to see it', async () => {
  await prepareBoards(site);
  await fillBoard(site, { ready: 500, done: 500, running: 0, lanes: 1 });
  await pagesPerTask();
  const before = await pagesPerTask();
  const { hot } = database;
  const CLAIMED_BEFORE = 20_000;
  const AT_ONCE = 200;
  for (let count = 0; count < CLAIMED_BEFORE; count += AT_ONCE) {
    await insertTasks(hot, BOARD_ID, newTasks(AT_ONCE));
    const claimed = await claimReady(hot, BOARD_ID, 1, slots(AT_ONCE));
    await completeRuns(hot, BOARD_ID, completionsOf(holdsOf(claimed)));
  }
  await untilPrunable(site);
  // The first to come past them afterwards notes that they are dead.
  await pagesPerTask();
  const after = await pagesPerTask();
  expectFlat(before, after, ['create', 'complete']);
  // The entries are dead and known to be: their tasks are not looked at any more, only the pages that they still fill.
  const [index] = await site.sql<{ pages: number }[]>`
    SELECT (pg_relation_size('tasks_ready_index') / current_setting('block_size')::int)::int AS pages`;
  const pagesOfDead = (index?.pages ?? 0) / BATCH;
  expect(after.claim).toBeLessThan(before.claim * GROWTH_MAX + pagesOfDead);
});
