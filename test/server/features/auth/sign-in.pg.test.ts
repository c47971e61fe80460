/** Signing in by a one-time code: what a code is good for, how often, for how long, and what ends with it. */
import { describe, expect, test } from 'vitest';
import { checkedClient } from '../../../fixtures/checked-client.ts';
import { eventually } from '../../../fixtures/eventually.ts';
import { type CallAnswer, useTestServer } from '../../../fixtures/server.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';
import { openSocket } from '../../../fixtures/watch-socket.ts';

const servers = useTwoServers();
const first = () => checkedClient(servers.first.url);
const second = () => checkedClient(servers.second.url);
const NOBODY = { token: null };
/** Twelve hours. */
const SESSION_MS = 12 * 3600 * 1000;
/** Pinned by the wire contract: everywhere within a second. The rest is for a busy machine. */
const WITHIN_MS = 2500;

async function makeCode(body: Record<string, unknown> = {}, token?: string): Promise<CallAnswer['body']> {
  const answer = await first().post('/v1/sign-in-codes', body, token === undefined ? {} : { token });
  expect(answer.status, JSON.stringify(answer.body)).toBe(201);
  return answer.body;
}

async function makeKey(body: Record<string, unknown>): Promise<{ id: string; secret: string }> {
  const answer = await first().post('/v1/keys', { name: 'maker', ...body });
  return { id: answer.body.key.id, secret: answer.body.secret };
}

const signIn = (code: unknown, api = first()): Promise<CallAnswer> =>
  api.post('/v1/sign-in', { code }, NOBODY);

