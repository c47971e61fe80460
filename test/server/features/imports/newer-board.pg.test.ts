/** A Hermes board of a newer version comes over whole, and work goes on from there. */
import { expect, test } from 'vitest';
import { HermesBoard, MAY } from '../../../cli/import/hermes-board.ts';
import { fullBoard } from '../../../cli/import/usual-boards.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { findingsOf, iso, run, useImportedBoards } from './imported-boards.ts';

const { newBoard } = useImportedBoards();

test('every status, run, comment and link comes over', async () => {
  const [board] = await newBoard();
  const report = await run(board, await (await fullBoard()).save());
  expect(report).toMatchObject({
    tasks: { found: 12, created: 12, present: 0, left_out: 0 },
    statuses: { done: 1, ready: 2, todo: 1, triage: 2, scheduled: 1, blocked: 3, archived: 1, review: 1 },
    links: { found: 2, created: 2 },
    lanes: {
      created: [
        { name: 'coder', kind: 'spawn' },
        { name: 'critic', kind: 'persistent' },
        { name: 'writer', kind: 'persistent' },
      ],
    },
    runs: 4,
    comments: 2,
    subscriptions: { created: 1, present: 0 },
  });
  expect(findingsOf(report)).toEqual({
    unknown_status: 1,
    running: 1,
    todo_without_open_parents: 1,
    scheduled_without_time: 1,
    attachment: 1,
    attachment_missing: 1,
    subscription_over: 1,
  });
  const done = await board.read('t_0000000a');
  expect(done).toMatchObject({
    title: 'task t_0000000a',
    body: 'how',
    status: 'done',
    lane: 'coder',
    priority: 7,
    tenant: 'acme',
    attempt: 2,
    result: 'built',
    summary: 'it is built',
    metadata: { files: 3 },
    created_at: iso(MAY),
    finished_at: iso(MAY + 100),
    comment_count: 2,
  });
  expect(done.payload).toMatchObject({
    hermes: {
      status: 'done',
      skills: ['git'],
      fork_colour: 'blue',
      attachments: [{ filename: 'plan.pdf', file_missing: 1 }],
      events: [{ kind: 'created' }, { kind: 'completed', payload: '{broken' }],
    },
  });
  expect(await board.runs('t_0000000a')).toMatchObject([
    {
      attempt: 1,
      outcome: 'crashed',
      error: 'oom',
      started_at: iso(MAY),
      ended_at: iso(MAY + 5),
      lane: 'coder',
    },
    { attempt: 2, outcome: 'completed', ended_by: { type: 'system', id: 'import' } },
  ]);
  expect((await board.call('GET', '/tasks/t_0000000a/comments')).body.comments).toMatchObject([
    { body: 'mind the gap', author: { type: 'system', id: 'import:alice' }, at: iso(MAY + 20) },
    { body: '(empty)', author: { type: 'system', id: 'import:unknown' } },
  ]);
  expect(await board.read('t_0000000e')).toMatchObject({
    status: 'triage',
    payload: { hermes: { status: 'gone fishing' } },
  });
  expect(await board.read('t_0000000f')).toMatchObject({
    status: 'scheduled',
    run_at: '2031-01-01T00:00:00.000Z',
  });
  expect((await board.read('t_00000010')).blocked).toEqual({ kind: 'operator', reason: 'after the fair' });
  expect((await board.read('t_00000011')).blocked).toEqual({
    kind: 'needs_input',
    reason: 'which colour?',
  });
  expect(await board.read('t_00000012')).toMatchObject({
    consecutive_failures: 3,
    max_failures: 3,
    blocked: { kind: 'gave_up', reason: 'three times' },
  });
  expect(await board.read('t_00000014')).toMatchObject({
    status: 'review',
    lane: 'critic',
    reviewer: 'critic',
    summary: 'please look',
  });
  expect(await board.read('t_00000015')).toMatchObject({
    status: 'ready',
    lane: 'coder',
    attempt: 1,
    max_runtime_seconds: 600,
  });
  const [reclaimed] = await board.runs('t_00000015');
  expect(reclaimed).toMatchObject({ outcome: 'reclaimed', error: 'imported', started_at: iso(MAY + 3) });
  const created = (await board.events('&kinds=task.created')).map(({ data }) => [
    data['imported'],
    data['external_ref'],
  ]);
  expect(created).toHaveLength(12);
  expect(created.every(([imported]) => imported === true)).toBe(true);
});

