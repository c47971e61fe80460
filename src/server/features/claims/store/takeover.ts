/** A takeover's claims: found, locked, and given to another worker or left without a holder. */
import type { TakeoverMode } from '../../../../contract/statuses.ts';
import type { JsonParameter, Runner, Tx } from '../../../db/client.ts';
import { assert } from '../../../kernel/assert.ts';
import type { Uuid } from '../../../kernel/ids.ts';
import type { LaneRow } from '../../lanes/service.ts';
import { type HeldRow, heldColumns } from './end.ts';

export interface TakenRef {
  readonly taskId: Uuid;
  readonly runId: Uuid;
}

export interface TakenRow extends HeldRow {
  readonly lease_seconds: number;
  readonly is_crash_on_disconnect: boolean;
}

interface Others {
  readonly lane: string;
  readonly worker: string;
  readonly mode: TakeoverMode;
}

/**
 * Live claims of the lane that are not this worker's, in task order. What an earlier takeover left to expire is nobody's: another
 * may still release or adopt it, and has nothing more to leave to expire.
 */
export async function listClaimsOfOthers(
  tx: Tx,
  boardId: number,
  others: Others,
  rowsMax: number,
): Promise<TakenRef[]> {
  const rows = await tx<{ task_id: Uuid; run_id: Uuid }[]>`
    /* claims.list_of_others */
    SELECT task_id, run_id FROM claims WHERE ${areOthers(tx, boardId, others)} ORDER BY task_id LIMIT ${rowsMax}`;
  return rows.map((row) => ({ taskId: row.task_id, runId: row.run_id }));
}

export async function countClaimsOfOthers(tx: Tx, boardId: number, others: Others): Promise<number> {
  const [row] = await tx<{ count: number }[]>`
    /* claims.count_of_others */ SELECT count(*)::int AS count FROM claims WHERE ${areOthers(tx, boardId, others)}`;
  return row?.count ?? 0;
}

function areOthers(tx: Tx, boardId: number, { lane, worker, mode }: Others) {
  const isTaken =
    mode === 'expire'
      ? tx`worker <> ${worker} AND NOT is_superseded`
      : tx`(worker <> ${worker} OR is_superseded)`;
  return tx`board_id = ${boardId} AND lane = ${lane} AND lane <> '' AND ${isTaken}`;
}

/**
 * Locks the holds that are still there, in task order; what somebody else has locked is waited for, or skipped. The claims as their
 * deletion will, so that after this nothing is waited for: an append to the output would only be met there.
 */
export async function lockTakenHolds(
  tx: Tx,
  boardId: number,
  refs: readonly TakenRef[],
  manner: 'wait' | 'skip',
): Promise<TakenRow[]> {
  const locked = manner === 'skip' ? tx`SKIP LOCKED` : tx``;
  return tx<TakenRow[]>`
    /* claims.lock_taken */
    SELECT hold.* FROM (
      SELECT * FROM unnest(
        ${refs.map((ref) => ref.taskId)}::uuid[], ${refs.map((ref) => ref.runId)}::uuid[]
      ) AS ref (task_id, run_id) ORDER BY task_id
    ) AS ref
    CROSS JOIN LATERAL (
      SELECT ${heldColumns(tx)}, c.lease_seconds, c.is_crash_on_disconnect
      FROM claims c JOIN tasks t ON t.board_id = ${boardId} AND t.id = ref.task_id
      WHERE c.board_id = ${boardId} AND c.task_id = ref.task_id AND c.run_id = ref.run_id AND t.attempt = c.attempt AND t.status = 'running'
      FOR NO KEY UPDATE OF t ${locked} FOR UPDATE OF c ${locked}
    ) AS hold`;
}

/** The claims stay until their leases lapse, and block their tasks for that long; their holders may not write any more. */
export async function supersedeClaims(
  tx: Tx,
  boardId: number,
  holds: readonly TakenRow[],
  evidence: Readonly<Record<string, unknown>>,
): Promise<void> {
  const marked = await tx`
    /* claims.supersede */
    WITH held AS MATERIALIZED (
      SELECT ${boardId}::int AS board_id, held.* FROM unnest(
        ${holds.map((held) => held.id)}::uuid[], ${holds.map((held) => held.attempt)}::int[]
      ) AS held (task_id, attempt)
    ),
    told AS (
      UPDATE runs r SET evidence = coalesce(r.evidence, '{}') || ${tx.json(evidence as JsonParameter)} FROM held
      WHERE r.board_id = ANY (ARRAY[held.board_id]) AND r.task_id = held.task_id AND r.attempt = held.attempt
    )
    UPDATE claims c SET is_superseded = true FROM held
    WHERE c.board_id = ANY (ARRAY[held.board_id]) AND c.task_id = held.task_id RETURNING 1`;
  assert(marked.length === holds.length, 'a locked hold is there');
}

