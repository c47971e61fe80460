import { Writable } from 'node:stream';
import { expect, test, vi } from 'vitest';
import { eventually } from '../../../fixtures/bench.ts';
import { useTestDatabase } from '../../../fixtures/database.ts';
import { startProxy } from '../../../fixtures/proxy.ts';
import { ADMIN_KEY, startTestServer } from '../../../fixtures/server.ts';

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

test('no key, token, password, payload or body reaches the log at level debug, an error, or another answer', async () => {
  const database = await useTestDatabase();
  const proxy = await startProxy(database.url);
  const url = new URL(proxy.url);
  // Given even where the server asks for none: what is in the URL must not come out again.
  if (url.password === '') url.password = 'database-password-1234';
  const server = await startTestServer(url.href, { logLevel: 'debug', secret: 'operator-secret-5678' });
  const answers: string[] = [];
  const ask = async (method: string, path: string, body?: unknown, token?: string) => {
    const answer = await server.call(method, path, {
      ...(body === undefined ? {} : { body }),
      ...(token === undefined ? {} : { token }),
    });
    answers.push(JSON.stringify({ ...answer.body, secret: undefined, claims: undefined, token: undefined }));
    return answer;
  };
  const board = '/v1/boards/default';
  await ask('PUT', `${board}/lanes/a`);
  const key = (await ask('POST', '/v1/keys', { role: 'observer', name: 'x' })).body.secret;
  const laneKey = (await ask('POST', `${board}/lanes/a/keys`)).body.secret;
  const marker = 'very-private-payload-content';
  await ask('POST', `${board}/tasks`, { title: 'x', lane: 'a', payload: { marker } });
  const [claim] = (await ask('POST', `${board}/lanes/a/claims`, {}, laneKey)).body.claims;
  const guess = 'lk_admin_guessed-by-somebody';
  await ask('GET', `${board}/tasks`, undefined, guess);
  await ask('GET', '/v1/whoami', undefined, `${claim.token}x`);
  await ask('POST', `/v1/runs/${claim.run_id}/complete`, { summary: marker, nonsense: marker }, claim.token);
  await ask('POST', `${board}/tasks`, { title: 'x', lane: marker.toUpperCase(), payload: marker });
  await ask('POST', `${board}/keys`, {}, key);
  // A bug of our own making: the statement fails in the database, with its parameters at hand.
  await database.sql`ALTER TABLE comments RENAME TO comments_gone`;
  const bug = await ask('POST', `${board}/tasks/${claim.task.id}/comments`, { body: marker }, claim.token);
  expect([bug.status, bug.code, bug.body.detail]).toEqual([
    500,
    'internal',
    expect.not.stringMatching(/comments|relation/),
  ]);
  await database.sql`ALTER TABLE comments_gone RENAME TO comments`;
  proxy.cut();
  await eventually(
    'the key is asked for',
    async () => (await ask('GET', '/v1/keys', undefined, key)).status === 503,
  );
  await ask('POST', `${board}/tasks`, { title: 'x', payload: { marker } }, laneKey);
  proxy.pass();
  await server.stop();
  await proxy.stop();

  const log = lines.join('');
  expect(log).toContain('request refused');
  expect(log).toContain(bug.headers.get('X-Request-Id'));
  expect(log).toContain('comments'); // The bug is in the log, under its request id.
  const secrets = {
    key,
    laneKey,
    token: claim.token,
    admin: ADMIN_KEY,
    guess,
    secret: 'operator-secret-5678',
  };
  for (const [what, secret] of Object.entries({ ...secrets, password: decodeURIComponent(url.password) })) {
    expect(log.includes(secret), `${what} in the log`).toBe(false);
    expect(answers.join('').includes(secret), `${what} in an answer`).toBe(false);
  }
  expect(log).not.toContain(marker);
  expect(log).not.toMatch(/eyJ[\w-]+\.eyJ/);
});
