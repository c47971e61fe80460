import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../../fixtures/database.ts';
import { startTestServer, type TestServer } from '../../../fixtures/server.ts';

let database: TestDatabase;
let server: TestServer;

beforeAll(async () => {
  database = await createTestDatabase();
  server = await startTestServer(database.url);
});
afterAll(async () => {
  await server.stop();
  await database.drop();
});

describe('a claim', () => {
  test('takes the highest priority first, then the oldest', async () => {
    await server.call('PUT', '/v1/boards/default/lanes/order');
    for (const [title, priority] of [
      ['old', 0],
      ['urgent', 5],
      ['young', 0],
    ] as const) {
      await server.call('POST', '/v1/boards/default/tasks', { body: { title, priority, lane: 'order' } });
    }
    const answer = await server.call('POST', '/v1/boards/default/lanes/order/claims', { body: { max: 3 } });
    expect(answer.body.claims.map((claim: { task: { title: string } }) => claim.task.title)).toEqual([
      'urgent',
      'old',
      'young',
    ]);
  });

  test('heartbeats with everything they may carry', async () => {
    await server.call('PUT', '/v1/boards/default/lanes/beat');
    await server.call('POST', '/v1/boards/default/tasks', { body: { title: 'x', lane: 'beat' } });
    const { body } = await server.call('POST', '/v1/boards/default/lanes/beat/claims', {
      body: { lease_seconds: 5 },
    });
    const [claim] = body.claims;
    const beat = await server.call('POST', `/v1/runs/${claim.run_id}/heartbeat`, {
      token: claim.token,
      body: {
        note: 'half way',
        progress: 0.5,
        checkpoint: { step: 3 },
        metadata: { host: 'a' },
        lease_seconds: 60,
      },
    });
    expect(beat.status).toBe(200);
    expect(Date.parse(beat.body.lease_expires_at)).toBeGreaterThan(Date.parse(claim.lease_expires_at));
    const run = await server.call('GET', `/v1/runs/${claim.run_id}`);
    expect(run.body.run).toMatchObject({ checkpoint: { step: 3 }, metadata: { host: 'a' }, outcome: null });
  });
});
