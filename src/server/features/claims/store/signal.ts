/** What the holders of live claims are to be told. */
import type { Runner, Tx } from '../../../db/client.ts';
import type { Uuid } from '../../../kernel/ids.ts';
import type { HoldRef } from './end.ts';

/** A live claim whose holder has something to hear. */
export interface SignalRow {
  readonly task_id: Uuid;
  readonly run_id: Uuid;
  readonly lane: string;
  readonly worker: string;
  /** Null: no cancel was requested. */
  readonly cancel_deadline_at: string | null;
  readonly cancel_reason: string | null;
  readonly has_messages: boolean;
  /** Some of them have been told to nobody of this run. */
  readonly has_untold: boolean;
}

/**
 * Claims of these lanes with a cancel request or open messages, in task order, after `afterTaskId`. An index holds just these claims.
 * Messages are looked for only where the claim says that there are some. A claim that a takeover left to expire has no holder any more
 * who could be told.
 */
export async function findSignals(
  sql: Runner,
  boardId: number,
  lanes: readonly string[],
  afterTaskId: Uuid | null,
  rowsMax: number,
): Promise<SignalRow[]> {
  return sql<SignalRow[]>`
    /* claims.find_signals */
    SELECT c.task_id, c.run_id, c.lane, c.worker, c.cancel_deadline_at, c.cancel_reason, c.has_messages,
      c.has_messages AND EXISTS (
        SELECT FROM messages m
        WHERE m.board_id = c.board_id AND m.task_id = c.task_id AND m.acknowledged_at IS NULL AND m.missed_at IS NULL
          AND m.run_id IS DISTINCT FROM c.run_id
      ) AS has_untold
    FROM claims c
    WHERE c.board_id = ${boardId} AND c.lane = ANY(${lanes as string[]}::text[])
      AND (c.is_cancel_requested OR c.has_messages) AND NOT c.is_superseded
      AND (${afterTaskId}::uuid IS NULL OR c.task_id > ${afterTaskId}::uuid)
    ORDER BY c.task_id LIMIT ${rowsMax}`;
}

/** Until the end of the transaction the run goes on, or it is over already. */
export async function lockLiveClaim(tx: Tx, boardId: number, hold: HoldRef): Promise<boolean> {
  const rows = await tx`
    /* claims.lock_live */
    SELECT FROM claims
    WHERE board_id = ${boardId} AND task_id = ${hold.taskId} AND run_id = ${hold.runId} AND attempt = ${hold.attempt} AND NOT is_superseded
    FOR NO KEY UPDATE`;
  return rows.length > 0;
}
