import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { ROUTES } from '../../../src/contract/routes.ts';
import { openDatabase } from '../../../src/server/db/client.ts';
import { isDatabaseAway } from '../../../src/server/db/failures.ts';
import { makeApiKey } from '../../../src/server/features/auth/api-key.ts';
import type { Uuid } from '../../../src/server/kernel/ids.ts';
import { eventually } from '../../fixtures/bench.ts';
import { checkedClient } from '../../fixtures/checked-client.ts';
import { type TestDatabase, useTestDatabase } from '../../fixtures/database.ts';
import { startProxy, useProxy } from '../../fixtures/proxy.ts';
import { startTestServer } from '../../fixtures/server.ts';

/** What needs no database. metrics leaves out the figures it would have to ask for. */
const ALWAYS_THERE = ['livez', 'metrics', 'openapiDocument', 'asyncapiDocument', 'docsPage', 'jwks'];

const BODIES: Readonly<Record<string, unknown>> = {
  createKey: { role: 'observer', name: 'x' },
  createTask: { title: 'x' },
  createTasks: { tasks: [{ title: 'x' }] },
  bulkTasks: { action: 'cancel', ids: ['x'] },
  assignTask: { lane: 'a' },
  scheduleTask: { run_at: '2030-01-01T00:00:00.000Z' },
  requestTaskChanges: { reason: 'x' },
  requestRunChanges: { reason: 'x' },
  addComment: { body: 'x' },
  blockRun: { reason: 'x' },
  failRun: { error: 'x' },
  takeOverLane: { mode: 'release', worker: 'x' },
  steerTask: { message: 'x' },
  appendOutput: { lines: ['x'] },
  acknowledgeMessages: { ids: ['msg_01jcqk0v3te8sr3x6y9m2b4n5p'] },
  createDelegation: { tasks: [{ title: 'x' }] },
  steerDelegation: { message: 'x' },
  cancelDelegations: { session_id: 'x' },
  putSubscription: { task_id: 'x', platform: 'x' },
  ackDelivery: { lease_id: 'x' },
  // Of the form of ours: any other is refused without the database.
  signIn: { code: 'a'.repeat(40) },
  nackDelivery: { lease_id: 'x', error: 'x' },
};

/** A request that finds no connection is given up after 8 s: whoever is served before that had to wait for none of those that are gone. */
const PATIENCE_MS = 8000;
/** Of the pools, unless a test says otherwise. */
const SILENCE_DEADLINE_MS = 15_000;

/** Time passes only as the test says; what comes over the network comes as ever. */
function useOwnClock(): void {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
}

async function untilAdvisoryWait({ sql }: TestDatabase): Promise<void> {
  await eventually('somebody waits for the lock', async () => {
    const rows =
      await sql`SELECT FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = current_database()`;
    return rows.length === 1;
  });
}

