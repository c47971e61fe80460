/** One action on many tasks: each done once, by whichever server is there, and each failing alone. */
import { afterEach, describe, expect, test } from 'vitest';
import type { Operation } from '../../../../src/contract/bulk.ts';
import type { Task } from '../../../../src/contract/tasks.ts';
import { auditBoard } from '../../../fixtures/audit.ts';
import { endClaim, expectStatus, makeBoard, type TestBoard } from '../../../fixtures/board.ts';
import { changeTable } from '../../../fixtures/change-table.ts';
import { createTestDatabase } from '../../../fixtures/database.ts';
import { eventually } from '../../../fixtures/eventually.ts';
import { ADMIN_KEY, type CallOptions, startTestServer } from '../../../fixtures/server.ts';
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

type Body = Readonly<Record<string, unknown>>;

const ask = (board: TestBoard, body: Body, options: CallOptions = {}) =>
  board.call('POST', '/tasks/bulk', { body, ...options });

async function make(board: TestBoard, body: Body, options: CallOptions = {}): Promise<Operation> {
  return expectStatus(await ask(board, body, options), 202).body.operation;
}

async function done(board: TestBoard, { id }: Operation): Promise<Operation> {
  const headers = { Prefer: 'wait=30' };
  const { operation } = expectStatus(await board.call('GET', `/operations/${id}`, { headers }), 200).body;
  expect(operation.status).toBe('done');
  return operation;
}

const bulk = async (board: TestBoard, body: Body): Promise<Operation> => done(board, await make(board, body));
const idsOf = (tasks: readonly Task[]): string[] => tasks.map(({ id }) => id);

async function statuses(board: TestBoard, ids: readonly string[]): Promise<string[]> {
  return Promise.all(ids.map(async (id) => (await board.read(id)).status));
}

describe('each action', () => {
  const later = new Date(Date.now() + 3_600_000).toISOString();
  const inStatus = (board: TestBoard, status: string) =>
    Promise.all([0, 1].map(async () => (await board.task('work', { status })).id));
  const afterVerb = async (board: TestBoard, verb: string, body: Body = {}): Promise<string[]> => {
    const ids = await inStatus(board, 'ready');
    for (const id of ids) expectStatus(await board.operate(id, verb, body), 200);
    return ids;
  };
  const held = async (board: TestBoard): Promise<string[]> => {
    await board.tasks('work', 2);
    const claims = expectStatus(await board.claims('work', { max: 2 }), 200).body.claims;
    return claims.map((claim: { task: Task }) => claim.task.id);
  };
  const inReview = async (board: TestBoard): Promise<string[]> => {
    await board.tasks('work', 2);
    const claims = expectStatus(await board.claims('work', { max: 2 }), 200).body.claims;
    for (const claim of claims)
      expectStatus(await endClaim(board.server, claim, 'complete', { review: true, summary: 's' }), 200);
    return claims.map((claim: { task: Task }) => claim.task.id);
  };
  const cases: readonly [string, (board: TestBoard) => Promise<string[]>, Body, string, string][] = [
    ['promote', (board) => inStatus(board, 'triage'), {}, 'ready', 'task.ready'],
    ['unblock', (board) => inStatus(board, 'blocked'), {}, 'ready', 'task.unblocked'],
    ['cancel', (board) => inStatus(board, 'ready'), { reason: 'why' }, 'cancelled', 'task.cancelled'],
    ['assign', (board) => inStatus(board, 'ready'), { lane: 'other' }, 'ready', 'task.assigned'],
    ['archive', (board) => inStatus(board, 'ready'), {}, 'archived', 'task.archived'],
    ['reopen', (board) => afterVerb(board, 'complete'), {}, 'ready', 'task.reopened'],
    ['schedule', (board) => inStatus(board, 'ready'), { run_at: later }, 'scheduled', 'task.scheduled'],
    ['accept', inReview, {}, 'done', 'task.completed'],
    ['reclaim', held, { reason: 'mine' }, 'ready', 'task.reclaimed'],
  ];

  test.each(cases)(
    '%s is done to each once, by whoever asked',
    async (action, prepare, body, status, kind) => {
      const [board] = await newBoard();
      const ids = await prepare(board);
      const operation = await bulk(board, { action, ids, ...body });
      expect(operation).toMatchObject({
        action,
        total: 2,
        succeeded: 2,
        failed_count: 0,
        failed: [],
        dry_run: false,
      });
      expect(await statuses(board, ids)).toEqual([status, status]);
      const events = await board.events(`&tasks=${ids.join(',')}&kinds=${kind}`);
      expect(events.map(({ task_id }) => task_id).sort()).toEqual([...ids].sort());
      for (const event of events) expect(event.actor).toEqual(operation.created_by);
    },
  );

  test('delete is done to each, and what it was is found nowhere', async () => {
    const [board] = await newBoard();
    const ids = idsOf(await board.tasks('work', 3));
    expect(await bulk(board, { action: 'delete', ids })).toMatchObject({ succeeded: 3 });
    for (const id of ids) expect((await board.call('GET', `/tasks/${id}`)).status).toBe(404);
    expect((await board.events('&kinds=task.deleted')).map(({ task_id }) => task_id).sort()).toEqual(
      ids.sort(),
    );
  });
});

