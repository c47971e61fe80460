import { describe, expect, test } from 'vitest';
import { type HeldClaim, uniqueName, useBench } from '../../../fixtures/bench.ts';

const bench = useBench();
const TASKS = '/v1/boards/default/tasks';

async function hold(): Promise<HeldClaim> {
  const lane = uniqueName('holder');
  await bench.makeLane('default', lane);
  await bench.makeTask('default', { lane });
  return bench.claim('default', lane);
}

describe('a worker under its claim token', () => {
  test('creates tasks that carry its run, and never more than a hundred', async () => {
    const claim = await hold();
    const worker = bench.as(claim.token);
    const one = await worker.post(TASKS, { title: 'child' });
    expect([one.status, one.body.task.created_by]).toEqual([201, { type: 'claim', id: claim.run_id }]);
    const many = await worker.post(`${TASKS}/batch`, {
      tasks: Array.from({ length: 98 }, () => ({ title: 'x' })),
    });
    expect(many.status).toBe(201);
    const before = await bench.footprint();
    const tooMany = await worker.post(`${TASKS}/batch`, { tasks: [{ title: 'x' }, { title: 'y' }] });
    expect([tooMany.status, tooMany.code]).toEqual([403, 'forbidden']);
    expect(await bench.footprint()).toEqual(before);
    // At once, and still a hundred at most.
    const racing = await Promise.all(Array.from({ length: 8 }, () => worker.post(TASKS, { title: 'last' })));
    expect(racing.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(racing.filter(({ code }) => code === 'forbidden')).toHaveLength(7);
  });

  test('learns of an idempotency_key that it is taken, and nothing of the task that has it', async () => {
    const key = uniqueName('nightly');
    await bench.makeTask('default', { idempotency_key: key, payload: { secret: 'of another lane' } });
    const worker = bench.as((await hold()).token);
    const refused = await worker.post(TASKS, { title: 'x', idempotency_key: key });
    expect([refused.status, refused.code]).toEqual([409, 'already_exists']);
    expect(JSON.stringify(refused.body)).not.toContain('of another lane');
    const own = uniqueName('own');
    const first = await worker.post(TASKS, { title: 'x', idempotency_key: own });
    const again = await worker.post(TASKS, { title: 'x', idempotency_key: own });
    expect([again.status, again.body.task.id]).toEqual([200, first.body.task.id]);
  });

  test('comments on its own task, and finds no other', async () => {
    const [claim, other] = [await hold(), await hold()];
    const worker = bench.as(claim.token);
    const made = await worker.post(`${TASKS}/${claim.task.id}/comments`, { body: 'mine' });
    expect(made.body.comment.author).toEqual({ type: 'claim', id: claim.run_id });
    for (const path of [other.task.id, 'missing']) {
      const refused = await worker.post(`${TASKS}/${path}/comments`, { body: 'theirs' });
      expect([refused.code, refused.body.resource]).toEqual(['not_found', 'task']);
    }
    expect((await worker.get(`${TASKS}/${claim.task.id}`)).body.task.comment_count).toBe(1);
    expect((await worker.get(`${TASKS}/${other.task.id}`)).code).toBe('not_found');
  });

  test('changes nothing any more once its claim has ended', async () => {
    const claim = await hold();
    const worker = bench.as(claim.token);
    await worker.post(`/v1/runs/${claim.run_id}/complete`, {});
    const before = await bench.footprint();
    for (const [path, body] of [
      [TASKS, { title: 'late' }],
      [`${TASKS}/batch`, { tasks: [{ title: 'late' }] }],
      [`${TASKS}/${claim.task.id}/comments`, { body: 'late' }],
      [`/v1/runs/${claim.run_id}/heartbeat`, {}],
      [`/v1/runs/${claim.run_id}/fail`, { error: 'late' }],
    ] as const) {
      const answer = await worker.post(path, body);
      expect([path, answer.status, answer.code]).toEqual([path, 409, 'claim_lost']);
    }
    expect(await bench.footprint()).toEqual(before);
  });
});
