import { describe, expect, test } from 'vitest';
import { TASK_STATUSES } from '../../../../src/contract/statuses.ts';
import { uniqueName, useBench } from '../../../fixtures/bench.ts';

const bench = useBench();

const makeBoard = async (body?: unknown): Promise<string> => {
  const board = uniqueName('board');
  await bench.api.put(`/v1/boards/${board}`, body);
  return board;
};

describe('the default board', () => {
  test('exists from the start and cannot be deleted', async () => {
    const read = await bench.api.get('/v1/boards/default');
    expect(read.body.board).toMatchObject({ name: 'default', version: 1, settings: { paused: false } });
    const refused = await bench.api.delete('/v1/boards/default');
    expect([refused.status, refused.code]).toEqual([403, 'forbidden']);
    expect((await bench.api.get('/v1/boards/default')).status).toBe(200);
  });
});

describe('a board', () => {
  test('is made by PUT, and changed by the next one, in which null means absent', async () => {
    const path = `/v1/boards/${uniqueName('put')}`;
    const made = await bench.api.put(path, { title: 'One', description: 'first' });
    expect([made.status, made.headers.get('ETag')]).toEqual([201, '"1"']);
    const changed = await bench.api.put(path, {
      title: null,
      description: 'second',
      settings: { paused: true },
    });
    expect([changed.status, changed.headers.get('ETag')]).toEqual([200, '"2"']);
    expect(changed.body.board).toMatchObject({
      title: 'One',
      description: 'second',
      settings: { paused: true },
      version: 2,
    });
    expect((await bench.api.put(path)).body.board).toMatchObject({ version: 2, title: 'One' });
  });

  test('is cleared by null in PATCH, under the version that was read', async () => {
    const path = `/v1/boards/${await makeBoard({ title: 'One', settings: { paused: true } })}`;
    const stale = await bench.api.patch(path, { title: 'Two' }, { headers: { 'If-Match': '"7"' } });
    expect([stale.status, stale.code, stale.body.version]).toEqual([412, 'version_mismatch', 1]);
    const fresh = await bench.api.patch(path, { title: null }, { headers: { 'If-Match': '"1"' } });
    expect(fresh.body.board).toMatchObject({ title: null, settings: { paused: true }, version: 2 });
    const any = await bench.api.patch(path, { settings: null }, { headers: { 'If-Match': '*' } });
    expect(any.body.board).toMatchObject({ settings: { paused: false }, version: 3 });
    expect((await bench.api.patch(`/v1/boards/${uniqueName('no')}`, {})).code).toBe('not_found');
  });

  test('of one name is made once, however many ask at once', async () => {
    const path = `/v1/boards/${uniqueName('race')}`;
    const answers = await Promise.all(Array.from({ length: 20 }, () => bench.api.put(path, { title: 'x' })));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(19);
  });

  test('hands out nothing while it is paused', async () => {
    const board = await makeBoard();
    await bench.makeLane(board, 'a');
    await bench.makeTask(board, { lane: 'a' });
    const claims = `/v1/boards/${board}/lanes/a/claims`;
    await bench.api.patch(`/v1/boards/${board}`, { settings: { paused: true } });
    expect((await bench.api.post(claims, {})).body).toMatchObject({ claims: [], reason: 'board_paused' });
    await bench.api.patch(`/v1/boards/${board}`, { settings: { paused: false } });
    expect((await bench.api.post(claims, {})).body.claims).toHaveLength(1);
  });

  test('lists in pages by name, each once', async () => {
    const names = (await Promise.all(Array.from({ length: 5 }, () => makeBoard()))).toSorted();
    const { secret } = await bench.makeKey({ role: 'observer', boards: names });
    const seen: string[] = [];
    let token: string | null = null;
    do {
      const query: string = token === null ? '' : `&page_token=${token}`;
      const { body } = await bench.as(secret).get(`/v1/boards?limit=2${query}`);
      seen.push(...body.boards.map((board: { name: string }) => board.name));
      token = body.next_page_token;
    } while (token !== null && seen.length < 20);
    expect(seen).toEqual(names);
  });
});

