/** Work that is handed over for review: who may look at it, what becomes of it, and that nobody reviews his own. */
import { afterEach, describe, expect, test } from 'vitest';
import type { Claim } from '../../../../src/contract/claims.ts';
import type { Task } from '../../../../src/contract/tasks.ts';
import { auditBoard } from '../../../fixtures/audit.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { only } from '../../../fixtures/eventually.ts';
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

/** A task whose work waits for review. */
async function handedOver(board: TestBoard, reviewer: string | null = 'review', body = {}): Promise<Task> {
  await board.task('work', body);
  const claim = await board.claim('work', { worker: 'ann' });
  const end = { summary: 'the work', result: { lines: 3 }, review: true, reviewer };
  return expectStatus(await endClaim(board.server, claim, 'complete', end), 200).body.task;
}

const end = async (board: TestBoard, claim: Claim, verb: string, body = {}) =>
  expectStatus(await endClaim(board.server, claim, verb, body), 200).body;

describe('work that is handed over for review', () => {
  test('waits in review, on the lane of the reviewer, and shows its result', async () => {
    const [board] = await newBoard();
    const task = await handedOver(board);
    expect(task).toMatchObject({
      status: 'review',
      lane: 'review',
      reviewer: 'review',
      summary: 'the work',
      result: { lines: 3 },
    });
    const event = (await board.events('&kinds=task.review_requested'))[0];
    expect(event).toMatchObject({ lane: 'work', data: { reviewer: 'review', outcome: 'completed' } });
    expect((await board.runs(task.id))[0]).toMatchObject({ outcome: 'completed', worker: 'ann' });
  });

  test('is claimed by the reviewer lane, and done when the reviewer says so: the result stays what it was', async () => {
    const [board] = await newBoard();
    const { id } = await handedOver(board);
    const claim = await board.claim('review', { worker: 'bob' });
    expect([claim.task.id, claim.attempt, claim.task.status]).toEqual([id, 2, 'running']);
    expect(claim.handoff.attempts[0]).toMatchObject({
      worker: 'ann',
      summary: 'the work',
      result: { lines: 3 },
    });
    const { task } = await end(board, claim, 'complete');
    expect(task).toMatchObject({ status: 'done', lane: 'work', result: { lines: 3 }, summary: 'the work' });
    expect(await board.read(id)).toMatchObject({ status: 'done', result: { lines: 3 }, attempt: 2 });
  });

  test('takes the result of the reviewer when there is one', async () => {
    const [board] = await newBoard();
    const { id } = await handedOver(board);
    await end(board, await board.claim('review', { worker: 'bob' }), 'complete', { result: { lines: 4 } });
    expect((await board.read(id)).result).toEqual({ lines: 4 });
  });

  test('goes back with the reason to the lane that did it, and is reviewed again', async () => {
    const [board] = await newBoard();
    const { id } = await handedOver(board);
    const changes = await end(board, await board.claim('review', { worker: 'bob' }), 'request-changes', {
      reason: 'tests are missing',
    });
    expect(changes.run).toMatchObject({ outcome: 'changes_requested', error: 'tests are missing' });
    expect(changes.task).toMatchObject({
      status: 'ready',
      lane: 'work',
      reviewer: null,
      consecutive_failures: 0,
    });
    const again = await board.claim('work', { worker: 'ann' });
    expect([again.task.id, again.attempt, again.handoff.review]).toEqual([id, 3, 'tests are missing']);
    await end(board, again, 'complete', { summary: 'better', review: true, reviewer: 'review' });
    await end(board, await board.claim('review', { worker: 'bob' }), 'complete');
    expect(await board.read(id)).toMatchObject({ status: 'done', summary: 'better', lane: 'work' });
  });

  test('is never given to the worker that did it, also not by name; another of the same lane may have it', async () => {
    const [board] = await newBoard();
    const { id } = await handedOver(board, 'work');
    expect((await board.claims('work', { worker: 'ann' })).body.claims).toEqual([]);
    expect((await board.claims('work', { worker: 'ann', task_id: id })).code).toBe('task_not_claimable');
    const claim = await board.claim('work', { worker: 'bob', task_id: id });
    expect(claim.task.id).toBe(id);
    await end(board, claim, 'complete');
  });

  test('is given to a worker of that name on another lane, who is another one', async () => {
    const [board] = await newBoard();
    const { id } = await handedOver(board);
    const claim = await board.claim('review', { worker: 'ann' });
    expect(claim.task.id).toBe(id);
    await end(board, claim, 'complete');
  });

  test('by workers without a name, known by their key, may be reviewed with that key on another lane and not on its own', async () => {
    const [board] = await newBoard();
    for (const reviewer of ['work', 'review']) {
      const { id } = await board.task('work');
      await end(board, await board.claim('work'), 'complete', { review: true, reviewer });
      expect((await board.claims('work')).body.claims).toEqual([]);
      const claim = await board.claim(reviewer, reviewer === 'work' ? { worker: 'somebody' } : {});
      expect(claim.task.id).toBe(id);
      await end(board, claim, 'complete');
    }
  });

  test('may be handed on as it is by its reviewer; whoever puts a result of his own in its place may not review that', async () => {
    const [board] = await newBoard();
    const { id } = await handedOver(board, 'review');
    const handOn = { review: true, reviewer: 'review' };
    await end(board, await board.claim('review', { worker: 'bob' }), 'complete', {
      ...handOn,
      summary: 'fine',
    });
    expect(await board.read(id)).toMatchObject({ status: 'review', result: { lines: 3 } });
    await end(board, await board.claim('review', { worker: 'bob' }), 'complete', { ...handOn, result: 4 });
    expect(await board.read(id)).toMatchObject({ status: 'review', result: 4 });
    expect((await board.claims('review', { worker: 'bob' })).body.claims).toEqual([]);
    const { task } = await end(board, await board.claim('review', { worker: 'carl' }), 'request-changes', {
      reason: 'three',
    });
    expect(task).toMatchObject({ status: 'ready', lane: 'review' });
    expect((await board.claim('review', { worker: 'bob' })).handoff.review).toBe('three');
  });

  test.each([
    ['error', { kind: 'error', retry_after_seconds: 1 }],
    ['rate_limited', { kind: 'rate_limited', retry_after_seconds: 1 }],
  ])(
    'waits for a pause after its reviewer failed by %s, and then comes back to review by itself',
    async (_, body) => {
      const [board, elsewhere] = await newBoard();
      const { id } = await handedOver(board);
      const failed = await end(board, await board.claim('review', { worker: 'bob' }), 'fail', {
        error: 'the model refuses',
        ...body,
      });
      expect(failed.task).toMatchObject({ status: 'scheduled', lane: 'review', reviewer: 'review' });
      const due = Date.parse(failed.task.run_at);
      const claim = only(
        expectStatus(await elsewhere.claims('review', { worker: 'bob' }, { waitSeconds: 20 }), 200).body
          .claims as Claim[],
      );
      expect([claim.task.id, claim.attempt]).toEqual([id, 3]);
      expect(Date.parse(claim.claimed_at)).toBeGreaterThanOrEqual(due);
      const { task } = await end(board, claim, 'complete');
      expect(task).toMatchObject({ status: 'done', lane: 'work', result: { lines: 3 } });
    },
  );

  test('without a reviewer waits for people, who accept it or send it back', async () => {
    const [board] = await newBoard();
    const first = await handedOver(board, null);
    expect([first.lane, first.reviewer]).toEqual(['work', null]);
    expect((await board.claims('work', { worker: 'bob' })).body.claims).toEqual([]);
    const sent = expectStatus(await board.operate(first.id, 'request-changes', { reason: 'no' }), 200).body
      .task;
    expect([sent.status, sent.lane, sent.attempt]).toEqual(['ready', 'work', 2]);
    const again = await board.claim('work', { worker: 'ann' });
    expect(again.handoff.review).toBe('no');
    await end(board, again, 'complete', { result: 1, review: true });
    const accepted = expectStatus(await board.operate(first.id, 'accept'), 200).body.task;
    expect(accepted).toMatchObject({ status: 'done', result: 1, attempt: 3 });
    expect((await board.operate(first.id, 'accept')).code).toBe('illegal_transition');
  });

  test('comes before new work of the lane', async () => {
    const [board] = await newBoard();
    const { id } = await handedOver(board);
    await board.task('review', { priority: 100 });
    expect((await board.claim('review', { worker: 'bob' })).task.id).toBe(id);
  });

  test('wakes a reviewer that waits, on another server, and one whose lane was registered later', async () => {
    const [board, elsewhere] = await newBoard();
    const waiting = elsewhere.claims('review', { worker: 'bob' }, { waitSeconds: 30 });
    const { id } = await handedOver(board);
    expect(expectStatus(await waiting, 200).body.claims[0].task.id).toBe(id);
    const later = await handedOver(board, 'late');
    await board.lane('late');
    expect((await elsewhere.claim('late', { worker: 'bob' })).task.id).toBe(later.id);
  });

  test.each([
    ['release', {}],
    ['fail', { error: 'reviewer broke', retry_after_seconds: 3600 }],
    ['block', { reason: 'whom to ask?' }],
    ['release', { delay_seconds: 3600 }],
  ])('keeps its phase when the reviewer ends by %s %j', async (verb, body) => {
    const [board] = await newBoard();
    const { id } = await handedOver(board);
    await end(board, await board.claim('review', { worker: 'bob' }), verb, body);
    const { status } = await board.read(id);
    if (status === 'blocked') expectStatus(await board.operate(id, 'unblock'), 200);
    if (status === 'scheduled') expectStatus(await board.operate(id, 'promote'), 200);
    expect(await board.read(id)).toMatchObject({
      status: 'review',
      reviewer: 'review',
      result: { lines: 3 },
    });
    await end(board, await board.claim('review', { worker: 'bob' }), 'complete');
  });

  test('is given to another reviewer by assigning it', async () => {
    const [board] = await newBoard();
    const { id } = await handedOver(board, null);
    expectStatus(await board.operate(id, 'assign', { lane: 'review' }), 200);
    expect((await board.claim('review', { worker: 'bob' })).task.id).toBe(id);
  });

  test('is not given to anybody any more once it is done', async () => {
    const [board] = await newBoard();
    const { id } = await handedOver(board, null);
    expectStatus(await board.operate(id, 'accept'), 200);
    expect((await board.operate(id, 'assign', { lane: 'review' })).code).toBe('illegal_transition');
  });

  test('lets what waits for it wait until it is accepted', async () => {
    const [board] = await newBoard();
    const { id } = await handedOver(board, null);
    const child = await board.task('work', { parents: [id] });
    expect(child.status).toBe('todo');
    expectStatus(await board.operate(id, 'accept'), 200);
    expect((await board.read(child.id)).status).toBe('ready');
    const claim = await board.claim('work', { worker: 'carl' });
    expect(claim.handoff.parents).toEqual([
      { task_id: id, title: 'a task', summary: 'the work', result: { lines: 3 } },
    ]);
  });
});

test('a claim that was not taken from review has nothing to send back', async () => {
  const [board] = await newBoard();
  await board.task('work');
  const claim = await board.claim('work');
  const answer = await endClaim(board.server, claim, 'request-changes', { reason: 'x' });
  expect([answer.status, answer.code]).toEqual([409, 'illegal_transition']);
  await end(board, claim, 'complete');
});

test('a reviewer lane under a cap reviews no more at once than it may', async () => {
  const [board, elsewhere] = await newBoard();
  await board.lane('review', { max_concurrent_claims: 1 });
  for (let count = 0; count < 3; count += 1) await handedOver(board);
  const answers = await Promise.all(
    [board, elsewhere, board, elsewhere].map((each, index) => each.claims('review', { worker: `w${index}` })),
  );
  expect(answers.flatMap((answer) => expectStatus(answer, 200).body.claims)).toHaveLength(1);
});
