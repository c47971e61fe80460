/** An orchestrator takes a running task back: what becomes of the task, and what its holder hears. */
import { afterEach, describe, expect, test } from 'vitest';
import type { Claim } from '../../../../src/contract/claims.ts';
import { auditBoard } from '../../../fixtures/audit.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { only } from '../../../fixtures/eventually.ts';
import { openWorker } from '../../../fixtures/push-worker.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();
const boards: TestBoard[] = [];

/** Whatever a test did, the log says the same as the rows. */
afterEach(async () => {
  for (const board of boards.splice(0)) await auditBoard(servers.database.sql, board.name);
});

async function newBoard(): Promise<[TestBoard, TestBoard]> {
  const [board, elsewhere] = await servers.board();
  for (const lane of ['work', 'review']) await board.lane(lane);
  boards.push(board);
  return [board, elsewhere];
}

async function held(board: TestBoard, body = {}): Promise<Claim> {
  const { id } = await board.task('work', body);
  return only(expectStatus(await board.claims('work', { worker: 'ann', task_id: id }), 200).body.claims);
}

const reclaim = async (board: TestBoard, { task }: Pick<Claim, 'task'>, body = {}) =>
  expectStatus(await board.operate(task.id, 'reclaim', body), 200).body.task;

describe('a task that is taken back', () => {
  test('is ready again, its failures forgotten, and says in its run and in the log by whom and why', async () => {
    const [board] = await newBoard();
    const backoff = { base_seconds: 0 };
    const first = await held(board, { backoff, max_failures: 3 });
    expectStatus(await endClaim(board.server, first, 'fail', { error: 'x' }), 200);
    await board.untilStatus(first.task.id, 'ready');
    const claim = await board.claim('work', { worker: 'ann' });
    expect(claim.task.consecutive_failures).toBe(1);
    const task = await reclaim(board, claim, { reason: 'looks stuck' });
    expect(task).toMatchObject({ status: 'ready', consecutive_failures: 0, claim: null, attempt: 2 });
    const event = only(await board.events('&kinds=task.reclaimed'));
    expect(event).toMatchObject({
      run_id: claim.run_id,
      worker: 'ann',
      attempt: 2,
      actor: { type: 'key' },
      data: { status_before: 'running', status_after: 'ready', outcome: 'reclaimed', reason: 'looks stuck' },
    });
    const [, run] = await board.runs(task.id);
    expect(run).toMatchObject({ outcome: 'reclaimed', error: 'looks stuck', ended_by: event.actor });
    expect((await board.claim('work', { worker: 'bob' })).attempt).toBe(3);
  });

  test('is lost to its holder, who is told so by whatever it does next, on any server', async () => {
    const [board, elsewhere] = await newBoard();
    const claim = await held(board);
    await reclaim(board, claim);
    for (const [verb, body] of [
      ['heartbeat', {}],
      ['complete', {}],
      ['block', { reason: 'x' }],
      ['release', {}],
      ['fail', { error: 'x' }],
    ] as const) {
      const { body: problem } = expectStatus(await endClaim(elsewhere.server, claim, verb, body), 409);
      expect(problem).toMatchObject({
        code: 'claim_lost',
        reason: 'reclaimed',
        outcome: 'reclaimed',
        by: { type: 'key' },
      });
      expect(problem.at).toEqual(expect.any(String));
    }
  });

  test('is lost to a worker that lives on its socket, too', async () => {
    const [board, elsewhere] = await newBoard();
    await board.lane('pushed', { claim_mode: 'push' });
    const worker = await openWorker(elsewhere, { lane: 'pushed' });
    await worker.credit(1);
    await board.task('pushed');
    const claim = await worker.claim();
    worker.acknowledge(claim);
    expect((await worker.verb('heartbeat', claim)).ok).toBe(true);
    await reclaim(board, claim);
    for (const verb of ['heartbeat', 'complete'])
      expect(await worker.verb(verb, claim)).toMatchObject({
        ok: false,
        problem: { code: 'claim_lost', reason: 'reclaimed' },
      });
  });

  test('goes back to where it came from: to its parents, or to its reviewers', async () => {
    const [board] = await newBoard();
    const parent = await board.task(null);
    const waiting = await held(board);
    expectStatus(await board.call('PUT', `/tasks/${waiting.task.id}/parents/${parent.id}`), 200);
    expect((await reclaim(board, waiting)).status).toBe('todo');

    const work = await held(board);
    expectStatus(
      await endClaim(board.server, work, 'complete', { review: true, reviewer: 'review', result: 1 }),
      200,
    );
    const reviewing = await board.claim('review', { worker: 'bob' });
    const task = await reclaim(board, reviewing);
    expect(task).toMatchObject({ status: 'review', reviewer: 'review', lane: 'review', result: 1 });
    expect((await board.claim('review', { worker: 'carl' })).task.id).toBe(task.id);
  });

  test('is cancelled when that was what its holder had been asked for', async () => {
    const [board] = await newBoard();
    const claim = await held(board);
    expectStatus(await board.operate(claim.task.id, 'cancel', { reason: 'not needed' }), 200);
    expect((await reclaim(board, claim)).status).toBe('cancelled');
    expect((await endClaim(board.server, claim, 'heartbeat')).body.reason).toBe('cancelled');
  });

  test('may be one that a takeover left to expire', async () => {
    const [board] = await newBoard();
    const claim = await held(board);
    const body = { mode: 'expire', worker: 'bob' };
    expectStatus(await board.call('POST', '/lanes/work/takeover', { body }), 200);
    expect((await reclaim(board, claim)).status).toBe('ready');
    expect((await endClaim(board.server, claim, 'complete')).body).toMatchObject({
      code: 'claim_lost',
      reason: 'superseded',
    });
  });

  test('is taken once: of an end and a reclaim at the same time one wins, and the other hears of it', async () => {
    const [board, elsewhere] = await newBoard();
    for (let round = 0; round < 10; round += 1) {
      const claim = await held(board);
      const [end, one, two] = await Promise.all([
        endClaim(elsewhere.server, claim, 'complete'),
        board.operate(claim.task.id, 'reclaim'),
        elsewhere.operate(claim.task.id, 'reclaim'),
      ]);
      const outcomes = [end, one, two].map((answer) => answer.code ?? answer.status);
      expect(outcomes.filter((outcome) => outcome === 200)).toHaveLength(1);
      expect(outcomes.filter((outcome) => outcome !== 200).sort()).toEqual(
        end.status === 200
          ? ['illegal_transition', 'illegal_transition']
          : ['claim_lost', 'illegal_transition'],
      );
      if (end.status !== 200) expectStatus(await board.operate(claim.task.id, 'archive'), 200);
    }
  });

  test('wakes whoever waits for work of its lane', async () => {
    const [board, elsewhere] = await newBoard();
    const claim = await held(board);
    const waiting = elsewhere.claims('work', { worker: 'bob' }, { waitSeconds: 30 });
    await reclaim(board, claim);
    expect(expectStatus(await waiting, 200).body.claims[0].task.id).toBe(claim.task.id);
  });
});

test('a task that runs is not assigned away: it is taken back first', async () => {
  const [board] = await newBoard();
  const claim = await held(board);
  const answer = await board.operate(claim.task.id, 'assign', { lane: 'review' });
  expect([answer.status, answer.code, answer.body.status_before]).toEqual([
    409,
    'illegal_transition',
    'running',
  ]);
  await reclaim(board, claim);
  expectStatus(await board.operate(claim.task.id, 'assign', { lane: 'review' }), 200);
  expect((await board.claim('review', { worker: 'bob' })).task.id).toBe(claim.task.id);
});

test('what nobody holds cannot be taken back, and what is not there is not found', async () => {
  const [board] = await newBoard();
  const task = await board.task('work');
  const answer = await board.operate(task.id, 'reclaim');
  expect([answer.status, answer.code]).toEqual([409, 'illegal_transition']);
  expect(await board.read(task.id)).toMatchObject({ status: 'ready', version: task.version });
  expect((await board.operate('no-such-task', 'reclaim')).code).toBe('not_found');
});
