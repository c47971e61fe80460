/**
 * One scripted life of a server at its most talkative, with every kind of secret and every kind of failure; then everything that it has
 * said, stored and counted is searched for each secret in each spelling. A secret may be in the one answer that issues it.
 */
import { Writable } from 'node:stream';
import { expect, test, vi } from 'vitest';
import { readConfig } from '../../src/server/config.ts';
import { openDataSource } from '../../src/server/db/data-source.ts';
import { createLogger, describeError } from '../../src/server/observability/logger.ts';
import { useTestDatabase } from '../fixtures/database.ts';
import { eventually } from '../fixtures/eventually.ts';
import { startProxy } from '../fixtures/proxy.ts';
import { ADMIN_KEY, type CallAnswer, type CallOptions, startTestServer } from '../fixtures/server.ts';
import { openSocket } from '../fixtures/watch-socket.ts';
import { upgrade } from './raw-upgrade.ts';
import { secretsIn } from './spellings.ts';

/** What the server's own logger writes, instead of on stderr. */
const lines = vi.hoisted((): string[] => []);
vi.mock(import('pino'), async (importOriginal) => {
  const original = await importOriginal();
  const sink = new Writable({
    write: (chunk, _, done) => {
      lines.push(String(chunk));
      done();
    },
  });
  const pino = Object.assign(
    (options: Parameters<typeof original.pino>[0]) => original.pino(options, sink),
    original.pino,
  );
  return { ...original, pino } as typeof original;
});

const OPERATOR_SECRET = 'operator-secret-5678+/=';
/** Private to a board's users: it may be stored and answered, but never logged or counted. */
const PAYLOAD = 'very-private-payload-content';

/** Port 1 of loopback: no webhook is there, so posts fail, and are logged and stored with their reason. */
const NOBODY = '127.0.0.1:1';
const GIVEN_SECRET = `whsec_${Buffer.from('given-by-whoever-subscribed-9012').toString('base64')}`;

test('the search finds a secret in each of its spellings', () => {
  const secrets = { key: 'lk_admin_0123456789+/?&=%' };
  const { key } = secrets;
  for (const padding of ['', 'a', 'ab', 'abc'])
    for (const encoding of ['base64', 'base64url', 'hex'] as const)
      expect(secretsIn(Buffer.from(`${padding}${key}${padding}`).toString(encoding), secrets)).toEqual([
        'key',
      ]);
  for (const text of [key, `?t=${encodeURIComponent(key)}`, JSON.stringify({ key })])
    expect(secretsIn(text, secrets)).toEqual(['key']);
  expect(secretsIn('lk_admin_012345678', secrets)).toEqual([]);
});

