/**
 * Property 3: nothing that was acknowledged is lost: no task, no end, no cancel, no link, no verdict of a person.
 *
 * Proves: every acknowledged task is in the tables once and was created by one event; every acknowledged end is the outcome that its run
 * has in the tables, and one event of the log; every acknowledged cancel is in the log, as the cancellation of a task that nobody held or
 * as a request to its holder, and the claim that was asked to stop ended as completed or cancelled, whatever verb ended it, or is live.
 * An acknowledged link or unlinking is in the log, and of verdicts (accept, request changes, complete, reopen, archive) as many as were
 * acknowledged: each of them moves its task, so that the next one is another.
 *
 * Cannot prove: that nothing else happened to a task between two of its events (that is what the fold is for). Whoever deletes tasks or
 * prunes the log during a run takes the ground from under it.
 */
import type { Event } from '../../src/contract/events.ts';
import type {
  CancelOperation,
  FinalRun,
  FinalState,
  Operation,
  OperatorOperation,
  RunOperation,
  Violation,
} from '../history.ts';
import { groupBy } from './group-by.ts';
import { isEnd, isRunOperation, OUTCOMES_BY_END } from './run-record.ts';

const violation = (detail: string, evidence: Violation['evidence']): Violation => ({
  property: 3,
  detail,
  evidence,
});

export function checkLostAcknowledgements(operations: readonly Operation[], final: FinalState): Violation[] {
  const acknowledged = operations.filter((operation) => operation.ending === 'ok');
  const eventsByTask = groupBy(
    final.events.filter((event) => event.task_id !== undefined),
    (event) => event.task_id ?? '',
  );
  return [
    ...checkCreations(acknowledged, final, eventsByTask),
    ...checkEnds(acknowledged, final),
    ...checkCancels(acknowledged, eventsByTask),
    ...checkCancelRule(final),
    ...checkVerdicts(acknowledged, eventsByTask),
  ];
}

function checkCreations(
  acknowledged: readonly Operation[],
  final: FinalState,
  eventsByTask: ReadonlyMap<string, readonly Event[]>,
): Violation[] {
  const rows = groupBy(final.tasks, (task) => task.id);
  return acknowledged.flatMap((operation) => {
    if (operation.kind !== 'create') return [];
    const { taskId = '' } = operation;
    const found = rows.get(taskId) ?? [];
    const [task] = found;
    if (task === undefined) return [violation('an acknowledged task is not there', { operation })];
    if (found.length > 1) return [violation('a task is there more than once', { operation, tasks: found })];
    if (task.idempotencyKey !== operation.idempotencyKey)
      return [violation('a task was acknowledged that has another key', { operation, task })];
    const created = (eventsByTask.get(taskId) ?? []).filter((event) => event.kind === 'task.created');
    if (created.length === 1) return [];
    return [violation('a task was not created by exactly one event', { operation, task, events: created })];
  });
}

/** Where the log says that the run ended: it left running under this run. */
function isEndOfClaim(event: Event): boolean {
  return event.data['status_before'] === 'running' && event.data['status_after'] !== 'running';
}

function checkEnds(acknowledged: readonly Operation[], final: FinalState): Violation[] {
  const runs = groupBy(final.runs, (run) => run.id);
  const endEvents = groupBy(final.events.filter(isEndOfClaim), (event) => event.run_id);
  return acknowledged.filter(isRunOperation).flatMap((operation) => {
    if (!isEnd(operation)) return [];
    const found = runs.get(operation.runId) ?? [];
    const [run] = found;
    if (run === undefined || found.length > 1)
      return [violation('an acknowledged end has not one run', { operation, runs: found })];
    if (!isOutcomeOf(operation, run))
      return [violation('an acknowledged end is not what became of its run', { operation, run })];
    const events = (endEvents.get(operation.runId) ?? []).filter(
      (event) => event.task_id === operation.taskId && event.attempt === operation.attempt,
    );
    if (events.length === 1) return [];
    return [violation('an acknowledged end is not exactly one event of the log', { operation, run, events })];
  });
}