describe('a task that refuses', () => {
  test('fails alone, with the code of its problem; what is no task at all fails as not found', async () => {
    const [board] = await newBoard();
    const [one, two] = await board.tasks('work', 2);
    const blocked = await board.task('work', { status: 'blocked', external_ref: 'nightly' });
    const ids = [one?.id, 'nightly', two?.id, 'no-such-ref', 'task_01jcqk0v3te8sr3x6y9m2b4n5p'];
    const operation = await bulk(board, { action: 'unblock', ids });
    expect(operation).toMatchObject({ total: 5, succeeded: 1, failed_count: 4 });
    expect(Object.fromEntries(operation.failed.map(({ id, code }) => [id, code]))).toEqual({
      [one?.id ?? '']: 'illegal_transition',
      [two?.id ?? '']: 'illegal_transition',
      'no-such-ref': 'not_found',
      task_01jcqk0v3te8sr3x6y9m2b4n5p: 'not_found',
    });
    expect((await board.read(blocked.id)).status).toBe('ready');
  });

  test('that no verb can cope with is skipped as internal, and the others are done', async () => {
    const [board] = await newBoard();
    const tasks = await board.tasks('work', 5);
    const poisoned = tasks[2]?.id ?? '';
    const { sql } = servers.database;
    // Only this one task, so only its own writing fails.
    await sql.unsafe(`CREATE OR REPLACE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN IF NEW.version = 2 AND NEW.priority = 666 THEN RAISE EXCEPTION 'poisoned'; END IF; RETURN NEW; END $$`);
    await sql`UPDATE tasks SET priority = 666 WHERE id = ${await uuidOf(board, poisoned)}`;
    await changeTable(
      sql,
      'tasks',
      'CREATE TRIGGER poison BEFORE UPDATE ON tasks FOR EACH ROW EXECUTE FUNCTION poison()',
    );
    try {
      const operation = await bulk(board, { action: 'cancel', ids: idsOf(tasks) });
      expect(operation).toMatchObject({ succeeded: 4, failed: [{ id: poisoned, code: 'internal' }] });
    } finally {
      await changeTable(sql, 'tasks', 'DROP TRIGGER poison ON tasks');
      await sql`UPDATE tasks SET priority = 0 WHERE priority = 666`;
    }
    expect((await board.events('&kinds=task.cancelled')).length).toBe(4);
  });
});

async function uuidOf(board: TestBoard, task: string): Promise<string> {
  const [row] = await servers.database.sql`
    SELECT e.task_id FROM events e JOIN boards b ON b.id = e.board_id
    WHERE b.name = ${board.name} AND e.kind = 'task.created' AND e.seq = ${
      (await board.events(`&tasks=${task}&kinds=task.created`))[0]?.seq ?? 0
    }`;
  return String(row?.['task_id']);
}

describe('a dry run', () => {
  test('writes nothing, and says at once what would fail', async () => {
    const [board] = await newBoard();
    const parent = await board.task('work');
    const child = await board.task('work', { parents: [parent.id] });
    const blocked = await board.task('work', { status: 'blocked' });
    const before = await board.events();
    for (const action of ['archive', 'cancel', 'delete', 'unblock', 'reclaim'] as const) {
      const ids = [parent.id, child.id, blocked.id];
      const operation = await make(board, { action, ids, dry_run: true });
      expect(operation.status).toBe('done');
      const refused = operation.failed.map(({ id }) => id).sort();
      const expected = { unblock: [parent.id, child.id], reclaim: ids, archive: [], cancel: [], delete: [] };
      expect([action, refused]).toEqual([action, expected[action].sort()]);
    }
    expect(await board.events()).toEqual(before);
    expect(await statuses(board, [parent.id, child.id, blocked.id])).toEqual(['ready', 'todo', 'blocked']);
  });
});

