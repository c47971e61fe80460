/** What a small board says: outcomes by verb, statuses by outcome, and how operations and places are written down. */
import type {
  CancelOperation,
  ClaimOperation,
  CreateOperation,
  FinalClaim,
  FinalLink,
  FinalState,
  HistoryEntry,
  Operation,
  OperatorOperation,
  RunOperation,
} from '../../chaos/history.ts';
import {
  FINISHED_STATUSES,
  type Outcome,
  TASK_STATUSES,
  type TaskStatus,
} from '../../src/contract/statuses.ts';

export const LANE = 'press';

export type EndKind = 'complete' | 'request_changes' | 'fail' | 'release' | 'block';

export interface Held {
  readonly taskId: string;
  readonly runId: string;
  readonly attempt: number;
  readonly worker: string;
}

export type NewOperation =
  | Omit<CreateOperation, 'entry' | 'invokedAt' | 'ending'>
  | Omit<ClaimOperation, 'entry' | 'invokedAt' | 'ending'>
  | Omit<RunOperation, 'entry' | 'invokedAt' | 'ending'>
  | Omit<CancelOperation, 'entry' | 'invokedAt' | 'ending'>
  | Omit<OperatorOperation, 'entry' | 'invokedAt' | 'ending'>;

export const OUTCOMES: Readonly<Record<EndKind, Outcome>> = {
  complete: 'completed',
  request_changes: 'changes_requested',
  fail: 'failed',
  release: 'released',
  block: 'blocked',
};
/** Where a task that nothing else stands before; ready stands for wherever it starts. */
export const STATUSES: Readonly<Record<Outcome, TaskStatus>> = {
  completed: 'done',
  changes_requested: 'ready',
  blocked: 'blocked',
  released: 'ready',
  failed: 'scheduled',
  crashed: 'scheduled',
  timed_out: 'scheduled',
  reclaimed: 'ready',
  cancelled: 'cancelled',
};

export function placeOf({ taskId, runId, attempt, worker }: Held) {
  return { task_id: taskId, run_id: runId, attempt, worker, lane: LANE };
}

export function writeOf<K extends RunOperation['kind']>({ taskId, runId, attempt, worker }: Held, kind: K) {
  return { kind, process: worker, taskId, runId, attempt };
}

export function withoutAnswer(
  operation: Exclude<NewOperation, { kind: 'claim' }>,
): Exclude<NewOperation, { kind: 'claim' }> {
  const { taskId, isReplay: _, ...asked } = operation as CreateOperation;
  return (operation.kind === 'create' ? asked : { ...asked, taskId }) as typeof operation;
}

export type Writable<T> = T extends readonly (infer U)[]
  ? Writable<U>[]
  : T extends object
    ? { -readonly [K in keyof T]: Writable<T[K]> }
    : T;

/** A recorded run, to be changed at will. */
export interface Recording {
  entries: Writable<HistoryEntry>[];
  final: Writable<FinalState>;
}

/** How the client of an operation fared: how long before and after its effect it waited, and whether it heard of it. */
export interface Hearing {
  readonly leadMs?: number;
  readonly lagMs?: number;
  readonly isLost?: boolean;
}

export const END_KINDS: readonly EndKind[] = ['complete', 'request_changes', 'fail', 'release', 'block'];

export interface Task {
  id: string;
  status: TaskStatus;
  lane: string;
  attempt: number;
  version: number;
  key: string;
  runAt: string | null;
  blockedReason: string | null;
  isCancelRequested: boolean;
  archivedFrom: TaskStatus | null;
  /** Work of it was handed over and not decided on. */
  phase: { reviewer: string | null; implementer: string } | null;
}

export interface Run extends Held {
  readonly isReview: boolean;
  readonly startedAt: string;
  outcome: Outcome | null;
  endedAt: string | null;
  endedBy: string | null;
}

export interface Watcher {
  seq: number;
  connection: number;
  isGone: boolean;
}

export const wasDone = ({ status, archivedFrom }: Task): boolean =>
  status === 'done' || (status === 'archived' && archivedFrom === 'done');

export const isFinished = ({ status }: Task): boolean => FINISHED_STATUSES.includes(status);

export type RecordedOperation = Writable<Operation>;

interface Tables {
  readonly tasks: readonly Task[];
  readonly runs: readonly Run[];
  readonly links: readonly FinalLink[];
}

/** Does the one stand among those that the other waits for, however far? */
export function isAbove(one: Task, other: Task, tables: Pick<Tables, 'tasks' | 'links'>): boolean {
  if (one === other) return true;
  const parents = tables.links.filter(({ childId }) => childId === other.id);
  return parents.some(({ parentId }) =>
    tables.tasks.some((task) => task.id === parentId && isAbove(one, task, tables)),
  );
}

export function claimsOf(
  { tasks, runs }: Pick<Tables, 'tasks' | 'runs'>,
  leaseExpiresAt: string,
): FinalClaim[] {
  const running = new Set(tasks.flatMap(({ id, status }) => (status === 'running' ? [id] : [])));
  return runs
    .filter(({ taskId, outcome }) => running.has(taskId) && outcome === null)
    .map(({ taskId, runId, attempt }) => ({ taskId, runId, attempt, leaseExpiresAt }));
}

type Summary = 'counts' | 'delegationCapacity' | 'delegations' | 'subscriptions' | 'deliveries';

/** It hands nothing over, and tells nobody. */
export function summaryOf(tasks: readonly Task[]): Pick<FinalState, Summary> {
  const counts = Object.fromEntries(
    TASK_STATUSES.map((status) => [status, tasks.filter((task) => task.status === status).length]),
  );
  return { counts, delegationCapacity: 3, delegations: [], subscriptions: [], deliveries: [] };
}
