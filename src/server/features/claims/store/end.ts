/** The rarer ends: holds are locked and read, the pure state machine decides, and then everything is written at once. */
import type { Outcome } from '../../../../contract/statuses.ts';
import type { Runner, Tx } from '../../../db/client.ts';
import { assert } from '../../../kernel/assert.ts';
import type { Uuid } from '../../../kernel/ids.ts';
import type { ActorRef } from '../../../kernel/principal.ts';
import { type LockedTask, lockedColumns } from '../../tasks/service.ts';
import { IS_OWED_AMNESTY, IS_PULSE_STEADY } from './pulse.ts';

export interface HeldRow extends LockedTask {
  readonly run_id: Uuid;
  readonly claim_lane: string;
  readonly worker: string;
  readonly claimed_from: 'ready' | 'review';
  readonly claimed_at: string;
  readonly lease_expires_at: string;
  readonly runtime_expires_at: string | null;
  readonly no_progress_seconds: number | null;
  readonly last_heartbeat_at: string | null;
  readonly last_progress_at: string;
  readonly is_cancel_requested: boolean;
  readonly cancel_reason: string | null;
  /** Tasks it was ever made to wait for. */
  readonly parent_count: number;
  readonly backoff: { base_seconds?: number; factor?: number; cap_seconds?: number } | null;
}

/** A hold past one of its limits, with what the verdict rests on. */
export interface OverdueRow extends HeldRow {
  /** Which limit has passed, by the database's clock, most telling first. */
  readonly overdue: Overdue;
  readonly lease_seconds: number;
  readonly progress: number | null;
  /** When the worker's socket closed; null: it has none, or it is open as far as anybody knows. */
  readonly socket_closed_at: string | null;
  /** By how much outages have extended the lease since its holder was last heard of. */
  readonly amnesty_seconds: number;
}

export type Overdue = 'cancel_deadline' | 'lease' | 'max_runtime' | 'no_progress';

export interface HoldRef {
  readonly taskId: Uuid;
  readonly runId: Uuid;
  readonly attempt: number;
  /** Only while the claim has had no heartbeat: a worker that has it is not robbed of it. */
  readonly isUnheard?: boolean;
}

/**
 * At the statement's `moment`. A task whose cancel was not answered is cancelled, whatever else has passed; a dead worker is told before
 * a slow one.
 */
const OVERDUE = (sql: Runner) => sql`
  CASE
    WHEN c.cancel_deadline_at < moment.at THEN 'cancel_deadline'
    WHEN c.lease_expires_at < moment.at THEN 'lease'
    WHEN c.runtime_expires_at < moment.at THEN 'max_runtime'
    WHEN c.last_progress_at + make_interval(secs => c.no_progress_seconds) < moment.at THEN 'no_progress'
  END`;

/** The pulse and every limit are held against one moment, after the snapshot was taken: an outage cannot fall in between. */
const MOMENT = (sql: Runner) => sql`moment AS MATERIALIZED (SELECT clock_timestamp() AS at)`;

export const heldColumns = (sql: Runner) => sql`
  ${lockedColumns(sql)}, c.run_id, c.lane AS claim_lane, c.worker, c.claimed_from, c.claimed_at, c.lease_expires_at,
  c.runtime_expires_at, c.no_progress_seconds, c.last_heartbeat_at, c.last_progress_at, c.is_cancel_requested, c.cancel_reason,
  (SELECT d.backoff FROM task_details d WHERE d.board_id = t.board_id AND d.task_id = t.id) AS backoff,
  (SELECT d.parent_count FROM task_details d WHERE d.board_id = t.board_id AND d.task_id = t.id) AS parent_count`;

/**
 * Locks the holds that are still the named runs', in task order, and the claims as their deletion will: whoever appends to their output
 * is waited for here, in that order, and not at the deletions, which have none. What is missing from the answer is held no more, or
 * only in name: a takeover left it to expire.
 */
export async function lockHolds(tx: Tx, boardId: number, refs: readonly HoldRef[]): Promise<HeldRow[]> {
  return tx<HeldRow[]>`
    /* claims.lock_holds */
    SELECT hold.* FROM (
      SELECT * FROM unnest(
        ${refs.map((ref) => ref.taskId)}::uuid[], ${refs.map((ref) => ref.runId)}::uuid[], ${refs.map((ref) => ref.attempt)}::int[],
        ${refs.map((ref) => String(ref.isUnheard ?? false))}::text[]::boolean[]
      ) AS ref (task_id, run_id, attempt, is_unheard) ORDER BY task_id
    ) AS ref
    CROSS JOIN LATERAL (
      SELECT ${heldColumns(tx)}
      FROM claims c JOIN tasks t ON t.board_id = ${boardId} AND t.id = ref.task_id
      WHERE c.board_id = ${boardId} AND c.task_id = ref.task_id AND c.run_id = ref.run_id AND c.attempt = ref.attempt
        AND t.attempt = ref.attempt AND t.status = 'running' AND (c.last_heartbeat_at IS NULL OR NOT ref.is_unheard)
        AND NOT c.is_superseded
      FOR NO KEY UPDATE OF t FOR UPDATE OF c
    ) AS hold`;
}

