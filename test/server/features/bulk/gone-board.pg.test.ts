/** No operation outlives its board: none is made behind its deletion, and one that is there all the same is dropped. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../../../src/server/db/client.ts';
import { transaction } from '../../../../src/server/db/tx.ts';
import { dropBoardless } from '../../../../src/server/features/bulk/store.ts';
import { IdSource, parseId, type Uuid } from '../../../../src/server/kernel/ids.ts';
import { expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { eventually } from '../../../fixtures/eventually.ts';
import { untilStanding } from '../../../fixtures/held-lock.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();
const ids = new IdSource({ now: () => Date.now() });
let opened: Database;

beforeAll(() => {
  opened = openDatabase({ url: servers.database.url });
});
afterAll(() => opened.close());

async function newBoard(): Promise<{
  board: TestBoard;
  elsewhere: TestBoard;
  boardId: number;
  task: string;
}> {
  const [board, elsewhere] = await servers.board();
  const task = await board.task('work');
  const [row] = await servers.database.sql<
    { id: number }[]
  >`SELECT id FROM boards WHERE name = ${board.name}`;
  return { board, elsewhere, boardId: row?.id ?? 0, task: task.id };
}

const cancel = (board: TestBoard, task: string, headers = {}) =>
  board.call('POST', '/tasks/bulk', { body: { action: 'cancel', ids: [task] }, headers });

async function countsOf(boardId: number): Promise<{ operations: number; items: number }> {
  const [row] = await servers.database.sql<{ operations: number; items: number }[]>`
    SELECT (SELECT count(*)::int FROM operations WHERE board_id = ${boardId}) AS operations,
      (SELECT count(*)::int FROM operation_items WHERE board_id = ${boardId}) AS items`;
  return row ?? { operations: -1, items: -1 };
}

const NONE = { operations: 0, items: 0 };

test('a server that still knows a board makes no operation behind its deletion', async () => {
  const { sql } = servers.database;
  const { board, elsewhere, boardId, task } = await newBoard();
  const key = { role: 'observer', name: 'of the board', board: board.name };
  expectStatus(await board.server.call('POST', '/v1/keys', { body: key }), 201);
  const { deleted, made } = await sql.begin(async (tx) => {
    // The last row that a deletion takes before the board's own: it stands with all the others gone.
    await tx`SELECT FROM api_keys WHERE ${board.name} = ANY (boards) FOR UPDATE`;
    const deletion = board.call('DELETE', '');
    await untilStanding(sql, 'boards.delete', 'row');
    let isAnswered = false;
    const operation = cancel(elsewhere, task).finally(() => {
      isAnswered = true;
    });
    await eventually('it waits for the deletion, or is answered', async () => {
      const standing = await sql`
        SELECT FROM pg_stat_activity
        WHERE wait_event_type = 'Lock' AND query LIKE '%/* bulk.hold_board */%' AND datname = current_database()`;
      return isAnswered || standing.length === 1;
    });
    return { deleted: deletion, made: operation };
  });
  expectStatus(await deleted, 204);
  expect((await made).code).toBe('not_found');
  expect(await countsOf(boardId)).toEqual(NONE);
});

test('a deletion waits for an operation that was made, and takes it along; who writes events does not wait', async () => {
  const { sql } = servers.database;
  const { board, elsewhere, boardId, task } = await newBoard();
  const { deleted, made } = await sql.begin(async (tx) => {
    // What is done last is to remember the answer.
    await tx`LOCK TABLE idempotency_keys IN SHARE MODE`;
    const operation = cancel(elsewhere, task, { 'Idempotency-Key': 'once' });
    await untilStanding(sql, 'idempotency.remember', 'gate');
    await eventually('nobody has the counter row for longer than a sweep has it', async () => {
      const rows = await sql`SELECT FROM board_seq WHERE board_id = ${boardId} FOR UPDATE SKIP LOCKED`;
      return rows.length === 1;
    });
    const deletion = board.call('DELETE', '');
    await eventually('it waits for the operation, or is done with it', async () => {
      const standing = await sql`
        SELECT FROM pg_stat_activity
        WHERE wait_event_type = 'Lock' AND query LIKE '%/* boards.%' AND datname = current_database()`;
      return standing.length === 1;
    });
    return { deleted: deletion, made: operation };
  });
  expectStatus(await deleted, 204);
  // Whether it was still there when it was to be shown is a matter of moments.
  expectStatus(await made, 202, 404);
  expect(await countsOf(boardId)).toEqual(NONE);
});

test('an operation of many tasks holds its board only when they are written', async () => {
  const { sql } = servers.database;
  const { elsewhere, boardId, task } = await newBoard();
  const { made } = await sql.begin(async (tx) => {
    await tx`LOCK TABLE operation_items IN ACCESS EXCLUSIVE MODE`;
    const operation = cancel(elsewhere, task);
    await untilStanding(sql, 'bulk.insert_items', 'gate');
    expect(await sql`SELECT FROM boards WHERE id = ${boardId} FOR UPDATE SKIP LOCKED`).toHaveLength(1);
    return { made: operation };
  });
  expectStatus(await made, 202);
});

test('one whose board is gone is dropped with its items', async () => {
  const { sql } = servers.database;
  const { board, boardId } = await newBoard();
  expectStatus(await board.call('DELETE', ''), 204);
  // As a server of an earlier version may leave it.
  const id = ids.next(boardId);
  await sql.begin(async (tx) => {
    await tx`
      INSERT INTO operations (board_id, id, action, status, total, actor_type, actor_id)
      VALUES (${boardId}, ${id}, 'cancel', 'running', 2, 'key', 'key_x')`;
    await tx`
      INSERT INTO operation_items (board_id, operation_id, place, task_id)
      SELECT ${boardId}, ${id}, place, gen_random_uuid() FROM generate_series(0, 1) AS place`;
  });
  await eventually('it is gone', async () => {
    const { operations, items } = await countsOf(boardId);
    return operations === 0 && items === 0;
  });
});

test('one whose board is there stays, whoever thinks otherwise', async () => {
  const { board, boardId, task } = await newBoard();
  const { operation } = expectStatus(await cancel(board, task), 202).body;
  const id = parseId('op', operation.id) as Uuid;
  await transaction(opened.cold, (tx) => dropBoardless(tx, boardId, id));
  expect(await countsOf(boardId)).toEqual({ operations: 1, items: 1 });
});
