/** New tasks become rows; where an idempotency key was there before, its task is the answer. */
import type { Task } from '../../../contract/tasks.ts';
import type { Sql, Tx } from '../../db/client.ts';
import type { Settled } from '../../kernel/batcher.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { BoardRef } from '../boards/service.ts';
import { insertTaskRows, insertTasks, type NewTask } from './store/create.ts';
import { findIdsByIdempotencyKey, findTasks, type TaskHotRow, type TaskRow } from './store/read.ts';
import { taskOf } from './view.ts';

export interface Created {
  readonly task: Task;
  readonly isNew: boolean;
}

/** @param isLogLater The caller writes the log, and takes the counter row with it. */
export async function insertNew(
  runner: Sql | Tx,
  board: BoardRef,
  tasks: readonly NewTask[],
  isLogLater = false,
): Promise<Settled<Created>[]> {
  const insert = isLogLater ? insertTaskRows : insertTasks;
  const rows = new Map((await insert(runner, board.id, tasks)).map((row) => [row.id, row]));
  const missing = tasks.filter((task) => !rows.has(task.id));
  const existing =
    missing.length === 0 ? new Map<string, TaskRow>() : await findExisting(runner, board, missing);
  return tasks.map((task): Settled<Created> => {
    const row = rows.get(task.id);
    if (row !== undefined)
      return { ok: true, value: { task: taskOf(board, freshRow(task, row)), isNew: true } };
    const found = task.idempotency_key === null ? undefined : existing.get(task.idempotency_key);
    if (found !== undefined && isShownTo(task, found))
      return { ok: true, value: { task: taskOf(board, found), isNew: false } };
    return { ok: false, error: collision(task) };
  });
}

/** The tasks whose idempotency keys were taken, by key. */
async function findExisting(
  runner: Sql | Tx,
  board: BoardRef,
  tasks: readonly NewTask[],
): Promise<Map<string, TaskRow>> {
  const keys = tasks.flatMap((task) => (task.idempotency_key === null ? [] : [task.idempotency_key]));
  const ids = await findIdsByIdempotencyKey(runner, board.id, keys);
  const rows = new Map((await findTasks(runner, board.id, [...ids.values()])).map((row) => [row.id, row]));
  const byKey = new Map<string, TaskRow>();
  for (const [key, id] of ids) {
    const row = rows.get(id);
    if (row !== undefined) byKey.set(key, row);
  }
  return byKey;
}

/** A claim token is shown what its own run created; of another's task it only learns that the key is taken. */
function isShownTo(asked: NewTask, found: TaskRow): boolean {
  if (asked.actor.type !== 'claim') return true;
  return found.created_by_type === 'claim' && found.created_by_id === asked.actor.id;
}

export function collision(task: NewTask): ProblemError {
  return new ProblemError(
    'already_exists',
    task.external_ref === null
      ? `Another task of this board has the idempotency_key ${JSON.stringify(task.idempotency_key)}.`
      : `Another task of this board has the external_ref ${JSON.stringify(task.external_ref)}.`,
    {
      extensions: { resource: 'task' },
    },
  );
}

/**
 * The row as a read would give it: nobody has claimed, commented on or run it yet. Written out: spreading a row that the driver put together column by column took 20 µs
 * a task.
 */
function freshRow(task: NewTask, row: TaskHotRow): TaskRow {
  return {
    id: row.id,
    lane: row.lane,
    status: row.status,
    priority: row.priority,
    version: row.version,
    attempt: row.attempt,
    consecutive_failures: row.consecutive_failures,
    max_failures: row.max_failures,
    max_runtime_seconds: row.max_runtime_seconds,
    no_progress_seconds: row.no_progress_seconds,
    run_at: row.run_at,
    unmet_parents: row.unmet_parents,
    reviewer: row.reviewer,
    blocked_kind: row.blocked_kind,
    blocked_reason: row.blocked_reason,
    status_since: row.status_since,
    created_at: row.created_at,
    updated_at: row.updated_at,
    title: task.title,
    body: task.body,
    payload: task.payload as TaskRow['payload'],
    labels: task.labels,
    backoff: task.backoff,
    tenant: task.tenant,
    external_ref: task.external_ref,
    idempotency_key: task.idempotency_key,
    traceparent: task.traceparent,
    comment_count: 0,
    created_by_type: task.actor.type,
    created_by_id: task.actor.id,
    message_count: 0,
    parent_count: task.parents.length,
    delegation_id: task.delegation_id,
    origin: task.origin,
    run_id: null,
    claim_lane: null,
    worker: null,
    claim_attempt: null,
    claimed_at: null,
    lease_expires_at: null,
    is_cancel_requested: null,
    outcome: null,
    summary: null,
    result: null,
    metadata: null,
    ended_at: null,
  };
}
