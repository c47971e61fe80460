/** The hot end: any number of completions in one statement. Everything rarer goes through end.ts. */
import type { Runner } from '../../../db/client.ts';
import type { Uuid } from '../../../kernel/ids.ts';
import type { TaskRow } from '../../tasks/service.ts';
import type { RunRow } from './run.ts';

export interface Completion {
  readonly taskId: Uuid;
  readonly runId: Uuid;
  readonly attempt: number;
  /** The run's id as the wire has it. */
  readonly actorId: string;
  readonly fingerprint: string;
  readonly summary: string | null;
  readonly result: unknown;
  readonly metadata: Readonly<Record<string, unknown>> | null;
}

/** The task as the completion left it, and its run under the prefix run_. */
export type CompletedRow = TaskRow & { readonly run: RunRow };

interface RawRow extends Omit<TaskRow, 'run_id'> {
  readonly run_id: Uuid;
  readonly run_lane: string | null;
  readonly run_worker: string | null;
  readonly run_attempt: number;
  readonly started_at: string;
  readonly ended_at: string;
  readonly ended_by_type: 'claim';
  readonly ended_by_id: string;
  readonly end_fingerprint: string;
  readonly error: string | null;
  readonly checkpoint: RunRow['checkpoint'];
  readonly evidence: RunRow['evidence'];
}

const jsonOrNull = (value: unknown): string | null =>
  value === null || value === undefined ? null : JSON.stringify(value);

/**
 * Completes the runs that still hold their claims: run, attempt and status are checked on locked rows. Returns one row for each
 * of them; an operation that is missing from the answer changed nothing.
 *
 * Operations must name each run once and come in task order, so that two batches lock alike. Plans are pinned as in claim.ts:
 * the second condition on the task of a run keeps every join order on its primary key.
 */
