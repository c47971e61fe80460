/** A Hermes board of an old version, or one that breaks its own rules, comes over as far as it makes sense, and nothing is kept quiet. */
import { expect, test } from 'vitest';
import { HermesBoard, MAY } from '../../../cli/import/hermes-board.ts';
import { findingsOf, iso, run, useImportedBoards } from './imported-boards.ts';

const { newBoard } = useImportedBoards();

test('what its rules forbid is imported as far as it makes sense, and told', async () => {
  const [board] = await newBoard();
  const hermes = await HermesBoard.make('new');
  const open = (task: string) =>
    hermes.row('task_runs', { task_id: task, status: 'running', started_at: MAY });
  hermes.task('t_00000001', 'done', { current_run_id: 99 });
  open('t_00000001');
  hermes.task('t_00000002', 'running', { claim_lock: null });
  open('t_00000002');
  open('t_00000002');
  hermes.task('t_00000003', 'ready');
  open('t_00000003');
  hermes.task('t_00000004', 'ready').link('t_00000002', 't_00000004');
  hermes.task('t_00000005', 'blocked').event('t_00000005', 'unblocked');
  hermes.task(null, 'ready').task('no good', 'ready').task('task_x', 'ready');
  hermes.link('t_00000001', 't_00000001').link('t_dead', 't_00000001').link('t_00000004', 't_00000002');
  for (const table of ['task_runs', 'task_comments']) hermes.row(table, { task_id: 't_dead' });
  hermes.event('t_dead', 'created');
  const report = await run(board, await hermes.save());
  expect(report.tasks).toEqual({ found: 8, created: 5, present: 0, left_out: 3 });
  expect(findingsOf(report)).toEqual({
    unusable_id: 3,
    running: 1,
    ready_with_open_parents: 1,
    not_sticky: 1,
    link_dangling: 1,
    link_to_itself: 1,
    link_cycle: 1,
    run_orphaned: 1,
    comment_orphaned: 1,
    event_orphaned: 1,
    current_run_not_open: 1,
    two_open_runs: 1,
    finished_with_open_run: 1,
    idle_with_open_run: 1,
    running_without_lock: 1,
  });
  const runs = await board.runs('t_00000001');
  expect(runs.map(({ outcome }) => outcome)).toEqual(['reclaimed', 'completed']);
});

test('what does not fit is cut and told, and what cannot be stored is made to', async () => {
  const [board] = await newBoard();
  const hermes = await HermesBoard.make('new');
  hermes.task('t_00000001', 'done', {
    title: 'x'.repeat(1000),
    body: 'ö'.repeat(60_000),
    result: '"'.repeat(300_000),
    assignee: '_Über Lane!',
    tenant: 'a\0b',
    priority: 1e12,
    created_at: null,
    completed_at: 'never',
    fork_colour: 'c'.repeat(20_000),
    idempotency_key: 'k'.repeat(300),
    skills: new Uint8Array([1, 2]),
  });
  hermes.all(() => {
    for (let index = 0; index < 1100; index += 1) {
      hermes.event('t_00000001', 'heartbeat', { note: `beat ${index}` });
      hermes.row('task_comments', {
        task_id: 't_00000001',
        author: 'a',
        body: `comment ${index}`,
        created_at: MAY,
      });
      hermes.row('task_runs', {
        task_id: 't_00000001',
        status: 'x',
        outcome: 'x',
        started_at: MAY,
        ended_at: MAY,
      });
    }
  });
  const report = await run(board, await hermes.save());
  expect(findingsOf(report)).toEqual({
    created_at_unknown: 1,
    lane_renamed: 1,
    text_cut: 1,
    legacy_cut: 1,
    history_cut: 1,
    idempotency_key_unusable: 1,
    event_left_out: 1050,
  });
  const task = await board.read('t_00000001');
  expect(task).toMatchObject({
    lane: 'uber-lane',
    tenant: 'a\ufffdb',
    priority: 1_000_000,
    attempt: 1000,
    comment_count: 1000,
  });
  expect([task.title.length, task.body?.length, String(task.result).length]).toEqual([500, 32_768, 32_768]);
  expect(task.payload).toMatchObject({
    hermes: { columns_left_out: ['fork_colour'], events_left_out: 1050, skills: { base64: 'AQI=' } },
  });
});

test('tasks without runs, with the old names of columns and times of every kind, come over', async () => {
  const [board] = await newBoard();
  const hermes = await HermesBoard.make('old');
  hermes.task('t_0000000000a1', 'done', {
    result: 'fine',
    created_at: '2026-05-01T12:00:00',
    completed_at: MAY + 0.5,
  });
  hermes.task('t_0000000000a2', 'blocked', {
    spawn_failures: 2,
    last_spawn_error: 'no binary',
    created_at: `${MAY}`,
  });
  hermes.task('t_0000000000a3', 'ready', {
    assignee: 'coder',
    created_at: 'long ago',
    started_at: MAY + 5,
    spawn_failures: 1,
  });
  hermes.task('t_0000000000a4', 'ready', { idempotency_key: 'twice', created_at: MAY });
  hermes.task('t_0000000000a5', 'ready', { idempotency_key: 'twice', created_at: MAY + 1 });
  hermes.task('t_0000000000a6', 'archived', { idempotency_key: 'twice', created_at: MAY + 2 });
  hermes
    .task('t_0000000000a7', 'todo')
    .link('t_0000000000a6', 't_0000000000a7')
    .link('t_0000000000a3', 't_0000000000a7');
  const report = await run(board, await hermes.save());
  expect(report.tasks).toMatchObject({ created: 7, left_out: 0 });
  expect(findingsOf(report)).toEqual({ created_at_unknown: 1, idempotency_key_duplicate: 1 });
  expect(await board.read('t_0000000000a1')).toMatchObject({
    result: 'fine',
    attempt: 1,
    created_at: iso(MAY),
    finished_at: iso(MAY + 0.5),
  });
  expect(await board.read('t_0000000000a2')).toMatchObject({
    blocked: { kind: 'gave_up', reason: 'no binary' },
    consecutive_failures: 2,
  });
  expect(await board.read('t_0000000000a3')).toMatchObject({
    created_at: iso(MAY + 5),
    consecutive_failures: 1,
  });
  const keys = ['a4', 'a5', 'a6'].map(
    async (end) => (await board.read(`t_0000000000${end}`)).idempotency_key,
  );
  expect(await Promise.all(keys)).toEqual([null, 'twice', 'twice']);
  expect(await board.read('t_0000000000a7')).toMatchObject({ status: 'todo', unmet_parents: 1 });
});

test('where a board has the old columns beside the new ones, the new ones count, and the old ones fill their gaps', async () => {
  const [board] = await newBoard();
  const hermes = await HermesBoard.make('old');
  hermes.exec('ALTER TABLE tasks ADD COLUMN consecutive_failures INTEGER');
  hermes.exec('ALTER TABLE tasks ADD COLUMN last_failure_error TEXT');
  const old = { spawn_failures: 5, last_spawn_error: 'old words' };
  hermes.task('t_0000000000b1', 'blocked', {
    ...old,
    consecutive_failures: 3,
    last_failure_error: 'new words',
  });
  hermes.task('t_0000000000b2', 'blocked', old);
  await run(board, await hermes.save());
  expect(await board.read('t_0000000000b1')).toMatchObject({
    consecutive_failures: 3,
    blocked: { kind: 'gave_up', reason: 'new words' },
    payload: { hermes: old },
  });
  expect(await board.read('t_0000000000b2')).toMatchObject({
    consecutive_failures: 5,
    blocked: { kind: 'gave_up', reason: 'old words' },
  });
});
