import { describe, expect, test } from 'vitest';
import type { Claim } from '../../../../src/contract/claims.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();

async function cancelledWhileRunning(body: object = {}): Promise<[TestBoard, TestBoard, Claim]> {
  const [board, elsewhere] = await servers.board();
  await board.lane('work');
  await board.task('work');
  const claim = await board.claim('work');
  const answer = expectStatus(
    await elsewhere.operate(claim.task.id, 'cancel', { reason: 'enough', ...body }),
    200,
  );
  expect(answer.body.task).toMatchObject({ status: 'running', claim: { cancel_requested: true } });
  return [board, elsewhere, claim];
}

describe('a cancel', () => {
  test('of a task that nobody holds is done at once', async () => {
    const [board] = await servers.board();
    await board.lane('work');
    const task = await board.task('work');
    expect((await board.operate(task.id, 'cancel', { reason: 'no' })).body.task.status).toBe('cancelled');
    expect((await board.claims('work')).body).toMatchObject({ claims: [], reason: 'none_ready' });
  });

  test('of a running task is told to its holder with the next heartbeat, which still extends the lease', async () => {
    const [board, , claim] = await cancelledWhileRunning();
    const beat = expectStatus(await endClaim(board.server, claim, 'heartbeat'), 200);
    expect(beat.body.cancel_requested).toBe(true);
    const requested = (await board.events('&kinds=task.cancel_requested'))[0];
    expect(requested).toMatchObject({ run_id: claim.run_id, data: { reason: 'enough' } });
  });

  test.each([
    ['release', {}],
    ['fail', { error: 'x', permanent: true }],
    ['fail', { error: 'x', kind: 'rate_limited' }],
    ['block', { reason: 'x' }],
    ['release', { delay_seconds: 60 }],
  ])('turns the end by %s %j into cancelled', async (verb, body) => {
    const [board, elsewhere, claim] = await cancelledWhileRunning();
    const { task, run } = expectStatus(await endClaim(board.server, claim, verb, body), 200).body;
    expect([task.status, run.outcome, task.consecutive_failures]).toEqual(['cancelled', 'cancelled', 0]);
    const event = (await elsewhere.events('&kinds=task.cancelled'))[0];
    expect(event?.data).toMatchObject({ ended_by_verb: verb, reason: 'enough', status_after: 'cancelled' });
  });

  test('keeps a completion that arrives anyway', async () => {
    const [board, , claim] = await cancelledWhileRunning();
    const { task, run } = expectStatus(
      await endClaim(board.server, claim, 'complete', { summary: 'made it' }),
      200,
    ).body;
    expect([task.status, run.outcome, run.summary]).toEqual(['done', 'completed', 'made it']);
  });

  test('takes the claim when its deadline has passed, and tells the holder so', async () => {
    const [board, , claim] = await cancelledWhileRunning({ deadline_seconds: 0 });
    const task = await board.untilStatus(claim.task.id, 'cancelled');
    expect(task.claim).toBeNull();
    const late = await endClaim(board.server, claim, 'complete', { summary: 'too late' });
    expect(late.body).toMatchObject({ code: 'claim_lost', reason: 'cancelled', outcome: 'cancelled' });
    const event = (await board.events('&kinds=task.cancelled'))[0];
    expect(event).toMatchObject({
      actor: { id: 'reaper' },
      data: { evidence: { limit: 'cancel_deadline' } },
    });
  });

  test('asked again with a longer deadline never gives the holder more time', async () => {
    const [board, elsewhere, claim] = await cancelledWhileRunning({ deadline_seconds: 1 });
    await elsewhere.operate(claim.task.id, 'cancel', { deadline_seconds: 3600 });
    await board.untilStatus(claim.task.id, 'cancelled');
  });
});