describe('while the database is away', () => {
  test('every route answers 503 with Retry-After, and works again by itself', async () => {
    const database = await useTestDatabase();
    const proxy = await startProxy(database.url);
    const server = await startTestServer(proxy.url);
    const api = checkedClient(server.url);
    const board = '/v1/boards/work';
    await api.put(board);
    await api.put(`${board}/lanes/a`);
    await api.post(`${board}/tasks`, { title: 'x', lane: 'a' });
    const [claim] = (await api.post(`${board}/lanes/a/claims`, {})).body.claims;
    const names: Record<string, string> = {
      board: 'work',
      lane: 'a',
      task: claim.task.id,
      run: claim.run_id,
      key: 'key_01jcqk0v3te8sr3x6y9m2b4n5p',
      parent: 'task_01jcqk0v3te8sr3x6y9m2b4n5p',
      operation: 'op_01jcqk0v3te8sr3x6y9m2b4n5p',
      delegation: 'deleg_01jcqk0v3te8sr3x6y9m2b4n5p',
      subscription: 'sub_01jcqk0v3te8sr3x6y9m2b4n5p',
      delivery: 'dlv_01jcqk0v3te8sr3x6y9m2b4n5p',
    };
    const ask = async (route: (typeof ROUTES)[number]) => {
      const path = route.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => names[name] ?? name);
      const isRunVerb = path.startsWith('/v1/runs/run_') && route.method === 'post';
      const body =
        route.operationId === 'batchRuns'
          ? { operations: [{ op: 'heartbeat', token: claim.token }] }
          : (BODIES[route.operationId] ?? {});
      const answer = await api.call(route.method.toUpperCase(), path, {
        ...(isRunVerb ? { token: claim.token } : {}),
        ...(route.access === 'open' ? { token: null } : {}),
        ...(route.body ? { body } : {}),
      });
      return { operation: route.operationId, answer };
    };
    // What the claim shows of its worker is written by a sweep.
    await eventually(
      'the lane is online',
      async () => (await database.sql`SELECT FROM events WHERE kind = 'lane.online'`).length === 1,
    );
    const before = await database.sql`SELECT board_id, seq FROM board_seq`;

    proxy.cut();
    // Twice: with the key still remembered the handlers fail, and later already its look-up.
    for (const _ of ['remembered', 'forgotten']) {
      for (const { operation, answer } of await Promise.all(ROUTES.map(ask))) {
        const { status } = answer;
        if (ALWAYS_THERE.includes(operation)) expect([operation, status]).toEqual([operation, 200]);
        else if (operation === 'readyz')
          expect([status, answer.body.status, answer.body.checks.database.ok]).toEqual([
            503,
            'unready',
            false,
          ]);
        else if (operation === 'batchRuns' && status === 200)
          expect(answer.body.results[0].problem.code).toBe('database_unavailable');
        else {
          expect([operation, status, answer.code]).toEqual([operation, 503, 'database_unavailable']);
          expect(Number(answer.headers.get('Retry-After'))).toBeGreaterThan(0);
        }
      }
      await eventually(
        'the key is looked up again',
        async () => (await api.get('/v1/whoami')).status === 503,
      );
      // Whoever watches the servers by a key goes on; a key that was never seen here is not let in for it.
      expect((await api.get('/metrics')).status).toBe(200);
      const unseen = makeApiKey('observer', '0193a7c2-0000-7000-8000-000000000000' as Uuid);
      expect((await checkedClient(server.url, unseen).get('/metrics')).code).toBe('database_unavailable');
    }
    expect(await database.sql`SELECT board_id, seq FROM board_seq`).toEqual(before);

    proxy.pass();
    await eventually('the server is ready', async () => (await api.get('/readyz')).status === 200);
    const beat = await api.post(`/v1/runs/${claim.run_id}/complete`, {}, { token: claim.token });
    expect(beat.status).toBe(200);
    expect((await api.post(`${board}/tasks`, { title: 'after' })).status).toBe(201);
    await server.stop();
    await proxy.stop();
  });

  test('a server whose connections were all killed goes on at once', async () => {
    const database = await useTestDatabase();
    const server = await startTestServer(database.url);
    const api = checkedClient(server.url);
    await api.post('/v1/boards/default/tasks', { title: 'before' });
    await database.sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND application_name = 'lanekeeper'`;
    const isMade = async () => {
      const answer = await api.post('/v1/boards/default/tasks', { title: 'after' });
      expect([201, 503]).toContain(answer.status);
      return answer.status === 201;
    };
    await eventually('a task is made', isMade, PATIENCE_MS);
    await server.stop();
  });
});

describe('a connection whose peer has gone silent', () => {
  test('is given up after the deadline, and the pool opens another', async () => {
    const database = await useTestDatabase();
    const proxy = await useProxy(database.url);
    useOwnClock();
    const client = openDatabase({ url: proxy.url, coldConnectionsMax: 2 });
    onTestFinished(() => client.close());
    expect(await client.cold`SELECT 1 AS one`).toEqual([{ one: 1 }]);
    // Nothing is sent at the very moment at which something came.
    vi.advanceTimersByTime(1);
    proxy.silence();
    let error: unknown = null;
    const failed = client.cold`SELECT 2`.catch((reason: unknown) => {
      error = reason;
    });
    await proxy.untilSwallowed();
    vi.advanceTimersByTime(SILENCE_DEADLINE_MS);
    // Whatever was on its way has come.
    await database.sql`SELECT 1`;
    expect(error).toBe(null);
    vi.advanceTimersByTime(SILENCE_DEADLINE_MS / 5);
    await failed;
    expect(isDatabaseAway(error)).toBe(true);
    proxy.pass();
    vi.useRealTimers();
    await eventually('a query is answered', () =>
      client.cold`SELECT 3 AS three`.then(
        ([row]) => row?.['three'] === 3,
        () => false,
      ),
    );
  });

  test('is left alone while it idles, or while it answers slowly but in time', async () => {
    const database = await useTestDatabase();
    useOwnClock();
    const client = openDatabase({ url: database.url, coldConnectionsMax: 1, hotConnectionsMax: 1 });
    onTestFinished(() => client.close());
    const pidOf = async () => (await client.cold`SELECT pg_backend_pid() AS pid`)[0]?.['pid'];
    const before = await pidOf();
    const lock = await database.sql.reserve();
    await lock`SELECT pg_advisory_lock(1)`;
    vi.advanceTimersByTime(1);
    const slow = client.cold`SELECT pg_advisory_lock_shared(1)`.then(() => 'answered');
    await untilAdvisoryWait(database);
    vi.advanceTimersByTime(0.9 * SILENCE_DEADLINE_MS);
    await lock`SELECT pg_advisory_unlock(1)`;
    lock.release();
    expect(await slow).toBe('answered');
    vi.advanceTimersByTime(3 * SILENCE_DEADLINE_MS);
    expect(await pidOf()).toBe(before);
  });
});
