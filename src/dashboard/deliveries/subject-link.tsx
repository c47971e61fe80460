/** What a delivery or subscription is about. */
import type { ReactNode } from 'react';
import { Link } from 'wouter';
import { useClient } from '../live/live-context.tsx';
import { linkToDelegation } from '../shell/links.ts';
import { TaskIdLink } from '../task/task-links.tsx';
import type { Subject } from './delivery-words.ts';

export function SubjectLink({ task, delegation }: Subject): ReactNode {
  const { board } = useClient();
  if (task !== null) return <TaskIdLink id={task} />;
  if (delegation === null) return <span className="muted">deleted</span>;
  return (
    <Link href={`~${linkToDelegation(board, delegation)}`}>
      delegation <span className="mono">{delegation}</span>
    </Link>
  );
}
