/** Who did what, from where, in an order without gaps; who was refused; and who may read of it. */
import { describe, expect, test } from 'vitest';
import { openDatabase } from '../../../../src/server/db/client.ts';
import { AuditJournal } from '../../../../src/server/features/audit/service.ts';
import { eventually, uniqueName, useBench } from '../../../fixtures/bench.ts';
import { useTestDatabase } from '../../../fixtures/database.ts';
import { holdAudit } from '../../../fixtures/held-lock.ts';
import { useTestServer } from '../../../fixtures/server.ts';
import { rpc } from '../mcp/json-rpc.ts';

const bench = useBench();

interface Entry {
  readonly seq: number;
  readonly action: string;
  readonly actor: { readonly type: string; readonly id: string | null; readonly name: string | null };
  readonly board: string | null;
  readonly subject: string | null;
  readonly outcome: string;
  readonly code: string | null;
  readonly count: number;
  readonly address: string | null;
  readonly request_id: string | null;
  readonly data: Record<string, unknown>;
}

async function entries(query = ''): Promise<Entry[]> {
  const { status, body } = await bench.api.get(`/v1/audit?limit=1000${query}`);
  expect(status).toBe(200);
  return body.entries;
}

describe('a deed', () => {
  test('is in the log before it is answered: who, what, to what, on which board, from where, in which request', async () => {
    const board = uniqueName('audited');
    const requestId = '0f5e2c8a-1111-4222-8333-abcdefabcdef';
    const headers = { 'X-Request-Id': requestId };
    const { id, secret } = await bench.makeKey({ role: 'admin', name: 'the auditor’s friend' });
    const as = bench.as(secret);
    expect((await as.put(`/v1/boards/${board}`, { title: 'a title' }, { headers })).status).toBe(201);
    const [made] = await entries(`&boards=${board}`);
    expect(made).toMatchObject({
      action: 'board.created',
      actor: { type: 'key', id, name: 'the auditor’s friend' },
      board,
      subject: board,
      outcome: 'done',
      code: null,
      count: 1,
      address: '127.0.0.1',
      request_id: requestId,
      data: { fields: ['title'] },
    });
  });

  test('of each kind is told by its name, without what was written in it', async () => {
    const board = uniqueName('audited');
    const at = `/v1/boards/${board}`;
    const api = bench.api;
    await api.put(at, {});
    await api.patch(at, { description: 'private-words' });
    await api.put(`${at}/lanes/l`, { description: 'private-words', max_concurrent_claims: 3 });
    await api.patch(`${at}/lanes/l`, { description: 'private-words' });
    await api.post(`${at}/lanes/l/pause`, {});
    await api.post(`${at}/lanes/l/resume`, {});
    await api.post(`${at}/lanes/l/takeover`, { mode: 'release', worker: 'w' });
    const { body: lane } = await api.post(`${at}/lanes/l/keys`, {});
    await api.delete(`/v1/keys/${lane.key.id}`);
    const [one, two, three] = [1, 2, 3].map(() => bench.makeTask(board, { title: 'private-words' }));
    await api.post(`${at}/tasks/${(await one)?.id}/cancel`, { reason: 'private-words' });
    await api.post(`${at}/tasks/${(await two)?.id}/complete`, { summary: 'private-words' });
    await api.post(`${at}/tasks/bulk`, {
      action: 'archive',
      ids: [(await two)?.id],
      reason: 'private-words',
    });
    await api.delete(`${at}/tasks/${(await three)?.id}`);
    const handed = { tasks: [{ title: 'private-words', lane: 'l' }] };
    const { body: made } = await api.post(`${at}/delegations`, handed);
    await api.post(`${at}/delegations/${made.delegation.id}/cancel`, { reason: 'private-words' });
    await api.post(`${at}/delegations/cancel`, { session_id: 's' });
    const verbs = bench.makeTask(board, { title: 'private-words' });
    await api.post(`${at}/tasks/${(await verbs).id}/assign`, { lane: 'l', reason: 'private-words' });
    await api.post(`${at}/tasks/${(await verbs).id}/archive`, {});
    await api.post(`${at}/tasks/${(await verbs).id}/reopen`, {});
    await api.delete(at);
    const found = await entries(`&boards=${board}`);
    expect(found.map(({ action }) => action)).toEqual([
      'board.created',
      'board.changed',
      'lane.registered',
      'lane.changed',
      'lane.paused',
      'lane.resumed',
      'lane.taken_over',
      'key.created',
      'key.revoked',
      'task.cancelled',
      'task.completed',
      'operation.started',
      'task.deleted',
      'delegation.cancelled',
      'delegations.cancelled',
      'task.assigned',
      'task.archived',
      'task.reopened',
      'board.deleted',
    ]);
    expect(JSON.stringify(found)).not.toContain('private-words');
    expect(JSON.stringify(found)).not.toContain(lane.secret);
    expect(found.find(({ action }) => action === 'lane.taken_over')?.data).toEqual({
      mode: 'release',
      worker: 'w',
    });
    expect(found.find(({ action }) => action === 'key.created')?.subject).toBe(lane.key.id);
    expect(found.find(({ action }) => action === 'delegation.cancelled')?.subject).toBe(made.delegation.id);
  });

  test('that sets how long history is kept says so, with the times; of other settings the names', async () => {
    const board = uniqueName('audited');
    const at = `/v1/boards/${board}`;
    await bench.api.put(at, { settings: { retention: { events_seconds: 3600 } } });
    await bench.api.patch(at, { settings: { default_owner: 'private-words' } });
    await bench.api.patch(at, {
      settings: { retention: { events_seconds: null, finished_tasks_seconds: 1 } },
    });
    const found = await entries(`&boards=${board}`);
    expect(found.map(({ data }) => data)).toEqual([
      { fields: ['settings'], settings: ['retention'], retention: { events_seconds: 3600 } },
      { fields: ['settings'], settings: ['default_owner'] },
      {
        fields: ['settings'],
        settings: ['retention'],
        retention: { events_seconds: null, finished_tasks_seconds: 1 },
      },
    ]);
  });

  test('to a task is told by its id, whatever the caller called it', async () => {
    const board = uniqueName('audited');
    const at = `/v1/boards/${board}`;
    await bench.api.put(at, {});
    const first = await bench.makeTask(board, { external_ref: 'private-words' });
    await bench.api.post(`${at}/tasks/private-words/complete`, {});
    await bench.api.delete(`${at}/tasks/private-words`);
    const second = await bench.makeTask(board, { external_ref: 'private-words' });
    await bench.api.post(`${at}/tasks/private-words/cancel`, {});
    const found = await entries(`&boards=${board}&actions=task.*`);
    expect(found.map(({ action, subject }) => [action, subject])).toEqual([
      ['task.completed', first.id],
      ['task.deleted', first.id],
      ['task.cancelled', second.id],
    ]);
    expect(JSON.stringify(found)).not.toContain('private-words');
  });

  test('that a tool does over MCP is told as the same over REST', async () => {
    const board = uniqueName('audited');
    await bench.api.put(`/v1/boards/${board}`, {});
    const task = await bench.makeTask(board, {});
    const { secret } = await bench.makeKey({ role: 'orchestrator', board });
    const cancel = { name: 'cancel', arguments: { board, task_id: task.id } };
    const answer = await rpc(bench.server, secret, 'tools/call', cancel);
    expect([answer.status, answer.body.result?.isError ?? false]).toEqual([200, false]);
    expect((await entries(`&boards=${board}&actions=task.cancelled`)).map(({ subject }) => subject)).toEqual([
      task.id,
    ]);
  });

  test('that is asked for again is told as a replay', async () => {
    const headers = { 'Idempotency-Key': uniqueName('key') };
    const body = { role: 'observer', name: uniqueName('replayed') };
    const { body: first } = await bench.api.post('/v1/keys', body, { headers });
    await bench.api.post('/v1/keys', body, { headers });
    const found = (await entries('&actions=key.created')).filter(({ subject }) => subject === first.key.id);
    expect(found.map(({ data }) => data['replayed'] ?? false)).toEqual([false, true]);
  });

  test('that fails is none', async () => {
    const before = await entries();
    expect((await bench.api.post('/v1/boards/default/lanes/no-such-lane/pause', {})).status).toBe(404);
    expect((await bench.api.post('/v1/keys', { role: 'nobody', name: 'x' })).status).toBe(400);
    expect(await entries()).toEqual(before);
  });

  test('is not answered as done while its entry cannot be written', async () => {
    const board = uniqueName('audited');
    const held = await holdAudit(bench.database.sql);
    let isAnswered = false;
    const put = bench.api.put(`/v1/boards/${board}`, {}).then((answer) => {
      isAnswered = true;
      return answer;
    });
    const { sql } = bench.database;
    await eventually('its entry waits', async () => {
      const [row] = await sql`SELECT count(*)::int AS waiting FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%audit.append%' AND pid <> pg_backend_pid()`;
      return row?.['waiting'] > 0;
    });
    expect((await bench.api.get(`/v1/boards/${board}`)).status).toBe(200);
    expect(isAnswered).toBe(false);
    await held.release();
    expect((await put).status).toBe(201);
  });

  test('of the server itself is told, too: the first key and the link that it prints', async () => {
    const { url } = await useTestDatabase();
    const server = await useTestServer(url);
    await server.running.createSignInLink();
    const { body } = await server.call('GET', '/v1/audit');
    expect(body.entries.map(({ action, actor }: Entry) => [action, actor.type, actor.id])).toEqual([
      ['key.created', 'system', 'start'],
      ['sign_in.code_created', 'system', 'start'],
    ]);
    const { body: code } = await server.call('POST', '/v1/sign-in-codes', { body: { role: 'observer' } });
    const { body: session } = await server.call('POST', '/v1/sign-in', {
      token: null,
      body: { code: code.code },
    });
    await server.call('POST', '/v1/sign-out', { token: session.secret, body: {} });
    const later = (await server.call('GET', '/v1/audit?after=2')).body.entries;
    expect(later.map(({ action }: Entry) => action)).toEqual([
      'sign_in.code_created',
      'sign_in.succeeded',
      'sign_in.ended',
    ]);
    expect(later.slice(1).map(({ actor }: Entry) => actor.id)).toEqual([session.key.id, session.key.id]);
  });
});

