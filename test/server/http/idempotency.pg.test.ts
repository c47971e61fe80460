import { describe, expect, test } from 'vitest';
import { ROUTES } from '../../../src/contract/routes.ts';
import { eventually, uniqueName, useBench } from '../../fixtures/bench.ts';
import type { CallAnswer } from '../../fixtures/server.ts';

const bench = useBench();
const REPLAYED = 'Idempotent-Replayed';
const withKey = (key: string, token?: string) => ({
  headers: { 'Idempotency-Key': key },
  ...(token === undefined ? {} : { token }),
});

interface Kind {
  readonly path: () => Promise<string>;
  readonly body: unknown;
  readonly other: unknown;
  /** What a first answer has and a replayed one must not have. */
  readonly secretOf?: (answer: CallAnswer) => unknown;
}

const ON_LANE = async (): Promise<string> => {
  const lane = uniqueName('lane');
  await bench.makeLane('default', lane);
  await bench.makeTask('default', { lane });
  await bench.makeTask('default', { lane });
  return `/v1/boards/default/lanes/${lane}`;
};

const KINDS: Readonly<Record<string, Kind>> = {
  createKey: {
    path: async () => '/v1/keys',
    body: { role: 'observer', name: 'a' },
    other: { role: 'observer', name: 'b' },
    secretOf: ({ body }) => body.secret,
  },
  createLaneKey: {
    path: async () => `${await ON_LANE()}/keys`,
    body: { name: 'a' },
    other: { name: 'b' },
    secretOf: ({ body }) => body.secret,
  },
  createTask: {
    path: async () => '/v1/boards/default/tasks',
    body: { title: 'a', payload: { b: [1, 2.5, null] } },
    other: { title: 'b' },
  },
  createTasks: {
    path: async () => '/v1/boards/default/tasks/batch',
    body: { tasks: [{ title: 'a' }, { title: 'b' }] },
    other: { tasks: [{ title: 'a' }] },
  },
  bulkTasks: {
    // Of no task: it has ended when it is answered, so it reads the same again.
    path: async () => '/v1/boards/default/tasks/bulk',
    body: { action: 'cancel', ids: ['no-such-task'] },
    other: { action: 'archive', ids: ['no-such-task'] },
  },
  addComment: {
    path: async () => `/v1/boards/default/tasks/${(await bench.makeTask('default')).id}/comments`,
    body: { body: 'a' },
    other: { body: 'b' },
  },
  steerTask: {
    path: async () => `/v1/boards/default/tasks/${(await bench.makeTask('default')).id}/steer`,
    body: { message: 'a' },
    other: { message: 'b' },
  },
  createDelegation: {
    path: async () => '/v1/boards/default/delegations',
    body: { goal: 'a', tasks: [{ title: 'a' }, { goal: 'b' }] },
    other: { goal: 'b', tasks: [{ title: 'a' }] },
  },
  steerDelegation: {
    path: async () => {
      const body = { tasks: [{ title: 'a' }] };
      const { delegation } = (await bench.api.post('/v1/boards/default/delegations', body)).body;
      return `/v1/boards/default/delegations/${delegation.id}/steer`;
    },
    body: { message: 'a' },
    other: { message: 'b' },
  },
  claimDeliveries: {
    path: async () => {
      const board = `/v1/boards/${uniqueName('returns')}`;
      await bench.api.put(board);
      for (const session_id of ['s1', 's2', 's3']) {
        const origin = { platform: 'discord', chat_id: 'c1', thread_id: session_id, session_id };
        const { task } = (await bench.api.post(`${board}/tasks`, { title: 'x', origin })).body;
        await bench.api.post(`${board}/tasks/${task.id}/complete`, {});
      }
      return `${board}/deliveries/claims`;
    },
    body: { max: 1 },
    other: { max: 2 },
  },
  claimTasks: {
    path: async () => `${await ON_LANE()}/claims`,
    body: { max: 1 },
    other: { max: 2 },
    secretOf: ({ body }) => body.claims[0].token,
  },
  takeOverLane: {
    path: async () => {
      const lane = await ON_LANE();
      await bench.api.post(`${lane}/claims`, { worker: 'old' });
      return `${lane}/takeover`;
    },
    body: { mode: 'adopt', worker: 'new' },
    other: { mode: 'adopt', worker: 'other' },
    secretOf: ({ body }) => body.claims[0].token,
  },
};
/** Their claims come again with tokens of their own. */
const HAND_OVER_CLAIMS = ['claimTasks', 'takeOverLane'];