describe('a filter', () => {
  test('means what the list means, and is fixed when the operation is made', async () => {
    const [board] = await newBoard();
    const labels = { team: 'a' };
    const parent = await board.task('work', { tenant: 't1', labels });
    const child = await board.task('work', { parents: [parent.id], tenant: 't2' });
    const other = await board.task('other', { title: 'needle in hay' });
    const found = async (filter: Body): Promise<number> =>
      (await make(board, { action: 'archive', filter, dry_run: true })).total;
    expect(await found({ status: 'ready,todo' })).toBe(3);
    expect(await found({ status: 'ready,todo', limit: 2 })).toBe(2);
    expect(await found({ lane: 'other' })).toBe(1);
    expect(await found({ label: 'team:a' })).toBe(1);
    expect(await found({ tenant: 't1,t2' })).toBe(2);
    expect(await found({ parent: parent.id })).toBe(1);
    expect(await found({ q: 'NEEDLE' })).toBe(1);
    expect(await found({ q: 'no such' })).toBe(0);
    const listed = expectStatus(await board.call('GET', `/tasks?parent=${parent.id}`), 200).body.tasks;
    expect(idsOf(listed)).toEqual([child.id]);
    // What comes after it was made is not meant, whenever it is carried out.
    const operation = await make(board, { action: 'archive', filter: { lane: 'other' } });
    const late = await board.task('other');
    expect((await done(board, operation)).total).toBe(1);
    expect(await statuses(board, [other.id, late.id])).toEqual(['archived', 'ready']);
  });

  test('that names nothing, or what is no filter, is refused', async () => {
    const [board] = await newBoard();
    const refused = [
      { action: 'archive' },
      { action: 'archive', filter: {} },
      { action: 'archive', filter: { limit: 3 } },
      { action: 'archive', filter: { status: 'no_status' } },
      { action: 'archive', ids: ['a'], filter: { status: 'ready' } },
      { action: 'archive', ids: [] },
      { action: 'archive', ids: ['a'], lane: 'work' },
      { action: 'assign', ids: ['a'] },
      { action: 'schedule', ids: ['a'] },
      { action: 'complete', ids: ['a'] },
      { action: 'archive', ids: Array.from({ length: 1001 }, (_, index) => `t${index}`) },
    ];
    for (const body of refused) expect([body, (await ask(board, body)).status]).toEqual([body, 400]);
  });
});

