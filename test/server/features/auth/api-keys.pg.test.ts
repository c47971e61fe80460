import { describe, expect, test } from 'vitest';
import { eventually, uniqueName, useBench } from '../../../fixtures/bench.ts';
import { useTestServer } from '../../../fixtures/server.ts';

const bench = useBench();

/** Everything that is in the database, as text. */
async function dumpDatabase(): Promise<string> {
  const { sql } = bench.database;
  const tables = await sql`SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
    WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`;
  const dumps = await Promise.all(
    tables.map((table) =>
      sql.unsafe(`SELECT coalesce(json_agg(t)::text, '') AS dump FROM ${table['name']} t`),
    ),
  );
  return dumps.map(([row]) => row?.['dump']).join('\n');
}

describe('an API key', () => {
  test('is nowhere in the database, only its SHA-256', async () => {
    const { id, secret } = await bench.makeKey({ role: 'observer', name: 'reader' });
    expect(secret).toMatch(/^lk_observer_[0-9a-z]{26}[0-9A-Za-z]{38}$/);
    expect((await bench.as(secret).get('/v1/whoami')).body.principal.key.id).toBe(id);
    const dump = await dumpDatabase();
    expect(dump).toContain('reader');
    expect(dump).not.toContain(secret);
    expect(dump).not.toContain(secret.slice(-38));
  });

  test('with one character wrong is refused without asking the database', async () => {
    const { secret } = await bench.makeKey({ role: 'observer' });
    // With the table locked against reading, only what never asks it can be answered.
    await bench.database.sql.begin(async (tx) => {
      await tx`LOCK TABLE api_keys IN ACCESS EXCLUSIVE MODE`;
      const last = secret.at(-10) === 'x' ? 'y' : 'x';
      const mistyped = secret.slice(0, -10) + last + secret.slice(-9);
      const answer = await bench.as(mistyped).get('/v1/whoami');
      expect([answer.status, answer.code]).toEqual([401, 'unauthenticated']);
    });
    expect((await bench.as(secret).get('/v1/whoami')).status).toBe(200);
  });

  test.each([
    ['none at all', {}],
    ['nothing after Bearer', { Authorization: 'Bearer ' }],
    ['another scheme', { Authorization: 'Basic YTpi' }],
    ['a made-up key', { Authorization: 'Bearer lk_admin_1234' }],
    ['two words', { Authorization: 'Bearer a b' }],
    ['non-ASCII', { Authorization: 'Bearer \u00e9\u00e9' }],
    ['a JWT of nothing', { Authorization: 'Bearer eyJ.eyJ.x' }],
  ])('is asked for with WWW-Authenticate when the credential is %s', async (_, headers) => {
    const answer = await bench.api.get('/v1/whoami', { token: null, headers });
    expect([answer.status, answer.code]).toEqual([401, 'unauthenticated']);
    expect(answer.headers.get('WWW-Authenticate')).toMatch(/^Bearer/);
  });

  test('that is revoked is refused by every server within a second', async () => {
    const second = await useTestServer(bench.database.url);
    const { id, secret } = await bench.makeKey({ role: 'observer' });
    const ask = () => second.call('GET', '/v1/boards', { token: secret });
    expect((await ask()).status).toBe(200);
    expect((await bench.api.delete(`/v1/keys/${id}`)).status).toBe(204);
    await eventually('the second server refuses the key', async () => (await ask()).status === 401);
    expect((await bench.api.delete(`/v1/keys/${id}`)).code).toBe('not_found');
    expect((await bench.api.get('/v1/keys')).body.keys.map((key: { id: string }) => key.id)).not.toContain(
      id,
    );
  });

  test('is refused once it has expired', async () => {
    const expires_at = new Date(Date.now() + 900).toISOString();
    const { secret } = await bench.makeKey({ role: 'observer', expires_at });
    expect((await bench.as(secret).get('/v1/boards')).status).toBe(200);
    await eventually(
      'the key is refused',
      async () => (await bench.as(secret).get('/v1/boards')).status === 401,
    );
    const past = await bench.makeKey({ role: 'observer', expires_at: '2001-01-01T00:00:00Z' });
    expect((await bench.as(past.secret).get('/v1/boards')).status).toBe(401);
  });

  test('remembers when it was last used', async () => {
    const { id, secret } = await bench.makeKey({ role: 'observer' });
    const read = async () =>
      (await bench.api.get('/v1/keys?limit=200')).body.keys.find((key: { id: string }) => key.id === id);
    expect(await read()).toMatchObject({ last_used_at: null });
    await bench.as(secret).get('/v1/boards');
    await eventually('last_used_at is written', async () => (await read()).last_used_at !== null);
  });
});

describe('a key says whether its MCP tools answer to alias names', () => {
  test('which they do not unless that was asked for, and the key keeps it', async () => {
    const board = uniqueName('aliases');
    await bench.api.put(`/v1/boards/${board}`);
    await bench.api.put(`/v1/boards/${board}/lanes/factory`);
    const keys = `/v1/boards/${board}/lanes/factory/keys`;
    const made = [
      await bench.api.post('/v1/keys', { role: 'observer', name: 'x', boards: [board] }),
      await bench.api.post('/v1/keys', { role: 'observer', name: 'x', boards: [board], mcp_aliases: true }),
      await bench.api.post(keys),
      await bench.api.post(keys, { mcp_aliases: true }),
    ];
    expect(made.map(({ body }) => body.key.mcp_aliases)).toEqual([false, true, false, true]);
    const { principal } = (await bench.as(made[3]?.body.secret).get('/v1/whoami')).body;
    expect(principal.key).toMatchObject({ role: 'lane', mcp_aliases: true });
    const odd = await bench.api.post(keys, { mcp_aliases: 'yes' });
    expect([odd.code, odd.body.errors[0].pointer]).toEqual(['invalid_request', '/mcp_aliases']);
  });
});

