/** The statuses of a task, left to right as work goes, and which of them are the end. Pure. */
import type { TaskStatus } from './card.ts';

export const UNFINISHED_STATUSES = [
  'triage',
  'todo',
  'scheduled',
  'ready',
  'running',
  'blocked',
  'review',
] as const satisfies readonly TaskStatus[];

const FINISHED_STATUSES = ['done', 'cancelled', 'archived'] as const satisfies readonly TaskStatus[];

export type FinishedStatus = (typeof FINISHED_STATUSES)[number];

export const TASK_STATUSES: readonly TaskStatus[] = [...UNFINISHED_STATUSES, ...FINISHED_STATUSES];

export function isFinishedStatus(status: TaskStatus): status is FinishedStatus {
  return (FINISHED_STATUSES as readonly TaskStatus[]).includes(status);
}
