/** A child waits for its parents, and never for nothing. */
import { afterEach, describe, expect, test } from 'vitest';
import type { Claim } from '../../../../src/contract/claims.ts';
import type { Task } from '../../../../src/contract/tasks.ts';
import { auditBoard } from '../../../fixtures/audit.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();
const boards: TestBoard[] = [];

/** Whatever a test did, the log says the same as the rows. */
afterEach(async () => {
  for (const board of boards.splice(0)) await auditBoard(servers.database.sql, board.name);
});

async function newBoard(): Promise<[TestBoard, TestBoard]> {
  const [board, elsewhere] = await servers.board();
  await board.lane('work');
  boards.push(board);
  return [board, elsewhere];
}

const link = (board: TestBoard, child: Task, parent: Task, method = 'PUT', token?: string) =>
  board.call(method, `/tasks/${child.id}/parents/${parent.id}`, token === undefined ? {} : { token });

async function finish(board: TestBoard, task: Task): Promise<void> {
  const claim = expectStatus(await board.claims('work', { task_id: task.id }), 200).body.claims[0];
  expectStatus(
    await endClaim(board.server, claim, 'complete', { summary: 'done', result: { of: task.title } }),
    200,
  );
}

describe('a child', () => {
  test('waits in todo until the last of its parents is done, and is then ready in the same moment', async () => {
    const [board] = await newBoard();
    const [one, two] = [await board.task('work', { priority: 9 }), await board.task('work', { priority: 8 })];
    const child = await board.task('work', { parents: [one.id, two.id] });
    expect([child.status, child.unmet_parents]).toEqual(['todo', 2]);
    await finish(board, one);
    expect(await board.read(child.id)).toMatchObject({ status: 'todo', unmet_parents: 1 });
    await finish(board, two);
    expect(await board.read(child.id)).toMatchObject({ status: 'ready', unmet_parents: 0, version: 2 });
    const ended = (await board.events(`&tasks=${two.id}&kinds=task.completed`))[0];
    const ready = (await board.events(`&tasks=${child.id}&kinds=task.ready`))[0];
    expect(ready?.seq).toBe((ended?.seq ?? 0) + 1);
    expect(ready?.data).toMatchObject({ status_before: 'todo', status_after: 'ready', parents: [two.id] });
    expect(ready?.actor).toEqual(ended?.actor);
  });

  test('of parents that are done already, also put away since, is ready at once', async () => {
    const [board] = await newBoard();
    const [done, archived] = [await board.task('work'), await board.task('work')];
    for (const task of [done, archived]) await finish(board, task);
    expectStatus(await board.operate(archived.id, 'archive'), 200);
    const child = await board.task('work', { parents: [done.id, archived.id] });
    expect([child.status, child.unmet_parents]).toEqual(['ready', 0]);
  });

  test('of a parent that was cancelled, or put away undone, goes on waiting', async () => {
    const [board] = await newBoard();
    const [cancelled, archived] = [await board.task('work'), await board.task('work')];
    const child = await board.task('work', { parents: [cancelled.id, archived.id] });
    expectStatus(await board.operate(cancelled.id, 'cancel'), 200);
    expectStatus(await board.operate(archived.id, 'archive'), 200);
    expect(await board.read(child.id)).toMatchObject({ status: 'todo', unmet_parents: 2 });
    expectStatus(await link(board, child, cancelled, 'DELETE'), 200);
    const { task } = expectStatus(await link(board, child, archived, 'DELETE'), 200).body;
    expect([task.status, task.unmet_parents]).toEqual(['ready', 0]);
  });

  test('is not forced past its parents', async () => {
    const [board] = await newBoard();
    const parent = await board.task('work');
    const child = await board.task('work', { parents: [parent.id] });
    const answer = await board.operate(child.id, 'promote');
    expect([answer.status, answer.code, answer.body.unmet_parents]).toEqual([409, 'illegal_transition', 1]);
  });

  test('that was to start later does so when its parents are done, and not before its time', async () => {
    const [board] = await newBoard();
    const parent = await board.task('work');
    const later = new Date(Date.now() + 3_600_000).toISOString();
    const child = await board.task('work', { parents: [parent.id], run_at: later });
    expect([child.status, child.run_at]).toEqual(['todo', later]);
    await finish(board, parent);
    expect(await board.read(child.id)).toMatchObject({
      status: 'scheduled',
      run_at: later,
      unmet_parents: 0,
    });
  });

  test('in triage or blocked stays there, and finds its parents when it goes on', async () => {
    const [board] = await newBoard();
    const parent = await board.task('work');
    const parents = [parent.id];
    const triage = await board.task('work', { parents, status: 'triage' });
    const blocked = await board.task('work', { parents, status: 'blocked' });
    expect([triage.status, blocked.status]).toEqual(['triage', 'blocked']);
    expect(expectStatus(await board.operate(triage.id, 'promote'), 200).body.task.status).toBe('todo');
    expect(expectStatus(await board.operate(blocked.id, 'unblock'), 200).body.task.status).toBe('todo');
    await finish(board, parent);
    for (const { id } of [triage, blocked]) expect((await board.read(id)).status).toBe('ready');
  });
});

