/** Tasks of a board that prunes: which of them went, when, and what is left. */
import type { Operation, PrunedState } from '../history.ts';
import type { Finding, KnownLog } from './known-log.ts';
import { isRunOperation } from './run-record.ts';
import { isFinished, TaskFold } from './task-fold.ts';

/** Whoever asks for one of these wants the task to be finished. */
const FINISHES: ReadonlySet<Operation['kind']> = new Set(['complete', 'finish', 'cancel', 'archive']);

export function checkPrunedTasks(
  operations: readonly Operation[],
  log: KnownLog,
  final: PrunedState,
): Finding[] {
  const fold = new TaskFold(endsOf(operations), final.keptSeconds.finishedTasks);
  foldToEnd(fold, log, final);
  const rest = compare(fold, final);
  for (const event of log.events) if (event.seq > final.seq) fold.apply(event);
  return [
    ...fold.findings,
    ...rest,
    ...findOrphans(fold, final),
    ...findLost(operations, new Set(final.tasks.map(({ id }) => id)), final),
  ];
}

/** How much the log could say of the tasks that are left. */
export interface LogReach {
  /** Stretches of it, up to the end, that nobody received before they were pruned. */
  readonly holes: number;
  /** Of those that are left, the ones that it tells of: they were held against it. */
  readonly comparedTasks: number;
}

export function measureReach(log: KnownLog, final: PrunedState): LogReach {
  const fold = new TaskFold(new Map(), final.keptSeconds.finishedTasks);
  foldToEnd(fold, log, final);
  const compared = final.tasks.filter(({ id }) => fold.tasks.get(id) != null);
  return { holes: fold.holes, comparedTasks: compared.length };
}

/** Up to the end that the tables are of. */
function foldToEnd(fold: TaskFold, log: KnownLog, { seq }: PrunedState): void {
  for (const event of log.events) if (event.seq <= seq) fold.apply(event);
  fold.closeAt(seq);
}

/** Of each task: when its work was over, as whoever had done it was told by the database. */
function endsOf(operations: readonly Operation[]): ReadonlyMap<string, string> {
  const ends = operations
    .filter(isRunOperation)
    .flatMap(({ kind, taskId, runEndedAt }) =>
      kind === 'complete' && runEndedAt !== undefined ? [[taskId, runEndedAt] as const] : [],
    );
  return new Map(ends);
}

/** What is known of the log up to the end, with the tables that it ends at. */
function compare({ tasks, holes }: TaskFold, final: PrunedState): Finding[] {
  const rows = new Map(final.tasks.map((row) => [row.id, row]));
  const told = [...tasks].flatMap(([id, task]): Finding[] => {
    const row = rows.get(id);
    if (task === null)
      return row === undefined ? [] : [{ detail: 'a task that was pruned is there', evidence: { row } }];
    if (row === undefined)
      return [{ detail: 'a task is gone, and the log does not say so', evidence: { id, task } }];
    const isSame = row.status === task.status && (task.version === null || row.version === task.version);
    return isSame ? [] : [{ detail: 'a task is not what the log says', evidence: { row, task } }];
  });
  const untold = holes === 0 ? final.tasks.filter(({ id }) => !tasks.has(id)) : [];
  return [...told, ...untold.map((row) => ({ detail: 'a task is not in the log', evidence: { row } }))];
}

/** Children that wait still, and have lost whom they wait for. */
function findOrphans({ parents }: TaskFold, final: PrunedState): Finding[] {
  const ids = new Set(final.tasks.map(({ id }) => id));
  return final.tasks.flatMap((row) => {
    const lost = (parents.get(row.id) ?? []).filter((parent) => !ids.has(parent));
    return isFinished(row.status) || lost.length === 0
      ? []
      : [{ detail: 'a child that is not done has lost a parent', evidence: { row, lost } }];
  });
}

/** Asks nothing of the log: what was acknowledged and nobody wanted finished is there. */
function findLost(
  operations: readonly Operation[],
  ids: ReadonlySet<string>,
  { readFromMs }: PrunedState,
): Finding[] {
  const finished = new Set(
    operations.flatMap((operation) =>
      FINISHES.has(operation.kind) && operation.ending !== 'fail' && 'taskId' in operation
        ? [operation.taskId]
        : [],
    ),
  );
  return operations.flatMap((operation) => {
    if (operation.kind !== 'create' || operation.ending !== 'ok') return [];
    const { taskId, endedAt = Number.POSITIVE_INFINITY } = operation;
    const isOlder = endedAt < readFromMs;
    return taskId === undefined || !isOlder || ids.has(taskId) || finished.has(taskId)
      ? []
      : [{ detail: 'an acknowledged task is gone that nobody finished', evidence: { operation } }];
  });
}
