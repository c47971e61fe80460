/**
 * The life of a task, as data: which verb leads from which status to which. Pure. The CHECK constraints of the tasks table mirror
 * the statuses, and a test walks every cell.
 */
import type { TaskStatus } from '../../../../contract/statuses.ts';

export const VERBS = [
  'claim',
  'complete',
  'block',
  'release',
  'fail',
  'crash',
  'time_out',
  'reclaim',
  'cancel',
  'wake',
  'park',
  'promote',
  'schedule',
  'unblock',
  'assign',
  'operator_complete',
  'archive',
  'reopen',
  'accept',
  'request_changes',
] as const;
export type Verb = (typeof VERBS)[number];

type Exits = Partial<Record<Verb, readonly TaskStatus[]>>;

/** Nobody holds the task: what a person may do with it wherever it stands. */
const unheld = (status: TaskStatus): Exits => ({
  cancel: ['cancelled'],
  assign: [status],
  operator_complete: ['done'],
  archive: ['archived'],
});

/** A failed attempt: retried after a pause (in the phase it was in: startOf), given up, or no longer wanted. */
const FAILED_EXITS: readonly TaskStatus[] = ['scheduled', 'blocked', 'cancelled'];

/** Nothing stands before the task any more but its parents, or its reviewer when the work itself has been handed over. */
const STARTS = ['ready', 'todo', 'review'] as const satisfies readonly TaskStatus[];
export type StartStatus = (typeof STARTS)[number];

export const TRANSITIONS: Readonly<Record<TaskStatus, Exits>> = {
  triage: { ...unheld('triage'), promote: STARTS, schedule: ['scheduled'] },
  // Nobody may force it past its parents, it would run without what it was made to wait for: they are unlinked instead.
  todo: { ...unheld('todo'), wake: ['ready', 'scheduled'], schedule: ['scheduled'] },
  scheduled: { ...unheld('scheduled'), promote: STARTS, wake: STARTS, schedule: ['scheduled'] },
  ready: { ...unheld('ready'), claim: ['running'], park: ['todo'], schedule: ['scheduled'] },
  running: {
    complete: ['done', 'review'],
    request_changes: ['ready', 'todo', 'cancelled'],
    block: ['blocked', 'todo', 'ready', 'triage', 'cancelled'],
    release: ['ready', 'todo', 'scheduled', 'review', 'cancelled'],
    fail: FAILED_EXITS,
    crash: [...FAILED_EXITS, 'review'],
    time_out: FAILED_EXITS,
    reclaim: ['ready', 'todo', 'review', 'cancelled'],
    cancel: ['running', 'cancelled'],
  },
  blocked: { ...unheld('blocked'), unblock: STARTS, schedule: ['scheduled'] },
  review: { ...unheld('review'), claim: ['running'], accept: ['done'], request_changes: ['ready', 'todo'] },
  done: { archive: ['archived'], reopen: ['ready', 'todo'] },
  cancelled: { archive: ['archived'], reopen: ['ready', 'todo'] },
  archived: { reopen: ['ready', 'todo'] },
};

export function mayMove(from: TaskStatus, verb: Verb, to: TaskStatus): boolean {
  return TRANSITIONS[from][verb]?.includes(to) ?? false;
}

/** Where a task goes when nothing else stands before it: to its reviewer, to wait for its parents, or to whoever claims it. */
export function startOf(task: {
  readonly unmetParents: number;
  readonly isUnderReview: boolean;
}): StartStatus {
  if (task.isUnderReview) return 'review';
  return task.unmetParents > 0 ? 'todo' : 'ready';
}

/** Was it done, as far as whoever waits for it is concerned? Putting it away afterwards changes nothing. */
export function isSatisfied(
  parent: { readonly status: TaskStatus; readonly archived_from: TaskStatus | null } | undefined,
): boolean {
  if (parent === undefined) return false;
  return parent.status === 'done' || (parent.status === 'archived' && parent.archived_from === 'done');
}
