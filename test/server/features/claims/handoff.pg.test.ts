/** What a worker is told about a task: with the claim, and as text for whoever asks; and what its token lets it see around it. */
import { describe, expect, test } from 'vitest';
import { taskDocument } from '../../../../src/cli/worker/task-document.ts';
import type { Claim, Handoff } from '../../../../src/contract/claims.ts';
import type { Task } from '../../../../src/contract/tasks.ts';
import { handoffText } from '../../../../src/server/features/claims/handoff-text.ts';
import { useAuditedBoards } from '../../../fixtures/audited-boards.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { openWorker } from '../../../fixtures/push-worker.ts';

const { newBoard } = useAuditedBoards(['work', 'review']);

const end = async (board: TestBoard, claim: Claim, verb: string, body = {}) =>
  expectStatus(await endClaim(board.server, claim, verb, body), 200).body;

const contextOf = async (board: TestBoard, task: string, token?: string): Promise<string> =>
  expectStatus(await board.call('GET', `/tasks/${task}/context`, token === undefined ? {} : { token }), 200)
    .body.text;

async function finished(board: TestBoard, body: Record<string, unknown>): Promise<Task> {
  const task = await board.task('work', body);
  const claim = (await board.claims('work', { task_id: task.id })).body.claims[0];
  await end(board, claim, 'complete', { summary: `${task.title} is ready`, result: { of: task.title } });
  return task;
}

describe('the text of a task', () => {
  test('is what its handoff says, the same for its holder, for readers and before it is claimed', async () => {
    const [board] = await newBoard();
    const parent = await finished(board, { title: 'wood' });
    const task = await board.task('work', { body: 'carefully', payload: { legs: 4 }, parents: [parent.id] });
    const first = await board.claim('work');
    await end(board, first, 'heartbeat', { checkpoint: { legs: 2 } });
    await end(board, first, 'release', { reason: 'lunch' });
    expectStatus(await board.call('POST', `/tasks/${task.id}/comments`, { body: { body: 'oak' } }), 201);
    expectStatus(await board.operate(task.id, 'steer', { message: 'hurry' }), 201);

    const before = await contextOf(board, task.id);
    const claim = await board.claim('work');
    const held = await contextOf(board, task.id);
    expect(await contextOf(board, task.id, claim.token)).toBe(held);
    expect(held).toBe(handoffText(await board.read(task.id), claim.handoff));
    const standing = /^Task .*$/m;
    expect(held.replace(standing, '')).toBe(before.replace(standing, ''));
    for (const part of [
      '> carefully',
      '{"legs":4}',
      '> wood is ready',
      '{"of":"wood"}',
      '{"legs":2}',
      '> oak',
      '> hurry',
    ])
      expect(held).toContain(part);
  });

  test('is the same whichever way the task is handed over', async () => {
    const [board] = await newBoard();
    await board.lane('pushed', { claim_mode: 'push' });
    const parent = await finished(board, { title: 'wood' });
    const withPast = async (): Promise<Task> => {
      const task = await board.task('work', {
        body: 'carefully',
        payload: { legs: 4 },
        parents: [parent.id],
      });
      const first = (await board.claims('work', { task_id: task.id })).body.claims[0];
      await end(board, first, 'heartbeat', { checkpoint: { legs: 2, long: 'l'.repeat(9000) } });
      await end(board, first, 'fail', { error: 'e'.repeat(4000), metadata: { long: 'l'.repeat(9000) } });
      expectStatus(
        await board.call('POST', `/tasks/${task.id}/comments`, { body: { body: 'ö'.repeat(5000) } }),
        201,
      );
      expectStatus(await board.operate(task.id, 'steer', { message: 'hurry' }), 201);
      expectStatus(await board.operate(task.id, 'promote'), 200);
      return task;
    };
    const expectSame = async (claim: Omit<Claim, 'token'>): Promise<void> => {
      const text = handoffText(await board.read(claim.task.id), claim.handoff);
      expect(await contextOf(board, claim.task.id)).toBe(text);
      // What a process is given on its standard input.
      const { handoff, ...task } = JSON.parse(taskDocument({ ...claim, token: '' }));
      expect(handoffText(task, handoff)).toBe(text);
    };

    const { id } = await withPast();
    const headers = { 'Idempotency-Key': `of-${id}` };
    const claim = expectStatus(await board.claims('work', { worker: 'ann' }, { headers }), 200).body
      .claims[0];
    await expectSame(claim);
    const again = expectStatus(await board.claims('work', { worker: 'ann' }, { headers }), 200).body
      .claims[0];
    expect(again.handoff).toEqual(claim.handoff);
    const body = { mode: 'adopt', worker: 'bob' };
    const taken = expectStatus(await board.call('POST', '/lanes/work/takeover', { body }), 200).body
      .claims[0];
    expect(taken.attempt).toBe(3);
    await expectSame(taken);

    expectStatus(await board.operate((await withPast()).id, 'assign', { lane: 'pushed' }), 200);
    const worker = await openWorker(board, { lane: 'pushed' });
    await worker.credit(1);
    await expectSame(await worker.claim());
  });

  test('claims nothing, and tells nobody that its messages were heard', async () => {
    const [board] = await newBoard();
    const task = await board.task('work');
    expectStatus(await board.operate(task.id, 'steer', { message: 'hurry' }), 201);
    expect(await contextOf(board, task.id)).toContain('> hurry');
    expect(await board.read(task.id)).toMatchObject({ status: 'ready', attempt: 0, version: task.version });
    const { messages } = (await board.call('GET', `/tasks/${task.id}/messages`)).body;
    expect(messages).toMatchObject([{ state: 'queued', run_id: null }]);
  });

  test('says to the reviewer what was done, and to the next attempt what is to be changed', async () => {
    const [board] = await newBoard();
    const { id } = await board.task('work');
    const work = await board.claim('work', { worker: 'ann' });
    await end(board, work, 'complete', { summary: 'the work', review: true, reviewer: 'review' });
    const review = await board.claim('review', { worker: 'bob' });
    const told = await contextOf(board, id, review.token);
    expect(told).toContain('This is a review');
    expect(told).toContain('> the work');
    await end(board, review, 'request-changes', { reason: 'tests are missing' });
    const again = await board.claim('work', { worker: 'ann' });
    const next = await contextOf(board, id, again.token);
    expect(next).toContain('## What the review asks for\n\n> tests are missing\n');
    expect(next).not.toContain('This is a review');
  });
});