/**
 * Boards with a hold past one of its limits; none before what an outage took has been given back. The live set is small, so it is
 * scanned: an index on the lease would make every heartbeat move. Of more than there is room for any, not the same each time: some may
 * stay overdue whatever is done, and must not stand before the others.
 */
export async function listOverdueBoards(
  sql: Runner,
  exceptIds: readonly number[],
  boardsMax: number,
): Promise<number[]> {
  const rows = await sql<{ board_id: number }[]>`
    /* claims.list_overdue_boards */
    WITH ${MOMENT(sql)}
    SELECT c.board_id FROM moment CROSS JOIN claims c
    WHERE ${IS_PULSE_STEADY(sql)} AND ${OVERDUE(sql)} IS NOT NULL AND NOT ${IS_OWED_AMNESTY(sql)}
      AND c.board_id <> ALL (${exceptIds as number[]}::int[])
    GROUP BY c.board_id ORDER BY random() LIMIT ${boardsMax}`;
  return rows.map((row) => row.board_id);
}

/**
 * Locks overdue holds of a board; what another server or a worker has locked is left to it, and everything while the pulse stands still.
 * Nothing is waited for, here or when the claims are deleted, so the order does not matter; one would have to read and sort them all.
 * What an outage gave to a lease is not stored: a claim and a heartbeat leave it with exactly its length.
 */
export async function lockOverdueHolds(tx: Tx, boardId: number, rowsMax: number): Promise<OverdueRow[]> {
  return tx<OverdueRow[]>`
    /* claims.lock_overdue */
    WITH ${MOMENT(tx)}
    SELECT ${heldColumns(tx)}, ${OVERDUE(tx)} AS overdue, c.lease_seconds, c.progress,
      (SELECT w.socket_closed_at FROM workers w WHERE w.board_id = c.board_id AND w.lane = c.lane AND w.worker = c.worker) AS socket_closed_at,
      greatest(0, round((extract(epoch FROM c.lease_expires_at - coalesce(c.last_heartbeat_at, c.claimed_at)) - c.lease_seconds)::numeric, 2))::float8
        AS amnesty_seconds
    FROM moment CROSS JOIN claims c JOIN tasks t ON t.board_id = c.board_id AND t.id = c.task_id
    WHERE c.board_id = ${boardId} AND ${IS_PULSE_STEADY(tx)} AND ${OVERDUE(tx)} IS NOT NULL AND NOT ${IS_OWED_AMNESTY(tx)}
      AND t.status = 'running' AND t.attempt = c.attempt
    LIMIT ${rowsMax} FOR NO KEY UPDATE OF t SKIP LOCKED FOR UPDATE OF c SKIP LOCKED`;
}

export async function deleteClaims(tx: Tx, boardId: number, taskIds: readonly Uuid[]): Promise<void> {
  const rows = await tx`
    /* claims.delete */
    WITH ended AS MATERIALIZED (SELECT ${boardId}::int AS board_id, task_id FROM unnest(${taskIds as Uuid[]}::uuid[]) AS task_id)
    DELETE FROM claims c USING ended WHERE c.board_id = ANY (ARRAY[ended.board_id]) AND c.task_id = ended.task_id RETURNING 1`;
  assert(rows.length === taskIds.length, 'a locked hold is there');
}

export interface RunClosing {
  readonly taskId: Uuid;
  readonly attempt: number;
  readonly outcome: Outcome;
  readonly endedBy: ActorRef;
  readonly fingerprint: string | null;
  readonly summary: string | null;
  readonly error: string | null;
  readonly result: unknown;
  readonly metadata: Readonly<Record<string, unknown>> | null;
  readonly evidence: Readonly<Record<string, unknown>> | null;
}

export async function closeRuns(tx: Tx, boardId: number, closings: readonly RunClosing[]): Promise<void> {
  const items = closings.map((closing) => ({
    board_id: boardId,
    task_id: closing.taskId,
    attempt: closing.attempt,
    outcome: closing.outcome,
    ended_by_type: closing.endedBy.type,
    ended_by_id: closing.endedBy.id,
    fingerprint: closing.fingerprint,
    summary: closing.summary,
    error: closing.error,
    result: closing.result ?? null,
    metadata: closing.metadata,
    evidence: closing.evidence,
  }));
  const rows = await tx`
    /* claims.close_runs */
    UPDATE runs r SET outcome = item.outcome, ended_at = clock_timestamp(), ended_by_type = item.ended_by_type, ended_by_id = item.ended_by_id,
      end_fingerprint = item.fingerprint, summary = item.summary, error = item.error, result = nullif(item.result, 'null'::jsonb),
      metadata = CASE WHEN item.metadata IS NULL THEN r.metadata ELSE coalesce(r.metadata, '{}') || item.metadata END,
      evidence = CASE WHEN item.evidence IS NULL THEN r.evidence ELSE coalesce(r.evidence, '{}') || item.evidence END
    FROM json_to_recordset(${JSON.stringify(items)}::text::json) AS item (
      board_id int, task_id uuid, attempt int, outcome text, ended_by_type text, ended_by_id text, fingerprint text, summary text, error text,
      result jsonb, metadata jsonb, evidence jsonb)
    WHERE r.board_id = ANY (ARRAY[item.board_id]) AND r.task_id = item.task_id AND r.attempt = item.attempt AND r.outcome IS NULL
    RETURNING 1`;
  assert(rows.length === closings.length, 'a held run is open');
}