const answersKept = async (): Promise<string> =>
  JSON.stringify(await bench.database.sql`SELECT * FROM idempotency_keys`);

test('every route that honours Idempotency-Key is tested here', () => {
  const idempotent = ROUTES.filter((route) => route.isIdempotent).map(({ operationId }) => operationId);
  expect(Object.keys(KINDS).toSorted()).toEqual(idempotent.toSorted());
});

describe.each(Object.entries(KINDS))('%s under an Idempotency-Key', (operation, kind) => {
  test('has its effect once, and gives the first answer again', async () => {
    const path = await kind.path();
    const key = uniqueName(operation);
    const first = await bench.api.post(path, kind.body, withKey(key));
    expect(first.headers.get(REPLAYED)).toBeNull();
    const before = await bench.footprint();
    const again = await bench.api.post(path, kind.body, withKey(key));
    expect(again.headers.get(REPLAYED)).toBe('true');
    expect(again.status).toBe(first.status);
    expect(await bench.footprint()).toEqual(before);
    if (HAND_OVER_CLAIMS.includes(operation)) {
      const [one, two] = [first.body.claims[0], again.body.claims[0]];
      expect([two.run_id, two.task.id, two.attempt]).toEqual([one.run_id, one.task.id, one.attempt]);
      const beat = await bench.as(two.token).post(`/v1/runs/${two.run_id}/heartbeat`, {});
      expect(beat.status).toBe(200);
    } else {
      const { secret: _, ...kept } = first.body;
      expect(again.body).toEqual(kept);
    }
  });

  test('with another body is refused', async () => {
    const path = await kind.path();
    const key = uniqueName(operation);
    await bench.api.post(path, kind.body, withKey(key));
    const before = await bench.footprint();
    const answer = await bench.api.post(path, kind.other, withKey(key));
    expect([answer.status, answer.code]).toEqual([422, 'idempotency_mismatch']);
    expect(await bench.footprint()).toEqual(before);
  });

  test('belongs to one principal', async () => {
    const path = await kind.path();
    const key = uniqueName(operation);
    const other = await bench.makeKey({ role: 'admin' });
    await bench.api.post(path, kind.body, withKey(key));
    const answer = await bench.api.post(path, kind.other, withKey(key, other.secret));
    expect(answer.status).toBeLessThan(300);
    expect(answer.headers.get(REPLAYED)).toBeNull();
  });

  test('never keeps or repeats a secret', async () => {
    const path = await kind.path();
    const key = uniqueName(operation);
    const first = await bench.api.post(path, kind.body, withKey(key));
    const secret = kind.secretOf?.(first);
    if (kind.secretOf === undefined) return;
    expect(secret).toEqual(expect.any(String));
    expect(await answersKept()).not.toContain(secret);
    expect(await answersKept()).not.toMatch(/eyJ[\w-]+\.eyJ|lk_(admin|lane|observer)_/);
    const again = await bench.api.post(path, kind.body, withKey(key));
    if (!HAND_OVER_CLAIMS.includes(operation)) expect(again.body).not.toHaveProperty('secret');
  });

  test('is told to come again while the first request still runs', async () => {
    const path = await kind.path();
    const key = uniqueName(operation);
    const { sql } = bench.database;
    const reserved = await sql.reserve();
    await reserved`BEGIN`;
    // The first request stops at its last statement: remembering its answer.
    await reserved`LOCK TABLE idempotency_keys IN SHARE ROW EXCLUSIVE MODE`;
    const first = bench.api.post(path, kind.body, withKey(key));
    const waits = async () =>
      (
        await sql`SELECT FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`
      ).length > 0;
    await eventually('the first request holds the slot', waits);
    const second = await bench.api.post(path, kind.body, withKey(key));
    expect([second.status, second.code]).toEqual([409, 'idempotency_in_flight']);
    expect(second.headers.get('Retry-After')).toBe('1');
    await reserved`ROLLBACK`;
    reserved.release();
    expect((await first).status).toBeLessThan(300);
    expect((await bench.api.post(path, kind.body, withKey(key))).headers.get(REPLAYED)).toBe('true');
  });
});