export interface AdoptedRow {
  readonly task_id: Uuid;
  readonly run_id: Uuid;
  readonly attempt: number;
  /** The task's. */
  readonly version: number;
  readonly claimed_from: 'ready' | 'review';
  readonly lease_seconds: number;
  readonly lease_expires_at: string;
}

interface Adoption {
  readonly lane: LaneRow;
  readonly worker: string;
  readonly claims: readonly { readonly held: TakenRow; readonly runId: Uuid }[];
}

/**
 * Claims tasks again whose holds this transaction has just ended: the same lease, limits as for any new claim, in task order. As the lease,
 * `crash_on_disconnect` is what the claim had: a takeover cannot say it anew, the wire leaves it open, and whoever relied on it wants
 * these tasks back at once whoever works on them. It takes effect when a socket of the new worker closes; one without a socket,
 * as after any claim over HTTP, has only its lease.
 */
export async function adoptTasks(
  tx: Tx,
  boardId: number,
  { lane, worker, claims }: Adoption,
): Promise<AdoptedRow[]> {
  const rows = await tx<AdoptedRow[]>`
    /* claims.adopt */
    WITH item AS MATERIALIZED (
      SELECT ${boardId}::int AS board_id, clock_timestamp() AS at, item.* FROM unnest(
        ${claims.map(({ held }) => held.id)}::uuid[], ${claims.map(({ runId }) => runId)}::uuid[],
        ${claims.map(({ held }) => held.claimed_from)}::text[], ${claims.map(({ held }) => held.lease_seconds)}::int[],
        ${claims.map(({ held }) => String(held.is_crash_on_disconnect))}::text[]::boolean[]
      ) AS item (task_id, run_id, claimed_from, lease_seconds, is_crash_on_disconnect)
    ),
    moved AS (
      UPDATE tasks t SET status = 'running', attempt = t.attempt + 1, version = t.version + 1, status_since = item.at, updated_at = item.at
      FROM item
      WHERE t.board_id = ANY (ARRAY[item.board_id]) AND t.id = item.task_id AND t.status = item.claimed_from
      RETURNING item.*, t.attempt, t.version, t.max_runtime_seconds, t.no_progress_seconds
    ),
    taken AS (
      INSERT INTO claims (board_id, task_id, run_id, attempt, lane, worker, claimed_from, claimed_at, lease_seconds, lease_expires_at,
        runtime_expires_at, no_progress_seconds, last_progress_at, is_crash_on_disconnect)
      SELECT board_id, task_id, run_id, attempt, ${lane.name}, ${worker}, claimed_from, at, lease_seconds,
        at + make_interval(secs => lease_seconds),
        at + make_interval(secs => coalesce(max_runtime_seconds, ${lane.max_runtime_seconds}::int)),
        coalesce(no_progress_seconds, ${lane.no_progress_seconds}::int), at, is_crash_on_disconnect
      FROM moved
      RETURNING task_id, run_id, attempt, claimed_from, lease_seconds, lease_expires_at
    ),
    opened AS (
      INSERT INTO runs (board_id, task_id, attempt, id, lane, worker, started_at)
      SELECT board_id, task_id, attempt, run_id, ${lane.name}, ${worker}, at FROM moved
    )
    SELECT taken.*, moved.version FROM taken JOIN moved ON moved.task_id = taken.task_id ORDER BY taken.task_id`;
  assert(rows.length === claims.length, 'a task that was just released can be claimed');
  return rows;
}

interface AdoptionRef {
  readonly lane: string;
  readonly worker: string;
  readonly epoch: number;
  /** When the epoch was raised: a lane that was deregistered meanwhile began its epochs anew. */
  readonly at: string;
}

/** The live claims that the worker has by this takeover: the run before each of them names it. In task order. */
export async function listAdopted(
  sql: Runner,
  boardId: number,
  { lane, worker, epoch, at }: AdoptionRef,
  rowsMax: number,
): Promise<Pick<AdoptedRow, 'task_id' | 'run_id' | 'attempt' | 'lease_seconds'>[]> {
  const evidence = { takeover: { mode: 'adopt', worker, epoch, at } };
  return sql`
    /* claims.list_adopted */
    SELECT c.task_id, c.run_id, c.attempt, c.lease_seconds FROM claims c
    JOIN runs r ON r.board_id = c.board_id AND r.task_id = c.task_id AND r.attempt = c.attempt - 1
    WHERE c.board_id = ${boardId} AND c.lane = ${lane} AND c.lane <> '' AND c.worker = ${worker} AND NOT c.is_superseded
      AND r.evidence @> ${sql.json(evidence)}
    ORDER BY c.task_id LIMIT ${rowsMax}`;
}