function isOutcomeOf(operation: RunOperation, run: FinalRun): boolean {
  // Of a claim that was asked to stop every end but completion becomes cancelled; whether it was asked is for the cancel rule.
  const allowed = [OUTCOMES_BY_END[operation.kind], ...(operation.kind === 'complete' ? [] : ['cancelled'])];
  return (
    run.taskId === operation.taskId &&
    run.attempt === operation.attempt &&
    run.outcome !== null &&
    allowed.includes(run.outcome) &&
    (operation.outcome === undefined || operation.outcome === run.outcome)
  );
}

function checkCancels(
  acknowledged: readonly Operation[],
  eventsByTask: ReadonlyMap<string, readonly Event[]>,
): Violation[] {
  return acknowledged.flatMap((operation) => {
    if (operation.kind !== 'cancel') return [];
    const events = eventsByTask.get(operation.taskId) ?? [];
    if (events.some((event) => isTraceOf(operation, event))) return [];
    return [violation('an acknowledged cancel left no trace in the log', { operation, events })];
  });
}

function isTraceOf({ status }: CancelOperation, event: Event): boolean {
  const isRequest = event.kind === 'task.cancel_requested';
  const isDone = event.kind === 'task.cancelled' && event.data['status_before'] !== 'running';
  if (status === 'running') return isRequest;
  return status === 'cancelled' ? isDone : isRequest || isDone;
}

const VERDICT_EVENTS: Readonly<
  Record<OperatorOperation['kind'], (event: Event, parentId: string | undefined) => boolean>
> = {
  link: ({ kind, data }, parentId) =>
    kind === 'task.linked'
      ? data['parent'] === parentId
      : kind === 'task.created' && Array.isArray(data['parents']) && data['parents'].includes(parentId ?? ''),
  unlink: ({ kind, data }, parentId) => kind === 'task.unlinked' && data['parent'] === parentId,
  finish: ({ kind, data }) => kind === 'task.completed' && data['status_before'] !== 'running',
  reopen: ({ kind }) => kind === 'task.reopened',
  archive: ({ kind }) => kind === 'task.archived',
  accept: ({ kind, data }) => kind === 'task.completed' && data['accepted'] === true,
  send_back: ({ kind, data }) => kind === 'task.changes_requested' && data['status_before'] === 'review',
};

function isVerdict(operation: Operation): operation is OperatorOperation {
  return operation.kind in VERDICT_EVENTS;
}

function checkVerdicts(
  acknowledged: readonly Operation[],
  eventsByTask: ReadonlyMap<string, readonly Event[]>,
): Violation[] {
  const verdicts = groupBy(
    acknowledged.filter(isVerdict),
    ({ kind, taskId, parentId }) => `${kind} ${taskId} ${parentId ?? ''}`,
  );
  return [...verdicts.values()].flatMap((operations) => {
    const [first] = operations;
    if (first === undefined) return [];
    const events = (eventsByTask.get(first.taskId) ?? []).filter((event) =>
      VERDICT_EVENTS[first.kind](event, first.parentId),
    );
    // A link that is there already is acknowledged again.
    const wanted = first.kind === 'link' ? 1 : operations.length;
    if (events.length >= wanted) return [];
    return [
      violation("an acknowledged change of a task's links or status is not in the log", {
        operations,
        events,
      }),
    ];
  });
}

/** Walks the log once: which claims were asked to stop, and what became of them. */
function checkCancelRule(final: FinalState): Violation[] {
  const runs = new Map(final.runs.map((run) => [run.id, run]));
  const holders = new Map<string, Event>();
  const requests = new Map<string, Event>();
  return final.events.flatMap((event) => {
    const { task_id: taskId, run_id: runId = '' } = event;
    if (taskId === undefined) return [];
    if (event.kind === 'task.claimed') holders.set(taskId, event);
    if (event.kind === 'task.cancel_requested') requests.set(holders.get(taskId)?.run_id ?? '', event);
    if (!isEndOfClaim(event)) return [];
    holders.delete(taskId);
    const run = runs.get(runId);
    const request = requests.get(runId);
    if (
      run === undefined ||
      run.outcome === 'completed' ||
      (run.outcome === 'cancelled') === (request !== undefined)
    )
      return [];
    const detail =
      request === undefined
        ? 'a run was cancelled that was not asked to stop'
        : 'a cancel of a running task was lost';
    return [violation(detail, { request, end: event, run })];
  });
}
