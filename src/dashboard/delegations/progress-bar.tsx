/** What the live board knows of a delegation: what it is called, and how many of its children have ended, in words and as a bar. */
import { type ReactNode, useSyncExternalStore } from 'react';
import type { Delegation } from '../../client/index.ts';
import { useCard, useLiveBoard } from '../live/live-context.tsx';
import { endedOf } from './delegation-words.ts';

/** null: the board is not read yet, or has more tasks than it can know. */
export function useEnded(delegation: Delegation): number | null {
  const board = useLiveBoard();
  return useSyncExternalStore(board.subscribe, () => {
    if (board.view.epoch === 0 || board.view.isTruncated) return null;
    return endedOf(delegation, (task) => board.card(task)?.status);
  });
}

/** What it is called: its goal, else that of its only or first child as the board knows it. */
export function useTitle({ id, goal, tasks }: Delegation): string {
  const [first = ''] = tasks;
  const title = useCard(first)?.title;
  if (goal !== null) return goal;
  if (title === undefined) return id;
  return tasks.length === 1 ? title : `${title} and ${tasks.length - 1} more`;
}

interface ProgressBarProps {
  readonly ended: number | null;
  readonly total: number;
}

export function ProgressBar({ ended, total }: ProgressBarProps): ReactNode {
  if (ended === null) return <span className="muted">{total} tasks</span>;
  return (
    <span className="delegations-progress">
      <progress value={ended} max={total} aria-hidden="true" />
      <span>
        {ended}/{total} ended
      </span>
    </span>
  );
}
