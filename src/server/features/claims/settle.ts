/** Decides and writes the ends of locked holds: the state machine's verdicts, their runs, their events, in one go. */
import type { EventKind, Outcome } from '../../../contract/statuses.ts';
import type { Tx } from '../../db/client.ts';
import { appendEvents, countMove, type NewEvent, type StatusCounts } from '../../db/event-log.ts';
import { assert } from '../../kernel/assert.ts';
import { TASK_BACKOFF } from '../../kernel/backoff.ts';
import type { ActorRef } from '../../kernel/principal.ts';
import { decideEnd, type End, eventTextOf, mayMove, moveTasks, type Verdict } from '../tasks/service.ts';
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

/** The holds are locked by this transaction, in task order; nothing else of the board may be locked after this. */
export async function settleEndings(tx: Tx, boardId: number, endings: readonly Ending[]): Promise<void> {
  if (endings.length === 0) return;
  const settled = endings.map((ending) => ({ ...ending, verdict: verdictOf(ending) }));
  await deleteClaims(
    tx,
    boardId,
    settled.map(({ held }) => held.id),
  );
  await moveTasks(
    tx,
    boardId,
    settled.map(({ held, verdict }) => ({ before: held, after: verdict })),
  );
  await closeRuns(
    tx,
    boardId,
    settled.map(({ held, verdict, actor, ...ending }) => ({
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
  await appendEvents(tx, boardId, { events: settled.flatMap(eventsOf), counts });
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
    },
    end,
  );
  assert(mayMove('running', end.verb, verdict.status), `${end.verb} may lead to ${verdict.status}`);
  return verdict;
}

/** The end itself, and the breaker when it opened. */
function eventsOf(settled: Ending & { readonly verdict: Verdict }): NewEvent[] {
  const { held, end, verdict, actor } = settled;
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
  const ended: NewEvent = { ...place, kind: EVENT_KINDS_BY_OUTCOME[verdict.outcome], data };
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
