import { describe, expect, test } from 'vitest';
import { eventually, uniqueName, useBench } from '../../../fixtures/bench.ts';

const bench = useBench();
const LANES = '/v1/boards/default/lanes';

const makeLane = async (body?: Record<string, unknown>): Promise<{ name: string; path: string }> => {
  const name = uniqueName('lane');
  await bench.makeLane('default', name, body);
  return { name, path: `${LANES}/${name}` };
};

describe('registering a lane', () => {
  test('needs nothing but a name, and has the defaults that are written down', async () => {
    const name = uniqueName('plain');
    const made = await bench.api.put(`${LANES}/${name}`);
    expect([made.status, made.headers.get('ETag')]).toEqual([201, '"1"']);
    expect(made.body.lane).toMatchObject({
      board: 'default',
      name,
      kind: 'persistent',
      claim_mode: 'pull-or-watch',
      allowed_status_mutations: 'own-claimed-only',
      max_concurrent_claims: null,
      lease_seconds: 900,
      no_progress_seconds: null,
      max_runtime_seconds: null,
      paused: false,
      draining: false,
      epoch: expect.any(Number),
      labels: {},
      description: null,
      spawn: null,
      version: 1,
      presence: { online: false, workers: [] },
      backlog: { ready: 0, running: 0, oldest_ready_at: null },
    });
  });

  test('twice is 200, and the same again changes nothing', async () => {
    const { path } = await makeLane({ lease_seconds: 60, labels: { a: 'b' } });
    const before = await bench.footprint();
    const same = await bench.api.put(path, { lease_seconds: 60 });
    expect([same.status, same.body.lane.version]).toEqual([200, 1]);
    expect(await bench.footprint()).toEqual(before);
    const other = await bench.api.put(path, { max_concurrent_claims: 3, labels: null });
    expect([other.status, other.body.lane.version]).toEqual([200, 2]);
    expect(other.body.lane).toMatchObject({
      lease_seconds: 60,
      max_concurrent_claims: 3,
      labels: { a: 'b' },
    });
  });

  test('on a board that is not there is refused', async () => {
    const answer = await bench.api.put('/v1/boards/missing/lanes/a');
    expect([answer.code, answer.body.resource]).toEqual(['not_found', 'board']);
  });

  test('with spawn settings takes kind spawn, then and later', async () => {
    const spawn = {
      argv: ['worker', '--once'],
      cwd: '/srv',
      env: { A: '1' },
      concurrency: 2,
      timeout_seconds: 60,
    };
    const { path } = await makeLane({ kind: 'spawn', spawn });
    expect((await bench.api.get(path)).body.lane).toMatchObject({ kind: 'spawn', spawn });
    expect((await bench.api.patch(path, { kind: 'persistent' })).code).toBe('invalid_request');
    expect((await bench.api.put(path, { kind: 'human' })).code).toBe('invalid_request');
    const both = await bench.api.patch(path, { kind: 'persistent', spawn: null });
    expect(both.body.lane).toMatchObject({ kind: 'persistent', spawn: null });
    expect((await bench.api.patch(path, { spawn })).code).toBe('invalid_request');
  });
});

describe('changing a lane', () => {
  test('takes null as the default, and the version that was read', async () => {
    const { path } = await makeLane({ lease_seconds: 60, description: 'x', max_concurrent_claims: 2 });
    const stale = await bench.api.patch(path, { description: 'y' }, { headers: { 'If-Match': '"9"' } });
    expect([stale.status, stale.code]).toEqual([412, 'version_mismatch']);
    const cleared = await bench.api.patch(
      path,
      { lease_seconds: null, description: null, max_concurrent_claims: null },
      { headers: { 'If-Match': '"1"' } },
    );
    expect(cleared.body.lane).toMatchObject({
      lease_seconds: 900,
      description: null,
      max_concurrent_claims: null,
      version: 2,
    });
    expect((await bench.api.patch(`${LANES}/nobody`, {})).code).toBe('lane_not_found');
  });

  test('takes effect with the next claim, on every field that gates it', async () => {
    const { name, path } = await makeLane();
    await bench.makeTask('default', { lane: name });
    for (const [change, code] of [
      [{ allowed_status_mutations: 'none' }, 'lane_may_not_claim'],
      [{ allowed_status_mutations: null, kind: 'human' }, 'lane_may_not_claim'],
      [{ kind: null, claim_mode: 'push' }, 'claim_mode_mismatch'],
    ] as const) {
      await bench.api.patch(path, change);
      expect((await bench.api.post(`${path}/claims`, {})).code).toBe(code);
    }
    await bench.api.patch(path, { claim_mode: 'watch' });
    const waiting = await bench.api.post(`${path}/claims`, {}, { headers: { Prefer: 'wait=1' } });
    expect(waiting.code).toBe('claim_mode_mismatch');
    expect((await bench.api.post(`${path}/claims`, {})).body.claims).toHaveLength(1);
  });
});

