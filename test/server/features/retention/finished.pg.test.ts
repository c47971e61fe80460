/** Finished tasks go with all that belongs to them, and stay while something that goes on needs them. The log folds to the tables all the while. */
import type postgres from 'postgres';
import { afterEach, describe, expect, test } from 'vitest';
import { parseId } from '../../../../src/server/kernel/ids.ts';
import { auditBoard } from '../../../fixtures/audit.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { eventually } from '../../../fixtures/eventually.ts';
import { holdCounter, untilStanding, untilTestEnds } from '../../../fixtures/held-lock.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';
import { openSocket } from '../../../fixtures/watch-socket.ts';
import { say, take } from '../deliveries/taken-deliveries.ts';

const servers = useTwoServers();
const boards: TestBoard[] = [];

/** Whatever was pruned, the log says the same as the rows. */
afterEach(async () => {
  for (const board of boards.splice(0)) await auditBoard(servers.database.sql, board.name);
});

type Body = Readonly<Record<string, unknown>>;

async function newBoard(retention: Body = { finished_tasks_seconds: 1 }): Promise<TestBoard> {
  const [board] = await servers.board();
  await board.lane('work');
  await keep(board, retention);
  boards.push(board);
  return board;
}

const keep = async (board: TestBoard, retention: Body | null) =>
  expectStatus(await board.call('PATCH', '', { body: { settings: { retention } } }), 200);

async function finish(board: TestBoard, task?: string): Promise<void> {
  const claim = await board.claim('work', task === undefined ? {} : { task_id: task });
  await endClaim(board.server, claim, 'output', { lines: ['a line'] });
  expectStatus(await endClaim(board.server, claim, 'complete', { summary: 'done' }), 200);
}

const isGone = async (board: TestBoard, task: string): Promise<boolean> =>
  (await board.call('GET', `/tasks/${task}`)).status === 404;

const untilGone = (board: TestBoard, task: string) =>
  eventually(`${task} is gone`, () => isGone(board, task));

/** A task of the same board that could go, made and finished after all that the test looks at, is gone: so is what was due before it. */
async function untilPruned(board: TestBoard): Promise<void> {
  for (let round = 0; round < 2; round += 1) {
    const probe = await board.task('probes');
    expectStatus(await board.operate(probe.id, 'complete'), 200);
    await untilGone(board, probe.id);
  }
}

async function rowsOf(task: string): Promise<Record<string, number>> {
  const id = parseId('task', task) ?? '';
  const tables = ['task_details', 'runs', 'comments', 'messages', 'outputs', 'output_lines'];
  const counts = await Promise.all(
    tables.map(async (table) => {
      const [row] = await servers.database.sql<{ count: number }[]>`
        SELECT count(*)::int AS count FROM ${servers.database.sql(table)} WHERE task_id = ${id}`;
      return [table, row?.count ?? -1] as const;
    }),
  );
  return Object.fromEntries(counts);
}

async function linksOf(task: string): Promise<number> {
  const id = parseId('task', task) ?? '';
  const [row] = await servers.database.sql<{ count: number }[]>`
    SELECT count(*)::int AS count FROM links WHERE ${id} IN (parent_id, child_id)`;
  return row?.count ?? -1;
}

/** Due at once. */
async function keepUnder(sql: postgres.Sql, boardId: number): Promise<void> {
  await sql`UPDATE retention SET kept_seconds = 60, due_at = now() WHERE board_id = ${boardId}`;
}

