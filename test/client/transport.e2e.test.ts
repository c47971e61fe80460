import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { connect } from '../../src/client/client.ts';
import { LanekeeperError, UnreachableError } from '../../src/client/errors.ts';
import { instantTiming, problem, ScriptedServer } from './fixtures/scripted-server.ts';

let server: ScriptedServer;
beforeEach(async () => {
  server = await ScriptedServer.start();
});
afterEach(() => server.stop());

const client = (more: object = {}) =>
  connect({ url: server.url, token: 'lk_test', timing: instantTiming(), ...more });
const failureOf = async (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => undefined,
    (error: unknown) => error,
  );

describe('a request', () => {
  test('carries credential, path, query, body, wait and version as the contract spells them', async () => {
    await client({ board: 'my.board' }).tasks.list({ status: ['ready', 'running'], limit: 10 });
    await client().claims.claim('factory', { max: 2 }, { waitSeconds: 30, idempotencyKey: 'k1' });
    await client().tasks.patch('ext ref', { priority: 1 }, { ifVersion: 7, token: 'other' });
    const [list, claim, patch] = server.requests;
    expect(list).toMatchObject({
      method: 'GET',
      path: '/v1/boards/my.board/tasks?status=ready%2Crunning&limit=10',
    });
    expect(list?.headers).toMatchObject({ authorization: 'Bearer lk_test' });
    expect(claim).toMatchObject({
      method: 'POST',
      path: '/v1/boards/default/lanes/factory/claims',
      body: { max: 2 },
    });
    expect(claim?.headers).toMatchObject({
      prefer: 'wait=30',
      'idempotency-key': 'k1',
      'content-type': 'application/json',
    });
    expect(patch).toMatchObject({ method: 'PATCH', path: '/v1/boards/default/tasks/ext%20ref' });
    expect(patch?.headers).toMatchObject({ authorization: 'Bearer other', 'if-match': '"7"' });
  });

  test('fails with the problem that was answered', async () => {
    const errors = [{ pointer: '/title', detail: 'too long' }];
    server.respond = () => problem(409, 'claim_lost', { reason: 'superseded', errors });
    const error = await failureOf(client().runs.complete('run_1', {}, { token: 't' }));
    expect(error).toBeInstanceOf(LanekeeperError);
    expect(error).toMatchObject({
      code: 'claim_lost',
      status: 409,
      detail: 'Some detail.',
      requestId: 'req-1',
      retryable: false,
      errors,
    });
    expect((error as LanekeeperError).problem['reason']).toBe('superseded');
    expect(server.requests).toHaveLength(1);
  });

  test('fails with unexpected_answer when something else answered', async () => {
    server.respond = () => ({ status: 404, json: ['not ours'] });
    expect(await failureOf(client().whoami())).toMatchObject({ code: 'unexpected_answer', status: 404 });
  });

  test('fails as unreachable when nobody listens, with the reason and without the credential', async () => {
    const { url } = server;
    await server.stop();
    const retries: number[] = [];
    const onRetry = (_: unknown, attempts: number) => retries.push(attempts);
    const options = { url, token: 'lk_secret', timing: instantTiming(), onRetry };
    const error = await failureOf(connect(options).whoami());
    expect(retries.slice(0, 3)).toEqual([1, 2, 3]);
    expect(error).toBeInstanceOf(UnreachableError);
    expect(String(error)).toContain('ECONNREFUSED');
    expect(String(error)).not.toContain('lk_secret');
    server = await ScriptedServer.start();
  });

  test('fails as unreachable when the answer takes longer than its time limit', async () => {
    server.respond = () => 'hang';
    const error = await failureOf(client().tasks.get('t', { timeoutMs: 20, retry: { attemptsMax: 1 } }));
    expect(error).toBeInstanceOf(UnreachableError);
    expect(String(error)).toContain('nothing within 0.02 s');
  });

  test('ends with the reason of its signal, and so does every call of a client whose own signal fires', async () => {
    server.respond = () => 'hang';
    const own = new AbortController();
    const all = new AbortController();
    const first = failureOf(client().whoami({ signal: own.signal }));
    const second = failureOf(client({ signal: all.signal }).whoami());
    own.abort(new Error('mine'));
    all.abort(new Error('everything'));
    expect(String(await first)).toBe('Error: mine');
    expect(String(await second)).toBe('Error: everything');
  });

  test('refuses a URL that holds a credential or is not http', () => {
    expect(() => connect({ url: 'http://user:pass@localhost' })).toThrow(TypeError);
    expect(() => connect({ url: 'ftp://localhost' })).toThrow(TypeError);
  });
});

describe('a repeated request', () => {
  test('uses one Idempotency-Key for a create until it is answered, and a new one for the next call', async () => {
    let calls = 0;
    server.respond = () => {
      calls += 1;
      return calls === 1 ? 'reset' : { status: 201, json: { task: {} } };
    };
    const timing = instantTiming();
    await client({ timing }).tasks.create({ title: 'a' });
    await client().tasks.create({ title: 'a' });
    const keys = server.requests.map((request) => request.headers['idempotency-key']);
    expect(keys[0]).toMatch(/^[0-9a-f]{32}$/);
    expect(keys[1]).toBe(keys[0]);
    expect(keys[2]).not.toBe(keys[0]);
    expect(timing.waits).toHaveLength(1);
  });

  test('for a named task goes without an Idempotency-Key, which the server takes beside no name', async () => {
    server.respond = () => ({ status: 200, json: { claims: [] } });
    await client().claims.claim('factory', { task_id: 'task_1' });
    await client().claims.claim('factory');
    const keys = server.requests.map((request) => request.headers['idempotency-key']);
    expect(keys).toEqual([undefined, expect.stringMatching(/^[0-9a-f]{32}$/)]);
  });

  test('honours Retry-After and gives up after its attempts', async () => {
    server.respond = () => problem(503, 'database_unavailable', { headers: { 'retry-after': '2' } });
    const timing = instantTiming();
    const error = await failureOf(client({ timing }).boards.get('b', { retry: { attemptsMax: 3 } }));
    expect(error).toMatchObject({ code: 'database_unavailable', retryAfterSeconds: 2, retryable: true });
    expect(server.requests).toHaveLength(3);
    expect(timing.waits.every((ms) => ms >= 2000)).toBe(true);
  });

  test('is not made for an operation that may take effect twice', async () => {
    server.respond = () => 'reset';
    expect(await failureOf(client().tasks.cancel('t'))).toBeInstanceOf(UnreachableError);
    expect(server.requests).toHaveLength(1);
  });

  test('stops waiting as soon as the caller aborts', async () => {
    server.respond = () => problem(503, 'draining', { headers: { 'retry-after': '20' } });
    const stop = new AbortController();
    const call = failureOf(connect({ url: server.url }).whoami({ signal: stop.signal }));
    await expect.poll(() => server.requests.length).toBe(1);
    stop.abort(new Error('enough'));
    expect(String(await call)).toBe('Error: enough');
  });
});

test('pages are followed to the end', async () => {
  const pages: Record<string, unknown> = {
    '/v1/boards/default/tasks?limit=1': { tasks: [1], next_page_token: 'p2', cursor: 'c' },
    '/v1/boards/default/tasks?limit=1&page_token=p2': { tasks: [2], next_page_token: null, cursor: 'c' },
  };
  server.respond = ({ path }) => ({ status: 200, json: pages[path] });
  const seen: unknown[] = [];
  for await (const page of client().tasks.list({ limit: 1 }).pages()) seen.push(...page.tasks);
  expect(seen).toEqual([1, 2]);
});
