/** Tasks that are made with parents: what is locked when, and which task an entry of a batch stands for. */
import { describe, expect, test } from 'vitest';
import type { Task } from '../../../../src/contract/tasks.ts';
import { parseId } from '../../../../src/server/kernel/ids.ts';
import { useAuditedBoards } from '../../../fixtures/audited-boards.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { untilStanding } from '../../../fixtures/held-lock.ts';

const { servers, newBoard } = useAuditedBoards();

type Entry = Readonly<Record<string, unknown>>;

const send = (board: TestBoard, tasks: readonly Entry[], token?: string) =>
  board.call('POST', '/tasks/batch', { body: { tasks }, ...(token === undefined ? {} : { token }) });

const made = async (board: TestBoard, tasks: readonly Entry[], token?: string): Promise<Task[]> =>
  expectStatus(await send(board, tasks, token), 201).body.tasks;

const parentsOf = async (board: TestBoard, child: Task): Promise<string[]> => {
  const { edges } = expectStatus(await board.call('GET', `/tasks/${child.id}/graph`), 200).body;
  return (edges as { parent: string; child: string }[])
    .filter((edge) => edge.child === child.id)
    .map((edge) => edge.parent);
};

describe('locks', () => {
  test('a worker that makes a task with parents has its own claim locked only after them', async () => {
    const [board] = await newBoard();
    const { sql } = servers.database;
    await board.task('work');
    const claim = await board.claim('work');
    const [helper] = (await made(board, [{ title: 'helper' }], claim.token)) as [Task];
    const answers: ReturnType<typeof send>[] = [];
    await sql.begin(async (holder) => {
      await holder`SELECT FROM tasks WHERE id = ${parseId('task', helper.id) ?? ''} FOR UPDATE`;
      answers.push(send(board, [{ title: 'second', parents: [helper.id] }], claim.token));
      await untilStanding(sql, 'tasks.lock_many', 'row');
      // Whoever has a task goes on to its claim; if that was taken, the two would wait for each other.
      await holder`SELECT FROM claims WHERE run_id = ${parseId('run', claim.run_id) ?? ''} FOR UPDATE NOWAIT`;
    });
    for (const answer of await Promise.all(answers)) expectStatus(answer, 201);
  });

  test('the log of the board goes on while a batch is linked', async () => {
    const [board] = await newBoard();
    const { sql } = servers.database;
    const parent = await board.task('work');
    const answers: ReturnType<typeof send>[] = [];
    await sql.begin(async (holder) => {
      await holder`LOCK TABLE links IN SHARE MODE`;
      answers.push(
        send(board, [
          { title: 'a', parents: [parent.id] },
          { title: 'b', parents: ['#0'] },
        ]),
      );
      await untilStanding(sql, 'tasks.insert_links', 'gate');
      await holder`
        SELECT FROM board_seq s JOIN boards b ON b.id = s.board_id WHERE b.name = ${board.name} FOR UPDATE OF s NOWAIT`;
    });
    const [answer] = await Promise.all(answers);
    expect(answer?.body.tasks.map((task: Task) => task.unmet_parents)).toEqual([1, 1]);
    const [first, second] = await board.events('&kinds=task.created').then((events) => events.slice(-2));
    expect([first?.data['parents'], first?.task_version]).toEqual([[parent.id], 1]);
    expect([second?.data['status_after'], second?.seq]).toEqual(['todo', (first?.seq ?? 0) + 1]);
  });
});