describe('refusals', () => {
  test('are summed up by caller, address and operation', async () => {
    const { url } = await useTestDatabase();
    const server = await useTestServer(url);
    const { body } = await server.call('POST', '/v1/keys', { body: { role: 'observer', name: 'curious' } });
    for (let n = 0; n < 4; n += 1) await server.call('GET', '/v1/keys', { token: body.secret });
    for (let n = 0; n < 3; n += 1) await server.call('GET', '/v1/keys', { token: 'lk_admin_guess' });
    const { body: admin } = await server.call('POST', '/v1/keys', {
      body: { role: 'admin', name: 'of one', boards: ['default'] },
    });
    await server.call('POST', '/v1/keys', {
      token: admin.secret,
      body: { role: 'admin', name: 'x', boards: ['*'] },
    });
    // A server that stops writes what it has summed up.
    await server.stop();
    const again = await useTestServer(url);
    const { entries: refused } = (await again.call('GET', '/v1/audit?actions=access.*,credential.*')).body;
    expect(
      refused.map(({ action, actor, code, count, address, data }: Entry) => [
        action,
        actor.name,
        code,
        count,
        address,
        data,
      ]),
    ).toEqual([
      ['access.refused', 'curious', 'forbidden', 4, '127.0.0.1', { operation: 'listKeys' }],
      ['access.refused', 'of one', 'forbidden', 1, '127.0.0.1', { operation: 'createKey' }],
      ['credential.refused', null, 'unauthenticated', 3, '127.0.0.1', {}],
    ]);
  });
});

