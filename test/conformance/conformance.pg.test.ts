import * as jose from 'jose';
import { describe, expect, test } from 'vitest';
import { useTarget } from './target.ts';

const target = useTarget();

/** The main road through the contract; the client checks the shape of every answer on the way. */
describe('a server of this contract', () => {
  test('describes itself', async () => {
    const anonymous = { token: null };
    expect((await target.api.get('/livez', anonymous)).status).toBe(200);
    expect((await target.api.get('/readyz', anonymous)).status).toBe(200);
    expect((await target.api.get('/openapi.json', anonymous)).body.openapi).toMatch(/^3\.1\./);
    expect((await target.api.get('/docs', anonymous)).status).toBe(200);
    expect((await target.api.get('/.well-known/jwks.json', anonymous)).body.keys.length).toBeGreaterThan(0);
    expect((await target.api.get('/v1/whoami')).body.principal).toMatchObject({
      type: 'key',
      key: { role: 'admin' },
    });
    expect((await target.api.get('/v1/whoami', anonymous)).code).toBe('unauthenticated');
  });

  test('takes a task from its creation to its end, and lets only the holder of the claim end it', async () => {
    const { api, board } = target;
    expect((await api.put(`${board}/lanes/factory`, { lease_seconds: 60 })).status).toBe(201);
    const { secret } = (await api.post(`${board}/lanes/factory/keys`, { name: 'conformance' })).body;
    const worker = target.as(secret);
    const { cursor } = (await api.get(board)).body.board;
    const task = (await api.post(`${board}/tasks`, { title: 'build', lane: 'factory' })).body.task;
    const { claims } = (await worker.post(`${board}/lanes/factory/claims`, { worker: 'w1' })).body;
    expect(claims).toMatchObject([{ task: { id: task.id, status: 'running' }, attempt: 1, worker: 'w1' }]);
    const [claim] = claims;

    const jwks = jose.createLocalJWKSet((await api.get('/.well-known/jwks.json')).body);
    const verified = await jose.jwtVerify(claim.token, jwks, { audience: 'lanekeeper', typ: 'claim+jwt' });
    expect(verified.payload).toMatchObject({ jti: claim.run_id, task: task.id, attempt: 1 });

    const end = `/v1/runs/${claim.run_id}/complete`;
    expect((await worker.post(end, {})).code).toBe('claim_token_required');
    expect((await api.post(end, {})).code).toBe('claim_token_required');
    expect(
      (await target.as(claim.token).post(`/v1/runs/${claim.run_id}/heartbeat`, { progress: 0.5 })).status,
    ).toBe(200);
    const done = await target.as(claim.token).post(end, { summary: 'built', result: { ok: true } });
    expect(done.body).toMatchObject({
      task: { status: 'done' },
      run: { outcome: 'completed', summary: 'built' },
    });
    expect((await target.as(claim.token).post(end, { summary: 'built', result: { ok: true } })).body).toEqual(
      done.body,
    );
    const late = await target.as(claim.token).post(`/v1/runs/${claim.run_id}/fail`, { error: 'late' });
    expect([late.code, late.body.reason]).toEqual(['claim_lost', 'ended']);

    const { events } = (await api.get(`${board}/events?after=${cursor}&tasks=${task.id}`)).body;
    const kinds = events.map((event: { kind: string }) => event.kind);
    expect(kinds.filter((kind: string) => kind !== 'task.heartbeat' && kind !== 'task.progress')).toEqual([
      'task.created',
      'task.claimed',
      'task.completed',
    ]);
    const all = (await api.get(`${board}/events?limit=1000`)).body.events;
    expect(all.map((event: { seq: number }) => event.seq)).toEqual(
      all.map((_: unknown, index: number) => index + 1),
    );
  });

  test('retries a failed attempt with what the first one left, and gives up in the end', async () => {
    const { api, board } = target;
    await api.put(`${board}/lanes/retry`);
    const backoff = { base_seconds: 0, factor: 1, cap_seconds: 0 };
    const { id } = (await api.post(`${board}/tasks`, { title: 'x', lane: 'retry', backoff })).body.task;
    for (const attempt of [1, 2]) {
      const [claim] = (await api.post(`${board}/lanes/retry/claims`, {}, { headers: { Prefer: 'wait=10' } }))
        .body.claims;
      expect([claim.attempt, claim.handoff.attempts.length]).toEqual([attempt, attempt - 1]);
      await target.as(claim.token).post(`/v1/runs/${claim.run_id}/fail`, { error: `no ${attempt}` });
    }
    const { task } = (await api.get(`${board}/tasks/${id}`)).body;
    expect(task).toMatchObject({ status: 'blocked', blocked: { kind: 'gave_up' }, consecutive_failures: 2 });
    const { runs } = (await api.get(`${board}/tasks/${id}/runs`)).body;
    expect(runs.map((run: { outcome: string }) => run.outcome)).toEqual(['failed', 'failed']);
  });

  test('refuses what is wrong with the code that is written down', async () => {
    const { api, board } = target;
    for (const [method, path, body, code] of [
      ['POST', `${board}/tasks`, { title: '' }, 'invalid_request'],
      ['POST', `${board}/tasks`, { title: 'x', nope: 1 }, 'invalid_request'],
      ['GET', `${board}/events?after=made-up`, undefined, 'invalid_cursor'],
      ['GET', `${board}/tasks/none`, undefined, 'not_found'],
      ['GET', `${board}/lanes/none`, undefined, 'lane_not_found'],
      ['PUT', `${board}/tasks`, {}, 'method_not_allowed'],
    ] as const)
      expect((await api.call(method, path, body === undefined ? {} : { body })).code).toBe(code);
    const broken = await api.call('POST', `${board}/tasks`, { rawBody: '{' });
    expect(broken.code).toBe('invalid_json');
    expect((await target.as('lk_admin_nonsense').get(board)).code).toBe('unauthenticated');
  });

  test('shows the same instant in snapshot, board and log', async () => {
    const { api, board } = target;
    const snapshot = (await api.get(`${board}/snapshot`)).body;
    expect(snapshot.truncated).toBe(false);
    // Who comes and goes may be written at any moment.
    const since = (await api.get(`${board}/events?after=${snapshot.cursor}&kinds=task.*`)).body.events;
    expect(since).toEqual([]);
    const { counts } = (await api.get(board)).body.board;
    const unfinished = Object.entries(counts)
      .filter(([status]) => !['done', 'cancelled', 'archived'].includes(status))
      .reduce((sum, [, count]) => sum + Number(count), 0);
    expect(snapshot.tasks).toHaveLength(unfinished);
  });
});
