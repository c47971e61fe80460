/** Rows that change between the moment a statement looks and the moment it gets their lock: nothing is lost, and nothing half done. */
import { beforeEach, expect, test } from 'vitest';
import { auditBoard } from '../../../fixtures/audit.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { only } from '../../../fixtures/eventually.ts';
import { holdCounter, untilStanding, untilTestEnds } from '../../../fixtures/held-lock.ts';
import type { CallAnswer } from '../../../fixtures/server.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();
let board: TestBoard;
let elsewhere: TestBoard;

beforeEach(async () => {
  [board, elsewhere] = await servers.board();
  await board.lane('work');
});

/** The second one finds rows locked that the first has changed, and goes on when the first has committed. */
async function changeUnder(
  change: () => Promise<CallAnswer>,
  second: () => Promise<CallAnswer>,
  tag: string,
  changeTag = 'log.append',
): Promise<[CallAnswer, CallAnswer]> {
  const { sql } = servers.database;
  const counter = await untilTestEnds(holdCounter(sql, board.name));
  const changing = change();
  await untilStanding(sql, changeTag, 'row');
  const waiting = second();
  await untilStanding(sql, tag, 'row');
  await counter.release();
  return Promise.all([changing, waiting]);
}

test('a claim of a named task that is just being changed is decided again, and made once', async () => {
  const task = await board.task('work');
  const [patched, claimed] = await changeUnder(
    () => board.call('PATCH', `/tasks/${task.id}`, { body: { priority: 7 }, headers: { 'If-Match': '*' } }),
    () => elsewhere.claims('work', { task_id: task.id }),
    'claims.claim',
  );
  expectStatus(patched, 200);
  const claim = only(
    expectStatus(claimed, 200).body.claims as { run_id: string; task: { priority: number } }[],
  );
  expect(claim.task.priority).toBe(7);
  const { runs } = await auditBoard(servers.database.sql, board.name);
  expect(runs).toHaveLength(1);
});

test('a task that is changed while it is being completed is completed', async () => {
  const task = await board.task('work');
  const claim = await board.claim('work');
  const [patched, completed] = await changeUnder(
    () => board.call('PATCH', `/tasks/${task.id}`, { body: { priority: 7 }, headers: { 'If-Match': '*' } }),
    () => endClaim(elsewhere.server, claim, 'complete', { result: 'ok' }),
    'claims.complete',
  );
  expectStatus(patched, 200);
  expect(expectStatus(completed, 200).body.task).toMatchObject({ status: 'done', priority: 7, result: 'ok' });
  await auditBoard(servers.database.sql, board.name);
});

test('a run whose heartbeat is just being logged is completed, with what the heartbeat brought', async () => {
  const task = await board.task('work');
  const claim = await board.claim('work');
  const [beaten, completed] = await changeUnder(
    () => endClaim(board.server, claim, 'heartbeat', { metadata: { seen: 1 }, checkpoint: { step: 2 } }),
    () => endClaim(elsewhere.server, claim, 'complete', { metadata: { made: 2 } }),
    'claims.complete',
    'log.lock_counter',
  );
  expectStatus(beaten, 200);
  expectStatus(completed, 200);
  expect(only(await board.runs(task.id))).toMatchObject({
    outcome: 'completed',
    metadata: { seen: 1, made: 2 },
    checkpoint: { step: 2 },
  });
  await auditBoard(servers.database.sql, board.name);
});
