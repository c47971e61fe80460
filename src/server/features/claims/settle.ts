/** Decides and writes the ends of locked holds: the state machine's verdicts, their runs, their events, in one go. */
import type { EventKind, Outcome } from '../../../contract/statuses.ts';
import type { Tx } from '../../db/client.ts';
import { countMove, type NewEvent, type StatusCounts } from '../../db/event-log.ts';
import { assert } from '../../kernel/assert.ts';
import { TASK_BACKOFF } from '../../kernel/backoff.ts';
import type { Uuid } from '../../kernel/ids.ts';
import type { ActorRef } from '../../kernel/principal.ts';
import {
  addCounts,
  appendChange,
  decideEnd,
  type End,
  eventTextOf,
  type Family,
  type FamilyChange,
  mayMove,
  movedTask,
  moveTasks,
  NO_CHANGE,
  NO_FAMILY,
  promoteChildren,
  reviewOf,
  type TaskAfter,
  type TaskChange,
  type Verdict,
} from '../tasks/service.ts';
import { closeRuns, deleteClaims, type HeldRow } from './store/end.ts';

/** One end of one locked hold. */
export interface Ending {
  readonly held: HeldRow;
  readonly end: End;
  readonly actor: ActorRef;
  readonly fingerprint: string | null;
  readonly summary: string | null;
  readonly result: unknown;
  readonly error: string | null;
  readonly metadata: Readonly<Record<string, unknown>> | null;
  readonly evidence: Readonly<Record<string, unknown>> | null;
}

const EVENT_KINDS_BY_OUTCOME: Readonly<Record<Outcome, EventKind>> = {
  completed: 'task.completed',
  changes_requested: 'task.changes_requested',
  blocked: 'task.blocked',
  released: 'task.released',
  failed: 'task.failed',
  crashed: 'task.crashed',
  timed_out: 'task.timed_out',
  reclaimed: 'task.reclaimed',
  cancelled: 'task.cancelled',
};

/** What the same transaction has found beside the holds. */
interface Beside {
  /** The tasks that wait for those that complete, locked. */
  readonly family?: Family;
  /** Claims are to be decided anew. */
  readonly isConfigChange?: boolean;
  /** Where the log is written later by the caller. */
  readonly append?: (change: TaskChange) => Promise<unknown>;
}

/**
 * The holds are locked by this transaction, in task order, and so is the family. Nothing else of
 * the board may be locked after this.
 */
export async function settleEndings(
  tx: Tx,
  boardId: number,
  endings: readonly Ending[],
  { family = NO_FAMILY, isConfigChange = false, append }: Beside = {},
): Promise<void> {
  if (endings.length === 0) return;
  const settled = endings.map((ending) => {
    const verdict = verdictOf(ending);
    return { ...ending, verdict, after: afterOf(ending, verdict) };
  });
  await deleteClaims(
    tx,
    boardId,
    settled.map(({ held }) => held.id),
  );
  await moveTasks(
    tx,
    boardId,
    settled.map(({ held, after }) => ({ before: held, after })),
  );
  await closeRuns(
    tx,
    boardId,
    settled.map(({ held, verdict, after: _after, actor, ...ending }) => ({
      taskId: held.id,
      attempt: held.attempt,
      outcome: verdict.outcome,
      endedBy: actor,
      fingerprint: ending.fingerprint,
      summary: ending.summary,
      error: ending.error,
      result: ending.result,
      metadata: ending.metadata,
      evidence: ending.evidence,
    })),
  );
  const counts: StatusCounts = {};
  for (const { held, verdict } of settled) countMove(counts, held.status, verdict.status);
  const promoted = await promoteWaiting(tx, boardId, settled, family);
  const change: TaskChange = {
    isConfigChange,
    events: [...settled.flatMap(eventsOf), ...promoted.events],
    counts: addCounts(counts, promoted.counts),
    departures: settled.map(({ held, after }) => ({ before: held, after })),
  };
  await (append === undefined ? appendChange(tx, boardId, change) : append(change));
}

async function promoteWaiting(
  tx: Tx,
  boardId: number,
  settled: readonly Settled[],
  family: Family,
): Promise<FamilyChange> {
  const parents = new Map<Uuid, ActorRef>();
  for (const { held, verdict, actor } of settled)
    if (verdict.status === 'done' && held.has_children) parents.set(held.id, actor);
  if (parents.size === 0) return NO_CHANGE;
  return promoteChildren(tx, boardId, parents, withMoved(family, settled));
}

/** One end of a batch may park a task for another end of it. */
function withMoved(family: Family, settled: readonly Settled[]): Family {
  const members = new Map(family);
  for (const { held, after } of settled) {
    const member = members.get(held.id);
    if (member !== undefined) members.set(held.id, movedTask({ before: member, after }));
  }
  return members;
}

