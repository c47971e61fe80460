/** A status by word, shape and colour: colour alone says nothing to many people. */
import type { ReactNode } from 'react';
import type { TaskStatus } from '../live/card.ts';

export const STATUS_LABELS: Readonly<Record<TaskStatus, string>> = {
  triage: 'Triage',
  todo: 'To do',
  scheduled: 'Scheduled',
  ready: 'Ready',
  running: 'Running',
  blocked: 'Blocked',
  review: 'Review',
  done: 'Done',
  cancelled: 'Cancelled',
  archived: 'Archived',
};

/** Any word that has a colour: statuses of tasks, outcomes of runs, states of deliveries and messages. */
export function Chip({ kind, children }: { readonly kind: string; readonly children: ReactNode }): ReactNode {
  return <span className={`chip chip-${kind}`}>{children}</span>;
}

export function StatusChip({ status }: { readonly status: TaskStatus }): ReactNode {
  return <Chip kind={status}>{STATUS_LABELS[status]}</Chip>;
}
