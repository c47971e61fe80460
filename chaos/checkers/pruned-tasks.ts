/** Tasks of a board that prunes: which of them went, when, and what is left. Folds what is known of the log, and begins anew where it has a hole. */
import type { Event } from '../../src/contract/events.ts';
import { FINISHED_STATUSES, type TaskStatus } from '../../src/contract/statuses.ts';
import type { Operation, PrunedState } from '../history.ts';
import { type Finding, isPruning, type KnownLog } from './known-log.ts';
import { statusIn } from './log-fold.ts';
import { isRunOperation } from './run-record.ts';

/** Times are cut to milliseconds, or rounded. */
const ROUNDING_MS = 2;
/** Whoever asks for one of these wants the task to be finished. */
const FINISHES: ReadonlySet<Operation['kind']> = new Set(['complete', 'finish', 'cancel', 'archive']);

export function checkPrunedTasks(
  operations: readonly Operation[],
  log: KnownLog,
  final: PrunedState,
): Finding[] {
  const fold = new TaskFold(endsOf(operations), final.keptSeconds.finishedTasks);
  const events = log.events;
  for (const event of events) if (event.seq <= final.seq) fold.apply(event);
  const rest = fold.lastSeq === final.seq ? compare(fold, final) : [];
  for (const event of events) if (event.seq > final.seq) fold.apply(event);
  return [
    ...fold.findings,
    ...rest,
    ...findOrphans(fold, final),
    ...findLost(operations, new Set(final.tasks.map(({ id }) => id)), final),
  ];
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

interface FoldedTask {
  readonly status: TaskStatus;
  readonly version: number | null;
}

const isFinished = (status: TaskStatus): boolean => FINISHED_STATUSES.includes(status);

class TaskFold {
  readonly findings: Finding[] = [];
  /** Of which something is known since the last hole; null: pruned. */
  readonly tasks = new Map<string, FoldedTask | null>();
  /** Nobody unlinks anything here, so this outlasts a hole. */
  readonly parents = new Map<string, readonly string[]>();
  /** Nothing of the log is missing so far. */
  isWhole = true;
  lastSeq = 0;
  readonly #endedAt: ReadonlyMap<string, string>;
  readonly #keptSeconds: number;

  constructor(endedAt: ReadonlyMap<string, string>, keptSeconds: number) {
    this.#endedAt = endedAt;
    this.#keptSeconds = keptSeconds;
  }

  apply(event: Event): void {
    if (event.seq !== this.lastSeq + 1) {
      this.isWhole = false;
      this.tasks.clear();
    }
    this.lastSeq = event.seq;
    const { task_id: id } = event;
    if (id === undefined || !event.kind.startsWith('task.')) return;
    if (event.kind === 'task.deleted') this.#prune(id, event);
    else this.#move(id, event);
  }

  #move(id: string, event: Event): void {
    const known = this.tasks.get(id);
    const before = statusIn(event, 'status_before');
    if (known === null) this.#find('a task was pruned and went on', event);
    else if (known !== undefined && before !== null && before !== known.status)
      this.#find('an event does not start where its task was', event);
    const { parents } = event.data;
    if (event.kind === 'task.created' && Array.isArray(parents)) this.parents.set(id, parents.map(String));
    const status = statusIn(event, 'status_after') ?? before ?? known?.status;
    if (status !== undefined)
      this.tasks.set(id, { status, version: event.task_version ?? known?.version ?? null });
  }

  #prune(id: string, event: Event): void {
    const before = statusIn(event, 'status_before');
    const known = this.tasks.get(id);
    if (!isPruning(event)) this.#find('a task was deleted, and nobody deletes any', event);
    if (known === null) this.#find('a task was pruned twice', event);
    if (before === null || !isFinished(before) || (known != null && known.status !== before))
      this.#find('a task was pruned that was not finished', event);
    const endedAt = this.#endedAt.get(id);
    if (
      endedAt !== undefined &&
      Date.parse(endedAt) + this.#keptSeconds * 1000 > Date.parse(event.at) + ROUNDING_MS
    )
      this.#find('a task was pruned before its time', event);
    if (this.#isAwaited(id)) this.#find('a task was pruned that a waiting child needs', event);
    this.tasks.set(id, null);
  }

  #isAwaited(id: string): boolean {
    return [...this.parents].some(([child, parents]) => {
      const task = this.tasks.get(child);
      return task != null && !isFinished(task.status) && parents.includes(id);
    });
  }

  #find(detail: string, event: Event): void {
    const task = this.tasks.get(event.task_id ?? '');
    this.findings.push({ detail, evidence: { event, task } });
  }
}

/** What is known of the log up to the end, with the tables that it ends at. */
function compare({ tasks, isWhole }: TaskFold, final: PrunedState): Finding[] {
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
  const untold = isWhole ? final.tasks.filter(({ id }) => !tasks.has(id)) : [];
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
