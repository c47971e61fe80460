/** The atomic claim: one statement picks, marks, opens the runs and logs, for any number of lanes of a board. */
import type { Outcome } from '../../../../contract/statuses.ts';
import type { JsonParameter, Runner, Tx } from '../../../db/client.ts';
import type { Uuid } from '../../../kernel/ids.ts';
import type { TaskRow } from '../../tasks/service.ts';

/** Room for one task: who would hold it, and how. Slots of one lane stand together, first served first. */
export interface Slot {
  readonly lane: string;
  readonly runId: Uuid;
  readonly worker: string;
  readonly keyId: string;
  readonly leaseSeconds: number;
  readonly maxRuntimeSeconds: number | null;
  readonly noProgressSeconds: number | null;
}

export type ClaimedRow = Omit<TaskRow, 'outcome' | 'summary' | 'result' | 'metadata' | 'ended_at'> & {
  /** The end of the log when this was read. */
  readonly log_seq: number;
  readonly run_id: Uuid;
  readonly worker: string;
  readonly claimed_at: string;
  readonly lease_expires_at: string;
  readonly claim_runtime_seconds: number | null;
  /** How long the task had been ready; 0 when the claim is read again. */
  readonly waited_seconds: number;
};

/**
 * Fills the slots with ready tasks: each lane's by priority, then age. A task that somebody else is just taking is skipped.
 *
 * The decision that led here (lane exists, nothing is paused, room under the cap) was made on a version of the board's
 * configuration. The counter row is the last thing taken, and only at that version: else it hands out no numbers, the events lack
 * their seq, and all is rolled back (isStaleDecision).
 *
 * `id = ANY (ARRAY(…))` and OFFSET 0 pin the plan to index look-ups whatever the statistics say: joined plainly, a database that
 * was never analyzed hash-joins the details (27–42 µs a row became 151).
 */