describe('nobody grants more than they have', () => {
  test('a key of some boards grants those and no others', async () => {
    const [own, foreign] = [uniqueName('own'), uniqueName('foreign')];
    await bench.api.put(`/v1/boards/${own}`);
    await bench.api.put(`/v1/boards/${foreign}`);
    const { secret } = await bench.makeKey({ role: 'admin', boards: [own] });
    const boardAdmin = bench.as(secret);
    const granted = await boardAdmin.post('/v1/keys', { role: 'admin', name: 'x' });
    expect(granted.body.key.boards).toEqual([own]);
    const all = await boardAdmin.post('/v1/keys', { role: 'observer', name: 'x', boards: ['*'] });
    expect(all.code).toBe('forbidden');
    for (const boards of [[foreign], [own, foreign], ['missing']])
      expect((await boardAdmin.post('/v1/keys', { role: 'observer', name: 'x', boards })).code).toBe(
        'not_found',
      );
    const lane = { role: 'lane', name: 'x', lane: 'y' };
    expect((await boardAdmin.post('/v1/keys', { ...lane, board: foreign })).code).toBe('not_found');
    expect((await boardAdmin.post('/v1/keys', { ...lane, board: own })).status).toBe(201);
  });

  test('a key that expires issues none that lives longer, and one bound to an owner none for another', async () => {
    const soon = new Date(Date.now() + 3_600_000).toISOString();
    const later = new Date(Date.now() + 7_200_000).toISOString();
    const mortal = bench.as((await bench.makeKey({ role: 'admin', expires_at: soon, owner: 'mine' })).secret);
    const heir = await mortal.post('/v1/keys', { role: 'observer', name: 'heir' });
    expect(heir.body.key).toMatchObject({ expires_at: soon, owner: 'mine' });
    const longer = { role: 'observer', name: 'x', expires_at: later };
    expect((await mortal.post('/v1/keys', longer)).code).toBe('forbidden');
    expect((await mortal.post('/v1/keys', { role: 'observer', name: 'x', owner: 'yours' })).code).toBe(
      'forbidden',
    );
  });

  test('a key of some boards sees and revokes only keys within them', async () => {
    const own = uniqueName('own');
    await bench.api.put(`/v1/boards/${own}`);
    const boardAdmin = bench.as((await bench.makeKey({ role: 'admin', boards: [own] })).secret);
    const outside = await bench.makeKey({ role: 'observer', boards: [own, 'default'] });
    const global = await bench.makeKey({ role: 'observer' });
    const inside = await bench.makeKey({ role: 'observer', boards: [own] });
    const seen = (await boardAdmin.get('/v1/keys')).body.keys.map((key: { id: string }) => key.id);
    expect(seen).toContain(inside.id);
    for (const { id } of [outside, global]) {
      expect(seen).not.toContain(id);
      expect((await boardAdmin.delete(`/v1/keys/${id}`)).code).toBe('not_found');
    }
    expect((await boardAdmin.delete(`/v1/keys/${inside.id}`)).status).toBe(204);
  });

  test('a lane key needs one board and a lane, and no other role takes a lane', async () => {
    for (const body of [
      { role: 'lane' },
      { role: 'lane', lane: 'a' },
      { role: 'lane', boards: ['*'], lane: 'a' },
      { role: 'lane', boards: ['default', 'b'], lane: 'a' },
      { role: 'lane', board: 'default' },
      { role: 'observer', board: 'default', lane: 'a' },
      { role: 'observer', board: 'default', boards: ['default'] },
      { role: 'observer', boards: [] },
    ]) {
      const answer = await bench.api.post('/v1/keys', { name: 'x', ...body });
      expect({ body, code: answer.code }).toEqual({ body, code: 'invalid_request' });
    }
  });
});

describe('keys of a lane and of a board', () => {
  test('die with their lane', async () => {
    await bench.makeLane('default', 'short-lived');
    const lane = '/v1/boards/default/lanes/short-lived';
    const made = await bench.api.post(`${lane}/keys`);
    expect(made.body.key).toMatchObject({ role: 'lane', boards: ['default'], lane: 'short-lived' });
    const key = bench.as(made.body.secret);
    expect((await key.post(`${lane}/claims`, {})).status).toBe(200);
    expect((await bench.api.delete(lane)).status).toBe(204);
    await eventually('the key is refused', async () => (await key.get('/v1/whoami')).status === 401, 1000);
    expect((await bench.api.post(`${lane}/keys`)).code).toBe('lane_not_found');
  });

  test('die with their board, and a key of several boards loses that one', async () => {
    const [dying, living] = [uniqueName('dying'), uniqueName('living')];
    await bench.api.put(`/v1/boards/${dying}`);
    await bench.api.put(`/v1/boards/${living}`);
    const only = await bench.makeKey({ role: 'orchestrator', boards: [dying] });
    const both = await bench.makeKey({ role: 'orchestrator', boards: [dying, living] });
    expect((await bench.as(both.secret).get(`/v1/boards/${dying}`)).status).toBe(200);
    await bench.api.delete(`/v1/boards/${dying}`);
    await bench.api.put(`/v1/boards/${dying}`);
    const status = async (secret: string) => (await bench.as(secret).get(`/v1/boards/${dying}`)).status;
    await eventually('the only key is refused', async () => (await status(only.secret)) === 401, 1000);
    await eventually(
      'the board is gone for the other',
      async () => (await status(both.secret)) === 404,
      1000,
    );
    expect((await bench.as(both.secret).get(`/v1/boards/${living}`)).status).toBe(200);
  });
});