/** Beyond what the state machine decides: whose turn it is, and whose work the task shows. */
function afterOf({ held, end, summary, result }: Ending, verdict: Verdict): TaskAfter {
  const review = reviewOf(held);
  if (verdict.status === 'review' && end.verb === 'complete') {
    const reviewer = end.reviewer ?? null;
    // A reviewer may hand the work on as it is. A result of his own is then his own work: he may not review it, and it goes back to him.
    const isOwnWork = review === null || (result !== null && result !== undefined);
    const work = isOwnWork
      ? { implementerLane: held.claim_lane, implementerWorker: held.worker, resultAttempt: held.attempt }
      : review;
    return { ...verdict, lane: reviewer ?? work.implementerLane, review: { ...work, reviewer } };
  }
  if (review === null) return verdict;
  if (verdict.outcome === 'changes_requested')
    return { ...verdict, lane: review.implementerLane, review: null };
  if (verdict.status !== 'done') return verdict;
  // A reviewer who says nothing lets the work stand as it is.
  const says = summary !== null || (result !== null && result !== undefined);
  return {
    ...verdict,
    lane: review.implementerLane,
    review: says ? null : { ...review, reviewer: null },
  };
}

function verdictOf({ held, end }: Ending): Verdict {
  const verdict = decideEnd(
    {
      claimedFrom: held.claimed_from,
      consecutiveFailures: held.consecutive_failures,
      protocolViolations: held.protocol_violations,
      maxFailures: held.max_failures,
      backoff: {
        baseSeconds: held.backoff?.base_seconds ?? TASK_BACKOFF.baseSeconds,
        factor: held.backoff?.factor ?? TASK_BACKOFF.factor,
        capSeconds: held.backoff?.cap_seconds ?? TASK_BACKOFF.capSeconds,
      },
      isCancelRequested: held.is_cancel_requested,
      unmetParents: held.unmet_parents,
      parentCount: held.parent_count,
      streak: { length: held.block_streak, kind: held.streak_kind },
    },
    end,
  );
  assert(mayMove('running', end.verb, verdict.status), `${end.verb} may lead to ${verdict.status}`);
  return verdict;
}

/** An end as it was decided. */
interface Settled extends Ending {
  readonly verdict: Verdict;
  readonly after: TaskAfter;
}

/** The end itself, and the breaker when it opened, or that the task needs a person who looks at it. */
function eventsOf(settled: Settled): NewEvent[] {
  const { held, end, verdict, after, actor } = settled;
  const place = {
    taskId: held.id,
    runId: held.run_id,
    lane: held.claim_lane,
    worker: held.worker,
    attempt: held.attempt,
    taskVersion: held.version + 1,
    actor,
  };
  const data = {
    status_before: 'running',
    status_after: verdict.status,
    outcome: verdict.outcome,
    ...(end.verb === 'block' ? { kind: end.kind, reason: eventTextOf(end.reason) } : {}),
    ...(end.verb === 'fail' ? { kind: end.kind } : {}),
    ...(end.verb === 'request_changes' || end.verb === 'reclaim' ? { reason: eventTextOf(end.reason) } : {}),
    ...(verdict.status === 'review' && after.review ? { reviewer: after.review.reviewer } : {}),
    // The event's own lane is the run's.
    ...(after.lane === undefined || after.lane === held.lane ? {} : { lane_after: after.lane }),
    // Which limit it was; the sentence about it is the error.
    ...(end.verb === 'crash' || end.verb === 'time_out'
      ? { reason: settled.evidence?.['limit'] ?? null }
      : {}),
    // After the worker's own: a cancelled task was cancelled for the canceller's reason.
    ...(verdict.outcome === 'cancelled' ? { ended_by_verb: end.verb, reason: held.cancel_reason } : {}),
    summary: eventTextOf(settled.summary),
    error: eventTextOf(settled.error),
    metadata: settled.metadata,
    consecutive_failures: verdict.consecutiveFailures,
    delay_seconds: verdict.delaySeconds,
    evidence: settled.evidence,
  };
  const isHandedOver = verdict.outcome === 'completed' && verdict.status === 'review';
  const kind = isHandedOver ? 'task.review_requested' : EVENT_KINDS_BY_OUTCOME[verdict.outcome];
  const ended: NewEvent = { ...place, kind, data };
  if (verdict.status === 'triage') {
    const recurrences = verdict.streak.length;
    const same = { status_before: 'triage', status_after: 'triage' };
    return [
      ended,
      { ...place, kind: 'task.triaged', data: { ...same, recurrences, kind: data['kind'] ?? null } },
    ];
  }
  if (!verdict.hasGivenUp) return [ended];
  const reason = eventTextOf(verdict.blocked?.reason);
  return [
    ended,
    {
      ...place,
      kind: 'task.gave_up',
      data: {
        status_before: verdict.status,
        status_after: verdict.status,
        failures: verdict.consecutiveFailures,
        reason,
      },
    },
  ];
}