export async function claimReady(
  sql: Runner,
  boardId: number,
  configVersion: number,
  slots: readonly Slot[],
  namedTaskId: Uuid | null,
): Promise<ClaimedRow[]> {
  const column = <T>(read: (slot: Slot) => T): T[] => slots.map(read);
  const lanes = [...new Set(column((slot) => slot.lane))];
  const candidates =
    namedTaskId === null
      ? sql`
        SELECT id, attempt, version, priority, max_runtime_seconds, no_progress_seconds FROM tasks
        WHERE board_id = ${boardId} AND lane = want.lane AND status = 'ready'
        ORDER BY priority DESC, id LIMIT want.count FOR NO KEY UPDATE SKIP LOCKED`
      : sql`
        SELECT id, attempt, version, priority, max_runtime_seconds, no_progress_seconds FROM tasks
        WHERE board_id = ${boardId} AND id = ${namedTaskId} AND lane = want.lane AND status = 'ready' FOR NO KEY UPDATE`;
  return sql<ClaimedRow[]>`
    /* claims.claim */
    WITH want AS MATERIALIZED (
      SELECT * FROM unnest(
        ${lanes}::text[], ${lanes.map((lane) => slots.findIndex((slot) => slot.lane === lane))}::int[],
        ${lanes.map((lane) => slots.filter((slot) => slot.lane === lane).length)}::int[]
      ) AS want (lane, first, count)
    ),
    picked AS MATERIALIZED (
      SELECT want.lane, candidate.id, candidate.attempt + 1 AS attempt, candidate.version + 1 AS version, clock_timestamp() AS at,
        candidate.max_runtime_seconds, candidate.no_progress_seconds,
        want.first + row_number() OVER (PARTITION BY want.lane ORDER BY candidate.priority DESC, candidate.id) AS slot
      FROM want CROSS JOIN LATERAL (${candidates}) AS candidate
    ),
    held AS MATERIALIZED (
      SELECT picked.lane, picked.id, picked.attempt, picked.version, picked.at, picked.slot,
        (${column((slot) => slot.runId)}::uuid[])[slot] AS run_id,
        (${column((slot) => slot.worker)}::text[])[slot] AS worker,
        (${column((slot) => slot.keyId)}::text[])[slot] AS key_id,
        (${column((slot) => slot.leaseSeconds)}::int[])[slot] AS lease_seconds,
        coalesce(picked.max_runtime_seconds, (${column((slot) => slot.maxRuntimeSeconds)}::int[])[slot]) AS runtime_seconds,
        coalesce(picked.no_progress_seconds, (${column((slot) => slot.noProgressSeconds)}::int[])[slot]) AS no_progress_seconds
      FROM picked
    ),
    moved AS (
      UPDATE tasks t SET status = 'running', attempt = t.attempt + 1, version = t.version + 1, status_since = clock_timestamp(),
        updated_at = clock_timestamp()
      WHERE t.board_id = ${boardId} AND t.id = ANY (ARRAY(SELECT id FROM held))
      RETURNING 1
    ),
    taken AS (
      INSERT INTO claims (board_id, task_id, run_id, attempt, lane, worker, claimed_from, claimed_at, lease_seconds, lease_expires_at,
        runtime_expires_at, no_progress_seconds, last_progress_at)
      SELECT ${boardId}, id, run_id, attempt, lane, worker, 'ready', at, lease_seconds, at + make_interval(secs => lease_seconds),
        at + make_interval(secs => runtime_seconds), no_progress_seconds, at
      FROM held RETURNING 1
    ),
    opened AS (
      INSERT INTO runs (board_id, task_id, attempt, id, lane, worker, started_at)
      SELECT ${boardId}, id, attempt, run_id, lane, worker, at FROM held RETURNING 1
    ),
    total AS MATERIALIZED (
      SELECT (SELECT count(*) FROM moved) AS moved, (SELECT count(*) FROM taken) AS taken, (SELECT count(*) FROM opened) AS opened
    ),
    bumped AS (
      UPDATE board_seq SET seq = seq + total.moved, ready = ready - total.moved, running = running + total.moved
      FROM total WHERE board_id = ${boardId} AND config_version = ${configVersion} AND total.moved > 0
      RETURNING seq, clock_timestamp() AS at
    ),
    written AS (
      INSERT INTO events (board_id, seq, kind, at, task_id, run_id, lane, worker, attempt, task_version, actor_type, actor_id, data)
      SELECT ${boardId}, (SELECT seq FROM bumped) - (SELECT moved FROM total) + row_number() OVER (ORDER BY slot), 'task.claimed',
        coalesce((SELECT at FROM bumped), held.at), id, run_id, lane, worker, attempt, version, 'key', key_id,
        jsonb_build_object('status_before', 'ready', 'status_after', 'running', 'lease_seconds', lease_seconds,
          'lease_expires_at', to_char((at + make_interval(secs => lease_seconds)) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
      FROM held
    )
    SELECT (SELECT seq FROM bumped) AS log_seq, held.run_id, held.worker, held.attempt AS claim_attempt, held.lane AS claim_lane,
      held.at AS claimed_at, held.at + make_interval(secs => held.lease_seconds) AS lease_expires_at, false AS is_cancel_requested,
      extract(epoch FROM held.at - hot.status_since)::float8 AS waited_seconds, held.runtime_seconds AS claim_runtime_seconds, held.id, held.lane, 'running' AS status, held.attempt, held.version,
      held.at AS status_since, held.at AS updated_at, hot.priority, hot.consecutive_failures, hot.max_failures, hot.max_runtime_seconds,
      hot.no_progress_seconds, hot.run_at, hot.blocked_kind, hot.blocked_reason, hot.created_at, detail.*
    FROM held
    CROSS JOIN LATERAL (
      SELECT t.priority, t.consecutive_failures, t.max_failures, t.max_runtime_seconds, t.no_progress_seconds, t.run_at, t.blocked_kind,
        t.blocked_reason, t.created_at, t.status_since
      FROM tasks t WHERE t.board_id = ${boardId} AND t.id = held.id OFFSET 0
    ) AS hot
    CROSS JOIN LATERAL (
      SELECT d.title, d.body, d.payload, d.labels, d.backoff, d.tenant, d.external_ref, d.idempotency_key, d.traceparent, d.comment_count,
        d.created_by_type, d.created_by_id
      FROM task_details d WHERE d.board_id = ${boardId} AND d.task_id = held.id OFFSET 0
    ) AS detail
    ORDER BY held.slot`;
}

