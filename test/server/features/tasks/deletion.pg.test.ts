/** A deleted task leaves its place in the log, and not a word of what anybody wrote. */
import { afterEach, expect, test } from 'vitest';
import type { Task } from '../../../../src/contract/tasks.ts';
import { auditBoard } from '../../../fixtures/audit.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { eventually } from '../../../fixtures/eventually.ts';
import { untilStanding } from '../../../fixtures/held-lock.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();
const boards: TestBoard[] = [];

/** Whatever a test did, the log says the same as the rows. */
afterEach(async () => {
  for (const board of boards.splice(0)) await auditBoard(servers.database.sql, board.name);
});

async function newBoard(): Promise<[TestBoard, TestBoard]> {
  const [board, elsewhere] = await servers.board();
  await board.lane('work');
  boards.push(board);
  return [board, elsewhere];
}

const remove = (board: TestBoard, { id }: Pick<Task, 'id'>) => board.call('DELETE', `/tasks/${id}`);

/** Rows of any table of the database that hold the text, but for answers that are remembered for a day. */
async function tablesWith(text: string): Promise<string[]> {
  const { sql } = servers.database;
  const tables = await sql<{ name: string }[]>`
    SELECT table_name AS name FROM information_schema.tables
    WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND table_name <> 'idempotency_keys'`;
  expect(tables.length).toBeGreaterThan(15);
  const found: string[] = [];
  for (const { name } of tables) {
    const rows = await sql`SELECT FROM ${sql(name)} AS t WHERE t::text LIKE ${`%${text}%`} LIMIT 1`;
    if (rows.length > 0) found.push(name);
  }
  return found;
}

/** A task that has been through everything, with the word in all that people and workers can write. */
async function storied(board: TestBoard, word: string): Promise<Task> {
  const task = await board.task('work', {
    title: word,
    body: word,
    payload: { [word]: word },
    labels: { [word]: word },
    tenant: word,
    external_ref: word,
    idempotency_key: word,
    max_failures: 9,
  });
  const claimed = async () =>
    expectStatus(await board.claims('work', { task_id: task.id, worker: 'w' }), 200).body.claims[0];
  const operate = async (verb: string, body: Readonly<Record<string, unknown>> = {}) =>
    expectStatus(await board.operate(task.id, verb, body), 200);
  const first = await claimed();
  const tell = async (verb: string, body: Readonly<Record<string, unknown>>) =>
    expectStatus(await endClaim(board.server, first, verb, body), 200, 201);
  await tell('heartbeat', {
    note: word,
    progress: 1,
    checkpoint: { [word]: word },
    metadata: { [word]: word },
  });
  await tell('output', { lines: [word] });
  expectStatus(await board.call('POST', `/tasks/${task.id}/steer`, { body: { message: word } }), 201);
  await tell('block', { kind: 'needs_input', reason: word, metadata: { [word]: word } });
  await operate('unblock', { answer: word });
  const second = await claimed();
  expectStatus(await endClaim(board.server, second, 'fail', { error: word, permanent: true }), 200);
  await operate('unblock');
  expectStatus(
    await board.call('PATCH', `/tasks/${task.id}`, { body: { title: `${word} 2`, labels: { a: word } } }),
    200,
  );
  expectStatus(await board.call('POST', `/tasks/${task.id}/comments`, { body: { body: word } }), 201);
  await operate('assign', { lane: 'work', reason: word });
  const third = await claimed();
  const handedOver = { review: true, summary: word, result: { [word]: word } };
  expectStatus(await endClaim(board.server, third, 'complete', handedOver), 200);
  await operate('request-changes', { reason: word });
  const fourth = await claimed();
  expectStatus(await board.operate(task.id, 'reclaim', { reason: word }), 200);
  expect((await endClaim(board.server, fourth, 'heartbeat', {})).code).toBe('claim_lost');
  await operate('cancel', { reason: word });
  return task;
}

