/** A claim that was made, as the stores return it, and how it is read from what the claiming statement sends of each slot. */
import { assert } from '../../../kernel/assert.ts';
import type { Uuid } from '../../../kernel/ids.ts';
import type { TaskDetailValues, TaskRow } from '../../tasks/service.ts';
import type { Slot } from './slot.ts';

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
  /** Tasks of the board that waited for review after it; 0 when the claim is read again. */
  readonly board_reviews: number;
  /** How long it took to come to it in the line of its lane, after those of the batch that stand before it. null: it was not in a line. */
  readonly look_ms: number | null;
};

/**
 * What the statement sends of a filled slot, by position. As objects the driver would put such rows together key by key, which makes
 * hash tables of them: a third of the memory that a cycle allocated.
 */
export type FilledRow = readonly [
  log_seq: number,
  /** From 1. */
  slot: number,
  id: Uuid,
  attempt: number,
  version: number,
  claimed_at: string,
  lease_expires_at: string,
  waited_seconds: number,
  claim_runtime_seconds: number | null,
  priority: number,
  consecutive_failures: number,
  max_failures: number,
  max_runtime_seconds: number | null,
  no_progress_seconds: number | null,
  run_at: string | null,
  created_at: string,
  board_reviews: number,
  look_ms: number | null,
  ...detail: TaskDetailValues,
];

export function claimedRowOf(row: FilledRow, slots: readonly Slot[]): ClaimedRow {
  const slot = slots[row[1] - 1];
  assert(slot !== undefined, 'a row fills one of the slots');
  const claimedAt = row[5];
  return {
    log_seq: row[0],
    run_id: slot.runId,
    worker: slot.worker,
    id: row[2],
    lane: slot.lane,
    status: 'running',
    attempt: row[3],
    version: row[4],
    priority: row[9],
    consecutive_failures: row[10],
    max_failures: row[11],
    max_runtime_seconds: row[12],
    no_progress_seconds: row[13],
    run_at: row[14],
    blocked_kind: null, // Only a blocked task has them.
    blocked_reason: null,
    status_since: claimedAt,
    created_at: row[15],
    updated_at: claimedAt,
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
    unmet_parents: slot.review?.unmet_parents ?? 0, // Or it would not be ready.
    reviewer: slot.review === undefined ? null : slot.lane,
    claim_lane: slot.lane,
    claim_attempt: row[3],
    claimed_at: claimedAt,
    lease_expires_at: row[6],
    is_cancel_requested: false,
    claim_runtime_seconds: row[8],
    waited_seconds: row[7],
    board_reviews: row[16],
    look_ms: row[17],
  };
}
