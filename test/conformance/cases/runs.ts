/** Claims and runs: the road of a worker, from its claim to each of its ends. */
import * as jose from 'jose';
import { expect, test } from 'vitest';
import { only } from '../../fixtures/eventually.ts';
import { as, codeOf, refusalOf, type World } from '../speaker.ts';

export function runCases(world: World): void {
  test('a task goes from its creation to its end, and only the holder of its claim may end it', async () => {
    await world.lane('factory', { lease_seconds: 60 });
    const body = { name: 'conformance' };
    const { secret } = await world.call('createLaneKey', { params: world.on({ lane: 'factory' }), body });
    const worker = { token: secret ?? '' };
    const after = await world.cursor();
    const task = await world.task('factory');
    const { claims } = await world.claims('factory', { worker: 'w1' }, worker);
    expect(claims).toMatchObject([{ task: { id: task.id, status: 'running' }, attempt: 1, worker: 'w1' }]);
    const claim = only(claims);
    const jwks = jose.createLocalJWKSet(await world.call('jwks', {}));
    const verified = await jose.jwtVerify(claim.token, jwks, { audience: 'lanekeeper', typ: 'claim+jwt' });
    expect(verified.payload).toMatchObject({ jti: claim.run_id, task: task.id, attempt: 1 });

    const { params, token } = as(claim);
    const end = { params, body: { summary: 'built', result: { ok: true } } };
    expect(await codeOf(world.call('completeRun', end, worker))).toBe('claim_token_required');
    const beat = { params, body: { progress: 0.5, note: 'half', checkpoint: { line: 7 } } };
    expect(await world.call('heartbeatRun', beat, token)).toMatchObject({
      cancel_requested: false,
      messages: [],
    });
    expect(await world.call('appendOutput', { params, body: { lines: ['a', 'b'] } }, token)).toEqual({
      accepted: 2,
    });
    const done = await world.call('completeRun', end, token);
    expect(done).toMatchObject({ task: { status: 'done' }, run: { outcome: 'completed', summary: 'built' } });
    expect(await world.call('completeRun', end, token)).toEqual(done);
    const late = await refusalOf(world.call('failRun', { params, body: { error: 'late' } }, token));
    expect([late.code, late.problem['reason']]).toEqual(['claim_lost', 'ended']);

    const { lines } = await world.call('listOutput', { params: world.on({ task: task.id }) });
    expect(lines.map(({ text }) => text)).toEqual(['a', 'b']);
    expect((await world.call('getRun', { params })).run).toMatchObject({ checkpoint: { line: 7 } });
    const { events } = await world.call('listEvents', {
      params: world.here,
      query: { after, tasks: task.id },
    });
    const kinds = events.map(({ kind }) => kind).filter((kind) => !/heartbeat|progress/.test(kind));
    expect(kinds).toEqual(['task.created', 'task.claimed', 'task.completed']);
  });

  test('a failed attempt is retried with what the first one left, and given up in the end', async () => {
    await world.lane('retry');
    const backoff = { base_seconds: 0, factor: 1, cap_seconds: 0 };
    const { id } = await world.task('retry', { backoff });
    for (const attempt of [1, 2]) {
      const claim = await world.claim('retry');
      expect([claim.attempt, claim.handoff.attempts.length]).toEqual([attempt, attempt - 1]);
      const { params, token } = as(claim);
      await world.call('failRun', { params, body: { error: `no ${attempt}` } }, token);
    }
    expect(await world.read(id)).toMatchObject({
      status: 'blocked',
      blocked: { kind: 'gave_up' },
      consecutive_failures: 2,
    });
    const { runs } = await world.call('listTaskRuns', { params: world.on({ task: id }) });
    expect(runs.map(({ outcome, error }) => [outcome, error])).toEqual([
      ['failed', 'no 1'],
      ['failed', 'no 2'],
    ]);
  });

  test('a release gives the task back and counts as no failure', async () => {
    await world.lane('loan');
    const { id } = await world.task('loan');
    const { params, token } = as(await world.claim('loan'));
    const end = await world.call('releaseRun', { params, body: { reason: 'shutting down' } }, token);
    expect(end).toMatchObject({
      task: { status: 'ready', consecutive_failures: 0 },
      run: { outcome: 'released' },
    });
    expect((await world.claim('loan')).task.id).toBe(id);
  });

  test('a claim whose answer was lost is given again under its key, and to a waiting worker when work comes', async () => {
    await world.lane('lost');
    await world.task('lost');
    const first = await world.claims('lost', {}, { idempotencyKey: `${world.board}-claim` });
    const again = await world.claims('lost', {}, { idempotencyKey: `${world.board}-claim` });
    expect(only(again.claims).run_id).toBe(only(first.claims).run_id);
    const other = world.claims('lost', { max: 2 }, { idempotencyKey: `${world.board}-claim` });
    expect(await codeOf(other)).toBe('idempotency_mismatch');
    const waiting = world.claims('lost', {}, { waitSeconds: 20 });
    const { id } = await world.task('lost');
    expect(only((await waiting).claims).task.id).toBe(id);
  });

  test('what people say reaches the holder until it acknowledges it', async () => {
    await world.lane('steered');
    const { id } = await world.task('steered');
    const task = world.on({ task: id });
    const { params, token } = as(await world.claim('steered'));
    const { message } = await world.call('steerTask', { params: task, body: { message: 'hurry' } });
    const beat = await world.call('heartbeatRun', { params, body: {} }, token);
    expect(beat.messages).toMatchObject([{ id: message.id, text: 'hurry' }]);
    const ack = { params, body: { ids: [message.id] } };
    expect(await world.call('acknowledgeMessages', ack, token)).toEqual({ acknowledged: 1 });
    expect(await world.call('acknowledgeMessages', ack, token)).toEqual({ acknowledged: 0 });
    expect((await world.call('heartbeatRun', { params, body: {} }, token)).messages).toEqual([]);
    const { messages } = await world.call('listMessages', { params: task });
    expect(messages).toMatchObject([{ id: message.id, state: 'acknowledged' }]);
  });

  test('a cancel asks the holder first, and a reclaim takes the task at once', async () => {
    await world.lane('stopped');
    const { id } = await world.task('stopped');
    const task = world.on({ task: id });
    const first = as(await world.claim('stopped'));
    const asked = await world.call('cancelTask', { params: task, body: { reason: 'enough' } });
    expect(asked.task).toMatchObject({ status: 'running', claim: { cancel_requested: true } });
    const beat = await world.call('heartbeatRun', { params: first.params, body: {} }, first.token);
    expect(beat.cancel_requested).toBe(true);
    const end = await world.call('releaseRun', { params: first.params, body: {} }, first.token);
    expect(end.task.status).toBe('cancelled');

    await world.call('reopenTask', { params: task });
    const second = as(await world.claim('stopped'));
    const taken = await world.call('reclaimTask', { params: task, body: { reason: 'mine' } });
    expect(taken.task.status).toBe('ready');
    const lost = await refusalOf(
      world.call('completeRun', { params: second.params, body: {} }, second.token),
    );
    expect([lost.code, lost.problem['reason']]).toEqual(['claim_lost', 'reclaimed']);
  });

  test('reviewed work goes back with its reason, and is done when it is accepted', async () => {
    await world.lane('author');
    await world.lane('reader');
    const { id } = await world.task('author');
    const draft = as(await world.claim('author'));
    const forReview = { summary: 'draft', review: true, reviewer: 'reader' };
    const handed = await world.call('completeRun', { params: draft.params, body: forReview }, draft.token);
    expect(handed.task).toMatchObject({ status: 'review', reviewer: 'reader' });
    const review = as(await world.claim('reader'));
    const reason = { reason: 'cite the source' };
    const back = await world.call('requestRunChanges', { params: review.params, body: reason }, review.token);
    expect(back).toMatchObject({ run: { outcome: 'changes_requested' }, task: { lane: 'author' } });
    const second = await world.claim('author');
    expect(second.handoff.review).toContain('cite the source');
    const { params, token } = as(second);
    await world.call('completeRun', { params, body: { summary: 'cited', review: true } }, token);
    const task = world.on({ task: id });
    const sent = await world.call('requestTaskChanges', { params: task, body: { reason: 'once more' } });
    expect(sent.task.status).toBe('ready');
    const third = as(await world.claim('author'));
    await world.call('completeRun', { params: third.params, body: { review: true } }, third.token);
    expect((await world.call('acceptTask', { params: task })).task.status).toBe('done');
  });

  test('a batch of operations answers each by itself', async () => {
    await world.lane('many');
    const tasks = Array.from({ length: 3 }, () => ({ title: 'one of many', lane: 'many' }));
    await world.call('createTasks', { params: world.here, body: { tasks } });
    const { claims } = await world.claims('many', { max: 3 });
    const [first, second, third] = claims.map(({ token }) => token);
    const { results } = await world.call('batchRuns', {
      body: {
        operations: [
          { op: 'heartbeat', token: first ?? '', progress: 1 },
          { op: 'complete', token: second ?? '', summary: 'ok' },
          { op: 'fail', token: third ?? '', error: 'no' },
          { op: 'complete', token: 'nonsense' },
        ],
      },
    });
    expect(results).toMatchObject([
      { ok: true, cancel_requested: false },
      { ok: true, task: { status: 'done' } },
      { ok: true, run: { outcome: 'failed' } },
      { ok: false, problem: { code: 'unauthenticated' } },
    ]);
  });
}
