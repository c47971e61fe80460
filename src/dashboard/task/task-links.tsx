/** Links of this page to other pages of the board. */
import type { ReactNode } from 'react';
import { Link } from 'wouter';
import { useCard, useClient } from '../live/live-context.tsx';
import { linkToLane, linkToTask } from '../shell/links.ts';
import { StatusChip } from '../ui/status-chip.tsx';
import type { FamilyTask } from './family.ts';

export function LaneLink({ lane }: { readonly lane: string | null }): ReactNode {
  const { board } = useClient();
  if (lane === null) return <span className="muted">no lane</span>;
  return <Link href={`~${linkToLane(board, lane)}`}>{lane}</Link>;
}

/** A task by id alone: named by what the live board knows of it. */
export function TaskIdLink({ id }: { readonly id: string }): ReactNode {
  const { board } = useClient();
  const card = useCard(id);
  return (
    <Link href={`~${linkToTask(board, id)}`} className={card === undefined ? 'mono' : ''}>
      {card?.title ?? id}
    </Link>
  );
}

/** With its status, as new as the live board knows it. */
export function FamilyTaskLink({ task }: { readonly task: FamilyTask }): ReactNode {
  const { board } = useClient();
  const card = useCard(task.id);
  return (
    <>
      <StatusChip status={card?.status ?? task.status} />{' '}
      <Link href={`~${linkToTask(board, task.id)}`}>{card?.title ?? task.title}</Link>
    </>
  );
}