describe('a handoff', () => {
  test('over all its caps is cut, and names what is missing', { timeout: 60_000 }, async () => {
    const [board] = await newBoard();
    const big = { blob: 'b'.repeat(9000) };
    const long = 's'.repeat(5000);
    const titles = Array.from({ length: 51 }, (_, index) => `parent ${index}`);
    const made = expectStatus(
      await board.call('POST', '/tasks/batch', { body: { tasks: titles.map((title) => ({ title })) } }),
      201,
    ).body.tasks as Task[];
    const completion = { summary: long, result: big };
    for (const answer of await Promise.all(made.map(({ id }) => board.operate(id, 'complete', completion))))
      expectStatus(answer, 200);
    const { id } = await board.task('work', {
      payload: big,
      parents: made.map((parent) => parent.id),
      max_failures: 1000,
    });
    for (let number = 1; number <= 12; number += 1) {
      const claim = await board.claim('work');
      await end(board, claim, 'heartbeat', { checkpoint: { ...big, number } });
      await end(board, claim, 'release', { reason: 'r'.repeat(4000), metadata: big });
    }
    for (let number = 0; number < 31; number += 1)
      expectStatus(
        await board.call('POST', `/tasks/${id}/comments`, { body: { body: `${number} ${long}` } }),
        201,
      );

    const { handoff } = await board.claim('work');
    expect(handoff.truncated.toSorted()).toEqual([
      'attempts',
      'attempts.checkpoint',
      'attempts.metadata',
      'comments',
      'comments.body',
      'parents',
      'parents.result',
      'parents.summary',
    ]);
    const lengths = (of: Handoff) => [of.parents.length, of.comments.length, of.attempts.length];
    expect(lengths(handoff)).toEqual([50, 30, 10]);
    expect(handoff.parents.map((parent) => parent.title)).toEqual(titles.slice(0, 50));
    expect(handoff.comments[0]?.body).toBe(`1 ${long}`.slice(0, 4096));
    // The latest checkpoint is where the work stands: never cut.
    expect(handoff.attempts.map((attempt) => attempt.checkpoint)).toEqual([
      ...Array.from({ length: 9 }, () => null),
      { ...big, number: 12 },
    ]);
    const text = await contextOf(board, id);
    const leftOut = text.slice(text.indexOf('## Left out here'));
    for (const name of ['payload', ...handoff.truncated]) expect(leftOut).toContain(`\n- ${name}: `);
  });
});

describe('where the work stands', () => {
  test('and what the review asked for is handed over after any night of attempts that came to nothing', async () => {
    const [board] = await newBoard();
    const { id } = await board.task('work', { max_failures: 1000 });
    const work = await board.claim('work', { worker: 'ann' });
    await end(board, work, 'heartbeat', { checkpoint: { legs: 2 } });
    await end(board, work, 'complete', { summary: 'the work', review: true, reviewer: 'review' });
    const review = await board.claim('review', { worker: 'bob' });
    await end(board, review, 'request-changes', { reason: 'a leg is missing' });
    for (let number = 0; number < 12; number += 1)
      await end(board, await board.claim('work', { worker: 'ann' }), 'release', { reason: 'not now' });

    const { handoff } = await board.claim('work', { worker: 'ann' });
    expect(handoff.attempts.map((attempt) => attempt.attempt)).toEqual([
      1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
    ]);
    expect(handoff.attempts[0]?.checkpoint).toEqual({ legs: 2 });
    expect([handoff.review, handoff.truncated]).toEqual(['a leg is missing', ['attempts']]);
    expect(await contextOf(board, id)).toContain('## What the review asks for\n\n> a leg is missing\n');
  });
});

