/** The hot end: any number of completions in one statement. Everything rarer goes through end.ts. */
import type { Runner } from '../../../db/client.ts';
import { columnOf } from '../../../db/column.ts';
import { assert } from '../../../kernel/assert.ts';
import type { Uuid } from '../../../kernel/ids.ts';
import { type TaskDetailValues, type TaskRow, taskDetailColumns } from '../../tasks/service.ts';
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

/** What the statement sends of a completion, by position, as in claim.ts. */
type CompletedValues = readonly [
  /** The operation's, from 1. */
  place: number,
  version: number,
  lane: string | null,
  priority: number,
  max_failures: number,
  max_runtime_seconds: number | null,
  no_progress_seconds: number | null,
  run_at: string | null,
  created_at: string,
  run_lane: string | null,
  run_worker: string | null,
  started_at: string,
  ended_at: string,
  result: TaskRow['result'],
  metadata: TaskRow['metadata'],
  error: string | null,
  checkpoint: RunRow['checkpoint'],
  evidence: RunRow['evidence'],
  ...detail: TaskDetailValues,
];

/** Of an event without summary and metadata. A constant to the planner: setting a key in it is 1.0 µs, building it anew 2.3. */
const EVENT_DATA = (sql: Runner) => sql`
  '{"status_before": "running", "status_after": "done", "outcome": "completed", "summary": null, "metadata": null}'::jsonb`;

const jsonOrNull = (value: unknown): string | null =>
  value === null || value === undefined ? null : JSON.stringify(value);

/**
 * Completes the runs that still hold their claims: run, attempt and status are checked on locked rows. Returns one row for each
 * of them; an operation that is missing from the answer changed nothing.
 *
 * Operations must name each run once and come in task order, so that two batches lock alike: the task, then its claim, which is
 * locked by being deleted.
 *
 * Plans are pinned as in claim.ts. Heartbeats and operators change these rows meanwhile, so they are not found by their place but by
 * key: a row that moved before it was locked is still found. `board_id = ANY (ARRAY[…])` says which way round. Written as an
 * equality, a planner that believes the table to be empty goes through all of the board, and compares each row with each operation.
 */