describe.concurrent('a finished task', () => {
  test('goes with its runs, comments, messages and output, from the counts too, and the log says so', async () => {
    const board = await newBoard();
    const socket = await openSocket(board.server, board.name);
    await socket.watch({ id: 'w', kinds: ['task.deleted'] });
    const task = await board.task('work');
    expectStatus(await board.operate(task.id, 'comments', { body: 'hm' }), 201);
    expectStatus(await board.operate(task.id, 'steer', { message: 'left' }), 201);
    await finish(board, task.id);
    await untilGone(board, task.id);
    const event = await socket.event('w', ({ task_id: id }) => id === task.id);
    expect(event).toMatchObject({
      kind: 'task.deleted',
      actor: { type: 'system', id: 'retention' },
      data: { status_before: 'done', pruned: true },
    });
    expect(Object.values(await rowsOf(task.id)).every((count) => count === 0)).toBe(true);
    const { counts } = (await board.call('GET', '')).body.board;
    expect(counts).toMatchObject({ done: 0, running: 0, ready: 0 });
  });

  test('goes when it was cancelled or archived as when it was done; what has not finished stays', async () => {
    const board = await newBoard();
    const [cancelled, archived, blocked] = await board.tasks('work', 3);
    expectStatus(await board.operate(cancelled?.id ?? '', 'cancel'), 200);
    expectStatus(await board.operate(archived?.id ?? '', 'archive'), 200);
    const waiting = await board.task('work', { status: 'blocked' });
    await untilGone(board, cancelled?.id ?? '');
    await untilGone(board, archived?.id ?? '');
    await untilPruned(board);
    expect((await board.read(blocked?.id ?? '')).status).toBe('ready');
    expect((await board.read(waiting.id)).status).toBe('blocked');
    const { counts } = (await board.call('GET', '')).body.board;
    expect(counts).toMatchObject({ done: 0, cancelled: 0, archived: 0, ready: 1, blocked: 1 });
  });

  test('of which a child waits, or is to have the result, stays until that has finished', async () => {
    const board = await newBoard();
    const [met, unmet] = await board.tasks('work', 2);
    const child = await board.task('work', { parents: [met?.id, unmet?.id] });
    expect(await linksOf(child.id)).toBe(2);
    await finish(board, met?.id);
    await untilPruned(board);
    expect((await board.read(met?.id ?? '')).status).toBe('done');
    await finish(board, unmet?.id);
    await finish(board, child.id);
    for (const { id } of [child, met, unmet] as { id: string }[]) await untilGone(board, id);
    expect(await linksOf(child.id)).toBe(0);
  });

  test('that was cancelled under a child stays as long as the child, which waits for it when it is reopened', async () => {
    const board = await newBoard();
    const parent = await board.task('work');
    const child = await board.task('work', { parents: [parent.id] });
    expectStatus(await board.operate(parent.id, 'cancel'), 200);
    await untilPruned(board);
    expect((await board.read(parent.id)).status).toBe('cancelled');
    expectStatus(await board.operate(child.id, 'cancel'), 200);
    await untilGone(board, child.id);
    await untilGone(board, parent.id);
  });

  test('whose end is still to be delivered stays until it is', async () => {
    const board = await newBoard();
    const task = await board.task('work', { subscribe: { platform: 'discord', chat_id: 'c' } });
    await finish(board, task.id);
    await untilPruned(board);
    expect((await board.read(task.id)).status).toBe('done');
    const [delivery] = await take(board);
    expect(delivery?.text).toContain('done');
    expectStatus(await say(board, delivery, 'ack'), 200);
    expect((await board.call('GET', '/subscriptions')).body.subscriptions).toHaveLength(1);
    await untilGone(board, task.id);
    expect((await board.call('GET', '/subscriptions')).body.subscriptions).toEqual([]);
  });

  test('of a delegation stays until that is decided, and the delegation goes with its last task', async () => {
    const board = await newBoard();
    const body = {
      tasks: [
        { title: 'one', lane: 'work' },
        { title: 'two', lane: 'work' },
      ],
    };
    const { delegation } = expectStatus(await board.call('POST', '/delegations', { body }), 202).body;
    const [one, two] = delegation.tasks as string[];
    await finish(board, one);
    await untilPruned(board);
    expect((await board.read(one ?? '')).status).toBe('done');
    await finish(board, two);
    await untilGone(board, one ?? '');
    await untilGone(board, two ?? '');
    const read = () => board.call('GET', `/delegations/${delegation.id}`);
    await eventually('the delegation is gone', async () => (await read()).status === 404);
  });

  test('takes its idempotency_key with it: a creation that is repeated later makes a new task', async () => {
    const board = await newBoard();
    const body = { title: 'once', lane: 'work', idempotency_key: 'k' };
    const make = () => board.call('POST', '/tasks', { body });
    const first = expectStatus(await make(), 201).body.task;
    await finish(board, first.id);
    expect(expectStatus(await make(), 200).body.task.id).toBe(first.id);
    await untilGone(board, first.id);
    expect(expectStatus(await make(), 201).body.task.id).not.toBe(first.id);
  });

  test('is not pruned by what is turned off, and is again by what is turned on', async () => {
    const board = await newBoard({ finished_tasks_seconds: 3600 });
    const task = await board.task('work');
    await finish(board, task.id);
    await keep(board, null);
    expect((await board.read(task.id)).status).toBe('done');
    await keep(board, { finished_tasks_seconds: 1 });
    await untilGone(board, task.id);
  });
});

