/** Creates tasks: one statement for any number of them, with their events and the counter row. */
import type { TaskStatus } from '../../../../contract/statuses.ts';
import type { Runner } from '../../../db/client.ts';
import type { Uuid } from '../../../kernel/ids.ts';
import type { ActorRef } from '../../../kernel/principal.ts';
import { TASK_HOT_COLUMNS, type TaskHotRow } from './read.ts';

export interface NewTask {
  readonly id: Uuid;
  readonly title: string;
  readonly body: string | null;
  readonly status: TaskStatus;
  readonly lane: string | null;
  readonly priority: number;
  readonly payload: unknown;
  readonly labels: Readonly<Record<string, string>>;
  readonly backoff: Readonly<Record<string, unknown>> | null;
  readonly tenant: string | null;
  readonly external_ref: string | null;
  readonly idempotency_key: string | null;
  readonly traceparent: string | null;
  readonly max_failures: number;
  readonly max_runtime_seconds: number | null;
  readonly no_progress_seconds: number | null;
  readonly run_at: string | null;
  readonly blocked_kind: string | null;
  readonly actor: ActorRef;
  readonly created_by_run: Uuid | null;
}

/**
 * Inserts the tasks whose idempotency_key and external_ref are free, in the given order, and returns their rows. What is missing
 * from the answer collided with an existing task; the caller finds out with which.
 *
 * Keys are inserted in key order, so that two batches with keys in common wait for each other one way only. The counter row is
 * a scalar subselect: without a row (the board is gone) the events lack a seq, which rolls everything back.
 */
export async function insertTasks(
  sql: Runner,
  boardId: number,
  tasks: readonly NewTask[],
): Promise<TaskHotRow[]> {
  const items = tasks.map(({ actor, payload, ...task }, index) => ({
    ...task,
    ordinal: index,
    payload: payload === null || payload === undefined ? null : JSON.stringify(payload),
    actor_type: actor.type,
    actor_id: actor.id,
    data: {
      status_before: null,
      status_after: task.status,
      title: task.title,
      lane: task.lane,
      priority: task.priority,
      labels: task.labels,
      tenant: task.tenant,
      external_ref: task.external_ref,
      run_at: task.run_at,
      max_failures: task.max_failures,
    },
  }));
  return sql<TaskHotRow[]>`
    /* tasks.create */
    WITH item AS MATERIALIZED (
      SELECT item.*, clock_timestamp() AS now FROM json_to_recordset(${JSON.stringify(items)}::text::json) AS item (
        ordinal int, id uuid, title text, body text, status text, lane text, priority int, payload text, labels jsonb, backoff jsonb,
        tenant text, external_ref text, idempotency_key text, traceparent text, max_failures int, max_runtime_seconds int,
        no_progress_seconds int, run_at timestamptz, blocked_kind text, actor_type text, actor_id text, created_by_run uuid, data jsonb
      )
    ),
    detail AS (
      INSERT INTO task_details (board_id, task_id, title, body, payload, labels, backoff, tenant, external_ref, idempotency_key,
        traceparent, created_by_type, created_by_id, created_by_run)
      SELECT ${boardId}, id, title, body, payload::jsonb, labels, backoff, tenant, external_ref, idempotency_key, traceparent,
        actor_type, actor_id, created_by_run
      FROM item ORDER BY idempotency_key NULLS FIRST, external_ref NULLS FIRST, ordinal
      ON CONFLICT DO NOTHING
      RETURNING task_id
    ),
    made AS (
      INSERT INTO tasks AS t (board_id, id, lane, status, priority, version, attempt, unmet_parents, consecutive_failures,
        protocol_violations, max_failures, max_runtime_seconds, no_progress_seconds, run_at, blocked_kind, status_since, created_at, updated_at)
      SELECT ${boardId}, id, lane, status, priority, 1, 0, 0, 0, 0, max_failures, max_runtime_seconds, no_progress_seconds, run_at,
        blocked_kind, now, now, now
      FROM item WHERE id = ANY (ARRAY(SELECT task_id FROM detail))
      ORDER BY ordinal
      RETURNING ${TASK_HOT_COLUMNS(sql)}
    ),
    total AS MATERIALIZED (
      SELECT count(*) AS made, count(*) FILTER (WHERE status = 'ready') AS ready, count(*) FILTER (WHERE status = 'scheduled') AS scheduled,
        count(*) FILTER (WHERE status = 'triage') AS triage, count(*) FILTER (WHERE status = 'blocked') AS blocked
      FROM made
    ),
    bumped AS (
      UPDATE board_seq SET seq = seq + total.made, ready = board_seq.ready + total.ready, scheduled = board_seq.scheduled + total.scheduled,
        triage = board_seq.triage + total.triage, blocked = board_seq.blocked + total.blocked
      FROM total WHERE board_id = ${boardId} AND total.made > 0
      RETURNING seq, clock_timestamp() AS at
    ),
    written AS (
      INSERT INTO events (board_id, seq, kind, at, task_id, lane, task_version, actor_type, actor_id, data)
      SELECT ${boardId}, (SELECT seq FROM bumped) - (SELECT made FROM total) + row_number() OVER (ORDER BY item.ordinal), 'task.created',
        coalesce((SELECT at FROM bumped), item.now), item.id, item.lane, 1, item.actor_type, item.actor_id, item.data
      FROM item WHERE item.id = ANY (ARRAY(SELECT id FROM made))
    )
    SELECT ${TASK_HOT_COLUMNS(sql)} FROM made t`;
}

/** Tasks made under this run's token so far. */
export async function countTasksOfRun(sql: Runner, boardId: number, runId: Uuid): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    /* tasks.count_of_run */ SELECT count(*)::int AS count FROM task_details WHERE board_id = ${boardId} AND created_by_run = ${runId}`;
  return row?.count ?? 0;
}

/** Locks the live claim of a run against ending, so that what is done under its token is done while it holds. */
export async function lockLiveClaim(
  sql: Runner,
  boardId: number,
  taskId: Uuid,
  runId: Uuid,
): Promise<boolean> {
  const rows = await sql`
    /* tasks.lock_live_claim */
    SELECT FROM claims WHERE board_id = ${boardId} AND task_id = ${taskId} AND run_id = ${runId} FOR NO KEY UPDATE`;
  return rows.length > 0;
}
