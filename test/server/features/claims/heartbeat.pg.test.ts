import { expect, test } from 'vitest';
import type { Claim } from '../../../../src/contract/claims.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { only } from '../../../fixtures/eventually.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();

async function claimedTask(): Promise<[TestBoard, TestBoard, Claim]> {
  const [board, elsewhere] = await servers.board();
  await board.lane('work');
  await board.task('work');
  return [board, elsewhere, await board.claim('work', { lease_seconds: 60 })];
}

test('a heartbeat extends the lease from now, by the claim’s own length or the one it asks for', async () => {
  const [board, , claim] = await claimedTask();
  const plain = (await endClaim(board.server, claim, 'heartbeat')).body;
  expect(Date.parse(plain.lease_expires_at)).toBeGreaterThan(Date.parse(claim.lease_expires_at));
  const longer = (await endClaim(board.server, claim, 'heartbeat', { lease_seconds: 120 })).body;
  expect(Date.parse(longer.lease_expires_at) - Date.parse(plain.lease_expires_at)).toBeGreaterThan(54_000);
  const next = (await endClaim(board.server, claim, 'heartbeat')).body;
  expect(Date.parse(next.lease_expires_at)).toBeGreaterThanOrEqual(Date.parse(longer.lease_expires_at));
});

test('two heartbeats of a run in one batch are both kept, in order', async () => {
  const [board, , claim] = await claimedTask();
  const operations = [
    { op: 'heartbeat', token: claim.token, progress: 1, metadata: { a: 1 }, checkpoint: 'one' },
    {
      op: 'heartbeat',
      token: claim.token,
      progress: 2,
      metadata: { b: 2 },
      checkpoint: 'two',
      lease_seconds: 99,
    },
  ];
  const { results } = (await board.server.call('POST', '/v1/runs/batch', { body: { operations } })).body;
  expect(results).toMatchObject([{ ok: true }, { ok: true }]);
  expect(only(await board.runs(claim.task.id))).toMatchObject({
    checkpoint: 'two',
    metadata: { a: 1, b: 2 },
  });
  const progress = (await board.events('&kinds=task.progress')).map((event) => event.data['progress']);
  expect(progress).toEqual([1, 2]);
});

test('bare heartbeats write one event, however many there are', async () => {
  const [board, elsewhere, claim] = await claimedTask();
  for (const through of [board, elsewhere, board])
    expectStatus(await endClaim(through.server, claim, 'heartbeat'), 200);
  expect(await board.events('&kinds=task.heartbeat')).toHaveLength(1);
});

test('metadata of heartbeats and of the end is merged key by key, the last word wins', async () => {
  const [board, elsewhere, claim] = await claimedTask();
  await endClaim(board.server, claim, 'heartbeat', { metadata: { a: 1, b: 1 } });
  await endClaim(elsewhere.server, claim, 'heartbeat', { metadata: { b: 2, c: 2 } });
  const { run } = expectStatus(
    await endClaim(board.server, claim, 'complete', { metadata: { c: 3 } }),
    200,
  ).body;
  expect(run.metadata).toEqual({ a: 1, b: 2, c: 3 });
});

test('a checkpoint reaches the next attempt, with the outcome and error of the last', async () => {
  const [board, , claim] = await claimedTask();
  await endClaim(board.server, claim, 'heartbeat', { checkpoint: { page: 7 } });
  await endClaim(board.server, claim, 'fail', { error: 'lost the page', retry_after_seconds: 0 });
  await board.untilStatus(claim.task.id, 'ready');
  const next = await board.claim('work');
  expect(only(next.handoff.attempts)).toMatchObject({
    attempt: 1,
    outcome: 'failed',
    error: 'lost the page',
    checkpoint: { page: 7 },
  });
});

test('heartbeats pile up no more metadata on a run than one request may carry, and the refused one changes nothing', async () => {
  const [board, , claim] = await claimedTask();
  const big = (name: string) => ({ metadata: { [name]: 'x'.repeat(150_000) } });
  expectStatus(await endClaim(board.server, claim, 'heartbeat', big('first')), 200);
  const refused = await endClaim(board.server, claim, 'heartbeat', big('second'));
  expect([refused.status, refused.code]).toEqual([413, 'payload_too_large']);
  const { run } = (await board.server.call('GET', `/v1/runs/${claim.run_id}`)).body;
  expect(Object.keys(run.metadata)).toEqual(['first']);
});
