/** Heartbeats: a bare one changes one narrow row, in place (HOT), for any number of claims in one statement. */
import type { Sql, Tx } from '../../../db/client.ts';
import type { Uuid } from '../../../kernel/ids.ts';

export interface Beat {
  readonly taskId: Uuid;
  readonly runId: Uuid;
  readonly attempt: number;
  readonly leaseSeconds: number | null;
  readonly progress: number | null;
}

export interface BeatRow {
  readonly run_id: Uuid;
  readonly lane: string;
  readonly worker: string;
  readonly lease_expires_at: string;
  readonly is_cancel_requested: boolean;
  /** Messages wait for the holder; they are read on their own, so that all others pay nothing for them. */
  readonly has_messages: boolean;
  readonly runtime_seconds: number | null;
  /** The log has not heard of this run for a while. */
  readonly is_log_due: boolean;
}

// Booleans travel as text: the driver takes the type of an array from its first element and would send a single boolean.

/** Pinned by the domain: the log gets the first heartbeat of a run, and then one in this many seconds. */
const LOG_INTERVAL_SECONDS = 30;

/**
 * Extends the leases of the runs that still hold their claims. An expired lease that nobody has reaped yet is still the holder's.
 * Commits without waiting for the disk: what a crash takes back is a lease extension, and the next heartbeat repeats it. Nothing
 * that writes an event may do so, because watchers would have seen a seq that is gone. Plans are pinned as in complete.ts.
 */
export async function extendLeases(sql: Sql, boardId: number, beats: readonly Beat[]): Promise<BeatRow[]> {
  return sql<BeatRow[]>`
    /* claims.heartbeat */
    WITH quick AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true) AS value),
    beat AS MATERIALIZED (
      SELECT ${boardId}::int AS board_id, beat.* FROM unnest(
        ${beats.map((beat) => beat.taskId)}::uuid[], ${beats.map((beat) => beat.runId)}::uuid[], ${beats.map((beat) => beat.attempt)}::int[],
        ${beats.map((beat) => beat.leaseSeconds)}::int[], ${beats.map((beat) => beat.progress)}::float8[]
      ) AS beat (task_id, run_id, attempt, lease_seconds, progress)
    )
    UPDATE claims c SET
      lease_seconds = coalesce(beat.lease_seconds, c.lease_seconds),
      lease_expires_at = clock_timestamp() + make_interval(secs => coalesce(beat.lease_seconds, c.lease_seconds)),
      last_heartbeat_at = clock_timestamp(),
      last_progress_at = CASE WHEN beat.progress > coalesce(c.progress, '-Infinity') THEN clock_timestamp() ELSE c.last_progress_at END,
      progress = greatest(c.progress, beat.progress)
    FROM beat
    WHERE (SELECT value FROM quick) = 'off' AND c.board_id = ANY (ARRAY[beat.board_id]) AND c.task_id = beat.task_id AND c.run_id = beat.run_id
      AND c.attempt = beat.attempt AND NOT c.is_superseded
    RETURNING c.run_id, c.lane, c.worker, c.lease_expires_at, c.is_cancel_requested, c.has_messages,
      extract(epoch FROM c.runtime_expires_at - c.claimed_at)::int AS runtime_seconds,
      (c.heartbeat_logged_at IS NULL OR c.heartbeat_logged_at < clock_timestamp() - make_interval(secs => ${LOG_INTERVAL_SECONDS})) AS is_log_due`;
}

export interface LoggedBeat {
  readonly taskId: Uuid;
  readonly runId: Uuid;
  readonly attempt: number;
  readonly metadata: Readonly<Record<string, unknown>> | null;
  /** A JSON text, or null when there is none. */
  readonly checkpoint: string | null;
}

/**
 * Marks the beats as logged and keeps what they carry on their runs; the caller writes the events in the same transaction. A checkpoint
 * is progress where it is not the one that the run has already: only a worker that gets on has a new one. Compared here and not with
 * every heartbeat, for all that carry one come by; as a scalar subselect, which no planner can turn into a look through all runs.
 */
