/** A key that is revoked while one of its requests waits: within a second the request is refused, and hands out nothing any more. */
import { describe, expect, test } from 'vitest';
import { uniqueName, useBench } from '../fixtures/bench.ts';
import { eventually } from '../fixtures/eventually.ts';
import { holdGate, untilStanding } from '../fixtures/held-lock.ts';

const bench = useBench();
/** Pinned by the wire contract: everywhere within a second. The rest is for a busy machine. */
const WITHIN_MS = 2500;

async function waitingClaims(): Promise<number> {
  const { body } = await bench.api.get('/metrics', { token: null });
  return Number(/^lanekeeper_claim_waiters (\d+)$/m.exec(body)?.[1]);
}

describe('a request that waits under a key that is revoked', () => {
  test.each([
    ['claims', 'POST', (lane: string) => `/v1/boards/default/lanes/${lane}/claims`],
    ['events', 'GET', (lane: string) => `/v1/boards/default/events?after=now&lanes=${lane}`],
    ['a task', 'GET', (_: string, task: string) => `/v1/boards/default/tasks/${task}`],
  ] as const)('for %s is refused, and takes nothing', async (_, method, pathOf) => {
    const lane = uniqueName('waiting');
    await bench.makeLane('default', lane);
    const { id: task } = await bench.makeTask('default', { lane: 'elsewhere' });
    const { id, secret } = await bench.makeKey({ role: 'lane', boards: ['default'], lane });
    const waiting = bench.as(secret).call(method, pathOf(lane, task), {
      headers: { Prefer: 'wait=20' },
      ...(method === 'POST' ? { body: {} } : {}),
    });
    let isAnswered = false;
    void waiting.finally(() => {
      isAnswered = true;
    });
    if (method === 'POST') await eventually('the claim waits', async () => (await waitingClaims()) === 1);
    await bench.api.delete(`/v1/keys/${id}`);
    await eventually('the request is refused', () => isAnswered, WITHIN_MS);
    const answer = await waiting;
    expect([answer.status, answer.code]).toEqual([401, 'unauthenticated']);
    const { id: late } = await bench.makeTask('default', { lane });
    expect((await bench.api.get(`/v1/boards/default/tasks/${late}`)).body.task.status).toBe('ready');
  });

  test('gives back what was claimed for it in that very moment', async () => {
    const { sql } = bench.database;
    const lane = uniqueName('claiming');
    await bench.makeLane('default', lane);
    const { id: task } = await bench.makeTask('default', { lane });
    const { id, secret } = await bench.makeKey({ role: 'lane', boards: ['default'], lane });
    const late = bench.as(secret);
    const headers = { Prefer: 'wait=20' };
    const gate = await holdGate(sql);
    const claiming = late.post(`/v1/boards/default/lanes/${lane}/claims`, {}, { headers });
    await untilStanding(sql, 'claims.claim', 'gate');
    const watching = late.get('/v1/boards/default/events?after=now', { headers });
    await bench.api.delete(`/v1/keys/${id}`);
    // Refused together: by now the one that is claiming has been refused as well.
    expect((await watching).status).toBe(401);
    await gate.release();
    const answer = await claiming;
    expect([answer.status, answer.code]).toEqual([401, 'unauthenticated']);
    await eventually('the task is ready again', async () => {
      const [read, runs] = await Promise.all(
        ['', '/runs'].map((part) => bench.api.get(`/v1/boards/default/tasks/${task}${part}`)),
      );
      return read?.body.task.status === 'ready' && runs?.body.runs[0].outcome === 'released';
    });
  });
});