describe('a batch', () => {
  test('names earlier entries as parents, all or nothing', async () => {
    const [board] = await newBoard();
    const tasks = [
      { title: 'a', lane: 'work' },
      { title: 'b', lane: 'work', parents: ['#0'] },
      { title: 'c', lane: 'work', parents: ['#0', '#1'] },
    ];
    const made = expectStatus(await board.call('POST', '/tasks/batch', { body: { tasks } }), 201).body.tasks;
    expect(made.map((task: Task) => [task.status, task.unmet_parents])).toEqual([
      ['ready', 0],
      ['todo', 1],
      ['todo', 2],
    ]);
    for (const task of made) await finish(board, task);
    const bad = [...tasks, { title: 'd', parents: ['#4'] }];
    const answer = await board.call('POST', '/tasks/batch', { body: { tasks: bad } });
    expect([answer.status, answer.body.errors]).toEqual([
      400,
      [{ pointer: '/tasks/3/parents/0', detail: 'names no earlier entry' }],
    ]);
    expect((await board.call('GET', '/tasks')).body.tasks).toHaveLength(3);
  });

  test('sent again under idempotency keys gives the same tasks, linked as they were', async () => {
    const [board] = await newBoard();
    const tasks = [
      { title: 'a', lane: 'work', idempotency_key: 'a' },
      { title: 'b', lane: 'work', idempotency_key: 'b', parents: ['#0'] },
      { title: 'new', lane: 'work', parents: ['#0', '#1'] },
    ];
    const send = () => board.call('POST', '/tasks/batch', { body: { tasks: tasks.slice(0, 2) } });
    const first = expectStatus(await send(), 201).body.tasks;
    expect(expectStatus(await send(), 201).body.tasks.map((task: Task) => task.id)).toEqual(
      first.map((task: Task) => task.id),
    );
    const more = expectStatus(await board.call('POST', '/tasks/batch', { body: { tasks } }), 201).body
      .tasks[2];
    const { edges } = expectStatus(await board.call('GET', `/tasks/${more.id}/graph`), 200).body;
    expect(edges).toHaveLength(3);
    expect(more.unmet_parents).toBe(2);
  });
});

describe('a link', () => {
  test('to a ready task sends it back to todo, once, and taken away lets it go on', async () => {
    const [board] = await newBoard();
    const [parent, child] = [await board.task('work'), await board.task('work')];
    for (let turn = 0; turn < 2; turn += 1)
      expect(expectStatus(await link(board, child, parent), 200).body.task).toMatchObject({
        status: 'todo',
        unmet_parents: 1,
      });
    expect(await board.events(`&tasks=${child.id}&kinds=task.linked`)).toHaveLength(1);
    expect(expectStatus(await link(board, child, parent, 'DELETE'), 200).body.task.status).toBe('ready');
    expect((await link(board, child, parent, 'DELETE')).body).toMatchObject({
      code: 'not_found',
      resource: 'parent',
    });
  });

  test('that would close a circle is refused with the way round', async () => {
    const [board] = await newBoard();
    const tasks = await board.tasks('work', 4);
    const [a, b, c] = tasks as [Task, Task, Task];
    expectStatus(await link(board, b, a), 200);
    expectStatus(await link(board, c, b), 200);
    const answer = await link(board, a, c);
    expect([answer.status, answer.code, answer.body.path]).toEqual([
      409,
      'dependency_cycle',
      [a.id, c.id, b.id, a.id],
    ]);
    expect((await link(board, a, a)).code).toBe('dependency_cycle');
  });

  test('made by many at once closes no circle: of each ring one link is missing', async () => {
    const [board, elsewhere] = await newBoard();
    const ring = await board.tasks('work', 6);
    const answers = await Promise.all(
      ring.map((task, index) =>
        link(index % 2 === 0 ? board : elsewhere, task, ring[(index + 1) % ring.length] as Task),
      ),
    );
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, 200, 200, 200, 200, 409]);
  });
});

describe('two parents that end at once', () => {
  test('never strand a child, on whichever servers', async () => {
    const [board, elsewhere] = await newBoard();
    for (let round = 0; round < 15; round += 1) {
      const parents = await board.tasks('work', 4);
      const child = await board.task('work', { parents: parents.map((task) => task.id) });
      const claims = expectStatus(await board.claims('work', { max: 4 }), 200).body.claims as Claim[];
      const answers = await Promise.all(
        claims.map((claim, index) =>
          endClaim((index % 2 === 0 ? board : elsewhere).server, claim, 'complete'),
        ),
      );
      for (const answer of answers) expectStatus(answer, 200);
      expect(await board.read(child.id)).toMatchObject({ status: 'ready', unmet_parents: 0 });
      await finish(board, child);
    }
  });
});

