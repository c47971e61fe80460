/** However slow the database is with some tasks, an operation goes on: with fewer at a time, and past what is hopeless. */
import { afterEach, beforeAll, expect, test } from 'vitest';
import type { Operation } from '../../../../src/contract/bulk.ts';
import { openDatabase } from '../../../../src/server/db/client.ts';
import { BulkRunner } from '../../../../src/server/features/bulk/service.ts';
import { auditBoard } from '../../../fixtures/audit.ts';
import { expectStatus, makeBoard, type TestBoard } from '../../../fixtures/board.ts';
import { createTestDatabase, useTestDatabase } from '../../../fixtures/database.ts';
import { eventually } from '../../../fixtures/eventually.ts';
import { untilStanding } from '../../../fixtures/held-lock.ts';
import { startTestServer } from '../../../fixtures/server.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();
const boards: TestBoard[] = [];

afterEach(async () => {
  for (const board of boards.splice(0)) await auditBoard(servers.database.sql, board.name);
});

const SLOW = 666;
const MANY = 777;

/** Stands for time: a statement that would take too long is ended as Postgres ends it, but at once. */
beforeAll(async () => {
  await servers.database.sql.unsafe(`
    CREATE FUNCTION too_slow() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE moved int := coalesce(nullif(current_setting('test.moved', true), ''), '0')::int + 1;
    BEGIN
      PERFORM set_config('test.moved', moved::text, true);
      IF NEW.priority = ${SLOW} OR (NEW.priority = ${MANY} AND moved > 20) THEN
        RAISE EXCEPTION 'canceling statement due to statement timeout' USING ERRCODE = '57014';
      END IF;
      RETURN NEW;
    END $$`);
  await servers.database.sql.unsafe(
    'CREATE TRIGGER too_slow BEFORE UPDATE OF status ON tasks FOR EACH ROW EXECUTE FUNCTION too_slow()',
  );
});

async function newBoard(): Promise<TestBoard> {
  const [board] = await servers.board();
  boards.push(board);
  return board;
}

async function cancelAll(board: TestBoard, total: number): Promise<Operation> {
  const body = { action: 'cancel', filter: { status: 'ready' } };
  const { operation } = expectStatus(await board.call('POST', '/tasks/bulk', { body }), 202).body;
  expect(operation.total).toBe(total);
  const headers = { Prefer: 'wait=30' };
  return expectStatus(await board.call('GET', `/operations/${operation.id}`, { headers }), 200).body
    .operation;
}

test('what is too slow at once is done in smaller portions', async () => {
  const board = await newBoard();
  await board.tasks('work', 45, { priority: MANY });
  expect(await cancelAll(board, 45)).toMatchObject({ status: 'done', succeeded: 45, failed_count: 0 });
});

test('one task that is always too slow is passed over in the end, and all others are done', async () => {
  const board = await newBoard();
  const tasks = await board.tasks('work', 4);
  const slow = await board.task('work', { priority: SLOW });
  await board.tasks('work', 4);
  expect(await cancelAll(board, 9)).toMatchObject({
    status: 'done',
    succeeded: 8,
    failed: [{ id: slow.id, code: 'database_unavailable' }],
  });
  expect((await board.read(tasks[0]?.id ?? '')).status).toBe('cancelled');
});

/** Several portions of it. */
const HISTORY_ROWS = 2500;

test('a task with a long history is deleted by another server, when the one that began with it is gone', async () => {
  const database = await createTestDatabase();
  const { sql } = database;
  const first = await startTestServer(database.url);
  const board = await makeBoard(first);
  const ids = (await board.tasks('work', 3)).map(({ id }) => id);
  const [{ board_id: boardId, id: longId } = {}] =
    await sql`SELECT board_id, id FROM tasks ORDER BY id OFFSET 1 LIMIT 1`;
  await sql`
    WITH bumped AS (UPDATE board_seq SET seq = seq + ${HISTORY_ROWS} WHERE board_id = ${boardId} RETURNING seq)
    INSERT INTO events (board_id, seq, kind, at, task_id, actor_type, actor_id, data)
    SELECT ${boardId}, bumped.seq - ${HISTORY_ROWS} + number, 'task.commented', now(), ${longId}, 'system', 'test', '{"body": "Unrepeatable"}'
    FROM bumped, generate_series(1, ${HISTORY_ROWS}::int) AS number`;
  const withWords = async (): Promise<number> =>
    (await sql`SELECT count(*)::int AS count FROM events WHERE data::text LIKE '%Unrepeatable%'`)[0]?.[
      'count'
    ];
  const made = await sql.begin(async (tx) => {
    // So a portion in the middle stands still for as long as the first server lives.
    await tx`
      SELECT FROM events WHERE board_id = ${boardId} AND seq = (SELECT max(seq) - 1200 FROM events WHERE board_id = ${boardId}) FOR UPDATE`;
    const body = { action: 'delete', ids, reason: 'too old' };
    const { operation } = expectStatus(await board.call('POST', '/tasks/bulk', { body }), 202).body;
    await untilStanding(sql, 'tasks.erase_portion', 'row');
    await first.stop();
    return operation as Operation;
  });
  expect(await withWords()).toBeGreaterThan(1000);
  expect(await withWords()).toBeLessThan(HISTORY_ROWS);
  const second = board.through(await startTestServer(database.url));
  await eventually('it is done', async () => {
    const { operation } = (await second.call('GET', `/operations/${made.id}`)).body;
    return operation.status === 'done' && operation.succeeded === 3;
  });
  expect(await withWords()).toBe(0);
  expect((await second.call('GET', '/tasks')).body.tasks).toEqual([]);
  await auditBoard(sql, board.name);
  await second.server.stop();
  await database.drop();
});

test('operations that ended long ago are forgotten faster than they can be made, and no others', async () => {
  const database = await useTestDatabase();
  const { sql } = database;
  const client = openDatabase({ url: database.url });
  const insert = (count: number, items: number, age: string | null) => sql`
    WITH made AS (
      INSERT INTO operations (board_id, id, action, status, total, actor_type, actor_id, finished_at)
      SELECT 1, gen_random_uuid(), 'cancel', ${age === null ? 'running' : 'done'}, ${items}, 'key', 'k', now() - ${age}::interval
      FROM generate_series(1, ${count}::int) RETURNING id
    )
    INSERT INTO operation_items (board_id, operation_id, place, task_id)
    SELECT 1, id, place, gen_random_uuid() FROM made, generate_series(1, ${items}::int) AS place`;
  await insert(2500, 2, '8 days');
  await insert(1, 25_000, '9 days');
  await insert(3, 2, '6 days');
  await insert(1, 2, null);
  const scans = async (): Promise<number> => {
    const [row] =
      await sql`SELECT pg_stat_clear_snapshot(), seq_scan::int AS scans FROM pg_stat_user_tables WHERE relname = 'operation_items'`;
    return Number(row?.['scans']);
  };
  const scansBefore = await scans();
  const parts = { sql: client.cold } as ConstructorParameters<typeof BulkRunner>[0];
  await new BulkRunner(parts).forgetOld(new AbortController().signal);
  // Sessions tell what they have read at the latest when they end.
  await client.close();
  await eventually('its sessions are gone', async () => {
    const rows = await sql`
      SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'lanekeeper'`;
    return rows.length === 0;
  });
  expect(await scans(), 'items are found by their operation').toBe(scansBefore);
  const [left] = await sql`
    SELECT (SELECT count(*)::int FROM operations) AS operations, (SELECT count(*)::int FROM operation_items) AS items`;
  expect(left).toEqual({ operations: 4, items: 8 });
});