describe('the log', () => {
  test('has no gap, however many write at once on however many servers, and is read forwards and back', async () => {
    const { url, sql } = await useTestDatabase();
    const [one, other] = [await useTestServer(url), await useTestServer(url)];
    const deeds = Array.from({ length: 60 }, (_, n) =>
      (n % 2 === 0 ? one : other).call('PUT', `/v1/boards/default/lanes/l${n}`, { body: {} }),
    );
    await Promise.all(deeds);
    const seqs = (await one.call('GET', '/v1/audit?limit=1000')).body.entries.map(({ seq }: Entry) => seq);
    expect(seqs).toEqual(Array.from({ length: 61 }, (_, index) => index + 1));
    const walked: number[] = [];
    for (let after = 'start', more = true; more; ) {
      const { body } = await other.call('GET', `/v1/audit?limit=7&after=${after}`);
      walked.push(...body.entries.map(({ seq }: Entry) => seq));
      ({ cursor: after, has_more: more } = body);
    }
    expect(walked).toEqual(seqs);
    const { body: last } = await one.call('GET', '/v1/audit?before=now&limit=2');
    expect(last.entries.map(({ seq }: Entry) => seq)).toEqual([61, 60]);
    const { body: earlier } = await one.call('GET', `/v1/audit?before=${last.cursor}&limit=1`);
    expect(earlier.entries.map(({ seq }: Entry) => seq)).toEqual([59]);
    // An entry that somebody deletes leaves its number open.
    await sql`DELETE FROM audit_entries WHERE seq = 30`;
    expect(
      (await one.call('GET', '/v1/audit?after=28&limit=2')).body.entries.map(({ seq }: Entry) => seq),
    ).toEqual([29, 31]);
  });

  test('is read by time, actor and action; places that are none are refused', async () => {
    const { id, secret } = await bench.makeKey({ role: 'orchestrator', name: 'filtered' });
    await bench.makeLane('default', 'filtered');
    await bench.as(secret).post('/v1/boards/default/lanes/filtered/pause', {});
    await bench.as(secret).post('/v1/boards/default/lanes/filtered/resume', {});
    expect((await entries(`&actors=${id}`)).map(({ action }) => action)).toEqual([
      'lane.paused',
      'lane.resumed',
    ]);
    expect((await entries(`&actors=${id}&actions=lane.paused`)).length).toBe(1);
    expect(await entries(`&actors=${id}&since=2999-01-01T00:00:00Z`)).toEqual([]);
    expect(await entries(`&actors=${id}&until=2001-01-01T00:00:00Z`)).toEqual([]);
    for (const [query, code] of [
      ['after=999999999', 'invalid_cursor'],
      ['after=-1', 'invalid_cursor'],
      ['before=then', 'invalid_cursor'],
      ['after=1&before=2', 'invalid_request'],
      ['actions=key.stolen', 'invalid_request'],
      ['actors=,', 'invalid_request'],
      ['boards=no-such', null],
    ] as const)
      expect([query, (await bench.api.get(`/v1/audit?${query}`)).code ?? null]).toEqual([query, code]);
  });

  test('forgets by age, from its old end; who resumes from before that is told', async () => {
    const { url, sql } = await useTestDatabase();
    const server = await useTestServer(url);
    for (const n of [1, 2, 3]) await server.call('PUT', `/v1/boards/default/lanes/l${n}`, { body: {} });
    await sql`UPDATE audit_entries SET at = at - interval '401 days' WHERE seq <= 2`;
    const database = openDatabase({ url });
    await new AuditJournal(database.cold, 400).prune(new AbortController().signal);
    await database.close();
    expect((await server.call('GET', '/v1/audit')).body.entries.map(({ seq }: Entry) => seq)).toEqual([3, 4]);
    expect((await server.call('GET', '/v1/audit?after=2')).body.entries.length).toBe(2);
    const expired = await server.call('GET', '/v1/audit?after=1');
    expect([expired.status, expired.code]).toEqual([410, 'cursor_expired']);
  });

  test('is deleted by one server at a time, and never behind an entry that stays: it has no hole at any time', async () => {
    const { url, sql } = await useTestDatabase();
    const server = await useTestServer(url);
    for (const n of [1, 2, 3]) await server.call('PUT', `/v1/boards/default/lanes/l${n}`, { body: {} });
    await sql`UPDATE audit_entries SET at = at - interval '401 days' WHERE seq <> 3`;
    const database = openDatabase({ url });
    const prune = () => new AuditJournal(database.cold, 400).prune(new AbortController().signal);
    const seqs = async () =>
      (await sql`SELECT seq::int FROM audit_entries ORDER BY seq`).map(({ seq }) => seq);
    await sql.begin(async (tx) => {
      await tx`SELECT pg_advisory_xact_lock(hashtextextended('audit pruning', 0))`;
      await prune();
      expect(await seqs()).toEqual([1, 2, 3, 4]);
    });
    await prune();
    await database.close();
    expect(await seqs()).toEqual([3, 4]);
  });

  test('is looked at in stretches, however rare what is asked for is: a page says where to go on', async () => {
    const { url, sql } = await useTestDatabase();
    const server = await useTestServer(url);
    await sql`
      INSERT INTO audit_entries (seq, at, action, actor_type, outcome, data)
      SELECT seq, now() + seq * interval '1 second', CASE WHEN seq IN (2, 60000) THEN 'board.deleted' ELSE 'lane.paused' END, 'system', 'done', '{}'
      FROM generate_series(2, 60000) AS seq`;
    await sql`UPDATE audit_seq SET seq = 60000`;
    const read = async (query: string) =>
      (await server.call('GET', `/v1/audit?actions=board.deleted&${query}`)).body;
    const walk = async (way: 'after' | 'before', from: string) => {
      const found: number[] = [];
      let pages = 0;
      for (let cursor = from, more = true; more; pages += 1) {
        const page = await read(`${way}=${cursor}`);
        found.push(...page.entries.map(({ seq }: Entry) => seq));
        ({ cursor, has_more: more } = page);
      }
      return { found, pages };
    };
    expect(await walk('after', 'start')).toEqual({ found: [2, 60000], pages: 3 });
    expect(await walk('before', 'now')).toEqual({ found: [60000, 2], pages: 3 });
    const [last] = (await server.call('GET', '/v1/audit?before=now&limit=1')).body.entries;
    // By time the beginning is found without going there.
    expect(await read(`since=${last.at}`)).toMatchObject({ entries: [{ seq: 60000 }], has_more: false });
    expect(await read(`after=50000&until=${last.at}`)).toEqual({
      entries: [],
      cursor: '59999',
      has_more: false,
    });
    expect(await read(`before=now&until=${last.at}&since=${last.at}`)).toMatchObject({
      entries: [],
      has_more: false,
    });
    // After a restore numbers go on far above: what is counted is entries, not numbers.
    const restoredAs = 1_790_000_000_000;
    await sql`
      INSERT INTO audit_entries (seq, at, action, actor_type, outcome, data) VALUES
        (${restoredAs}, now() + interval '1 day', 'database.restored', 'system', 'done', '{"last_seq": 60000}'),
        (${restoredAs + 1}, now() + interval '2 days', 'board.deleted', 'system', 'done', '{}')`;
    await sql`UPDATE audit_seq SET seq = ${restoredAs + 1}`;
    const all = [2, 60000, restoredAs + 1];
    expect(await walk('after', 'start')).toEqual({ found: all, pages: 4 });
    expect(await walk('before', 'now')).toEqual({ found: all.toReversed(), pages: 4 });
    expect(await walk('after', '60000')).toEqual({ found: [restoredAs + 1], pages: 1 });
    const taken = await server.call('GET', '/v1/audit?after=60001');
    expect([taken.status, taken.code]).toEqual([410, 'cursor_expired']);
  });

  test('shows an admin of some boards what concerns them, and nothing of a board that had the name before', async () => {
    const name = uniqueName('shared');
    await bench.api.put(`/v1/boards/${name}`, {});
    await bench.api.put(`/v1/boards/${name}/lanes/of-the-first`, {});
    await bench.api.delete(`/v1/boards/${name}`);
    await bench.api.put(`/v1/boards/${name}`, {});
    await bench.api.put(`/v1/boards/${name}/lanes/of-the-second`, {});
    const { secret } = await bench.makeKey({ role: 'admin', name: 'of one', boards: [name] });
    const as = bench.as(secret);
    const { body } = await as.get('/v1/audit?limit=1000');
    expect(
      body.entries.map(({ action, subject }: Entry) => [action, action === 'key.created' ? null : subject]),
    ).toEqual([
      ['board.created', name],
      ['lane.registered', 'of-the-second'],
      ['key.created', null],
    ]);
    const foreign = await as.get('/v1/audit?boards=default');
    expect([foreign.status, foreign.code]).toEqual([404, 'not_found']);
  });
});