describe('an answer', () => {
  test('that hands many tasks over is no longer than a request may be, and says what it left out', async () => {
    const [board] = await newBoard();
    const completion = { summary: 's'.repeat(4096), result: 'r'.repeat(8000) };
    const made = await board.tasks('review', 50);
    for (const answer of await Promise.all(made.map(({ id }) => board.operate(id, 'complete', completion))))
      expectStatus(answer, 200);
    const parents = made.map(({ id }) => id);
    const children = await board.tasks('work', 100, { parents });
    const { claims } = expectStatus(await board.claims('work', { max: 100 }), 200).body as {
      claims: Claim[];
    };
    expect(claims.map(({ task }) => task.id)).toEqual(children.map(({ id }) => id));
    expect(JSON.stringify(claims.map(({ handoff }) => handoff)).length).toBeLessThan(8 * 1024 * 1024);
    for (const { handoff } of claims) {
      expect(handoff.truncated).toEqual(['parents']);
      expect(handoff.parents.map((parent) => parent.task_id)).toEqual(
        parents.slice(0, handoff.parents.length),
      );
      expect(handoff.parents[0]).toMatchObject(completion);
    }
    // Whoever has it to himself is told more, and still not without a bound.
    const text = await contextOf(board, children[0]?.id ?? '');
    expect(text.length).toBeGreaterThan(256 * 1024);
    expect(text.length).toBeLessThan(512 * 1024);
  });
});

describe('a claim token', () => {
  /** grandparent ← parent ← own ← child ← grandchild, and one that is nothing to any of them. */
  async function family(board: TestBoard): Promise<{ claim: Claim; near: Task[]; far: Task[] }> {
    const grandparent = await finished(board, { title: 'grandparent' });
    const parent = await finished(board, { title: 'parent', parents: [grandparent.id] });
    const own = await board.task('work', { title: 'own', parents: [parent.id] });
    const child = await board.task(null, { title: 'child', parents: [own.id] });
    const grandchild = await board.task(null, { title: 'grandchild', parents: [child.id] });
    const stranger = await board.task(null, { title: 'stranger', external_ref: 'stranger' });
    const claim = await board.claim('work');
    expect(claim.task.id).toBe(own.id);
    return { claim, near: [own, parent, child], far: [grandparent, grandchild, stranger] };
  }

  test('reads its task with direct parents and children, and nothing beyond', async () => {
    const [board] = await newBoard();
    const { claim, near, far } = await family(board);
    const { token } = claim;
    for (const { id, title } of near) {
      const { task } = expectStatus(await board.call('GET', `/tasks/${id}`, { token }), 200).body;
      expect(task.title).toBe(title);
    }
    const done = near[1]?.id;
    const waited = await board.call('GET', `/tasks/${done}`, { token, headers: { Prefer: 'wait=5' } });
    expect([waited.status, waited.body.task.status]).toEqual([200, 'done']);
    for (const name of [...far.map((task) => task.id), 'stranger']) {
      const answer = await board.call('GET', `/tasks/${name}`, { token });
      expect([answer.status, answer.code, answer.body.resource]).toEqual([404, 'not_found', 'task']);
    }
    // What its neighbours were told, and tried, is theirs.
    for (const { id } of near.slice(1))
      for (const part of ['context', 'comments', 'messages', 'runs', 'output'])
        expect((await board.call('GET', `/tasks/${id}/${part}`, { token })).code).toBe('not_found');
  });

  test('sees a task as soon as it is linked, and no longer than it is', async () => {
    const [board] = await newBoard();
    const { claim, far } = await family(board);
    const { token, task } = claim;
    const stranger = far[2]?.id;
    const path = `/tasks/${task.id}/parents/${stranger}`;
    expectStatus(await board.call('PUT', path), 200);
    expectStatus(await board.call('GET', `/tasks/${stranger}`, { token }), 200);
    expectStatus(await board.call('DELETE', path), 200);
    expect((await board.call('GET', `/tasks/${stranger}`, { token })).code).toBe('not_found');
  });

  test('goes on reading when its claim is over, and changes nothing any more', async () => {
    const [board] = await newBoard();
    const { claim, near } = await family(board);
    const { token, task } = claim;
    const [, parent, child] = near;
    await end(board, claim, 'complete');
    for (const { id } of near) expectStatus(await board.call('GET', `/tasks/${id}`, { token }), 200);
    expect(await contextOf(board, task.id, token)).toContain(', done on lane work.');
    const link = `/tasks/${task.id}/parents/${parent?.id}`;
    const changes: [string, string, object?][] = [
      ['PUT', link],
      ['DELETE', link],
      ['POST', `/tasks/${task.id}/comments`, { body: 'x' }],
      ['POST', '/tasks', { title: 'x', parents: [child?.id] }],
    ];
    for (const [method, path, body] of changes)
      expect((await board.call(method, path, { token, ...(body ? { body } : {}) })).code, path).toBe(
        'claim_lost',
      );
  });
});
