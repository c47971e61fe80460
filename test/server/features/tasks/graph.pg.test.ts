/** The graph of a task: what is near comes first, and no more is read than can be shown, where it stands before nobody else. */
import { afterEach, expect, test } from 'vitest';
import type { TaskGraph } from '../../../../src/contract/links.ts';
import type { Task } from '../../../../src/contract/tasks.ts';
import { openDatabase } from '../../../../src/server/db/client.ts';
import { readGraph } from '../../../../src/server/features/tasks/store/graph.ts';
import type { Uuid } from '../../../../src/server/kernel/ids.ts';
import { expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { createTestDatabase } from '../../../fixtures/database.ts';
import { untilStanding } from '../../../fixtures/held-lock.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';
import { BOARD_ID, countReads, fillBoard, prepareBoards } from '../../db/claim-path.ts';

const servers = useTwoServers();
const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

const read = (board: TestBoard, task: Task) => board.call('GET', `/tasks/${task.id}/graph`);

test('links between what is shown are shown, also those that do not lead over the task', async () => {
  const [board] = await servers.board();
  const top = await board.task(null, { title: 'top' });
  const left = await board.task(null, { parents: [top.id] });
  const end = await board.task(null, { parents: [left.id, top.id] });
  const graph: TaskGraph = expectStatus(await read(board, left), 200).body;
  expect(graph.edges.map(({ parent, child }) => [parent, child])).toEqual([
    [top.id, left.id],
    [top.id, end.id],
    [left.id, end.id],
  ]);
});

test('of more than can be shown the nearest are, on either side', async () => {
  const [board] = await servers.board();
  const chain = Array.from({ length: 400 }, (_, index) => ({
    title: `${index}`,
    parents: index === 0 ? [] : [`#${index - 1}`],
  }));
  const made: Task[] = [];
  for (const tasks of [
    chain,
    chain.map((task, index) => (index === 0 ? { ...task, parents: ['last'] } : task)),
  ]) {
    const named = tasks.map((task) => ({
      ...task,
      parents: task.parents.map((parent) => (parent === 'last' ? (made.at(-1)?.id ?? '') : parent)),
    }));
    const answer = await board.call('POST', '/tasks/batch', { body: { tasks: named } });
    made.push(...expectStatus(answer, 201).body.tasks);
  }
  const graph: TaskGraph = expectStatus(await read(board, made[400] as Task), 200).body;
  const places = graph.nodes.map(({ id }) => made.findIndex((task) => task.id === id));
  expect([Math.min(...places), Math.max(...places)]).toEqual([150, 649]);
  expect([graph.truncated, graph.nodes.length, graph.edges.length]).toEqual([true, 500, 499]);
});

test('a family of any width is read no further than it is shown', async () => {
  const site = await createTestDatabase();
  cleanUps.push(() => site.drop());
  await prepareBoards(site);
  const { cold, close } = openDatabase({ url: site.url, hotConnectionsMax: 1, coldConnectionsMax: 1 });
  cleanUps.push(close);
  const width = 200;
  await fillBoard(site, { ready: 2 * width + 1, done: 0, running: 0, lanes: 1 });
  // Every task of the second level waits for every one of the first, and all of these for one.
  await site.sql`
    WITH task AS (SELECT id, row_number() OVER (ORDER BY id) - 1 AS place FROM tasks WHERE board_id = ${BOARD_ID})
    INSERT INTO links (board_id, child_id, parent_id, is_met)
    SELECT ${BOARD_ID}, child.id, parent.id, false FROM task parent JOIN task child
      ON (parent.place = 0 AND child.place BETWEEN 1 AND ${width}::int)
      OR (parent.place BETWEEN 1 AND ${width}::int AND child.place > ${width}::int)`;
  const start = '01900000-0000-7000-8000-000000000001' as Uuid;
  const most = { tasks: 250, links: 1000 };
  // The walk and the drawing, each once, and where the walk stopped.
  const reads = await countReads(site, cold, async () => {
    const graph = await readGraph(cold, BOARD_ID, start, most);
    expect([graph.isCut, graph.nodes.length, graph.edges.length]).toEqual([true, 250, 1000]);
  });
  for (const table of ['tasks', 'task_details']) expect(reads.get(table)?.rows, table).toBeLessThan(1000);
  expect(reads.get('links')?.entries).toBeLessThan(width * (most.tasks - width) + 3 * most.links);
});

test('however many ask for it, everything else goes on', async () => {
  const [board] = await servers.board();
  const task = await board.task(null);
  const { sql } = servers.database;
  const asked: ReturnType<typeof read>[] = [];
  await sql.begin(async (holder) => {
    await holder`LOCK TABLE links IN ACCESS EXCLUSIVE MODE`;
    for (let count = 0; count < 20; count += 1) asked.push(read(board, task));
    await untilStanding(sql, 'tasks.list_parent_links', 'gate', 4);
    for (let count = 0; count < 20; count += 1) await board.read(task.id);
    await untilStanding(sql, 'tasks.list_parent_links', 'gate', 4);
  });
  for (const answer of await Promise.all(asked)) expect([200, 429]).toContain(answer.status);
});
