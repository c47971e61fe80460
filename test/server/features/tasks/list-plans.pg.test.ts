/** What a list reads is what it finds, whatever the statistics were made of: tables that nobody has analyzed, or one of them only, or when they were empty. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { openDatabase } from '../../../../src/server/db/client.ts';
import {
  listTaskIds,
  listTasks,
  listUnfinishedTasks,
  type TaskFilter,
} from '../../../../src/server/features/tasks/store/search.ts';
import { makeBoard } from '../../../fixtures/board.ts';
import { useTestDatabase } from '../../../fixtures/database.ts';
import { useTestServer } from '../../../fixtures/server.ts';
import { countReads } from '../../db/claim-path.ts';

const TASKS = 2000;
const ROWS_MAX = 50;
/** Each of the board's tasks may be looked at a few times, and never each of them for each of them. */
const READS_MAX = 5 * TASKS;

const EVERYTHING: TaskFilter = {
  statuses: null,
  lanes: null,
  labels: null,
  tenants: null,
  titlePart: null,
  parentId: null,
  delegationId: null,
  sessionId: null,
};
const FILTERS: readonly [string, Partial<TaskFilter>][] = [
  ['everything', {}],
  ['a status that no task has', { statuses: ['done'] }],
  ['a status that all tasks have', { statuses: ['ready'] }],
  ['a label that no task has', { labels: { colour: 'green' } }],
  ['a part of every title', { titlePart: 'task' }],
  ['a tenant that no task has, on a lane', { tenants: ['nobody'], lanes: ['work', null] }],
];

describe('a list on tables', () => {
  test.each([
    ['that nobody has analyzed', ''],
    ['of which tasks were analyzed while there were few', 'ANALYZE tasks'],
    ['of which details were analyzed while there were few', 'ANALYZE task_details'],
    ['that were analyzed while there were few', 'ANALYZE'],
    ['that were vacuumed while there were few', 'VACUUM ANALYZE'],
  ])('%s', async (_name, analyze) => {
    const database = await useTestDatabase({ plainBecause: 'vacuums are switched off table by table' });
    for (const table of ['tasks', 'task_details', 'claims', 'runs'])
      await database.sql.unsafe(`ALTER TABLE ${table} SET (autovacuum_enabled = false)`);
    const server = await useTestServer(database.url);
    const few = await makeBoard(server);
    await few.lane('work');
    await few.tasks('work', 10);
    await database.sql.unsafe(analyze);
    const board = await makeBoard(server);
    await board.lane('work');
    for (let made = 0; made < TASKS; made += 1000) await board.tasks('work', 1000);
    const [row] = await database.sql<{ id: number }[]>`SELECT id FROM boards WHERE name = ${board.name}`;
    const id = row?.id ?? 0;
    const opened = openDatabase({ url: database.url, hotConnectionsMax: 1 });
    onTestFinished(() => opened.close());
    const { hot } = opened;

    const greedy: string[] = [];
    const look = async (name: string, work: () => Promise<unknown>): Promise<void> => {
      const reads = await countReads(database, hot, work);
      for (const table of ['tasks', 'task_details', 'claims', 'runs']) {
        const { rows = 0, entries = 0 } = reads.get(table) ?? {};
        if (Math.max(rows, entries) > READS_MAX)
          greedy.push(`${name}: ${rows} rows, ${entries} entries of ${table}`);
      }
    };
    for (const [name, chosen] of FILTERS) {
      const filter = { ...EVERYTHING, ...chosen };
      for (const order of ['created', '-created', 'priority'] as const)
        await look(`${name} by ${order}`, () =>
          listTasks(hot, id, { filter, order, after: null, rowsMax: ROWS_MAX }),
        );
      await look(`ids of ${name}`, () => listTaskIds(hot, id, filter, ROWS_MAX));
    }
    await look('everything unfinished', () => listUnfinishedTasks(hot, id, { rows: ROWS_MAX, bytes: 1e9 }));
    expect(greedy).toEqual([]);
  });
});
