/** Hermes boards as tests want them more than once. */
import { HermesBoard, MAY } from './hermes-board.ts';

/** Statuses, links and fields of every kind, in the newer schema. */
export async function fullBoard(): Promise<HermesBoard> {
  const hermes = await HermesBoard.make('new');
  hermes.task('t_0000000a', 'done', {
    body: 'how',
    assignee: 'coder',
    result: 'built',
    completed_at: MAY + 100,
    priority: 7,
    tenant: 'acme',
    skills: '["git"]',
    fork_colour: 'blue',
  });
  const run = { task_id: 't_0000000a', profile: 'coder' };
  hermes.row('task_runs', {
    ...run,
    status: 'crashed',
    outcome: 'crashed',
    started_at: MAY,
    ended_at: MAY + 5,
    error: 'oom',
  });
  hermes.row('task_runs', {
    ...run,
    status: 'done',
    outcome: 'completed',
    started_at: MAY + 10,
    ended_at: MAY + 100,
    summary: 'it is built',
    metadata: '{"files":3}',
  });
  hermes.event('t_0000000a', 'created', { assignee: 'coder' }).event('t_0000000a', 'completed', '{broken');
  hermes.row('task_comments', {
    task_id: 't_0000000a',
    author: 'alice',
    body: 'mind the gap',
    created_at: MAY + 20,
  });
  hermes.row('task_comments', { task_id: 't_0000000a', author: null, body: null, created_at: null });
  hermes.task('t_0000000b', 'todo', { assignee: 'writer' }).link('t_0000000a', 't_0000000b');
  hermes.task('t_0000000c', 'todo', { assignee: 'writer' }).link('t_0000000b', 't_0000000c');
  hermes.task('t_0000000d', 'triage').task('t_0000000e', 'gone fishing');
  hermes
    .task('t_0000000f', 'scheduled', { scheduled_at: '2031-01-01T00:00:00Z' })
    .task('t_00000010', 'scheduled');
  hermes.event('t_00000010', 'scheduled', { reason: 'after the fair' });
  hermes.task('t_00000011', 'blocked', { block_kind: 'needs_input', block_recurrences: 1 });
  hermes.event('t_00000011', 'blocked', { reason: 'which colour?', kind: 'needs_input' });
  hermes.task('t_00000012', 'blocked', {
    consecutive_failures: 3,
    max_retries: 3,
    last_failure_error: 'no luck',
  });
  hermes.event('t_00000012', 'gave_up', { error: 'three times', failures: 3 });
  hermes.task('t_00000013', 'archived', { idempotency_key: 'k', completed_at: MAY + 9 });
  hermes.task('t_00000014', 'review', { assignee: 'critic' });
  hermes.row('task_runs', {
    task_id: 't_00000014',
    profile: 'coder',
    status: 'review',
    outcome: 'review_requested',
    started_at: MAY,
    ended_at: MAY + 1,
    summary: 'please look',
  });
  hermes.event('t_00000014', 'review_requested', { implementer: 'coder', reviewer: 'critic' });
  hermes.task('t_00000015', 'running', {
    assignee: 'coder',
    claim_lock: 'host:1',
    current_run_id: 4,
    worker_pid: 12,
    max_runtime_seconds: 600,
  });
  hermes.row('task_runs', {
    task_id: 't_00000015',
    profile: 'coder',
    status: 'running',
    claim_lock: 'host:1',
    started_at: MAY + 3,
  });
  hermes.row('task_attachments', {
    task_id: 't_0000000a',
    filename: 'plan.pdf',
    stored_path: '/somewhere/plan.pdf',
    size: 3,
  });
  hermes.row('kanban_notify_subs', { task_id: 't_0000000a', platform: 'telegram', chat_id: '1' });
  hermes.row('kanban_notify_subs', { task_id: 't_0000000c', platform: 'telegram', chat_id: '1' });
  return hermes;
}

/** Each with two runs, a comment, five events and a parent, as boards that are used have them. */
export async function largeBoard(count: number): Promise<HermesBoard> {
  const hermes = await HermesBoard.make('new');
  const id = (index: number): string => `t_${index.toString(16).padStart(8, '0')}`;
  return hermes.all(() => {
    for (let index = 0; index < count; index += 1) {
      const task = id(index);
      const isDone = index % 3 !== 0;
      hermes.task(task, isDone ? 'done' : 'todo', {
        assignee: `agent-${index % 10}`,
        body: 'what to do '.repeat(50),
        result: isDone ? 'ok' : null,
      });
      if (index > 0) hermes.link(id(Math.floor(index / 2)), task);
      for (const outcome of ['crashed', 'completed'])
        hermes.row('task_runs', {
          task_id: task,
          profile: 'agent-1',
          status: outcome,
          outcome,
          started_at: MAY,
          ended_at: MAY + 1,
          summary: 'said '.repeat(20),
        });
      hermes.row('task_comments', { task_id: task, author: 'alice', body: 'a remark', created_at: MAY });
      for (const kind of ['created', 'promoted', 'claimed', 'heartbeat', 'completed'])
        hermes.event(task, kind, { run_id: index });
    }
  });
}
