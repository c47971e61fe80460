/** Heartbeats: a bare one changes one narrow row, in place (HOT), for any number of claims in one statement. */
import type { Sql, Tx } from '../../../db/client.ts';
import type { Uuid } from '../../../kernel/ids.ts';

export interface Beat {
  readonly taskId: Uuid;
  readonly runId: Uuid;
  readonly attempt: number;
  readonly leaseSeconds: number | null;
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
  /** As it was kept before this beat; it only rises. */
  readonly progress: number | null;
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
        ${beats.map((beat) => beat.leaseSeconds)}::int[]
      ) AS beat (task_id, run_id, attempt, lease_seconds)
    )
    UPDATE claims c SET
      lease_seconds = coalesce(beat.lease_seconds, c.lease_seconds),
      lease_expires_at = clock_timestamp() + make_interval(secs => coalesce(beat.lease_seconds, c.lease_seconds)),
      last_heartbeat_at = clock_timestamp()
    FROM beat
    WHERE (SELECT value FROM quick) = 'off' AND c.board_id = ANY (ARRAY[beat.board_id]) AND c.task_id = beat.task_id AND c.run_id = beat.run_id
      AND c.attempt = beat.attempt AND NOT c.is_superseded
    RETURNING c.run_id, c.lane, c.worker, c.lease_expires_at, c.is_cancel_requested, c.has_messages,
      extract(epoch FROM c.runtime_expires_at - c.claimed_at)::int AS runtime_seconds, c.progress,
      (c.heartbeat_logged_at IS NULL OR c.heartbeat_logged_at < clock_timestamp() - make_interval(secs => ${LOG_INTERVAL_SECONDS})) AS is_log_due`;
}

export interface LoggedBeat {
  readonly taskId: Uuid;
  readonly runId: Uuid;
  readonly attempt: number;
  readonly progress: number | null;
  readonly metadata: Readonly<Record<string, unknown>> | null;
  /** A JSON text, or null when there is none. */
  readonly checkpoint: string | null;
  /** It carries a note or metadata: worth an event, however recent the last one is. */
  readonly isTelling: boolean;
}

/** A beat that the log gets, and what of it was progress. */
export interface RecordedBeat {
  readonly task_id: Uuid;
  readonly is_higher: boolean;
  readonly is_new_checkpoint: boolean;
}

/**
 * Keeps what the beats carry on claims and runs, and says which of them the log gets; the caller writes the events in the same transaction.
 * Progress is a number above the highest so far, or a checkpoint that is not the one that the run has already: only a worker that gets
 * on has a new one. What is sent again, because an answer was lost or because that is all a worker knows to say, is a bare heartbeat.
 * Judged on rows that are locked, claim by claim in task order and each claim's run after it: of two servers with the same beat one finds
 * what the other one kept. Not judged with every heartbeat, for hardly any carries something.
 */
export async function recordBeats(
  tx: Tx,
  boardId: number,
  beats: readonly LoggedBeat[],
): Promise<Map<Uuid, RecordedBeat>> {
  const metadata = beats.map((beat) => (beat.metadata === null ? null : JSON.stringify(beat.metadata)));
  const rows = await tx<RecordedBeat[]>`
    /* claims.log_heartbeat */
    WITH held AS MATERIALIZED (
      SELECT ${boardId}::int AS board_id, beat.task_id, beat.attempt, beat.progress, beat.metadata, beat.checkpoint,
        coalesce(claim.is_higher, false) AS is_higher, coalesce(run.is_new, false) AS is_new_checkpoint, beat.is_telling OR claim.is_due AS is_due
      FROM (
        SELECT * FROM unnest(
          ${beats.map((beat) => beat.taskId)}::uuid[], ${beats.map((beat) => beat.runId)}::uuid[], ${beats.map((beat) => beat.attempt)}::int[],
          ${beats.map((beat) => beat.progress)}::float8[], ${metadata}::text[], ${beats.map((beat) => beat.checkpoint)}::text[],
          ${beats.map((beat) => String(beat.isTelling))}::text[]::boolean[]
        ) AS beat (task_id, run_id, attempt, progress, metadata, checkpoint, is_telling) ORDER BY task_id
      ) AS beat
      CROSS JOIN LATERAL (
        SELECT beat.progress > coalesce(c.progress, '-Infinity') AS is_higher,
          (c.heartbeat_logged_at IS NULL OR c.heartbeat_logged_at < clock_timestamp() - make_interval(secs => ${LOG_INTERVAL_SECONDS})) AS is_due
        FROM claims c
        WHERE c.board_id = ${boardId} AND c.task_id = beat.task_id AND c.run_id = beat.run_id AND c.attempt = beat.attempt AND NOT c.is_superseded
        FOR NO KEY UPDATE
      ) AS claim
      LEFT JOIN LATERAL (
        SELECT beat.checkpoint IS NOT NULL AND r.checkpoint IS DISTINCT FROM beat.checkpoint::jsonb AS is_new
        FROM runs r
        WHERE (beat.metadata IS NOT NULL OR beat.checkpoint IS NOT NULL)
          AND r.board_id = ${boardId} AND r.task_id = beat.task_id AND r.attempt = beat.attempt
        FOR NO KEY UPDATE
      ) AS run ON true
    ),
    recorded AS MATERIALIZED (SELECT * FROM held WHERE is_due OR is_higher OR is_new_checkpoint),
    marked AS (
      UPDATE claims c SET
        heartbeat_logged_at = clock_timestamp(),
        progress = greatest(c.progress, recorded.progress),
        last_progress_at = CASE WHEN recorded.is_higher OR recorded.is_new_checkpoint THEN clock_timestamp() ELSE c.last_progress_at END
      FROM recorded WHERE c.board_id = ANY (ARRAY[recorded.board_id]) AND c.task_id = recorded.task_id
    ),
    kept AS (
      UPDATE runs r SET
        metadata = CASE WHEN recorded.metadata IS NULL THEN r.metadata ELSE coalesce(r.metadata, '{}') || recorded.metadata::jsonb END,
        checkpoint = CASE WHEN recorded.is_new_checkpoint THEN recorded.checkpoint::jsonb ELSE r.checkpoint END
      FROM recorded
      WHERE (recorded.metadata IS NOT NULL OR recorded.is_new_checkpoint)
        AND r.board_id = ANY (ARRAY[recorded.board_id]) AND r.task_id = recorded.task_id AND r.attempt = recorded.attempt AND r.outcome IS NULL
    )
    SELECT task_id, is_higher, is_new_checkpoint FROM recorded`;
  return new Map(rows.map((row) => [row.task_id, row]));
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