describe('pause, resume and drain', () => {
  test('a paused lane hands out nothing until it is resumed; what is held goes on', async () => {
    const { name, path } = await makeLane();
    await bench.makeTask('default', { lane: name });
    await bench.makeTask('default', { lane: name });
    const held = await bench.claim('default', name);
    expect((await bench.api.post(`${path}/pause`)).body.lane).toMatchObject({
      paused: true,
      draining: false,
    });
    expect((await bench.api.post(`${path}/claims`, {})).body).toMatchObject({
      claims: [],
      reason: 'lane_paused',
    });
    expect((await bench.as(held.token).post(`/v1/runs/${held.run_id}/heartbeat`, {})).status).toBe(200);
    const before = await bench.footprint();
    expect((await bench.api.post(`${path}/pause`, {})).body.lane.paused).toBe(true);
    expect(await bench.footprint()).toEqual(before);
    expect((await bench.api.post(`${path}/resume`)).body.lane).toMatchObject({
      paused: false,
      draining: false,
    });
    expect((await bench.api.post(`${path}/claims`, {})).body.claims).toHaveLength(1);
  });

  test('a draining lane becomes paused when its last claim ends', async () => {
    const { name, path } = await makeLane();
    for (const _ of [1, 2, 3]) await bench.makeTask('default', { lane: name });
    const held = [await bench.claim('default', name), await bench.claim('default', name)];
    expect((await bench.api.post(`${path}/drain`)).body.lane).toMatchObject({
      paused: false,
      draining: true,
    });
    expect((await bench.api.post(`${path}/claims`, {})).body).toMatchObject({
      claims: [],
      reason: 'lane_draining',
    });
    const end = async (claim = held[0]) =>
      bench.as(claim?.token ?? '').post(`/v1/runs/${claim?.run_id}/complete`, {});
    await end(held[0]);
    expect((await bench.api.get(path)).body.lane).toMatchObject({ paused: false, draining: true });
    await end(held[1]);
    await eventually('the lane is paused', async () => {
      const { lane } = (await bench.api.get(path)).body;
      return lane.paused && !lane.draining;
    });
    const kinds = (await bench.api.get(`/v1/boards/default/events?lanes=${name}&kinds=lane.*`)).body.events;
    expect(
      kinds.map((event: { kind: string }) => event.kind).filter((kind: string) => !/line$/.test(kind)),
    ).toEqual(['lane.registered', 'lane.draining', 'lane.paused']);
  });

  test('an idle lane that is drained is paused at once', async () => {
    const { path } = await makeLane();
    expect((await bench.api.post(`${path}/drain`)).body.lane).toMatchObject({
      paused: true,
      draining: false,
    });
    expect((await bench.api.post(`${LANES}/nobody/drain`)).code).toBe('lane_not_found');
  });
});

describe('deleting a lane', () => {
  test('waits for its claims, leaves its tasks, and works again after a new registration', async () => {
    const { name, path } = await makeLane();
    await bench.makeTask('default', { lane: name });
    const waiting = await bench.makeTask('default', { lane: name });
    const held = await bench.claim('default', name);
    const refused = await bench.api.delete(path);
    expect([refused.status, refused.code]).toEqual([409, 'lane_has_claims']);
    await bench.as(held.token).post(`/v1/runs/${held.run_id}/complete`, {});
    expect((await bench.api.delete(path)).status).toBe(204);
    expect((await bench.api.get(path)).code).toBe('lane_not_found');
    expect((await bench.api.post(`${path}/claims`, {})).code).toBe('lane_not_found');
    expect((await bench.api.get(`/v1/boards/default/tasks/${waiting.id}`)).body.task).toMatchObject({
      status: 'ready',
      lane: name,
    });
    expect((await bench.api.put(path)).status).toBe(201);
    expect((await bench.claim('default', name)).task.id).toBe(waiting.id);
  });
});

describe('a lane shows', () => {
  test('who works for it and what waits for it', async () => {
    const { name, path } = await makeLane();
    const first = await bench.api.post('/v1/boards/default/tasks', { title: 'x', lane: name });
    for (const _ of [1, 2]) await bench.makeTask('default', { lane: name });
    expect((await bench.api.get(path)).body.lane.backlog).toEqual({
      ready: 3,
      running: 0,
      oldest_ready_at: first.body.task.status_since,
    });
    await bench.claim('default', name, { worker: 'ann' });
    await bench.claim('default', name, { worker: 'bob' });
    await eventually(
      'both are seen',
      async () => (await bench.api.get(path)).body.lane.presence.workers.length === 2,
    );
    const { lane } = (await bench.api.get(path)).body;
    expect(lane.backlog).toMatchObject({ ready: 1, running: 2 });
    expect(lane.presence.online).toBe(true);
    for (const worker of ['ann', 'bob'])
      expect(lane.presence.workers).toContainEqual(
        expect.objectContaining({ worker, in_flight: 1, online: true }),
      );
  });

  test('in a list, in pages by name, each once', async () => {
    const board = uniqueName('many');
    await bench.api.put(`/v1/boards/${board}`);
    const names = ['a', 'b', 'c', 'd', 'e'];
    for (const name of names.toReversed()) await bench.makeLane(board, name);
    const seen: string[] = [];
    let token: string | null = null;
    do {
      const query: string = token === null ? '' : `&page_token=${token}`;
      const { body } = await bench.api.get(`/v1/boards/${board}/lanes?limit=2${query}`);
      seen.push(...body.lanes.map((lane: { name: string }) => lane.name));
      token = body.next_page_token;
    } while (token !== null && seen.length < 20);
    expect(seen).toEqual(names);
  });
});
