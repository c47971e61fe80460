/**
 * When a delegation has ended, and how: a pure function of what its children are. It is asked again with all of them whenever one
 * ends, so that there is no count that could be wrong, and a child that goes on (unblocked, reopened) is open again until then.
 */
import type { DelegationStatus, TaskStatus } from '../../../../contract/statuses.ts';

export interface JoinRule {
  readonly join: 'all' | 'any';
  readonly onBlocked: 'end' | 'wait';
}

export interface Child {
  /** Null: it was deleted. */
  readonly status: TaskStatus | null;
  /** Of an archived one, what it was. */
  readonly archivedFrom: TaskStatus | null;
  readonly attempt: number;
  /** It waits for something that was cancelled, or for what waits for that. */
  readonly isUnreachable: boolean;
}

export type ChildEnd = 'done' | 'failed' | 'cancelled' | 'open';

/** Why it is decided although children are open. */
export type Overrule = 'deadline' | 'cancelled';

export function endOfChild(child: Child, { onBlocked }: JoinRule): ChildEnd {
  const status = child.status === 'archived' ? child.archivedFrom : child.status;
  if (status === 'done') return 'done';
  if (status === 'cancelled') return 'cancelled';
  if (status === null || child.status === 'archived') return 'failed';
  if (child.isUnreachable && status === 'todo') return 'failed';
  // One that was created to be held back has not been tried.
  const isHeldBack = (status === 'blocked' || status === 'triage') && child.attempt > 0;
  return isHeldBack && onBlocked === 'end' ? 'failed' : 'open';
}

/** Null: not yet. */
export function decideJoin(
  rule: JoinRule,
  children: readonly Child[],
  overrule: Overrule | null = null,
): Exclude<DelegationStatus, 'running'> | null {
  if (overrule === 'cancelled') return 'cancelled';
  const ends = children.map((child) => endOfChild(child, rule));
  const isOpen = ends.includes('open');
  const isAnyDone = ends.includes('done');
  if (rule.join === 'any' && isAnyDone) return 'completed';
  if (isOpen && overrule === null) return null;
  if (isAnyDone) return ends.every((end) => end === 'done') ? 'completed' : 'partial';
  return ends.every((end) => end === 'cancelled') ? 'cancelled' : 'failed';
}