describe('the counts of a board', () => {
  test('are exact through every move of many tasks at once', async () => {
    const board = await makeBoard();
    await bench.makeLane(board, 'a');
    const tasks = `/v1/boards/${board}/tasks`;
    const made = await bench.api.post(`${tasks}/batch`, {
      tasks: Array.from({ length: 40 }, (_, n) => ({
        title: `t${n}`,
        lane: 'a',
        ...(n < 4 ? { status: 'triage' } : {}),
        ...(n >= 4 && n < 8 ? { status: 'blocked' } : {}),
        ...(n >= 36 ? { run_at: '2099-01-01T00:00:00Z' } : {}),
      })),
    });
    const ids: string[] = made.body.tasks.map((task: { id: string }) => task.id);
    const [claims] = await Promise.all([
      bench.api.post(`/v1/boards/${board}/lanes/a/claims`, { max: 6 }),
      bench.api.post(`${tasks}/${ids[0]}/promote`),
      bench.api.post(`${tasks}/${ids[4]}/unblock`),
      bench.api.post(`${tasks}/${ids[5]}/cancel`),
      bench.api.post(`${tasks}/${ids[6]}/complete`),
      bench.api.post(`${tasks}/${ids[7]}/archive`),
    ]);
    const [one, two] = claims.body.claims;
    await bench.as(one.token).post(`/v1/runs/${one.run_id}/complete`, {});
    await bench.as(two.token).post(`/v1/runs/${two.run_id}/block`, { reason: 'x' });
    const rows = await bench.database.sql`
      SELECT status, count(*)::int AS count FROM tasks WHERE board_id = (SELECT id FROM boards WHERE name = ${board}) GROUP BY status`;
    const counted = Object.fromEntries(rows.map((row) => [row['status'], row['count']]));
    const { counts } = (await bench.api.get(`/v1/boards/${board}`)).body.board;
    expect(counts).toEqual({ ...Object.fromEntries(TASK_STATUSES.map((status) => [status, 0])), ...counted });
    expect(counts).toMatchObject({ running: 4, done: 2, cancelled: 1, archived: 1, scheduled: 4, triage: 3 });
  });
});

/** A delegation whose outcome has been delivered, and one whose outcome is on its way. */
async function furnishReturns(board: string): Promise<void> {
  const path = `/v1/boards/${board}`;
  for (const session_id of ['arrived', 'waiting']) {
    const origin = { platform: 'discord', chat_id: session_id, session_id };
    const { delegation } = (await bench.api.post(`${path}/delegations`, { tasks: [{ title: 'x' }], origin }))
      .body;
    await bench.api.post(`${path}/tasks/${delegation.tasks[0]}/complete`, {});
  }
  const [{ id, lease_id }] = (await bench.api.post(`${path}/deliveries/claims`)).body.deliveries;
  await bench.api.post(`/v1/deliveries/${id}/ack`, { lease_id });
  expect((await bench.api.get(`${path}/sessions/arrived/messages`)).body.messages).toHaveLength(1);
}

describe('deleting a board', () => {
  test('waits for live claims to end', async () => {
    const board = await makeBoard();
    await bench.makeLane(board, 'a');
    await bench.makeTask(board, { lane: 'a' });
    const claim = await bench.claim(board, 'a');
    const refused = await bench.api.delete(`/v1/boards/${board}`);
    expect([refused.status, refused.code]).toEqual([409, 'lane_has_claims']);
    await bench.as(claim.token).post(`/v1/runs/${claim.run_id}/release`, {});
    expect((await bench.api.delete(`/v1/boards/${board}`)).status).toBe(204);
    expect((await bench.api.delete(`/v1/boards/${board}`)).code).toBe('not_found');
    // The token outlived its board: it finds nothing there.
    const late = await bench.as(claim.token).post(`/v1/runs/${claim.run_id}/heartbeat`, {});
    expect(late.code).toBe('not_found');
  });

  test('removes everything on it, and a new board of that name knows nothing of the old one', async () => {
    const board = await makeBoard();
    const path = `/v1/boards/${board}`;
    await bench.makeLane(board, 'a');
    const task = await bench.makeTask(board, { lane: 'a', external_ref: 'X-1', idempotency_key: 'k' });
    await bench.api.post(`${path}/tasks/${task.id}/comments`, { body: 'hello' });
    const claim = await bench.claim(board, 'a');
    await bench.as(claim.token).post(`/v1/runs/${claim.run_id}/complete`, {});
    await furnishReturns(board);
    const { cursor } = (await bench.api.get(path)).body.board;
    const [{ id }] = (await bench.database.sql`SELECT id FROM boards WHERE name = ${board}`) as unknown as [
      { id: number },
    ];

    expect((await bench.api.delete(path)).status).toBe(204);
    expect((await bench.api.get(path)).code).toBe('not_found');
    const tables = await bench.database.sql`
      SELECT table_name AS name FROM information_schema.columns WHERE column_name = 'board_id' AND table_schema = 'public'`;
    for (const { name } of tables) {
      const rows = await bench.database.sql`SELECT FROM ${bench.database.sql(name)} WHERE board_id = ${id}`;
      expect([name, rows.length]).toEqual([name, 0]);
    }
    expect(tables.length).toBeGreaterThan(5);

    expect((await bench.api.put(path)).status).toBe(201);
    expect((await bench.api.get(`${path}/lanes`)).body.lanes).toEqual([]);
    expect((await bench.api.get(`${path}/tasks?status=${TASK_STATUSES.join(',')}`)).body.tasks).toEqual([]);
    expect((await bench.api.get(`${path}/events`)).body.events).toHaveLength(1);
    const old = await bench.api.get(`${path}/events?after=${cursor}`);
    expect([400, 410]).toContain(old.status);
    expect((await bench.api.get(`/v1/runs/${claim.run_id}`)).code).toBe('not_found');
    expect((await bench.makeTask(board, { external_ref: 'X-1', idempotency_key: 'k' })).id).not.toBe(task.id);
  });
});
