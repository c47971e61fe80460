import type { TakeoverMode } from '../../../../contract/statuses.ts';
import type { NewEvent } from '../../../db/event-log.ts';
import type { Uuid } from '../../../kernel/ids.ts';
import type { ActorRef } from '../../../kernel/principal.ts';
import type { BoardRef } from '../../boards/service.ts';
import type { Undelivered } from '../claiming/returns.ts';
import type { Ending } from '../settle.ts';
import type { AdoptedRow, TakenRow } from '../store/takeover.ts';

/** A takeover that has begun. */
export interface Takeover {
  readonly board: BoardRef;
  readonly lane: string;
  readonly mode: TakeoverMode;
  readonly worker: string;
  readonly epoch: number;
  readonly at: string;
  readonly by: ActorRef;
}

export interface Adopted extends Undelivered {
  readonly runId: Uuid;
}

export function adoptedOf(
  row: Pick<AdoptedRow, 'task_id' | 'run_id' | 'attempt' | 'lease_seconds'>,
): Adopted {
  return {
    runId: row.run_id,
    hold: { taskId: row.task_id, runId: row.run_id, attempt: row.attempt },
    leaseMs: row.lease_seconds * 1000,
  };
}

export function releaseOf(
  { lane, worker, by }: Takeover,
  held: TakenRow,
  evidence: Ending['evidence'],
): Ending {
  return {
    held,
    end: { verb: 'release', delaySeconds: null },
    actor: by,
    fingerprint: null,
    summary: null,
    result: null,
    error: `Worker ${JSON.stringify(worker)} took lane ${JSON.stringify(lane)} over.`,
    metadata: null,
    evidence,
  };
}

export function adoptionOf({ lane, worker, epoch }: Takeover, row: AdoptedRow, actor: ActorRef): NewEvent {
  return {
    kind: 'task.claimed',
    taskId: row.task_id,
    runId: row.run_id,
    lane,
    worker,
    attempt: row.attempt,
    taskVersion: row.version,
    actor,
    data: {
      status_before: row.claimed_from,
      status_after: 'running',
      lease_seconds: row.lease_seconds,
      lease_expires_at: row.lease_expires_at,
      adopted_by_epoch: epoch,
    },
  };
}

/** Released, it is cancelled or waits for parents, which delegations are locked for: its own, and those of what waits for it. */
export function mayDecideJoin(held: TakenRow): boolean {
  return (held.is_followed || held.has_children) && (held.is_cancel_requested || held.unmet_parents > 0);
}

/** Released a moment ago: may the worker claim it at once? */
export function isClaimableBy(held: TakenRow, worker: string): boolean {
  if (held.is_cancel_requested) return false;
  if (held.claimed_from === 'ready') return held.unmet_parents === 0;
  // As store/review.ts has it: a worker is one of a lane, the same name on another lane is another.
  return held.implementer_lane !== held.claim_lane || held.implementer_worker !== worker;
}