describe('an entry of a batch', () => {
  test('that repeats the idempotency_key of an earlier one stands for the task of that one', async () => {
    const [board] = await newBoard();
    const tasks = [
      { title: 'a', lane: 'work', idempotency_key: 'k', external_ref: 'x' },
      { title: 'again', lane: 'work', idempotency_key: 'k', parents: ['#0'] },
      { title: 'child', lane: 'work', idempotency_key: 'c', parents: ['#1'] },
      { title: 'child of both', lane: 'work', parents: ['#0', '#1', '#2'] },
    ];
    const [a, again, child, both] = (await made(board, tasks)) as [Task, Task, Task, Task];
    expect([again.id, again.title, again.status]).toEqual([a.id, 'a', 'ready']);
    expect(await parentsOf(board, child)).toEqual([a.id]);
    expect((await parentsOf(board, both)).sort()).toEqual([a.id, child.id].sort());
    expect(both.unmet_parents).toBe(2);
    // Sent again, the keys give what they gave.
    const more = await made(board, tasks);
    expect(more.slice(0, 3).map((task) => task.id)).toEqual([a.id, a.id, child.id]);
    expect((await board.call('GET', '/tasks')).body.tasks).toHaveLength(4);
  });

  test('whose task was there before asks nothing of the parents that it names', async () => {
    const [board] = await newBoard();
    const parent = await board.task(null);
    const body = { title: 'child', idempotency_key: 'k', parents: [parent.id] };
    const child: Task = expectStatus(await board.call('POST', '/tasks', { body }), 201).body.task;
    expectStatus(await board.operate(parent.id, 'cancel'), 200);
    expectStatus(await board.call('DELETE', `/tasks/${parent.id}`), 204);
    expect(expectStatus(await board.call('POST', '/tasks', { body }), 200).body.task.id).toBe(child.id);
    const [again, next] = (await made(board, [body, { title: 'next', parents: ['#0'] }])) as [Task, Task];
    expect(again.id).toBe(child.id);
    expect(await parentsOf(board, next)).toEqual([child.id]);
    const fresh = { ...body, idempotency_key: 'new' };
    expect((await board.call('POST', '/tasks', { body: fresh })).code).toBe('not_found');
    expect((await send(board, [{ ...body, parents: ['#0'] }])).code).toBe('invalid_request');
  });

  test('whose task was there before may be named, also when it is done', async () => {
    const [board] = await newBoard();
    const done = await board.task('work', { idempotency_key: 'k' });
    expectStatus(await endClaim(board.server, await board.claim('work'), 'complete'), 200);
    const [, again, child] = (await made(board, [
      { title: 'x', idempotency_key: 'k' },
      { title: 'y', idempotency_key: 'k' },
      { title: 'child', parents: ['#1'] },
    ])) as [Task, Task, Task];
    expect([again.id, child.status]).toEqual([done.id, 'ready']);
    expect(await parentsOf(board, child)).toEqual([done.id]);
  });

  test('does not count as a child where it makes none', async () => {
    const [board] = await newBoard();
    const parent = await board.task(null);
    const tasks = Array.from({ length: 600 }, (_, index) => ({
      title: 'x',
      idempotency_key: `k${index}`,
      parents: [parent.id],
    }));
    const first = await made(board, tasks);
    expect((await made(board, tasks)).map(({ id }) => id)).toEqual(first.map(({ id }) => id));
    const others = tasks.map((task) => ({ ...task, idempotency_key: `more ${task.idempotency_key}` }));
    expect((await send(board, others)).body.errors).toEqual([
      { pointer: '/parents', detail: 'more than 1000 tasks would wait for one' },
    ]);
  });
});

test('a parent that is deleted meanwhile is said to be missing under the name it was given', async () => {
  const [board] = await newBoard();
  const { sql } = servers.database;
  const byRef = await board.task(null, { external_ref: 'ticket-7' });
  const byId = await board.task(null);
  for (const [task, reference] of [
    [byRef, 'ticket-7'],
    [byId, byId.id],
  ] as const) {
    const answers: Promise<Awaited<ReturnType<typeof send>>>[] = [];
    await sql.begin(async (holder) => {
      await holder`SELECT FROM tasks WHERE id = ${parseId('task', task.id) ?? ''} FOR UPDATE`;
      answers.push(board.call('DELETE', `/tasks/${task.id}`));
      await untilStanding(sql, 'tasks.lock_many', 'row');
      answers.push(send(board, [{ title: 'x', parents: [reference] }]));
      await untilStanding(sql, 'tasks.lock_many', 'row', 2);
    });
    const [deleted, answer] = await Promise.all(answers);
    expect([deleted?.status, answer?.code]).toEqual([204, 'not_found']);
    expect(answer?.body.detail).toBe(`There is no task ${JSON.stringify(reference)} on this board.`);
  }
});