/** Some more than ten portions of it. */
const HISTORY_ROWS = 6000;

/** As a long life leaves it: events and comments of a task that may not be claimed. */
async function addHistory(board: TestBoard, task: Pick<Task, 'id'>, word: string): Promise<void> {
  const { sql } = servers.database;
  await sql`
    WITH bumped AS (
      UPDATE board_seq SET seq = seq + ${HISTORY_ROWS} WHERE board_id = (SELECT id FROM boards WHERE name = ${board.name}) RETURNING board_id, seq
    ),
    task AS (SELECT t.board_id, t.id FROM tasks t JOIN bumped USING (board_id) JOIN task_details d ON d.board_id = t.board_id AND d.task_id = t.id WHERE d.external_ref = ${word}),
    counted AS (
      UPDATE task_details d SET comment_count = d.comment_count + ${HISTORY_ROWS} FROM task WHERE d.board_id = task.board_id AND d.task_id = task.id
    ),
    remarks AS (
      INSERT INTO comments (board_id, task_id, id, body, author_type, author_id)
      SELECT board_id, id, gen_random_uuid(), ${word}, 'system', 'test' FROM task, generate_series(1, ${HISTORY_ROWS}::int)
    )
    INSERT INTO events (board_id, seq, kind, at, task_id, actor_type, actor_id, data)
    SELECT board_id, bumped.seq - ${HISTORY_ROWS} + number, 'task.commented', now(), task.id, 'system', 'test', ${sql.json({ word })}
    FROM bumped JOIN task USING (board_id), generate_series(1, ${HISTORY_ROWS}::int) AS number`;
  expect((await board.call('GET', `/tasks/${task.id}/events`)).status).toBe(200);
}

test('nothing that was written about it is left in any table, and the log keeps its shape', async () => {
  const [board, elsewhere] = await newBoard();
  const word = 'Unrepeatable-7c1d';
  await board.task('work', { title: 'a bystander' });
  const task = await storied(board, word);
  // Presence has its own events, at its own times.
  const before = await board.events('&kinds=task.*');
  const tables = await tablesWith(word);
  expect(tables).toEqual(
    expect.arrayContaining(['comments', 'events', 'messages', 'output_lines', 'runs', 'task_details']),
  );
  const { counts } = (await board.call('GET', '')).body.board;
  expectStatus(await remove(board, task), 204);
  expect(await tablesWith(word)).toEqual([]);

  const after = await elsewhere.events('&kinds=task.*');
  const shape = ({ data, ...rest }: (typeof before)[number]) => ({
    ...rest,
    statuses: [data['status_before'], data['status_after']],
  });
  expect(after.slice(0, before.length).map(shape)).toEqual(before.map(shape));
  const last = after.at(-1);
  expect(after.length).toBe(before.length + 1);
  expect(last).toMatchObject({
    kind: 'task.deleted',
    task_id: task.id,
    data: { status_before: 'cancelled' },
  });
  expect(last?.actor.type).toBe('key');
  expect(JSON.stringify(await elsewhere.events())).not.toContain(word);
  const left = (await board.call('GET', '')).body.board.counts;
  expect(left).toEqual({ ...counts, cancelled: counts.cancelled - 1 });
  for (const path of ['', '/runs', '/comments', '/messages', '/output', '/events'])
    expect([path, (await elsewhere.call('GET', `/tasks/${task.id}${path}`)).status]).toEqual([path, 404]);
  // What it had taken is free again.
  expect((await board.task('work', { external_ref: word, idempotency_key: word })).id).not.toBe(task.id);
});

