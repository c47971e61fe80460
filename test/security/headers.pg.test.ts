/** What stands around every answer: nothing is kept by caches, guessed at by browsers, opened to other origins or told about the server. */
import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import { ROUTES } from '../../src/contract/routes.ts';
import { useBench } from '../fixtures/bench.ts';
import { type CallAnswer, useTestServer } from '../fixtures/server.ts';
import { upgrade } from './raw-upgrade.ts';
import { ask } from './requests.ts';

const bench = useBench();
const NOWHERE = {
  board: 'missing',
  lane: 'missing',
  task: 'task_01jcqk0v3te8sr3x6y9m2b4n5p',
  ref: 'missing',
  run: 'run_01jcqk0v3te8sr3x6y9m000000',
  key: 'key_01jcqk0v3te8sr3x6y9m2b4n5p',
  operation: 'op_01jcqk0v3te8sr3x6y9m2b4n5p',
  parent: 'missing',
  delegation: 'missing',
  subscription: 'missing',
  delivery: 'missing',
  session: 'missing',
};
const ORIGIN = 'https://evil.example';

/** Public by its nature, and meant to be kept: verifiers ask for it. */
const CACHED: Readonly<Record<string, string>> = { jwks: 'public, max-age=300' };
/** Allowed to be seen in an answer; everything else has to be added here on purpose. */
const HEADERS_KNOWN = [
  'allow',
  'cache-control',
  'connection',
  'content-length',
  'content-security-policy',
  'content-type',
  'date',
  'etag',
  'idempotent-replayed',
  'keep-alive',
  'preference-applied',
  'ratelimit',
  'ratelimit-policy',
  'retry-after',
  'transfer-encoding',
  'www-authenticate',
  'x-content-type-options',
  'x-request-id',
];

function expectGuarded(answer: CallAnswer, cacheControl = 'no-store'): void {
  expect(answer.headers.get('X-Content-Type-Options')).toBe('nosniff');
  expect(answer.headers.get('Cache-Control')).toBe(cacheControl);
  // No Server, no X-Powered-By, no Set-Cookie, no Access-Control-…
  expect([...answer.headers.keys()].filter((name) => !HEADERS_KNOWN.includes(name))).toEqual([]);
  if (answer.status >= 400)
    expect(answer.headers.get('Content-Type')).toMatch(/^application\/(problem\+)?json$/);
}

describe('an answer', () => {
  test.each(ROUTES.map((route) => [route.operationId, route] as const))(
    'of %s',
    async (operationId, route) => {
      const headers = { Origin: ORIGIN };
      const good = await ask({ api: bench.api }, route, { token: null }, NOWHERE);
      expectGuarded(good, good.status < 400 ? CACHED[operationId] : undefined);
      const path = route.path.replaceAll(/\{(\w+)\}/g, 'missing');
      const asAdmin = await bench.api.call(route.method.toUpperCase(), path, { headers });
      expectGuarded(asAdmin, asAdmin.status < 400 ? CACHED[operationId] : undefined);
    },
  );

  test('that issues a secret or a token', async () => {
    await bench.makeLane('default', 'issued');
    await bench.makeTask('default', { lane: 'issued' });
    const key = await bench.api.post('/v1/keys', { role: 'observer', name: 'x' });
    const laneKey = await bench.api.post('/v1/boards/default/lanes/issued/keys');
    const claims = await bench.api.post('/v1/boards/default/lanes/issued/claims', {});
    expect([key.status, laneKey.status, claims.body.claims.length]).toEqual([201, 201, 1]);
    for (const answer of [key, laneKey, claims]) expectGuarded(answer);
  });

  test('to what nobody takes, or cannot be read', async () => {
    const nobody = await bench.api.get('/v1/nothing/here', { headers: { Origin: ORIGIN } });
    const method = await bench.api.delete('/v1/boards', { headers: { Origin: ORIGIN } });
    const json = await bench.api.call('POST', '/v1/boards/default/tasks', { rawBody: '{' });
    const size = await bench.api.call('POST', '/v1/boards/default/tasks', { rawBody: 'x'.repeat(1_100_000) });
    expect([nobody, method, json, size].map(({ status }) => status)).toEqual([404, 405, 400, 413]);
    for (const answer of [nobody, method, json, size]) expectGuarded(answer);
  });

  test('to an upgrade that is refused', async () => {
    for (const [path, token, headers] of [
      ['/v1/boards/default/watch', null, {}],
      ['/v1/boards/missing/watch', 'garbage', {}],
      ['/v1/boards/default/watch', null, { Origin: ORIGIN }],
      ['/v1/elsewhere', null, {}],
    ] as const) {
      const answer = await upgrade(bench.server, path, token, headers);
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expectGuarded(answer);
    }
  });

  test('to what is no HTTP at all tells nothing of the server', async () => {
    const { hostname, port } = new URL(bench.server.url);
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(Number(port), hostname, () => socket.write('GARBAGE\r\n\r\n'));
      let text = '';
      socket.on('data', (chunk) => {
        text += chunk.toString('latin1');
      });
      socket.on('end', () => resolve(text));
      socket.on('error', reject);
    });
    expect(answer).toBe('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
  });
});

describe('another origin', () => {
  test('is opened nothing by a preflight, also where it may open a socket', async () => {
    const server = await useTestServer(bench.database.url, { allowedOrigins: [ORIGIN] });
    for (const at of [bench.server, server]) {
      for (const path of ['/v1/boards', '/v1/keys', '/v1/boards/default/tasks', '/metrics']) {
        const answer = await at.call('OPTIONS', path, {
          token: null,
          headers: {
            Origin: ORIGIN,
            'Access-Control-Request-Method': 'POST',
            'Access-Control-Request-Headers': 'authorization',
          },
        });
        expect(answer.status).toBe(405);
        expectGuarded(answer);
      }
    }
    const path = '/v1/boards/default/watch';
    const { secret } = await bench.makeKey({ role: 'observer' });
    expect((await upgrade(server, path, secret, { Origin: ORIGIN })).status).toBe(101);
    expect((await upgrade(bench.server, path, secret, { Origin: ORIGIN })).code).toBe('origin_not_allowed');
  });
});

describe('the page at /docs', () => {
  test('runs nothing but its own scripts, in nobody’s frame', async () => {
    const answer = await bench.api.get('/docs', { token: null });
    const policy = answer.headers.get('Content-Security-Policy') ?? '';
    for (const rule of [
      "default-src 'none'",
      "script-src 'self'",
      "frame-ancestors 'none'",
      "base-uri 'none'",
    ])
      expect(policy).toContain(rule);
    expect(policy).not.toMatch(/unsafe|\*|https?:/);
    const script = await bench.api.get('/docs/start.js', { token: null });
    expectGuarded(script, 'public, max-age=3600');
  });
});
