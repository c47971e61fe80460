/**
 * Property 8, of delegations: each comes back once, as one, and none is made for which there is no room.
 *
 * Proves: every acknowledged delegation is there once, made by one event, with the tasks that were answered, and one key makes one; a
 * refused one left nothing. Every decided one was completed by exactly one event, which its row agrees with, and whose results name each
 * child once, in order, with a status that the child had by then; and says completed, partial, failed or cancelled as these do. Never did
 * more of one capacity key run than may, counted along the log: who counts has seen every completion that the log has before. What was
 * collected or stopped is what the row says; what a session was rid of is decided; nothing runs past its deadline or with all of its
 * children at an end; and no child of a decided one was left behind: what was open when it was decided has ended since.
 *
 * Cannot prove: what results say beside ids and statuses, nor that they are what the children were at that very moment; nor that a child
 * which was to be cancelled and was reviewed instead, and so has ended, would have been cancelled.
 */
import type { Event } from '../../src/contract/events.ts';
import type { TaskStatus } from '../../src/contract/statuses.ts';
import type { FinalDelegation } from '../final-returns.ts';
import type { DelegateOperation, FinalState, FinalTask, Operation, Violation } from '../history.ts';
import { CLOCK_DRIFT_MS, databaseClock } from './database-clock.ts';
import { groupBy } from './group-by.ts';
import { ENDED, StatusLog } from './status-log.ts';

/** Deadlines are looked for every half second; the rest is for a machine that is busy. */
const SWEEP_MS = 5000;

const violation = (detail: string, evidence: Violation['evidence']): Violation => ({
  property: 8,
  detail,
  evidence,
});

export function checkDelegations(operations: readonly Operation[], final: FinalState): Violation[] {
  const events = groupBy(
    final.events.filter(({ kind }) => kind.startsWith('delegation.')),
    (event) => event.delegation_id ?? '',
  );
  const statuses = new StatusLog(final.events);
  const rows = new Map(final.delegations.map((row) => [row.id, row]));
  const unknown = [...events.keys()].filter((id) => !rows.has(id));
  return [
    ...unknown.map((id) => violation('a delegation of the log is not there', { events: events.get(id) })),
    ...final.delegations.flatMap((row) => checkRow(row, events.get(row.id) ?? [], statuses)),
    ...checkCapacity(final),
    ...checkRunning(final),
    ...checkLeftovers(final, events),
    ...checkCreations(operations, final),
    ...checkAnswers(operations, rows),
    ...checkStops(operations, final),
  ];
}

interface ToldResult {
  readonly task_id: string;
  readonly status: TaskStatus;
  readonly outcome: string | null;
}

const resultsIn = (event: Event): readonly ToldResult[] =>
  Array.isArray(event.data['results']) ? (event.data['results'] as unknown as ToldResult[]) : [];

function checkRow(row: FinalDelegation, events: readonly Event[], statuses: StatusLog): Violation[] {
  const of = (kind: Event['kind']): Event[] => events.filter((event) => event.kind === kind);
  const [created, ...otherCreated] = of('delegation.created');
  if (created === undefined || otherCreated.length > 0)
    return [violation('a delegation was not made by exactly one event', { row, events })];
  const [completed, ...otherCompleted] = of('delegation.completed');
  if (otherCompleted.length > 0) return [violation('a delegation came back more than once', { row, events })];
  if (row.status === 'running')
    return completed === undefined ? [] : [violation('a delegation came back and runs on', { row, events })];
  if (completed === undefined) return [violation('a decided delegation never came back', { row, events })];
  if (completed.data['status'] !== row.status)
    return [violation('a delegation is not what its completion says', { row, completed })];
  const cancelled = of('delegation.cancelled');
  if (cancelled.length > 1 || (cancelled.length === 1 && row.status !== 'cancelled'))
    return [violation('a delegation was cancelled that was decided', { row, events })];
  return [
    ...checkResults(row, completed, statuses),
    ...checkVerdict(row, completed, cancelled.length > 0, statuses),
  ];
}