test('an event that is written without the lock of the task while it is deleted is emptied, too', async () => {
  const [board] = await newBoard();
  const { sql } = servers.database;
  const word = 'Unrepeatable-2b9e';
  const task = await board.task('work', { title: word });
  // As the sweep for stranded tasks does: the counter row is its only lock.
  const deleting = await sql.begin(async (tx) => {
    await tx`
      WITH bumped AS (
        UPDATE board_seq SET seq = seq + 1 WHERE board_id = (SELECT id FROM boards WHERE name = ${board.name}) RETURNING board_id, seq
      )
      INSERT INTO events (board_id, seq, kind, at, task_id, actor_type, actor_id, data)
      SELECT board_id, bumped.seq, 'task.stranded', clock_timestamp(), t.id, 'system', 'stranded', ${tx.json({ detail: word })}
      FROM bumped JOIN tasks t USING (board_id)`;
    const answer = remove(board, task);
    await eventually('the deletion waits for the counter row', async () => {
      const rows = await sql`
        SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%log.append%' AND datname = current_database()`;
      return rows.length > 0;
    });
    return { answer };
  });
  expect((await deleting.answer).status).toBe(204);
  expect((await board.events('&kinds=task.stranded')).map(({ data }) => data)).toEqual([{}]);
  expect(await tablesWith(word)).toEqual([]);
});

test('that it is stranded, written while it is deleted, neither stays behind nor waits for the deletion', async () => {
  const [board] = await newBoard();
  const { sql } = servers.database;
  const task = await board.task('work');
  const found = sql`SELECT b.id AS board_id, t.id AS task_id FROM tasks t JOIN boards b ON b.id = t.board_id WHERE b.name = ${board.name}`;
  const [{ board_id: boardId, task_id: taskId } = {}] = await found;
  // Of an earlier wait.
  const known = sql`INSERT INTO stranded_tasks (board_id, task_id, ready_since) VALUES (${boardId}, ${taskId}, now() - interval '1 day')`;
  await known;
  const deleting = await sql.begin(async (tx) => {
    await tx`SELECT FROM board_seq WHERE board_id = ${boardId} FOR NO KEY UPDATE`;
    const answer = remove(board, task);
    await untilStanding(sql, 'log.append', 'row');
    await tx`SET LOCAL lock_timeout = '500ms'`;
    await tx`
      INSERT INTO stranded_tasks (board_id, task_id, ready_since) VALUES (${boardId}, ${taskId}, now())
      ON CONFLICT (board_id, task_id) DO UPDATE SET ready_since = excluded.ready_since`;
    return { answer };
  });
  expect((await deleting.answer).status).toBe(204);
  expect([...(await sql`SELECT FROM stranded_tasks WHERE task_id = ${taskId}`)]).toEqual([]);
});

test('a history of any length is erased, in portions, also when the server stops in the middle of it', async () => {
  const word = 'Unrepeatable-9f3a';
  const [board, elsewhere] = await newBoard();
  const { sql } = servers.database;
  const task = await storied(board, word);
  await addHistory(board, task, word);
  const child = await board.task('work', { parents: [task.id] });
  const keptWords = async (): Promise<number> =>
    (await sql`SELECT count(*)::int AS kept FROM events WHERE data::text LIKE ${`%${word}%`}`)[0]?.['kept'];
  const before = await keptWords();
  expect(before).toBeGreaterThan(HISTORY_ROWS);
  // Somebody holds one event of the middle, so a portion stands still there until it is given up.
  await sql.begin(async (tx) => {
    await tx`
      SELECT FROM events WHERE seq = (SELECT max(seq) - ${HISTORY_ROWS / 2} FROM events WHERE data ->> 'word' = ${word}) AND data ->> 'word' = ${word} FOR UPDATE`;
    const answer = remove(board, task);
    const [pid] = await untilStanding(sql, 'tasks.erase_portion', 'row');
    await sql`SELECT pg_terminate_backend(${pid ?? 0})`;
    expect((await answer).status).toBe(503);
  });
  // What was erased stays erased; nobody can begin with what is left of it.
  const left = await keptWords();
  expect(left).toBeGreaterThan(0);
  expect(left).toBeLessThan(before - 500);
  expect((await board.read(task.id)).status).toBe('archived');
  expectStatus(await remove(elsewhere, task), 204);
  expect(await tablesWith(word)).toEqual([]);
  expect((await board.read(child.id)).status).toBe('ready');
});