export async function completeRuns(
  sql: Runner,
  boardId: number,
  operations: readonly Completion[],
): Promise<CompletedRow[]> {
  const column = <T>(read: (operation: Completion) => T): T[] => columnOf(operations, read);
  const metadata = sql`(${column((operation) => jsonOrNull(operation.metadata))}::text[])`;
  const rows = await sql`
    /* claims.complete */
    WITH held AS MATERIALIZED (
      SELECT ${boardId}::int AS board_id, operation.task_id, operation.run_id, operation.attempt, operation.place
      FROM unnest(
        ${column((operation) => operation.taskId)}::uuid[], ${column((operation) => operation.runId)}::uuid[],
        ${column((operation) => operation.attempt)}::int[]
      ) WITH ORDINALITY AS operation (task_id, run_id, attempt, place)
      CROSS JOIN LATERAL (
        SELECT FROM tasks t
        WHERE t.board_id = ${boardId} AND t.id = operation.task_id AND t.attempt = operation.attempt AND t.status = 'running'
          -- What others wait for or hear of, what waits itself, and what was being reviewed is decided under locks.
          AND NOT t.has_children AND NOT t.is_followed AND t.result_attempt IS NULL AND t.unmet_parents = 0
        FOR NO KEY UPDATE
      ) AS task
    ),
    freed AS (
      DELETE FROM claims c USING held
      WHERE c.board_id = ANY (ARRAY[held.board_id]) AND c.task_id = held.task_id AND c.run_id = held.run_id AND c.attempt = held.attempt
        AND NOT c.is_superseded
      RETURNING held.*
    ),
    -- One moment for the batch, after its last lock: the answer and a later read of the row say the same.
    moment AS MATERIALIZED (SELECT clock_timestamp() AS at WHERE (SELECT count(*) FROM freed) > 0),
    moved AS (
      UPDATE tasks t SET status = 'done', version = t.version + 1, consecutive_failures = 0, protocol_violations = 0, block_streak = 0, streak_kind = NULL,
        status_since = (SELECT at FROM moment), updated_at = (SELECT at FROM moment)
      FROM freed
      WHERE t.board_id = ANY (ARRAY[freed.board_id]) AND t.id = freed.task_id
      RETURNING freed.*, t.version, t.lane, t.priority, t.max_failures, t.max_runtime_seconds, t.no_progress_seconds, t.run_at, t.created_at
    ),
    closed AS (
      UPDATE runs r SET outcome = 'completed', ended_at = (SELECT at FROM moment), ended_by_type = 'claim',
        ended_by_id = (${column((operation) => operation.actorId)}::text[])[moved.place],
        end_fingerprint = (${column((operation) => operation.fingerprint)}::text[])[moved.place],
        summary = (${column((operation) => operation.summary)}::text[])[moved.place],
        result = (${column((operation) => jsonOrNull(operation.result))}::text[])[moved.place]::jsonb,
        metadata = CASE WHEN ${metadata}[moved.place] IS NULL THEN r.metadata ELSE coalesce(r.metadata, '{}') || ${metadata}[moved.place]::jsonb END
      FROM moved
      WHERE r.board_id = ANY (ARRAY[moved.board_id]) AND r.task_id = moved.task_id AND r.attempt = moved.attempt
      RETURNING moved.place, moved.task_id, moved.run_id, moved.attempt, moved.version, moved.lane, moved.priority, moved.max_failures,
        moved.max_runtime_seconds, moved.no_progress_seconds, moved.run_at, moved.created_at, r.lane AS run_lane, r.worker AS run_worker,
        r.started_at, r.ended_by_id, r.summary, r.result, r.metadata, r.error, r.checkpoint, r.evidence
    ),
    total AS MATERIALIZED (
      SELECT (SELECT count(*) FROM freed) AS freed, (SELECT count(*) FROM closed) AS closed
    ),
    bumped AS (
      UPDATE board_seq SET seq = seq + total.closed, running = running - total.closed, done = done + total.closed
      FROM total WHERE board_id = ${boardId} AND total.closed > 0 AND total.closed = total.freed
      RETURNING seq, clock_timestamp() AS at
    ),
    written AS (
      INSERT INTO events (board_id, seq, kind, at, task_id, run_id, lane, worker, attempt, task_version, actor_type, actor_id, data)
      SELECT ${boardId}, (SELECT seq FROM bumped) - (SELECT closed FROM total) + row_number() OVER (ORDER BY place), 'task.completed',
        coalesce((SELECT at FROM bumped), (SELECT at FROM moment)), task_id, run_id, run_lane, run_worker, attempt, version, 'claim',
        ended_by_id,
        coalesce(jsonb_set(data, '{metadata}', ${metadata}[place]::jsonb), data)
      FROM (
        SELECT closed.*, coalesce(jsonb_set(${EVENT_DATA(sql)}, '{summary}', to_jsonb(left(summary, 400))), ${EVENT_DATA(sql)}) AS data
        FROM closed
      ) AS told
    )
    SELECT closed.place, closed.version, closed.lane, closed.priority, closed.max_failures, closed.max_runtime_seconds,
      closed.no_progress_seconds, closed.run_at, closed.created_at, closed.run_lane, closed.run_worker, closed.started_at,
      (SELECT at FROM moment) AS ended_at, closed.result, closed.metadata, closed.error, closed.checkpoint, closed.evidence, detail.*
    FROM closed
    CROSS JOIN LATERAL (
      SELECT ${taskDetailColumns(sql)} FROM task_details d WHERE d.board_id = ${boardId} AND d.task_id = closed.task_id OFFSET 0
    ) AS detail`.values();
  return (rows as unknown as CompletedValues[]).map((row) => completedRowOf(row, operations));
}

function completedRowOf(row: CompletedValues, operations: readonly Completion[]): CompletedRow {
  const operation = operations[row[0] - 1];
  assert(operation !== undefined, 'a row answers one of the operations');
  const endedAt = row[12];
  const run: RunRow = {
    id: operation.runId,
    task_id: operation.taskId,
    attempt: operation.attempt,
    lane: row[9],
    worker: row[10],
    outcome: 'completed',
    started_at: row[11],
    ended_at: endedAt,
    ended_by_type: 'claim',
    ended_by_id: operation.actorId,
    end_fingerprint: operation.fingerprint,
    summary: operation.summary,
    result: row[13],
    metadata: row[14],
    error: row[15],
    checkpoint: row[16],
    evidence: row[17],
  };
  return {
    id: operation.taskId,
    lane: row[2],
    status: 'done',
    priority: row[3],
    version: row[1],
    attempt: operation.attempt,
    consecutive_failures: 0,
    max_failures: row[4],
    max_runtime_seconds: row[5],
    no_progress_seconds: row[6],
    run_at: row[7],
    blocked_kind: null,
    blocked_reason: null,
    status_since: endedAt,
    created_at: row[8],
    updated_at: endedAt,
    title: row[18],
    body: row[19],
    payload: row[20],
    labels: row[21],
    backoff: row[22],
    tenant: row[23],
    external_ref: row[24],
    idempotency_key: row[25],
    traceparent: row[26],
    comment_count: row[27],
    created_by_type: row[28],
    created_by_id: row[29],
    message_count: row[30],
    parent_count: row[31],
    delegation_id: row[32],
    origin: row[33],
    unmet_parents: 0, // As the statement asks.
    reviewer: null,
    run_id: null, // A completed task holds no claim.
    claim_lane: null,
    worker: null,
    claim_attempt: null,
    claimed_at: null,
    lease_expires_at: null,
    is_cancel_requested: null,
    outcome: 'completed',
    summary: operation.summary,
    result: row[13],
    metadata: row[14],
    ended_at: endedAt,
    run,
  };
}