function checkResults(row: FinalDelegation, completed: Event, statuses: StatusLog): Violation[] {
  const wanted = row.taskIds.join();
  const evidence = { row, completed };
  if (
    resultsIn(completed)
      .map(({ task_id: id }) => id)
      .join() !== wanted
  )
    return [violation('a completion does not name each child once, in order', evidence)];
  if ((row.results ?? []).map(({ taskId }) => taskId).join() !== wanted)
    return [violation('the results do not name each child once, in order', evidence)];
  const odd = resultsIn(completed).find(
    ({ task_id: taskId, status }, place) =>
      row.results?.[place]?.status !== status || !statuses.hadBy(taskId, status, completed.seq),
  );
  return odd === undefined
    ? []
    : [violation('a result has a status that its child did not', { ...evidence, odd })];
}

/** A child that was put away counts as what it was. */
function endOf({ task_id: taskId, status }: ToldResult, seq: number, statuses: StatusLog): string {
  return status === 'archived' ? statuses.beforeArchived(taskId, seq) : status;
}

function checkVerdict(
  row: FinalDelegation,
  completed: Event,
  isCancelled: boolean,
  statuses: StatusLog,
): Violation[] {
  const ends = resultsIn(completed).map((result) => endOf(result, completed.seq, statuses));
  const isLate = row.join === 'any' ? ends.includes('done') : ends.every((end) => FINISHED.includes(end));
  // One that was cancelled as a whole says why, which may be the deadline of the one that it was handed on for.
  if (completed.data['reason'] === 'deadline' && isLate && !isCancelled)
    return [violation('a delegation waited for its deadline though it was decided', { row, completed })];
  const wanted = verdictOf(row, ends, isCancelled);
  return wanted === row.status
    ? []
    : [violation('a delegation is not what its results make it', { row, wanted })];
}

/** Whatever else a child may count for. */
const FINISHED: readonly string[] = ['done', 'cancelled'];

function verdictOf(
  { join }: FinalDelegation,
  ends: readonly string[],
  isCancelled: boolean,
): FinalDelegation['status'] {
  if (isCancelled) return 'cancelled';
  const isAnyDone = ends.includes('done');
  const isAllDone = ends.every((end) => end === 'done');
  if (isAllDone || (join === 'any' && isAnyDone)) return 'completed';
  if (isAnyDone) return 'partial';
  return ends.every((end) => end === 'cancelled') ? 'cancelled' : 'failed';
}

function checkCapacity(final: FinalState): Violation[] {
  const keys = new Map(final.delegations.map(({ id, capacityKey }) => [id, capacityKey]));
  const running = new Map<string, Set<string>>();
  return final.events.flatMap((event) => {
    const { delegation_id: id = '', kind } = event;
    const key = keys.get(id) ?? null;
    if (key === null) return [];
    const own = running.get(key) ?? new Set();
    running.set(key, own);
    if (kind === 'delegation.completed') own.delete(id);
    if (kind !== 'delegation.created') return [];
    own.add(id);
    if (own.size <= final.delegationCapacity) return [];
    return [violation('a delegation was made without room for it', { event, key, running: [...own] })];
  });
}

/** Of the children as they are now: waiting for what was cancelled may be an end, and is taken for none. */
function isOpen(task: FinalTask | undefined): boolean {
  return task !== undefined && !ENDED.includes(task.status);
}

function checkRunning(final: FinalState): Violation[] {
  const tasks = new Map(final.tasks.map((task) => [task.id, task]));
  return final.delegations.flatMap((row) => {
    if (row.status !== 'running') return [];
    const children = row.taskIds.map((id) => tasks.get(id));
    const isOverdue =
      row.deadlineAt !== null && Date.parse(row.deadlineAt) + SWEEP_MS < Date.parse(final.readAt);
    if (isOverdue) return [violation('a deadline passed and nothing was decided', { row, children })];
    const isDecided =
      !children.some(isOpen) || (row.join === 'any' && children.some((task) => task?.status === 'done'));
    return isDecided ? [violation('a delegation runs on whose children have ended', { row, children })] : [];
  });
}

/** Which a decision leaves to be cancelled. What was held back may count as an end, and so does waiting for what was cancelled. */
const LEFT: readonly string[] = ['ready', 'running', 'scheduled', 'todo', 'review'];

