/** The children of a task are looked up, whatever else is on the board, and whatever Postgres knew when it made its plans. */
import { afterEach, expect, test } from 'vitest';
import { openDatabase } from '../../../../src/server/db/client.ts';
import { listTasks, type TaskFilter } from '../../../../src/server/features/tasks/store/search.ts';
import type { Uuid } from '../../../../src/server/kernel/ids.ts';
import { createTestDatabase } from '../../../fixtures/database.ts';
import { BOARD_ID, countReads, fillBoard, prepareBoards } from '../../db/claim-path.ts';

const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

const TASKS = 20_000;
const CHILDREN = 5;
/** Postgres settles on one plan after five executions with the parameters in view (PREPARE, "generic plan"). */
const EXECUTIONS = 7;
const ORDERS = ['created', '-created', 'priority'] as const;

test.each(['made while the board was empty', 'made on statistics'])('with plans %s', async (when) => {
  const site = await createTestDatabase();
  cleanUps.push(() => site.drop());
  await prepareBoards(site);
  const database = openDatabase({ url: site.url, hotConnectionsMax: 1 });
  cleanUps.push(() => database.close());
  const parentId = '01900000-0000-7000-8000-000000000001' as Uuid;
  const filter: TaskFilter = {
    statuses: null,
    lanes: null,
    labels: null,
    tenants: null,
    titlePart: null,
    parentId,
    delegationId: null,
    sessionId: null,
  };
  const list = async () => {
    for (const order of ORDERS) {
      const page = { filter, order, after: null, rowsMax: 51 };
      expect(await listTasks(database.hot, BOARD_ID, page)).toHaveLength(expected);
    }
  };
  const listOften = async () => {
    for (let execution = 0; execution < EXECUTIONS; execution += 1) await list();
  };
  let expected = 0;
  if (when === 'made while the board was empty') await listOften();
  await fillBoard(site, { ready: TASKS, done: 0, running: 0, lanes: 1 });
  await site.sql`
    INSERT INTO links (board_id, child_id, parent_id, is_met)
    SELECT board_id, id, ${parentId}, false FROM tasks WHERE id <> ${parentId} ORDER BY id DESC OFFSET 100 LIMIT ${CHILDREN}`;
  expected = CHILDREN;
  if (when === 'made on statistics') {
    await site.sql`ANALYZE tasks, task_details, links`;
    await listOften();
  }
  const reads = await countReads(site, database.hot, list);
  for (const table of ['tasks', 'task_details', 'links'])
    expect(reads.get(table)?.rows, table).toBeLessThan(10 * CHILDREN * ORDERS.length);
});