describe('a sign-in code', () => {
  test('is good for one key, on any server, and then for nothing', async () => {
    const { code, url, expires_at } = await makeCode();
    expect(code).toMatch(/^[0-9a-f]{40}$/);
    expect(url).toBe(`${servers.first.url}/#code=${code}`);
    const minutes = (Date.parse(expires_at) - Date.now()) / 60_000;
    expect(minutes).toBeGreaterThan(9);
    expect(minutes).toBeLessThan(11);

    const signedIn = await signIn(code, second());
    expect(signedIn.status).toBe(200);
    const { key, secret } = signedIn.body;
    expect(key).toMatchObject({ role: 'admin', boards: ['*'], session: true, lane: null });
    expect(Math.abs(Date.parse(key.expires_at) - Date.now() - SESSION_MS)).toBeLessThan(60_000);
    const { principal } = (await first().get('/v1/whoami', { token: secret })).body;
    expect(principal.key.id).toBe(key.id);

    for (const api of [first(), second()]) {
      const again = await signIn(code, api);
      expect([again.status, again.code]).toEqual([401, 'unauthenticated']);
    }
  });

  test('that many servers are sent at once is exchanged once', async () => {
    const { sql } = servers.database;
    const { code } = await makeCode();
    const asked: Promise<CallAnswer>[] = [];
    await sql.begin(async (tx) => {
      await tx`SELECT FROM sign_in_codes FOR UPDATE`;
      for (let n = 0; n < 3; n += 1) asked.push(signIn(code), signIn(code, second()));
      await eventually('both servers stand before the row', async () => {
        const [row] = await sql`
          SELECT count(*)::int AS waiting FROM pg_stat_activity
          WHERE query LIKE '%auth.take_sign_in_code%' AND wait_event_type = 'Lock'`;
        return row?.['waiting'] === 6;
      });
    });
    const statuses = (await Promise.all(asked)).map(({ status }) => status);
    expect(statuses.toSorted()).toEqual([200, 401, 401, 401, 401, 401]);
  });

  test('that is wrong, of no form of ours, used or expired is refused in the same words', async () => {
    const { sql } = servers.database;
    const used = (await makeCode()).code;
    await signIn(used);
    const expired = (await makeCode({ name: 'to expire' })).code;
    await sql`UPDATE sign_in_codes SET expires_at = clock_timestamp() WHERE name = 'to expire'`;
    const wrong = 'a'.repeat(40);
    const refusals: unknown[] = [];
    for (const code of [used, expired, wrong, '', 'x', `${wrong}\n`, "' OR 1=1 --"]) {
      const { status, body, headers } = await signIn(code);
      const { instance: _instance, ...words } = body;
      refusals.push({ status, words, scheme: headers.get('WWW-Authenticate') });
    }
    expect(new Set(refusals.map((refusal) => JSON.stringify(refusal))).size).toBe(1);
    expect(refusals[0]).toMatchObject({ status: 401, words: { code: 'unauthenticated' } });
    expect((await signIn(7)).code).toBe('invalid_request');
    // The expired one is not even kept until somebody cleans up.
    expect(await sql`SELECT FROM sign_in_codes WHERE name = 'to expire'`).toHaveLength(0);
  });

  test('is kept as its hash only, and expired ones go when the next is made', async () => {
    const { sql } = servers.database;
    const { code } = await makeCode({ name: 'kept' });
    const rows = await sql`SELECT row_to_json(c)::text AS text FROM sign_in_codes c WHERE name = 'kept'`;
    expect(rows).toHaveLength(1);
    expect(rows[0]?.['text']).not.toContain(code);
    await sql`UPDATE sign_in_codes SET expires_at = clock_timestamp() - interval '1 s' WHERE name = 'kept'`;
    await makeCode();
    expect(await sql`SELECT FROM sign_in_codes WHERE name = 'kept'`).toHaveLength(0);
  });

  test('gives the role, boards and name that were asked for, within those of its maker', async () => {
    await first().put('/v1/boards/within');
    const maker = await makeKey({ role: 'admin', boards: ['within', 'default'] });
    const body = { role: 'observer', boards: ['within'], name: 'wallboard' };
    const { key, secret } = (await signIn((await makeCode(body, maker.secret)).code)).body;
    expect(key).toMatchObject({ role: 'observer', boards: ['within'], name: 'wallboard' });
    expect((await first().get('/v1/boards/default', { token: secret })).status).toBe(404);
    const own = (await signIn((await makeCode({}, maker.secret)).code)).body.key;
    expect(own.boards.toSorted()).toEqual(['default', 'within']);

    const ask = (asked: unknown, token = maker.secret) => first().post('/v1/sign-in-codes', asked, { token });
    expect((await ask({ boards: ['*'] })).code).toBe('forbidden');
    expect((await ask({ boards: ['elsewhere'] })).code).toBe('not_found');
    expect((await ask({ role: 'lane' })).code).toBe('invalid_request');
    const planner = await makeKey({ role: 'orchestrator' });
    expect((await ask({}, planner.secret)).code).toBe('forbidden');
  });

  test('gives a key that lives no longer than its maker, and is bound to the same owner', async () => {
    const soon = new Date(Date.now() + 3_600_000).toISOString();
    const maker = await makeKey({ role: 'admin', expires_at: soon, owner: 'mine' });
    const { key } = (await signIn((await makeCode({}, maker.secret)).code)).body;
    expect(key).toMatchObject({ expires_at: soon, owner: 'mine' });
  });

  test('is good for nothing once its maker was revoked or has expired', async () => {
    const { sql } = servers.database;
    const revoked = await makeKey({ role: 'admin' });
    const ofRevoked = (await makeCode({}, revoked.secret)).code;
    await first().delete(`/v1/keys/${revoked.id}`);
    const expired = await makeKey({ role: 'admin', name: 'expiring' });
    const ofExpired = (await makeCode({}, expired.secret)).code;
    await sql`UPDATE api_keys SET expires_at = clock_timestamp() WHERE name = 'expiring'`;
    for (const code of [ofRevoked, ofExpired]) expect((await signIn(code, second())).status).toBe(401);
  });

  test('is good for no board that was deleted since, also when there is another of its name', async () => {
    for (const board of ['gone', 'kept']) await first().put(`/v1/boards/${board}`);
    const maker = await makeKey({ role: 'admin', boards: ['gone', 'kept'] });
    const ofBoth = (await makeCode({ name: 'of both' }, maker.secret)).code;
    const ofOne = (await makeCode({ boards: ['gone'] }, maker.secret)).code;
    const byAdmin = (await makeCode({ boards: ['gone', 'kept'] })).code;
    const ofOneByAdmin = (await makeCode({ boards: ['gone'] })).code;
    expect((await first().delete('/v1/boards/gone')).status).toBe(204);
    expect((await first().put('/v1/boards/gone')).status).toBe(201);
    // One that came while the board was being deleted: what its maker has lost since is not in it.
    const late = 'c'.repeat(40);
    await servers.database.sql`
      INSERT INTO sign_in_codes (hash, role, name, boards, created_by, expires_at)
      SELECT encode(sha256(${late}::bytea), 'hex'), role, 'late', '{gone,kept}', created_by, expires_at
      FROM sign_in_codes WHERE name = 'of both'`;
    for (const code of [ofBoth, byAdmin, late])
      expect((await signIn(code)).body.key.boards).toEqual(['kept']);
    for (const code of [ofOne, ofOneByAdmin]) expect((await signIn(code)).status).toBe(401);
  });

  test('that the server makes at its start is for an admin of every board, at its public address', async () => {
    const server = await useTestServer(servers.database.url, { publicUrl: 'https://lanes.example.org' });
    const link = await server.running.createSignInLink();
    expect(link).toMatch(/^https:\/\/lanes\.example\.org\/#code=[0-9a-f]{40}$/);
    const { key } = (await signIn(link.replace(/.*=/, ''))).body;
    expect(key).toMatchObject({ role: 'admin', boards: ['*'], session: true, owner: null });
  });

  test('is refused to who has a hundred that wait to be used, and to nobody else', async () => {
    const { sql } = servers.database;
    const greedy = await makeKey({ role: 'admin' });
    await makeCode({ name: 'the first of many' }, greedy.secret);
    await sql`
      INSERT INTO sign_in_codes (hash, role, name, expires_at, created_by)
      SELECT hash || n, role, 'of one', expires_at, created_by
      FROM sign_in_codes, generate_series(1, 98) n WHERE name = 'the first of many'`;
    await makeCode({}, greedy.secret);
    const refused = await first().post('/v1/sign-in-codes', {}, { token: greedy.secret });
    expect([refused.status, refused.code]).toEqual([429, 'rate_limited']);
    await makeCode();
  });

  test('is refused to all makers once a thousand wait to be used, and not to the server itself', async () => {
    const { sql } = servers.database;
    await sql`
      INSERT INTO sign_in_codes (hash, role, name, expires_at, created_by)
      SELECT 'filler ' || n, 'observer', 'filler', clock_timestamp() + interval '5 min', gen_random_uuid() FROM generate_series(1, 1000) n`;
    const refused = await first().post('/v1/sign-in-codes', {});
    expect([refused.status, refused.code, refused.headers.get('Retry-After')]).toEqual([
      429,
      'rate_limited',
      '60',
    ]);
    expect(await servers.first.running.createSignInLink()).toContain('/#code=');
    await sql`UPDATE sign_in_codes SET expires_at = clock_timestamp() WHERE name = 'filler'`;
    await makeCode();
    expect(await sql`SELECT FROM sign_in_codes WHERE name = 'filler'`).toHaveLength(0);
  });

  test('is guessed at as slowly as a key', async () => {
    const server = await useTestServer(servers.database.url);
    const api = checkedClient(server.url);
    const { code } = await makeCode();
    const guess = 'b'.repeat(40);
    for (let n = 0; n < 150; n += 1) {
      expect((await signIn(guess, api)).status).toBe(401);
      expect((await api.get('/v1/whoami', { token: 'lk_admin_wrong' })).status).toBe(401);
    }
    const limited = await signIn(guess, api);
    expect([limited.status, limited.code]).toEqual([429, 'rate_limited']);
    expect(Number(limited.headers.get('Retry-After'))).toBeGreaterThan(0);
    // Who has a good one behind the same address is let in all the same, if not at once.
    expect((await signIn(code, api)).status).toBe(200);
  });

  test('is taken whatever credential the browser still sends along', async () => {
    const { code } = await makeCode();
    const answer = await first().post('/v1/sign-in', { code }, { token: 'lk_observer_of_yesterday' });
    expect(answer.status).toBe(200);
  });
});

describe('signing out', () => {
  test('ends the key on every server, and closes its sockets', async () => {
    const { secret } = (await signIn((await makeCode({ role: 'observer' })).code)).body;
    const token = { token: secret };
    const socket = await openSocket(servers.second, 'default', { ...token, isBearerOffered: true });
    await socket.watch({ id: 'w' });
    expect((await second().get('/v1/whoami', token)).status).toBe(200);
    expect((await first().post('/v1/sign-out', undefined, token)).status).toBe(204);
    await eventually('the socket is closed', () => socket.closing !== null, WITHIN_MS);
    expect(socket.closing?.code).toBe(4401);
    for (const api of [first(), second()])
      await eventually(
        'the key is refused',
        async () => (await api.get('/v1/whoami', token)).status === 401,
        WITHIN_MS,
      );
  });

  test('is for the keys of a sign-in: any other stays as it is', async () => {
    const { secret } = await makeKey({ role: 'observer' });
    const refused = await first().post('/v1/sign-out', undefined, { token: secret });
    expect([refused.status, refused.code]).toEqual([403, 'forbidden']);
    expect(refused.body.detail).toContain('not made by a sign-in');
    expect((await first().get('/v1/whoami', { token: secret })).body.principal.key.session).toBe(false);
  });
});