test('a task that somebody works on is not deleted; cancelled or reclaimed first, it is', async () => {
  const [board] = await newBoard();
  const task = await board.task('work');
  await board.claim('work');
  const refused = await remove(board, task);
  expect([refused.status, refused.code, refused.body.status_before]).toEqual([
    409,
    'illegal_transition',
    'running',
  ]);
  expectStatus(await board.operate(task.id, 'reclaim'), 200);
  expectStatus(await remove(board, task), 204);
  expect((await remove(board, task)).status).toBe(404);
});

test('those that waited for it go on, with events, and wait on for their other parents', async () => {
  const [board] = await newBoard();
  const [parent, other] = [await board.task('work'), await board.task('work')];
  const later = new Date(Date.now() + 3_600_000).toISOString();
  const only = await board.task('work', { parents: [parent.id] });
  const both = await board.task('work', { parents: [parent.id, other.id] });
  const early = await board.task('work', { parents: [parent.id], run_at: later });
  const triage = await board.task('work', { parents: [parent.id], status: 'triage' });
  expectStatus(await remove(board, parent), 204);
  const seen = await Promise.all([only, both, early, triage].map(({ id }) => board.read(id)));
  expect(seen.map(({ status, unmet_parents }) => [status, unmet_parents])).toEqual([
    ['ready', 0],
    ['todo', 1],
    ['scheduled', 0],
    ['triage', 0],
  ]);
  const kinds = (await board.events()).slice(-7).map(({ kind }) => kind);
  expect(kinds.toSorted()).toEqual([
    'task.deleted',
    'task.ready',
    'task.scheduled',
    ...Array.from({ length: 4 }, () => 'task.unlinked'),
  ]);
  const graph = (await board.call('GET', `/tasks/${both.id}/graph`)).body;
  expect(graph.edges.length).toBe(1);
});

test('a child that is deleted leaves its parents as they are, and a parent that was done is no hindrance', async () => {
  const [board] = await newBoard();
  const done = await board.task('work');
  expectStatus(await board.operate(done.id, 'complete'), 200);
  const living = await board.task('work');
  const child = await board.task('work', { parents: [done.id] });
  const waiting = await board.task('work', { parents: [living.id] });
  const grandchild = await board.task('work', { parents: [child.id] });
  expectStatus(await remove(board, done), 204);
  expect(await board.read(child.id)).toMatchObject({ status: 'ready', unmet_parents: 0 });
  expectStatus(await remove(board, child), 204);
  expectStatus(await remove(board, waiting), 204);
  expect((await board.read(grandchild.id)).status).toBe('ready');
});

test('parent and children deleted and finished at once leave nobody behind', async () => {
  const [board, elsewhere] = await newBoard();
  for (let round = 0; round < 5; round += 1) {
    const parents = await board.tasks('work', 2);
    const ids = parents.map(({ id }) => id);
    const child = await board.task('work', { parents: ids });
    const [one, two] = parents;
    if (one === undefined || two === undefined) throw new Error('two were made');
    const answers = await Promise.all([remove(board, one), elsewhere.operate(two.id, 'complete')]);
    expect(answers.map(({ status }) => status)).toEqual([204, 200]);
    expect(await board.read(child.id)).toMatchObject({ status: 'ready', unmet_parents: 0 });
    await Promise.all([remove(elsewhere, child), remove(board, two)]);
  }
});

test('only an admin key deletes', async () => {
  const [board] = await newBoard();
  const task = await board.task('work');
  const key = { role: 'orchestrator', boards: [board.name], name: 'o' };
  const token = expectStatus(await board.server.call('POST', '/v1/keys', { body: key }), 201).body.secret;
  expect((await board.call('DELETE', `/tasks/${task.id}`, { token })).code).toBe('forbidden');
});