export async function completeRuns(
  sql: Runner,
  boardId: number,
  operations: readonly Completion[],
): Promise<CompletedRow[]> {
  const column = <T>(read: (operation: Completion) => T): T[] => operations.map(read);
  const rows = await sql<RawRow[]>`
    /* claims.complete */
    WITH held AS MATERIALIZED (
      SELECT operation.place, operation.actor_id, operation.fingerprint, operation.summary, operation.result, operation.metadata, hold.*
      FROM unnest(
        ${column((operation) => operation.taskId)}::uuid[], ${column((operation) => operation.runId)}::uuid[],
        ${column((operation) => operation.attempt)}::int[], ${column((operation) => operation.actorId)}::text[],
        ${column((operation) => operation.fingerprint)}::text[], ${column((operation) => operation.summary)}::text[],
        ${column((operation) => jsonOrNull(operation.result))}::text[], ${column((operation) => jsonOrNull(operation.metadata))}::text[]
      ) WITH ORDINALITY AS operation (task_id, run_id, attempt, actor_id, fingerprint, summary, result, metadata, place)
      CROSS JOIN LATERAL (
        SELECT t.id, t.version + 1 AS version, t.attempt, c.run_id, c.lane, c.worker, clock_timestamp() AS at
        FROM claims c JOIN tasks t ON t.board_id = ${boardId} AND t.id = operation.task_id
        WHERE c.board_id = ${boardId} AND c.task_id = operation.task_id AND c.run_id = operation.run_id AND c.attempt = operation.attempt
          AND t.attempt = operation.attempt AND t.status = 'running'
        FOR NO KEY UPDATE OF t, c
      ) AS hold
    ),
    -- One moment for the batch: the answer and a later read of the row say the same.
    moment AS MATERIALIZED (SELECT max(at) AS at FROM held),
    freed AS (
      DELETE FROM claims WHERE board_id = ${boardId} AND task_id = ANY (ARRAY(SELECT id FROM held)) RETURNING 1
    ),
    moved AS (
      UPDATE tasks SET status = 'done', version = version + 1, consecutive_failures = 0, protocol_violations = 0,
        status_since = (SELECT at FROM moment), updated_at = (SELECT at FROM moment)
      WHERE board_id = ${boardId} AND id = ANY (ARRAY(SELECT id FROM held))
      RETURNING 1
    ),
    closed AS (
      UPDATE runs r SET outcome = 'completed', ended_at = (SELECT at FROM moment), ended_by_type = 'claim', ended_by_id = held.actor_id,
        end_fingerprint = held.fingerprint, summary = held.summary, result = held.result::jsonb,
        metadata = CASE WHEN held.metadata IS NULL THEN r.metadata ELSE coalesce(r.metadata, '{}') || held.metadata::jsonb END
      FROM held
      WHERE r.board_id = ${boardId} AND r.task_id = held.id AND r.attempt = held.attempt
        AND r.task_id = ANY (ARRAY(SELECT id FROM held))
      RETURNING held.version, r.task_id, r.id AS run_id, r.attempt AS run_attempt, r.lane AS run_lane, r.worker AS run_worker, r.outcome,
        r.started_at, r.ended_at, r.ended_by_type, r.ended_by_id, r.end_fingerprint, r.summary, r.result, r.metadata, r.error, r.checkpoint,
        r.evidence
    ),
    total AS MATERIALIZED (
      SELECT (SELECT count(*) FROM moved) AS moved, (SELECT count(*) FROM freed) AS freed, (SELECT count(*) FROM closed) AS closed
    ),
    bumped AS (
      UPDATE board_seq SET seq = seq + total.moved, running = running - total.moved, done = done + total.moved
      FROM total WHERE board_id = ${boardId} AND total.moved > 0 AND total.moved = total.freed AND total.moved = total.closed
      RETURNING seq, clock_timestamp() AS at
    ),
    written AS (
      INSERT INTO events (board_id, seq, kind, at, task_id, run_id, lane, worker, attempt, task_version, actor_type, actor_id, data)
      SELECT ${boardId}, (SELECT seq FROM bumped) - (SELECT moved FROM total) + row_number() OVER (ORDER BY place), 'task.completed',
        coalesce((SELECT at FROM bumped), held.at), id, run_id, lane, worker, attempt, version, 'claim', actor_id,
        jsonb_build_object('status_before', 'running', 'status_after', 'done', 'outcome', 'completed', 'summary', left(summary, 400),
          'metadata', metadata::jsonb)
      FROM held
    )
    SELECT closed.run_id, closed.run_attempt, closed.run_lane, closed.run_worker, closed.outcome, closed.started_at, closed.ended_at,
      closed.ended_by_type, closed.ended_by_id, closed.end_fingerprint, closed.summary, closed.result, closed.metadata, closed.error,
      closed.checkpoint, closed.evidence, closed.task_id AS id, 'done' AS status, closed.version, hot.*, 0 AS consecutive_failures,
      closed.ended_at AS status_since, closed.ended_at AS updated_at, detail.*
    FROM closed
    CROSS JOIN LATERAL (
      SELECT t.lane, t.priority, t.attempt, t.max_failures, t.max_runtime_seconds, t.no_progress_seconds, t.run_at,
        t.blocked_kind, t.blocked_reason, t.created_at
      FROM tasks t WHERE t.board_id = ${boardId} AND t.id = closed.task_id OFFSET 0
    ) AS hot
    CROSS JOIN LATERAL (
      SELECT d.title, d.body, d.payload, d.labels, d.backoff, d.tenant, d.external_ref, d.idempotency_key, d.traceparent, d.comment_count,
        d.created_by_type, d.created_by_id
      FROM task_details d WHERE d.board_id = ${boardId} AND d.task_id = closed.task_id OFFSET 0
    ) AS detail`;
  return rows.map((row) => ({ ...row, ...NO_CLAIM, run: runOf(row) }));
}

/** A completed task has no claim any more. */
const NO_CLAIM = {
  run_id: null,
  claim_lane: null,
  worker: null,
  claim_attempt: null,
  claimed_at: null,
  lease_expires_at: null,
  is_cancel_requested: null,
} as const;

function runOf(row: RawRow): RunRow {
  return {
    id: row.run_id,
    task_id: row.id,
    attempt: row.run_attempt,
    lane: row.run_lane,
    worker: row.run_worker,
    outcome: row.outcome,
    started_at: row.started_at,
    ended_at: row.ended_at,
    ended_by_type: row.ended_by_type,
    ended_by_id: row.ended_by_id,
    end_fingerprint: row.end_fingerprint,
    summary: row.summary,
    result: row.result,
    metadata: row.metadata,
    error: row.error,
    checkpoint: row.checkpoint,
    evidence: row.evidence,
  };
}
