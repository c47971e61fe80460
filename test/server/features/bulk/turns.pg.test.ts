/** What one turn of an operation locks, writes and gives up, seen from beside it while it stands still. */
import type postgres from 'postgres';
import { afterEach, expect, onTestFinished, test } from 'vitest';
import type { Operation } from '../../../../src/contract/bulk.ts';
import { auditBoard } from '../../../fixtures/audit.ts';
import { expectStatus, makeBoard, type TestBoard } from '../../../fixtures/board.ts';
import { useTestDatabase } from '../../../fixtures/database.ts';
import { eventually } from '../../../fixtures/eventually.ts';
import { untilStanding } from '../../../fixtures/held-lock.ts';
import { startTestServer } from '../../../fixtures/server.ts';

let checks: (() => Promise<unknown>)[] = [];

/** Whatever a test did, the log says the same as the rows. */
afterEach(async () => {
  const due = checks;
  checks = [];
  for (const check of due) await check();
});

async function newBoard(): Promise<{ board: TestBoard; sql: postgres.Sql; boardId: number }> {
  const { sql, url } = await useTestDatabase();
  const server = await startTestServer(url);
  onTestFinished(() => server.stop());
  const board = await makeBoard(server);
  checks.push(() => auditBoard(sql, board.name));
  const [row] = await sql`SELECT id FROM boards WHERE name = ${board.name}`;
  return { board, sql, boardId: Number(row?.['id']) };
}

async function make(board: TestBoard, body: Readonly<Record<string, unknown>>): Promise<Operation> {
  return expectStatus(await board.call('POST', '/tasks/bulk', { body }), 202).body.operation;
}

const read = async (board: TestBoard, { id }: Operation): Promise<Operation> =>
  expectStatus(await board.call('GET', `/operations/${id}`), 200).body.operation;

async function done(board: TestBoard, { id }: Operation): Promise<Operation> {
  const headers = { Prefer: 'wait=30' };
  const { operation } = expectStatus(await board.call('GET', `/operations/${id}`, { headers }), 200).body;
  expect(operation.status).toBe('done');
  return operation;
}

const idsOf = (tasks: readonly { id: string }[]): string[] => tasks.map(({ id }) => id);

/** Their rows' ids, the oldest first. */
async function rowIds(sql: postgres.Sql, boardId: number): Promise<string[]> {
  const rows = await sql`SELECT id FROM tasks WHERE board_id = ${boardId} ORDER BY id`;
  return rows.map((row) => String(row['id']));
}

test('a turn that its server has given up while Postgres goes on with it is tried with fewer tasks', async () => {
  const { board, sql } = await newBoard();
  const ids = idsOf(await board.tasks('work', 50));
  // Three statements of less than 4 s each, of which the caller waits for 8 s: only a turn of many tasks is late.
  await sql.unsafe(`
    CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE counter text := 'test.' || TG_TABLE_NAME;
    DECLARE rows int := coalesce(nullif(current_setting(counter, true), ''), '0')::int + 1;
    BEGIN
      PERFORM set_config(counter, rows::text, true);
      IF rows > 20 THEN PERFORM pg_sleep(0.11); END IF;
      RETURN NEW;
    END $$;
    CREATE TRIGGER slow BEFORE UPDATE OF status ON tasks FOR EACH ROW EXECUTE FUNCTION slow();
    CREATE TRIGGER slow BEFORE UPDATE ON operation_items FOR EACH ROW EXECUTE FUNCTION slow();
    CREATE TRIGGER slow BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION slow();`);
  const operation = await done(board, await make(board, { action: 'cancel', ids }));
  expect(operation).toMatchObject({ succeeded: 50, failed_count: 0 });
}, 60_000);

test('those that wait for the tasks of a later turn are not locked by this one', async () => {
  const { board, sql, boardId } = await newBoard();
  const parents = idsOf(await board.tasks('work', 2));
  for (const parent of parents) await board.task('work', { parents: [parent] });
  const [one, two, , child] = await rowIds(sql, boardId);
  // More than two families in one turn may have; which tasks wait does not matter, so these are none.
  await sql`
    INSERT INTO links (board_id, child_id, parent_id, is_met)
    SELECT ${boardId}, gen_random_uuid(), parent, false FROM unnest(${[one, two] as string[]}::uuid[]) AS parent, generate_series(1, 1500)`;
  const operation = await sql.begin(async (tx) => {
    await tx`SELECT FROM tasks WHERE board_id = ${boardId} AND id = ${child ?? ''} FOR UPDATE`;
    const made = await make(board, { action: 'delete', ids: parents });
    await eventually('the first is done', async () => (await read(board, made)).succeeded === 1);
    return made;
  });
  expect((await done(board, operation)).succeeded).toBe(2);
});

