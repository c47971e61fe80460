/** Many heartbeats of one run at once: they cost their board no more than a few, and each is answered by what became of it. */
import { expect, test } from 'vitest';
import type { Claim } from '../../../../src/contract/claims.ts';
import { LIMITS } from '../../../../src/contract/constants.ts';
import type { HeartbeatReply } from '../../../../src/contract/runs.ts';
import { auditBoard } from '../../../fixtures/audit.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();

type Result = { readonly ok: boolean; readonly problem?: { readonly code: string } } & HeartbeatReply;

const FLOOD = LIMITS.batchOperationsMax;
/** One, when they all come in one batch; a slow server begins with less, again and again. Without joining them it would be all of the flood. */
const BATCHES_MAX = 20;
const ROUNDS_MAX = 4;

async function flooding(bodyOf: (index: number) => object): Promise<[TestBoard, Claim, Result[]]> {
  const [board] = await servers.board();
  await board.lane('work');
  const task = await board.task('work');
  const claim = await board.claim('work');
  // The log has heard of the run, the server knows the token, and something waits to be told.
  expectStatus(await endClaim(board.server, claim, 'heartbeat'), 200);
  expectStatus(await board.operate(task.id, 'steer', { message: 'go left' }), 201);
  const operations = Array.from({ length: FLOOD }, (_, index) => ({
    op: 'heartbeat',
    token: claim.token,
    ...bodyOf(index),
  }));
  const answer = await board.server.call('POST', '/v1/runs/batch', { body: { operations } });
  return [board, claim, expectStatus(answer, 200).body.results];
}

test('bare ones are one statement, all get its answer, and messages ride on the first', async () => {
  const [board, claim, results] = await flooding((index) => ({ lease_seconds: 100 + index }));
  expect(results.every(({ ok }) => ok)).toBe(true);
  const moments = new Set(results.map(({ lease_expires_at }) => lease_expires_at));
  expect(moments.size).toBeLessThanOrEqual(BATCHES_MAX);
  const telling = results.filter(({ messages }) => messages.length > 0);
  expect(telling[0]).toBe(results[0]);
  expect(telling.length).toBeLessThanOrEqual(moments.size);
  const [row] = await servers.database.sql<{ lease_seconds: number }[]>`
    SELECT lease_seconds FROM claims c JOIN boards b ON b.id = c.board_id WHERE b.name = ${board.name}`;
  expect(row?.lease_seconds).toBe(100 + FLOOD - 1);
  expect((await endClaim(board.server, claim, 'heartbeat')).body.messages).toHaveLength(1);
});

test('of those that carry something a few are kept, the others are told so, and no bare one is refused', async () => {
  const [board, , results] = await flooding((index) => (index % 2 ? {} : { note: String(index) }));
  const kept = results.flatMap(({ ok }, index) => (ok && index % 2 === 0 ? [String(index)] : []));
  expect(kept.length).toBeGreaterThanOrEqual(ROUNDS_MAX);
  expect(kept.length).toBeLessThanOrEqual(ROUNDS_MAX * BATCHES_MAX);
  expect(results.filter((_, index) => index % 2).every(({ ok }) => ok)).toBe(true);
  for (const { ok, problem } of results) if (!ok) expect(problem?.code).toBe('rate_limited');
  const events = await board.events('&kinds=task.progress,task.heartbeat');
  expect(events.flatMap(({ data }) => data['note'] ?? [])).toEqual(kept);
  await auditBoard(servers.database.sql, board.name);
});

test('one that would pile up too much fails alone: those that were joined with it are heard', async () => {
  const half = 'x'.repeat(LIMITS.jsonBytesMax / 2 + 10);
  const bodies = [{ metadata: { a: half } }, {}, { metadata: { b: half } }, {}, { note: 'on' }];
  const [board, , results] = await flooding((index) => bodies[index] ?? {});
  expect(results.slice(0, 5).map(({ ok, problem }) => (ok ? 'ok' : problem?.code))).toEqual([
    'ok',
    'ok',
    'payload_too_large',
    'ok',
    'ok',
  ]);
  expect(results.slice(5).every(({ ok }) => ok)).toBe(true);
  const events = await board.events('&kinds=task.progress,task.heartbeat');
  expect(events.at(-1)?.data['note']).toBe('on');
});