test('no secret is in the log at its most talkative, in an answer that does not issue it, in the database, an event or a metric', async () => {
  const database = await useTestDatabase();
  const proxy = await startProxy(database.url);
  const url = new URL(proxy.url);
  // Given even where the server asks for none: what is in the URL must not come out again.
  if (url.password === '') url.password = 'database-password-1234';
  const server = await startTestServer(url.href, {
    logLevel: 'trace',
    secret: OPERATOR_SECRET,
    webhookHosts: [NOBODY],
    // Every statement is slow, and told of.
    slowStatementMs: 0.001,
  });
  const said: string[] = [];
  const record = (answer: CallAnswer): CallAnswer => {
    const {
      secret: _secret,
      claims,
      token: _token,
      subscription,
      ...rest
    } = structuredClone(Object(answer.body));
    // The one answer that makes it.
    if (subscription?.webhook) delete subscription.webhook.secret;
    const untold = {
      ...rest,
      subscription,
      claims: claims?.map(({ token: _, ...claim }: { token: string }) => claim),
    };
    said.push(
      JSON.stringify([...answer.headers]),
      typeof answer.body === 'string' ? answer.body : JSON.stringify(untold),
    );
    return answer;
  };
  const ask = async (
    method: string,
    path: string,
    body?: unknown,
    options: CallOptions = {},
  ): Promise<CallAnswer> =>
    record(await server.call(method, path, { ...(body === undefined ? {} : { body }), ...options }));
  const board = '/v1/boards/default';

  // Every kind of secret is issued, also under a key that has the answer remembered.
  await ask('PUT', `${board}/lanes/a`);
  const once = { headers: { 'Idempotency-Key': 'once' } };
  const key = (await ask('POST', '/v1/keys', { role: 'observer', name: 'x' }, once)).body.secret;
  expect((await ask('POST', '/v1/keys', { role: 'observer', name: 'x' }, once)).body.secret).toBeUndefined();
  const laneKey = (await ask('POST', `${board}/lanes/a/keys`, {}, once)).body.secret;
  await ask('POST', `${board}/lanes/a/keys`, {}, once);
  for (let n = 0; n < 3; n += 1)
    await ask('POST', `${board}/tasks`, { title: 'x', lane: 'a', payload: { PAYLOAD } });
  const claim = async () =>
    (await ask('POST', `${board}/lanes/a/claims`, {}, { token: laneKey, ...once })).body.claims[0];
  const first = await claim();
  const again = await claim();
  expect(again.run_id).toBe(first.run_id);
  const { token } = first;
  // The answers that issue these are no others.
  const { code } = (await server.call('POST', '/v1/sign-in-codes', { body: {} })).body;
  const unused = (await server.call('POST', '/v1/sign-in-codes', { body: {} })).body.code;
  const session = (await server.call('POST', '/v1/sign-in', { token: null, body: { code } })).body.secret;
  await ask('POST', '/v1/sign-in', { code }, { token: null });
  await ask('POST', '/v1/sign-in', { code: `${unused}x` }, { token: null });
  await ask('POST', '/v1/sign-in', { code: unused, nonsense: unused }, { token: null });
  await ask('GET', '/v1/whoami', undefined, { token: session });
  await ask('POST', '/v1/signing-keys/rotate');

  // Used well, and over every way in.
  await ask('GET', '/v1/whoami', undefined, { token });
  await ask('POST', `/v1/runs/${first.run_id}/heartbeat`, { note: 'x' }, { token });
  await ask('POST', '/v1/runs/batch', { operations: [{ op: 'heartbeat', token }] }, { token: laneKey });
  const socket = await openSocket(server, 'default', { token: laneKey, isBearerOffered: true });
  socket.send({ type: 'heartbeat', id: 'a', run_id: first.run_id, token });
  socket.send({ type: 'heartbeat', id: 'b', run_id: first.run_id, token: `${token}x` });
  socket.send({ type: 'fail', id: 'd', run_id: first.run_id, token, nonsense: token });
  await eventually('three replies', () => socket.framesOf('reply').length === 3);
  socket.send(`{"type":"complete","id":"c","run_id":"${first.run_id}","token":"${token}",}`);
  await socket.closed();
  said.push(JSON.stringify([socket.frames, socket.closing]));

  // Webhooks of both kinds, to which something is posted in vain.
  const { task: told } = (await ask('POST', `${board}/tasks`, { title: 'x' })).body;
  const subscribe = async (platform: string, webhook: Readonly<Record<string, string>>) =>
    (await ask('PUT', `${board}/subscriptions`, { task_id: told.id, platform, webhook })).body.subscription;
  const hook = `http://${NOBODY}/hook`;
  const made = (await subscribe('made', { url: hook })).webhook.secret;
  expect(made).toMatch(/^whsec_/);
  await subscribe('given', { url: hook, secret: GIVEN_SECRET });
  await ask('POST', `${board}/tasks/${told.id}/complete`, {});
  await eventually('both posts have failed', async () => {
    const { deliveries } = (await ask('GET', `${board}/deliveries`)).body;
    return deliveries.filter(({ failures }: { failures: number }) => failures > 0).length === 2;
  });
  await ask('GET', `${board}/subscriptions`);

  // Used badly: wrong, in the wrong place, and in the middle of what cannot be read.
  const guess = 'lk_admin_guessed-by-somebody-else';
  await ask('GET', `${board}/tasks`, undefined, { token: guess });
  await ask('GET', '/v1/whoami', undefined, { token: `${token}x` });
  await ask('GET', `/v1/runs/${first.run_id}`, undefined, { token: key.slice(0, -1) });
  await ask('POST', `/v1/runs/${first.run_id}/complete`, { summary: PAYLOAD, nonsense: token }, { token });
  await ask('POST', `${board}/tasks`, { title: 'x', lane: PAYLOAD.toUpperCase(), payload: PAYLOAD });
  await ask('POST', `${board}/keys`, {}, { token: key });
  for (const broken of [
    `{"token":"${token}"`,
    `"${key}`,
    `${laneKey}`,
    `{"a":${ADMIN_KEY}}`,
    `[${OPERATOR_SECRET}]`,
    `{"${key}":}`,
  ]) {
    const answer = await ask('POST', `${board}/tasks`, undefined, { rawBody: broken });
    expect([answer.status, answer.code]).toEqual([400, 'invalid_json']);
    // A parser that explains itself quotes a few characters around the place.
    expect(piecesOf(broken).filter((piece) => answer.body.detail.includes(piece))).toEqual([]);
  }
  const large = { rawBody: `{"title":"${token.repeat(2000)}"}` };
  expect((await ask('POST', `${board}/tasks`, undefined, large)).code).toBe('payload_too_large');
  await ask('GET', `/v1/whoami?access_token=${encodeURIComponent(token)}`, undefined, { token: null });
  record(await upgrade(server, `/v1/boards/default/watch?token=${encodeURIComponent(key)}`, null));
  record(
    await upgrade(server, '/v1/boards/default/watch', null, {
      'Sec-WebSocket-Protocol': `lanekeeper.v1, lanekeeper.bearer.${Buffer.from(guess).toString('base64url')}`,
    }),
  );
  record(await upgrade(server, '/v1/boards/default/watch', key, { Origin: 'https://evil.example' }));
  await ask(
    'DELETE',
    `/v1/keys/${(await ask('GET', '/v1/whoami', undefined, { token: key })).body.principal.key.id}`,
  );
  await eventually(
    'the key is refused',
    async () => (await ask('GET', `${board}/lanes`, undefined, { token: key })).status === 401,
  );

  // A bug of our own making: the statement fails in the database, with its parameters at hand.
  await database.sql`ALTER TABLE comments RENAME TO comments_gone`;
  const comments = `${board}/tasks/${first.task.id}/comments`;
  const bug = await ask('POST', comments, { body: `${PAYLOAD} ${token}` }, { token });
  expect([bug.status, bug.code, bug.body.detail]).toEqual([
    500,
    'internal',
    expect.not.stringMatching(/comments|relation/),
  ]);
  await database.sql`ALTER TABLE comments_gone RENAME TO comments`;
  await database.sql`ALTER TABLE api_keys RENAME TO api_keys_gone`;
  const unknown = 'credential-of-unknown-form-4711';
  const lookUp = await ask('GET', `${board}/lanes`, undefined, { token: unknown });
  expect([lookUp.status, lookUp.code]).toEqual([500, 'internal']);
  await ask('POST', '/v1/keys', { role: 'observer', name: 'x' });
  await database.sql`ALTER TABLE api_keys_gone RENAME TO api_keys`;

  // What is kept and counted.
  const events = await ask('GET', `${board}/events?limit=1000`);
  const metrics = await ask('GET', '/metrics');
  const audit = await ask('GET', '/v1/audit?limit=1000');
  for (const path of [
    '/openapi.json',
    '/asyncapi.json',
    '/docs',
    '/.well-known/jwks.json',
    '/readyz',
    '/v1/keys',
  ])
    await ask('GET', path);
  const kept = await dump(database.sql);

  // The database goes away in the middle of it.
  proxy.cut();
  await eventually(
    'the database is missed',
    async () => (await ask('GET', '/v1/keys', undefined, { token: laneKey })).status === 503,
  );
  await ask('POST', `${board}/tasks`, { title: 'x', payload: { PAYLOAD } }, { token: laneKey });
  await ask('POST', `/v1/runs/${first.run_id}/complete`, { summary: PAYLOAD }, { token });
  proxy.pass();
  await server.stop();
  await proxy.stop();

  const log = lines.join('');
  expect(log).toContain('request refused');
  expect(log).toContain(bug.headers.get('X-Request-Id'));
  expect(log).toContain('comments'); // The bug is in the log, under its request id.
  expect(kept).toContain(PAYLOAD); // It was looked at all of it.
  expect(events.body.events.length).toBeGreaterThan(3);
  expect(metrics.body).toContain('lanekeeper_problems_total');
  expect(log).toContain('slow statement');
  const deeds = audit.body.entries.map(({ action }: { action: string }) => action);
  expect(deeds).toEqual(
    expect.arrayContaining(['key.created', 'sign_in.succeeded', 'signing_key.rotated', 'key.revoked']),
  );
  expect(JSON.stringify(audit.body)).not.toContain(PAYLOAD);
  const secrets = {
    'admin key': ADMIN_KEY,
    'API key': key,
    'secret part of an API key': key.slice(-38),
    'lane key': laneKey,
    'claim token': token,
    'signature of a claim token': token.split('.')[2],
    'the same claim token, signed anew': again.token,
    'webhook secret that was made': made,
    'sign-in code that was used': code,
    'sign-in code': unused,
    'key of a sign-in': session,
    'webhook secret that was given': GIVEN_SECRET,
    'mistyped credential': guess,
    'unknown credential': unknown,
    LANEKEEPER_SECRET: OPERATOR_SECRET,
    'password of the database': decodeURIComponent(url.password),
  };
  expect({ log: secretsIn(log, secrets) }).toEqual({ log: [] });
  expect({ answers: secretsIn(said.join('\n'), secrets) }).toEqual({ answers: [] });
  expect({ database: secretsIn(kept, secrets) }).toEqual({ database: [] });
  expect(log).not.toContain(PAYLOAD);
  for (const secret of [ADMIN_KEY, key.slice(-38), laneKey.slice(-38)])
    expect(piecesOf(secret).filter((piece) => log.includes(piece))).toEqual([]);
  expect(metrics.body).not.toContain(PAYLOAD);
  for (const text of [log, said.join('\n'), kept]) expect(text).not.toMatch(/eyJ[\w-]+\.eyJ/);
  // Signing keys are sealed: nowhere is the private half of a JWK.
  expect(kept).toContain('enc:v1:');
  for (const text of [log, said.join('\n'), kept]) expect(text).not.toMatch(/"d"\s*:\s*"/);
});

test.each([
  ['a database that is not there', (url: URL) => url.href.replace(url.pathname, '/no_such_database')],
  ['a password that cannot be read', (url: URL) => url.href.replace(':database', ':%ZZdatabase')],
])('a start that fails on %s does not tell the password', async (_, breakUrl) => {
  const { url: good } = await useTestDatabase();
  const url = new URL(good);
  url.password = 'database-password-1234?';
  const config = { ...readConfig({}), databaseUrl: breakUrl(url) };
  const logger = createLogger('trace', 'json');
  const failure: unknown = await openDataSource(config, logger, AbortSignal.abort()).catch(
    (error: unknown) => error,
  );
  expect(failure).toBeInstanceOf(Error);
  const { message, stack, cause } = failure as Error;
  const said = [message, stack, String(cause), JSON.stringify(describeError(failure)), ...lines].join('\n');
  expect(secretsIn(said, { password: 'database-password-1234' })).toEqual([]);
});

/** Every eight characters in a row. */
function piecesOf(text: string): string[] {
  return Array.from({ length: Math.max(0, text.length - 7) }, (_, at) => text.slice(at, at + 8));
}

/** Everything that is in the database, as text. */
async function dump(sql: Awaited<ReturnType<typeof useTestDatabase>>['sql']): Promise<string> {
  const tables = await sql`SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
    WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`;
  const dumps = await Promise.all(
    tables.map((table) =>
      sql.unsafe(`SELECT coalesce(json_agg(t)::text, '') AS dump FROM ${table['name']} t`),
    ),
  );
  return dumps.map(([row]) => row?.['dump']).join('\n');
}