describe('an Idempotency-Key', () => {
  test('belongs to one route and path', async () => {
    const key = uniqueName('shared');
    const [one, two] = [await bench.makeTask('default'), await bench.makeTask('default')];
    for (const [path, body] of [
      ['/v1/boards/default/tasks', { title: 'x' }],
      ['/v1/boards/default/tasks/batch', { tasks: [{ title: 'x' }] }],
      [`/v1/boards/default/tasks/${one.id}/comments`, { body: 'x' }],
      [`/v1/boards/default/tasks/${two.id}/comments`, { body: 'x' }],
    ] as const) {
      const answer = await bench.api.post(path, body, withKey(key));
      expect([path, answer.status, answer.headers.get(REPLAYED)]).toEqual([path, 201, null]);
    }
  });

  test('does not outlive a board: a new one of the same name starts afresh', async () => {
    const [board, key] = [uniqueName('reused'), uniqueName('key')];
    const makeBoth = async () => {
      await bench.api.put(`/v1/boards/${board}`);
      await bench.makeLane(board, 'a');
      const task = await bench.api.post(`/v1/boards/${board}/tasks`, { title: 'x' }, withKey(key));
      const laneKey = await bench.api.post(`/v1/boards/${board}/lanes/a/keys`, {}, withKey(key));
      return [task, laneKey];
    };
    await makeBoth();
    await bench.api.delete(`/v1/boards/${board}`);
    const [task, laneKey] = await makeBoth();
    expect(task?.headers.get(REPLAYED)).toBeNull();
    expect(laneKey?.body.secret).toEqual(expect.any(String));
  });

  test('of a refused request is free: a mended one is taken', async () => {
    const key = uniqueName('refused');
    const path = '/v1/boards/default/tasks';
    await bench.makeTask('default', { external_ref: key });
    const refused = await bench.api.post(path, { title: 'x', external_ref: key }, withKey(key));
    expect(refused.code).toBe('already_exists');
    const mended = await bench.api.post(path, { title: 'x' }, withKey(key));
    expect(mended.status).toBe(201);
  });

  test('is not spent on an empty claim', async () => {
    await bench.makeLane('default', 'empty');
    const key = uniqueName('empty');
    const path = '/v1/boards/default/lanes/empty/claims';
    const empty = await bench.api.post(path, {}, withKey(key));
    expect(empty.body).toMatchObject({ claims: [], reason: 'none_ready' });
    await bench.makeTask('default', { lane: 'empty' });
    const full = await bench.api.post(path, {}, withKey(key));
    expect(full.body.claims).toHaveLength(1);
    expect(full.headers.get(REPLAYED)).toBeNull();
  });

  test('replays of a claim only what is still held', async () => {
    const path = `${await ON_LANE()}/claims`;
    const key = uniqueName('ended');
    const [claim] = (await bench.api.post(path, { max: 1 }, withKey(key))).body.claims;
    await bench.as(claim.token).post(`/v1/runs/${claim.run_id}/complete`, {});
    const again = await bench.api.post(path, { max: 1 }, withKey(key));
    expect(again.body.claims).toEqual([]);
    expect(again.headers.get(REPLAYED)).toBe('true');
  });

  test('of fifty requests at once lets one make the task', async () => {
    const key = uniqueName('fifty');
    const answers = await Promise.all(
      Array.from({ length: 50 }, () =>
        bench.api.post('/v1/boards/default/tasks', { title: key }, withKey(key)),
      ),
    );
    const statuses = new Set(answers.map(({ status }) => status));
    expect([...statuses].every((status) => status === 201 || status === 409)).toBe(true);
    const found = await bench.api.get(`/v1/boards/default/tasks?q=${key}`);
    expect(found.body.tasks).toHaveLength(1);
  });
});