export async function recordBeats(tx: Tx, boardId: number, beats: readonly LoggedBeat[]): Promise<Set<Uuid>> {
  const held = await tx<{ task_id: Uuid }[]>`
    /* claims.log_heartbeat */
    WITH beat AS MATERIALIZED (
      SELECT ${boardId}::int AS board_id, beat.* FROM unnest(
        ${beats.map((beat) => beat.taskId)}::uuid[], ${beats.map((beat) => beat.runId)}::uuid[], ${beats.map((beat) => beat.attempt)}::int[],
        ${beats.map((beat) => beat.checkpoint)}::text[]
      ) AS beat (task_id, run_id, attempt, checkpoint)
    )
    UPDATE claims c SET
      heartbeat_logged_at = clock_timestamp(),
      last_progress_at = CASE WHEN beat.checkpoint IS NOT NULL AND beat.checkpoint::jsonb IS DISTINCT FROM (
          SELECT r.checkpoint FROM runs r WHERE r.board_id = c.board_id AND r.task_id = c.task_id AND r.attempt = c.attempt
        ) THEN clock_timestamp() ELSE c.last_progress_at END
    FROM beat
    WHERE c.board_id = ANY (ARRAY[beat.board_id]) AND c.task_id = beat.task_id AND c.run_id = beat.run_id AND c.attempt = beat.attempt
      AND NOT c.is_superseded
    RETURNING c.task_id`;
  const heldIds = new Set(held.map((row) => row.task_id));
  const carrying = beats.filter(
    (beat) => heldIds.has(beat.taskId) && (beat.metadata !== null || beat.checkpoint !== null),
  );
  if (carrying.length > 0) await keepOnRuns(tx, boardId, carrying);
  return heldIds;
}

/** Runs whose metadata would grow beyond the bound with what these beats carry, to a few bytes. */
export async function findOverfull(
  sql: Sql,
  boardId: number,
  beats: readonly LoggedBeat[],
  bytesMax: number,
): Promise<Set<Uuid>> {
  const bytes = beats.map((beat) =>
    beat.metadata === null ? 0 : Buffer.byteLength(JSON.stringify(beat.metadata)),
  );
  const rows = await sql<{ id: Uuid }[]>`
    /* claims.find_overfull */
    SELECT run.id FROM unnest(
      ${beats.map((beat) => beat.taskId)}::uuid[], ${beats.map((beat) => beat.attempt)}::int[], ${bytes}::int[]
    ) AS beat (task_id, attempt, bytes)
    CROSS JOIN LATERAL (
      SELECT r.id, octet_length(r.metadata::text) AS bytes FROM runs r
      WHERE r.board_id = ${boardId} AND r.task_id = beat.task_id AND r.attempt = beat.attempt OFFSET 0
    ) AS run
    WHERE run.bytes + beat.bytes > ${bytesMax}`;
  return new Set(rows.map((row) => row.id));
}

async function keepOnRuns(tx: Tx, boardId: number, beats: readonly LoggedBeat[]): Promise<void> {
  const metadata = beats.map((beat) => (beat.metadata === null ? null : JSON.stringify(beat.metadata)));
  await tx`
    /* claims.keep_heartbeat */
    WITH beat AS MATERIALIZED (
      SELECT ${boardId}::int AS board_id, beat.* FROM unnest(
        ${beats.map((beat) => beat.taskId)}::uuid[], ${beats.map((beat) => beat.attempt)}::int[], ${metadata}::text[],
        ${beats.map((beat) => beat.checkpoint)}::text[]
      ) AS beat (task_id, attempt, metadata, checkpoint)
    )
    UPDATE runs r SET
      metadata = CASE WHEN beat.metadata IS NULL THEN r.metadata ELSE coalesce(r.metadata, '{}') || beat.metadata::jsonb END,
      checkpoint = CASE WHEN beat.checkpoint IS NULL THEN r.checkpoint ELSE beat.checkpoint::jsonb END
    FROM beat
    WHERE r.board_id = ANY (ARRAY[beat.board_id]) AND r.task_id = beat.task_id AND r.attempt = beat.attempt AND r.outcome IS NULL`;
}