/** Locks capped lanes, so that nobody else counts or claims there until the end of the transaction. */
export async function lockLanes(tx: Tx, boardId: number, lanes: readonly string[]): Promise<void> {
  await tx`
    /* claims.lock_lanes */
    SELECT FROM lanes WHERE board_id = ${boardId} AND name = ANY(${lanes as string[]}::text[]) ORDER BY name FOR NO KEY UPDATE`;
}

/** Live claims of these lanes. Run after the lock, as a statement of its own: it then sees everything that was committed before. */
export async function countLaneClaims(
  sql: Runner,
  boardId: number,
  lanes: readonly string[],
): Promise<Map<string, number>> {
  const rows = await sql<{ lane: string; count: number }[]>`
    /* claims.count_lane_claims */
    SELECT lane, count(*)::int AS count FROM claims WHERE board_id = ${boardId} AND lane = ANY(${lanes as string[]}::text[]) AND lane <> '' GROUP BY lane`;
  return new Map(rows.map((row) => [row.lane, row.count]));
}

/** Live claims with their tasks, by run, as claimReady returns them: for answers that are given again. */
export async function findLiveClaims(
  sql: Runner,
  boardId: number,
  runIds: readonly Uuid[],
): Promise<ClaimedRow[]> {
  return sql<ClaimedRow[]>`
    /* claims.find_live */
    SELECT (SELECT seq FROM board_seq WHERE board_id = ${boardId}) AS log_seq, c.run_id, c.worker, c.attempt AS claim_attempt, c.lane AS claim_lane, c.claimed_at, c.lease_expires_at,
      c.is_cancel_requested, extract(epoch FROM c.runtime_expires_at - c.claimed_at)::int AS claim_runtime_seconds, 0 AS waited_seconds,
      t.id, t.lane, t.status, t.attempt, t.version, t.status_since, t.updated_at, t.priority, t.consecutive_failures, t.max_failures,
      t.max_runtime_seconds, t.no_progress_seconds, t.run_at, t.blocked_kind, t.blocked_reason, t.created_at,
      d.title, d.body, d.payload, d.labels, d.backoff, d.tenant, d.external_ref, d.idempotency_key, d.traceparent, d.comment_count,
      d.created_by_type, d.created_by_id
    FROM claims c
    JOIN tasks t ON t.board_id = c.board_id AND t.id = c.task_id
    JOIN task_details d ON d.board_id = c.board_id AND d.task_id = c.task_id
    WHERE c.board_id = ${boardId} AND c.run_id = ANY(${runIds as Uuid[]}::uuid[])
    ORDER BY c.run_id`;
}

export interface AttemptRow {
  readonly task_id: Uuid;
  readonly id: Uuid;
  readonly attempt: number;
  readonly lane: string | null;
  readonly worker: string | null;
  readonly outcome: Outcome;
  readonly started_at: string;
  readonly ended_at: string;
  readonly summary: string | null;
  readonly error: string | null;
  readonly checkpoint: JsonParameter;
  readonly metadata: Record<string, JsonParameter> | null;
}

/** The newest ended attempts of several tasks, each task's oldest first, for handoffs. */
export async function listNewestAttempts(
  sql: Runner,
  boardId: number,
  taskIds: readonly Uuid[],
  perTaskMax: number,
): Promise<AttemptRow[]> {
  return sql<AttemptRow[]>`
    /* claims.list_newest_attempts */
    SELECT newest.task_id, newest.id, newest.attempt, newest.lane, newest.worker, newest.outcome, newest.started_at, newest.ended_at,
      newest.summary, newest.error, newest.checkpoint, newest.metadata
    FROM unnest(${taskIds as Uuid[]}::uuid[]) AS task (id)
    CROSS JOIN LATERAL (
      SELECT task_id, id, attempt, lane, worker, outcome, started_at, ended_at, summary, error, checkpoint, metadata FROM runs
      WHERE board_id = ${boardId} AND task_id = task.id AND outcome IS NOT NULL ORDER BY attempt DESC LIMIT ${perTaskMax}
    ) AS newest
    ORDER BY newest.task_id, newest.attempt`;
}
