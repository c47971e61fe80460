/** A delegation in words and figures. Pure. */
import type { Delegation } from '../../client/index.ts';
import type { TaskStatus } from '../live/card.ts';
import { isFinishedStatus } from '../live/statuses.ts';

type Status = Delegation['status'];

export const DELEGATION_STATUS_LABELS: Readonly<Record<Status, string>> = {
  running: 'Running',
  completed: 'Completed',
  partial: 'Partial',
  failed: 'Failed',
  cancelled: 'Cancelled',
};

export const DELEGATION_STATUSES = Object.keys(DELEGATION_STATUS_LABELS) as readonly Status[];

/** A child that was blocked has ended, too, unless the delegation waits for it. */
export function hasEnded(status: TaskStatus, onBlocked: Delegation['on_blocked']): boolean {
  return isFinishedStatus(status) || (status === 'blocked' && onBlocked === 'end');
}

/** @param statusOf undefined: the board does not know it any more, because it finished long ago. */
export function endedOf(
  { tasks, on_blocked: onBlocked }: Pick<Delegation, 'tasks' | 'on_blocked'>,
  statusOf: (task: string) => TaskStatus | undefined,
): number {
  return tasks.filter((task) => {
    const status = statusOf(task);
    return status === undefined || hasEnded(status, onBlocked);
  }).length;
}

export function joinText({ join, tasks }: Pick<Delegation, 'join' | 'tasks'>): string {
  if (tasks.length === 1) return 'one task';
  return join === 'any'
    ? `the first of ${tasks.length} that is done decides`
    : `waits for all ${tasks.length}`;
}

type Origin = Delegation['origin'];

/** "discord 42 / thread 7, session s1"; '' where nothing is known. */
export function originText(origin: Origin): string {
  if (origin === null) return '';
  const { platform, chat_id: chat, thread_id: thread, session_id: session } = origin;
  const place = [platform, chat].filter(Boolean).join(' ');
  return [thread ? `${place} / thread ${thread}` : place, session ? `session ${session}` : '']
    .filter(Boolean)
    .join(', ');
}

export function steeredText({
  queued,
  missed,
}: {
  readonly queued: number;
  readonly missed: number;
}): string {
  const late = missed === 0 ? '' : `; missed by ${missed}, which had ended`;
  return `Queued for ${queued}${late}`;
}