describe('an operation', () => {
  test('goes on with another server when the one that made it is gone, and does nothing twice', async () => {
    const count = 300;
    const database = await createTestDatabase();
    const first = await startTestServer(database.url);
    const board = await makeBoard(first);
    const ids = idsOf(await board.tasks('work', count));
    let operation: Operation | undefined;
    // Somebody holds the 150th task, so it stands still in the middle for as long as the first server lives.
    await database.sql.begin(async (tx) => {
      await tx`SELECT FROM tasks WHERE id = (SELECT id FROM tasks ORDER BY id OFFSET ${count / 2} LIMIT 1) FOR UPDATE`;
      const made = await make(board, { action: 'cancel', ids });
      await eventually('it stands in the middle', async () => {
        const read = (await board.call('GET', `/operations/${made.id}`)).body.operation;
        return read.status === 'running' && read.succeeded === count / 2;
      });
      await first.stop();
      operation = made;
    });
    const second = board.through(await startTestServer(database.url));
    const { succeeded, failed_count } = await done(second, operation as Operation);
    expect([succeeded, failed_count]).toEqual([count, 0]);
    const events = await second.events('&kinds=task.cancelled');
    expect(events.map(({ task_id }) => task_id).sort()).toEqual([...ids].sort());
    await auditBoard(database.sql, board.name);
    await second.server.stop();
    await database.drop();
  });

  test('survives the death of its session in the middle of a turn: the turn is not done, and done again', async () => {
    const [board] = await newBoard();
    const { sql } = servers.database;
    const ids = idsOf(await board.tasks('work', 120));
    const uuid = await uuidOf(board, ids[60] ?? '');
    await sql.begin(async (tx) => {
      await tx`SELECT FROM tasks WHERE id = ${uuid} FOR UPDATE`;
      const operation = await make(board, { action: 'archive', ids });
      const killed = await eventually('a turn stands still', async () => {
        const rows = await sql`
          SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE wait_event_type = 'Lock' AND query LIKE '%tasks.lock_many%' AND datname = current_database()`;
        return rows.length > 0;
      });
      expect(killed).toBe(true);
      const { succeeded } = (await board.call('GET', `/operations/${operation.id}`)).body.operation;
      expect(succeeded).toBe(50);
    });
    await eventually('all are archived', async () => {
      const rows = expectStatus(await board.call('GET', '/tasks?status=archived&limit=200'), 200).body.tasks;
      return rows.length === 120;
    });
    expect((await board.events('&kinds=task.archived')).length).toBe(120);
  });

  test('is made once for one Idempotency-Key, and is shown again as it is by then', async () => {
    const [board, elsewhere] = await newBoard();
    const ids = idsOf(await board.tasks('work', 3));
    const headers = { 'Idempotency-Key': 'once' };
    const first = await make(board, { action: 'cancel', ids }, { headers });
    await done(board, first);
    const again = expectStatus(await ask(elsewhere, { action: 'cancel', ids }, { headers }), 202);
    expect(again.headers.get('Idempotent-Replayed')).toBe('true');
    expect(again.body.operation).toMatchObject({ id: first.id, status: 'done', succeeded: 3 });
    expect((await board.events('&kinds=task.cancelled')).length).toBe(3);
    expect((await ask(board, { action: 'archive', ids }, { headers })).code).toBe('idempotency_mismatch');
  });

  test('is shown again although what it was found by is gone', async () => {
    const [board] = await newBoard();
    const parent = await board.task('work');
    await board.task('work', { parents: [parent.id] });
    const body = { action: 'archive', filter: { parent: parent.id } };
    const headers = { 'Idempotency-Key': 'found-by-parent' };
    const first = await make(board, { ...body, filter: { parent: 'nightly' } }, { headers }).catch(
      () => null,
    );
    expect(first).toBeNull();
    await board.call('PATCH', `/tasks/${parent.id}`, { body: { external_ref: 'nightly' } });
    const named = { ...body, filter: { parent: 'nightly' } };
    const made = await make(board, named, { headers });
    await done(board, made);
    expectStatus(await board.call('DELETE', `/tasks/${parent.id}`), 204);
    expect((await make(board, named, { headers })).id).toBe(made.id);
    expect((await ask(board, named)).code).toBe('not_found');
  });

  test('is known on its own board alone', async () => {
    const [board] = await newBoard();
    const [other] = await newBoard();
    const { id } = await make(board, { action: 'cancel', ids: ['none'] });
    expect((await board.call('GET', `/operations/${id}`)).body.operation).toMatchObject({
      status: 'done',
      total: 1,
    });
    expect((await other.call('GET', `/operations/${id}`)).status).toBe(404);
  });

  test('that deletes takes an admin key', async () => {
    const [board] = await newBoard();
    const ids = idsOf(await board.tasks('work', 1));
    const key = { role: 'orchestrator', boards: [board.name], name: 'o' };
    const answer = await board.server.call('POST', '/v1/keys', { body: key, token: ADMIN_KEY });
    const token = expectStatus(answer, 201).body.secret;
    expect((await ask(board, { action: 'delete', ids }, { token })).code).toBe('forbidden');
    expect((await ask(board, { action: 'delete', ids, dry_run: true }, { token })).code).toBe('forbidden');
    expect((await ask(board, { action: 'cancel', ids }, { token })).status).toBe(202);
  });

  test('beyond those that may run at once is refused for now', async () => {
    const [board] = await newBoard();
    const [task] = await board.tasks('work', 1);
    const { sql } = servers.database;
    const uuid = await uuidOf(board, task?.id ?? '');
    const body = { action: 'schedule', ids: [task?.id], run_at: '2030-01-01T00:00:00.000Z' };
    await sql.begin(async (tx) => {
      await tx`SELECT FROM tasks WHERE id = ${uuid} FOR UPDATE`;
      for (let made = 0; made < 10; made += 1) await make(board, body);
      expect((await ask(board, body)).code).toBe('rate_limited');
    });
    await eventually('room again', async () => (await ask(board, body)).status === 202);
    await eventually('all are done', async () => {
      const [row] = await sql`SELECT count(*)::int AS running FROM operations WHERE status = 'running'`;
      return row?.['running'] === 0;
    });
  });
});