test('work goes on from there: by priority and age, review with the reviewer, the third block of a kind to triage', async () => {
  const [board] = await newBoard();
  // Here before the import, and younger than all that comes with it.
  const newer = await board.task('writer');
  await run(board, await (await fullBoard()).save());
  const claim = await board.claim('writer');
  expect(claim.task.external_ref).toBe('t_0000000b');
  expectStatus(await endClaim(board.server, claim, 'complete', { summary: 'written' }), 200);
  expect((await board.read('t_0000000c')).status).toBe('ready');
  expect([(await board.claim('writer')).task.id, (await board.claim('writer')).task.id]).toEqual([
    (await board.read('t_0000000c')).id,
    newer.id,
  ]);
  const review = await board.claim('critic');
  expect(review).toMatchObject({ attempt: 2, task: { external_ref: 't_00000014' } });
  const reason = { reason: 'no' };
  expect(
    expectStatus(await endClaim(board.server, review, 'request-changes', reason), 200).body.task,
  ).toMatchObject({
    status: 'ready',
    lane: 'coder',
  });
  expectStatus(await board.operate('t_00000011', 'unblock'), 200);
  expectStatus(await board.operate('t_00000011', 'assign', { lane: 'writer' }), 200);
  const again = await board.claim('writer', { task_id: (await board.read('t_00000011')).id });
  const blocked = await endClaim(board.server, again, 'block', { reason: 'again', kind: 'needs_input' });
  expect(expectStatus(blocked, 200).body.task.status).toBe('triage');
  // Archived tasks have let go of their keys, and satisfy those that wait for them.
  await board.task('writer', { idempotency_key: 'k' });
  expect((await board.task('writer', { parents: ['t_00000013'] })).status).toBe('ready');
});

test('a board that has no title yet is called what it was called there, once, and only under the same name', async () => {
  const [board] = await newBoard();
  const hermes = await fullBoard();
  const facts = { name: 'The site', description: 'pages' };
  const stray = await run(board, await hermes.save({ name: 'site', facts }), { isDryRun: true });
  expect([stray.named, findingsOf(stray)['other_board']]).toEqual([null, 1]);
  const path = await hermes.save({ name: board.name, facts });
  const named = { title: 'The site', description: 'pages' };
  const promised = await run(board, path, { isDryRun: true });
  expect(await titleOf(board)).toEqual({ title: null, description: null });
  const report = await run(board, path);
  expect([promised.named, report.named, await titleOf(board)]).toEqual([named, named, named]);
  expect(findingsOf(report)).not.toHaveProperty('other_board');
  expectStatus(await board.call('PATCH', '', { body: { title: 'ours' } }), 200);
  expect((await run(board, path)).named).toBeNull();
  expect(await titleOf(board)).toEqual({ title: 'ours', description: 'pages' });
});

async function titleOf(board: TestBoard): Promise<object> {
  const { title, description } = expectStatus(await board.call('GET', ''), 200).body.board;
  return { title, description };
}

test('attachments keep their rows: of gone tasks they are counted, without their file they are marked', async () => {
  const [board] = await newBoard();
  const hermes = await HermesBoard.make('new');
  const path = await hermes.task('t_00000001', 'ready').save();
  const row = { task_id: 't_00000001', filename: 'a.txt' };
  hermes.row('task_attachments', { ...row, stored_path: path });
  hermes.row('task_attachments', { ...row, stored_path: `${path}.gone` });
  hermes.row('task_attachments', { ...row, stored_path: null });
  hermes.row('task_attachments', { ...row, task_id: 't_dead' });
  const report = await run(board, await hermes.save());
  expect(findingsOf(report)).toEqual({ attachment_orphaned: 1, attachment: 3, attachment_missing: 2 });
  expect(await board.read('t_00000001')).toMatchObject({
    payload: {
      hermes: {
        attachments: [
          { id: 1, stored_path: path },
          { id: 2, file_missing: 1 },
          { id: 3, file_missing: 1 },
        ],
      },
    },
  });
});