test('the log is the last that a turn writes, also of a task that is taken back', async () => {
  const { board, sql, boardId } = await newBoard();
  await board.lane('work');
  const task = await board.task('work');
  await board.claim('work');
  // Whatever is recorded of its items stands still until the test lets go.
  await sql.unsafe(`
    CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NEW; END $$;
    CREATE TRIGGER gate BEFORE UPDATE ON operation_items FOR EACH ROW EXECUTE FUNCTION gate();`);
  const operation = await sql.begin(async (tx) => {
    await tx`SELECT pg_advisory_xact_lock(1)`;
    const made = await make(board, { action: 'reclaim', ids: [task.id] });
    await untilStanding(sql, 'bulk.record', 'row');
    await tx`SELECT FROM board_seq WHERE board_id = ${boardId} FOR NO KEY UPDATE NOWAIT`;
    return made;
  });
  expect((await done(board, operation)).succeeded).toBe(1);
  expect((await board.read(task.id)).status).toBe('ready');
});

/** Two portions. */
const HISTORY_ROWS = 1000;
const WORD = 'Unrepeatable';

async function addHistory(sql: postgres.Sql, boardId: number, ids: readonly string[]): Promise<void> {
  await sql`
    WITH counted AS (
      UPDATE task_details SET comment_count = comment_count + ${HISTORY_ROWS} WHERE board_id = ${boardId} AND task_id = ANY(${ids as string[]}::uuid[])
    )
    INSERT INTO comments (board_id, task_id, id, body, author_type, author_id)
    SELECT ${boardId}, task_id, gen_random_uuid(), ${WORD}, 'system', 'test'
    FROM unnest(${ids as string[]}::uuid[]) AS task_id, generate_series(1, ${HISTORY_ROWS}::int)`;
}

async function commentsLeft(sql: postgres.Sql, boardId: number): Promise<number> {
  const [row] = await sql`SELECT count(*)::int AS count FROM comments WHERE board_id = ${boardId}`;
  return Number(row?.['count']);
}

test('nothing of a task is erased before those that come before it are deleted', async () => {
  const { board, sql, boardId } = await newBoard();
  const ids = idsOf(await board.tasks('work', 3));
  const [one, ...long] = await rowIds(sql, boardId);
  await addHistory(sql, boardId, long);
  const stopped = await sql.begin(async (tx) => {
    await tx`SELECT FROM tasks WHERE board_id = ${boardId} AND id = ${one ?? ''} FOR UPDATE`;
    const made = await make(board, { action: 'delete', ids });
    await untilStanding(sql, 'tasks.lock_many', 'row');
    return expectStatus(await board.call('POST', `/operations/${made.id}/cancel`), 200).body.operation;
  });
  expect(stopped).toMatchObject({ status: 'stopped', succeeded: 0 });
  expect(await commentsLeft(sql, boardId)).toBe(2 * HISTORY_ROWS);
  expect(await Promise.all(ids.map(async (id) => (await board.read(id)).status))).toEqual([
    'ready',
    'ready',
    'ready',
  ]);
});

test('while an operation is being stopped no more of a long history is erased', async () => {
  const { board, sql, boardId } = await newBoard();
  const [task] = await board.tasks('work', 1);
  const others = idsOf(await board.tasks('work', 2));
  const [first] = await rowIds(sql, boardId);
  await addHistory(sql, boardId, [first ?? '']);
  let letTaskGo: () => void = () => undefined;
  const free = new Promise<void>((resolve) => {
    letTaskGo = resolve;
  });
  let holding: Promise<unknown> = Promise.resolve();
  await new Promise<void>((resolve, reject) => {
    holding = sql.begin(async (tx) => {
      await tx`SELECT FROM tasks WHERE board_id = ${boardId} AND id = ${first ?? ''} FOR UPDATE`;
      resolve();
      await free;
    });
    holding.catch(reject);
  });
  const made = await make(board, { action: 'delete', ids: [task?.id] });
  await untilStanding(sql, 'tasks.lock_many', 'row');
  await sql.begin(async (tx) => {
    await tx`UPDATE operations SET status = 'stopped', stop_reason = 'cancelled', finished_at = now() WHERE board_id = ${boardId}`;
    letTaskGo();
    await holding;
    // The sweeps that do these come by ours as well.
    for (const id of others) await done(board, await make(board, { action: 'cancel', ids: [id] }));
    expect(await commentsLeft(sql, boardId)).toBe(HISTORY_ROWS);
  });
  expect(await read(board, made)).toMatchObject({ status: 'stopped', succeeded: 0 });
  expect((await board.read(task?.id ?? '')).status).toBe('ready');
});

test('long histories among short ones are all deleted, whatever stands between them', async () => {
  const { board, sql, boardId } = await newBoard();
  const ids = idsOf(await board.tasks('work', 8));
  const rows = await rowIds(sql, boardId);
  await addHistory(sql, boardId, [rows[0] ?? '', rows[3] ?? '', rows[4] ?? '', rows[7] ?? '']);
  expect((await done(board, await make(board, { action: 'delete', ids }))).succeeded).toBe(8);
  expect(await commentsLeft(sql, boardId)).toBe(0);
});