describe('a parent that is reopened', () => {
  test('sends children that have not started back to todo; those that have go on', async () => {
    const [board] = await newBoard();
    const parent = await board.task('work');
    const [waiting, running, done] = (await Promise.all(
      [1, 2, 3].map((priority) => board.task('work', { parents: [parent.id], priority })),
    )) as [Task, Task, Task];
    await finish(board, parent);
    await finish(board, done);
    const claim = expectStatus(await board.claims('work', { task_id: running.id }), 200).body.claims[0];
    expectStatus(await board.operate(parent.id, 'reopen'), 200);
    expect((await board.read(waiting.id)).status).toBe('todo');
    expect((await board.read(running.id)).status).toBe('running');
    expect((await board.read(done.id)).status).toBe('done');
    expectStatus(await endClaim(board.server, claim, 'release'), 200);
    expect((await board.read(running.id)).status).toBe('todo');
    expect(expectStatus(await board.operate(done.id, 'reopen'), 200).body.task.status).toBe('todo');
    await finish(board, await board.read(parent.id));
    for (const { id } of [waiting, running, done]) expect((await board.read(id)).status).toBe('ready');
  });
});

describe('a worker', () => {
  test('parks its task for helpers that it made, and gets it back when they are done', async () => {
    const [board] = await newBoard();
    const own = await board.task('work');
    const claim = await board.claim('work');
    const made = expectStatus(
      await board.call('POST', '/tasks/batch', {
        token: claim.token,
        body: { tasks: [1, 2].map((n) => ({ title: `helper ${n}`, lane: 'work' })) },
      }),
      201,
    ).body.tasks as Task[];
    for (const helper of made) expectStatus(await link(board, own, helper, 'PUT', claim.token), 200);
    const { task, run } = expectStatus(
      await endClaim(board.server, claim, 'block', { reason: 'helpers', kind: 'dependency' }),
      200,
    ).body;
    expect([task.status, task.unmet_parents, run.outcome]).toEqual(['todo', 2, 'blocked']);
    for (const helper of made) await finish(board, helper);
    expect((await board.claim('work')).task.id).toBe(own.id);
  });

  test('whose helpers were done before it could park is not parked for ever', async () => {
    const [board] = await newBoard();
    const own = await board.task('work');
    const claim = await board.claim('work');
    const helper = expectStatus(
      await board.call('POST', '/tasks', { token: claim.token, body: { title: 'helper', lane: 'work' } }),
      201,
    ).body.task;
    expectStatus(await link(board, own, helper, 'PUT', claim.token), 200);
    await finish(board, helper);
    expectStatus(await endClaim(board.server, claim, 'block', { reason: 'x', kind: 'dependency' }), 200);
    expect((await board.claim('work')).task.id).toBe(own.id);
  });

  test('links what is its own or what it made, and nothing else', async () => {
    const [board] = await newBoard();
    const [, other] = [await board.task('work'), await board.task(null)];
    const claim = await board.claim('work');
    expect((await link(board, claim.task, other, 'PUT', claim.token)).code).toBe('not_found');
    expect((await link(board, other, claim.task, 'PUT', claim.token)).code).toBe('not_found');
    expectStatus(await endClaim(board.server, claim, 'complete'), 200);
    expect((await link(board, claim.task, claim.task, 'PUT', claim.token)).code).toBe('claim_lost');
  });
});

test('a takeover adopts what can be claimed, and gives back what has been made to wait meanwhile', async () => {
  const [board] = await newBoard();
  const [waiting, plain] = [await board.task('work', { priority: 1 }), await board.task('work')];
  expectStatus(await board.claims('work', { worker: 'old', max: 2 }), 200);
  expectStatus(await link(board, waiting, await board.task(null)), 200);
  const body = { mode: 'adopt', worker: 'new' };
  const answer = expectStatus(await board.call('POST', '/lanes/work/takeover', { body }), 200).body;
  expect(answer.claims.map((claim: Claim) => claim.task.id)).toEqual([plain.id]);
  expect((await board.read(waiting.id)).status).toBe('todo');
});

test('the graph shows what a task waits for and what waits for it, with what is met', async () => {
  const [board] = await newBoard();
  const top = await board.task('work', { title: 'top' });
  const left = await board.task('work', { title: 'left', parents: [top.id] });
  const right = await board.task('work', { title: 'right', parents: [top.id] });
  const end = await board.task('work', { title: 'end', parents: [left.id, right.id] });
  await board.task('work', { title: 'elsewhere' });
  await finish(board, top);
  const graph = expectStatus(await board.call('GET', `/tasks/${left.id}/graph`), 200).body;
  expect(graph.nodes.map((node: Task) => node.title).sort()).toEqual(['end', 'left', 'top']);
  expect(graph.edges).toEqual(
    expect.arrayContaining([
      { parent: top.id, child: left.id, met: true },
      { parent: left.id, child: end.id, met: false },
    ]),
  );
  expect(graph.truncated).toBe(false);
});
