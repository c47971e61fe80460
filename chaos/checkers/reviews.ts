/**
 * Property 10: nobody reviews his own work, and work that was handed over is looked at until somebody has decided on it.
 *
 * Proves, from the log and from what workers say they were given: a claim from review is of work that was handed over, by the lane that was
 * asked, and not by the worker of the lane who did it; changes are requested only by who reviews; a review that ends without a verdict (its
 * worker crashed, failed, timed out, gave it back or lost it) leaves the task in review, after a pause where it failed, and never ready for
 * its old lane; nothing comes into review but by being handed over; and the tables say the same of reviewer and implementer.
 *
 * Cannot prove: that a person who accepts has looked, nor whether two names are one worker.
 */
import type { Event } from '../../src/contract/events.ts';
import type { FinalState, Operation, Violation } from '../history.ts';
import { isOwnWork, type ReviewPhase, ReviewPhases } from './review-phases.ts';
import { listGrants } from './run-record.ts';

const violation = (detail: string, evidence: Violation['evidence']): Violation => ({
  property: 10,
  detail,
  evidence,
});

/** Where an end without a verdict may leave work that was being looked at; what it is to wait for then, it waits for first. */
const UNDECIDED: Readonly<Record<string, readonly string[]>> = {
  'task.crashed': ['review', 'blocked'],
  'task.timed_out': ['scheduled', 'blocked'],
  'task.failed': ['scheduled', 'blocked'],
  'task.reclaimed': ['review'],
  'task.released': ['review', 'scheduled'],
  'task.blocked': ['blocked', 'triage'],
  'task.cancelled': ['cancelled'],
};

export function checkReviews(operations: readonly Operation[], final: FinalState): Violation[] {
  const workers = new Map(
    listGrants(operations).map(({ runId, operation }) => [runId, operation.worker] as const),
  );
  const phases = new ReviewPhases((event) => workers.get(event.run_id ?? '') ?? event.worker ?? null);
  const found = final.events.flatMap((event) => {
    const detail = event.task_id === undefined ? null : contradictionOf(event, event.task_id, phases);
    const evidence = {
      event,
      phase: phases.phaseOf(event.task_id ?? ''),
      run: phases.runOf(event.task_id ?? ''),
    };
    phases.apply(event);
    return detail === null ? [] : [violation(detail, evidence)];
  });
  return [...found, ...checkRows(phases, final)];
}

function contradictionOf(event: Event, taskId: string, phases: ReviewPhases): string | null {
  const phase = phases.phaseOf(taskId);
  const { status_before: before, status_after: after } = event.data;
  if (event.kind === 'task.claimed') return contradictionOfClaim(event, phase, phases);
  const run = phases.runOf(taskId);
  if (run !== null && before === 'running' && after !== 'running') {
    if (!run.isReview) return contradictionOfWork(event);
    const allowed = UNDECIDED[event.kind];
    return allowed === undefined || allowed.includes(String(after))
      ? null
      : 'a review without a verdict did not go back to review';
  }
  if (after === 'review' && phase === null) return 'a task came into review without being handed over';
  const isLeaving = (after === 'ready' || after === 'todo') && phase !== null;
  return isLeaving && event.kind !== 'task.changes_requested' && event.kind !== 'task.reopened'
    ? 'work that was handed over was forgotten'
    : null;
}

function contradictionOfClaim(event: Event, phase: ReviewPhase | null, phases: ReviewPhases): string | null {
  if (event.data['status_before'] !== 'review')
    return phase === null ? null : 'work that was handed over was given to be done again';
  if (phase === null) return 'a review was claimed of what was not handed over';
  if (phase.reviewer !== (event.lane ?? null)) return 'a review was claimed by a lane that was not asked';
  const isOwn = isOwnWork(phase, event.lane ?? null, phases.workerOf(event));
  return isOwn ? 'a worker was given his own work to review' : null;
}

function contradictionOfWork(event: Event): string | null {
  if (event.kind === 'task.changes_requested') return 'changes were requested by somebody who did not review';
  return event.data['status_after'] === 'review' && event.kind !== 'task.review_requested'
    ? 'a task came into review without being handed over'
    : null;
}

function checkRows(phases: ReviewPhases, final: FinalState): Violation[] {
  return final.tasks.flatMap((task) => {
    if (task.status !== 'review') return [];
    const phase = phases.phaseOf(task.id);
    const isSo =
      phase?.reviewer === task.reviewer &&
      phase.implementer === task.implementerWorker &&
      phase.implementerLane === task.implementerLane;
    return isSo ? [] : [violation('a review is not what the log says', { task, phase })];
  });
}