test('a board that is just being pruned can be deleted, and nothing of either stays', async () => {
  const board = await newBoard({ events_seconds: 3600 });
  boards.splice(boards.indexOf(board), 1);
  const { sql } = servers.database;
  const [row] = await sql<{ id: number }[]>`SELECT id FROM boards WHERE name = ${board.name}`;
  const id = row?.id ?? 0;
  await sql`UPDATE events SET at = at - interval '9 days' WHERE board_id = ${id}`;
  const held = await untilTestEnds(holdCounter(sql, board.name));
  await keepUnder(sql, id);
  await untilStanding(sql, 'retention.move_mark', 'row');
  const deleted = board.call('DELETE', '');
  // Past the row of what is pruned, whose portion has given up or is done.
  await untilStanding(sql, 'boards.delete_counter', 'row');
  await held.release();
  expectStatus(await deleted, 204);
  expect(await sql`SELECT FROM retention WHERE board_id = ${id}`).toHaveLength(0);
  expect(await sql`SELECT FROM events WHERE board_id = ${id}`).toHaveLength(0);
});

describe.concurrent('beside tasks', () => {
  test('earlier runs go, the latest stays', async () => {
    const board = await newBoard({ runs_seconds: 1 });
    boards.splice(boards.indexOf(board), 1); // The log tells of runs that are not there any more.
    const task = await board.task('work');
    for (let attempt = 1; attempt <= 3; attempt += 1)
      expectStatus(await endClaim(board.server, await board.claim('work'), 'release'), 200);
    await eventually('only the latest is left', async () => {
      const runs = await board.runs(task.id);
      return runs.length === 1 && runs[0]?.attempt === 3;
    });
  });

  test('output goes, but not that of a task that somebody holds', async () => {
    const board = await newBoard({ output_seconds: 1 });
    const [held, over] = await board.tasks('work', 2);
    const claim = await board.claim('work', { task_id: held?.id ?? '' });
    expectStatus(await endClaim(board.server, claim, 'output', { lines: ['kept'] }), 200);
    await finish(board, over?.id);
    const linesOf = async (task = '') =>
      expectStatus(await board.call('GET', `/tasks/${task}/output`), 200).body.lines.length;
    await eventually('its output is gone', async () => (await linesOf(over?.id)) === 0);
    expect(await linesOf(held?.id)).toBe(1);
  });

  test('deliveries and what sessions were told go by their own times, and no cursor moves back', async () => {
    const board = await newBoard({ deliveries_seconds: 1 });
    const origin = { platform: 'discord', chat_id: 'c', session_id: 's' };
    const task = await board.task('work', { origin });
    await finish(board, task.id);
    const [delivery] = await take(board);
    expectStatus(await say(board, delivery, 'ack'), 200);
    const subscription = async () => (await board.call('GET', '/subscriptions')).body.subscriptions[0];
    const { cursor } = await subscription();
    const told = async () => (await board.call('GET', '/sessions/s/messages')).body.messages.length;
    await eventually('the delivery is gone', async () => {
      return (await board.call('GET', '/deliveries')).body.deliveries.length === 0;
    });
    expect((await subscription()).cursor).toBe(cursor);
    expect(await told()).toBe(1);
    await keep(board, { messages_seconds: 1 });
    await eventually('the message is gone', async () => (await told()) === 0);
  });
});