function checkLeftovers(final: FinalState, events: ReadonlyMap<string, readonly Event[]>): Violation[] {
  const tasks = new Map(final.tasks.map((task) => [task.id, task]));
  const statuses = new StatusLog(final.events);
  return final.delegations.flatMap((row) => {
    const completed = events.get(row.id)?.find(({ kind }) => kind === 'delegation.completed');
    if (completed === undefined || row.onDecided === 'leave') return [];
    if (row.hasLeftovers) return [violation('what was left of a delegation was never cancelled', { row })];
    const unreachable = resultsIn(completed).filter(({ outcome }) => outcome === 'unreachable');
    // Once it has ended, somebody may have begun it again, and meant to.
    const left = row.taskIds.filter(
      (id) =>
        isOpen(tasks.get(id)) &&
        LEFT.includes(statuses.lastBefore(id, completed.seq)) &&
        !statuses.hasEndedAfter(id, completed.seq) &&
        !unreachable.some(({ task_id: taskId }) => taskId === id),
    );
    if (left.length === 0) return [];
    return [violation('a child was left behind', { row, tasks: left.map((id) => tasks.get(id)) })];
  });
}

function checkCreations(operations: readonly Operation[], final: FinalState): Violation[] {
  const creations = operations.filter(
    (operation): operation is DelegateOperation => operation.kind === 'delegate',
  );
  const rowsByGoal = groupBy(final.delegations, ({ goal }) => goal ?? '');
  return [...groupBy(creations, ({ idempotencyKey }) => idempotencyKey)].flatMap(([key, own]) => {
    const rows = rowsByGoal.get(key) ?? [];
    const evidence = { key, operations: own, rows };
    const acknowledged = own.filter(({ ending }) => ending === 'ok');
    if (rows.length > 1) return [violation('one key made several delegations', evidence)];
    const [row] = rows;
    if (row === undefined)
      return acknowledged.length === 0
        ? []
        : [violation('an acknowledged delegation is not there', evidence)];
    if (own.every(({ ending }) => ending === 'fail'))
      return [violation('a refused delegation was made', evidence)];
    const isOther = acknowledged.some(
      ({ delegationId, taskIds = [] }) => delegationId !== row.id || taskIds.join() !== row.taskIds.join(),
    );
    return isOther ? [violation('another delegation was answered than was made', evidence)] : [];
  });
}

function checkAnswers(
  operations: readonly Operation[],
  rows: ReadonlyMap<string, FinalDelegation>,
): Violation[] {
  return operations.flatMap((operation) => {
    if (operation.kind !== 'collect' && operation.kind !== 'cancel_delegation') return [];
    const { delegationId, status, taskIds } = operation;
    const row = rows.get(delegationId);
    if (operation.ending !== 'ok' || status === undefined) return [];
    const evidence = { operation, row };
    if (row === undefined) return [violation('a delegation was answered that is not there', evidence)];
    if (status === 'running')
      return operation.kind === 'collect' ? [] : [violation('a cancelled delegation ran on', evidence)];
    if (status !== row.status) return [violation('a decided delegation became another', evidence)];
    return taskIds?.join() === row.taskIds.join()
      ? []
      : [violation('what was collected does not name each child once, in order', evidence)];
  });
}

/** Of a session that was stopped: what had been acknowledged before is decided by the answer. */
function checkStops(operations: readonly Operation[], final: FinalState): Violation[] {
  const rows = new Map(final.delegations.map((row) => [row.id, row]));
  const atMs = databaseClock(final);
  const made = operations.filter(
    (operation): operation is DelegateOperation => operation.kind === 'delegate' && operation.ending === 'ok',
  );
  const bySession = groupBy(made, ({ sessionId }) => sessionId);
  return operations.flatMap((operation) => {
    if (operation.kind !== 'cancel_session' || operation.ending !== 'ok') return [];
    const { endedAt = Number.POSITIVE_INFINITY, invokedAt, sessionId, delegationIds = [] } = operation;
    const before = (bySession.get(sessionId) ?? []).filter(
      (creation) => (creation.endedAt ?? Number.POSITIVE_INFINITY) < invokedAt,
    );
    const survivor = before
      .map(({ delegationId = '' }) => rows.get(delegationId))
      .find(
        (row) =>
          row !== undefined && (row.completedAt === null || atMs(row.completedAt) > endedAt + CLOCK_DRIFT_MS),
      );
    if (survivor !== undefined)
      return [violation('a delegation outlived the stop of its session', { operation, survivor })];
    const other = delegationIds.map((id) => rows.get(id)).find((row) => row?.status !== 'cancelled');
    return delegationIds.length === 0 || other === undefined
      ? []
      : [violation('a stopped delegation is not cancelled', { operation, other })];
  });
}
