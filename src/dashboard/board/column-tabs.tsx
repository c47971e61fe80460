/** On a phone one column is shown at a time; these choose it. */
import { type ReactNode, useEffect, useRef } from 'react';
import type { TaskStatus } from '../live/card.ts';
import type { Counts } from '../live/live-counts.ts';
import { STATUS_LABELS } from '../ui/status-chip.tsx';
import type { ShownColumn } from './places.ts';

interface ColumnTabsProps {
  readonly columns: readonly ShownColumn[];
  readonly counts: Counts | null;
  readonly isFiltered: boolean;
  readonly chosen: TaskStatus;
  readonly onChoose: (status: TaskStatus) => void;
}

export function ColumnTabs({ columns, counts, isFiltered, chosen, onChoose }: ColumnTabsProps): ReactNode {
  const list = useRef<HTMLElement>(null);
  useEffect(() => {
    list.current
      ?.querySelector(`[data-tab="${chosen}"]`)
      ?.scrollIntoView({ inline: 'center', block: 'nearest' });
  }, [chosen]);
  return (
    <nav ref={list} className="board-tabs" aria-label="Columns">
      {columns.map(({ status, cards }) => (
        <button
          key={status}
          type="button"
          data-tab={status}
          className={status === chosen ? 'board-tab here' : 'board-tab'}
          aria-current={status === chosen ? 'true' : undefined}
          onClick={() => onChoose(status)}
        >
          {STATUS_LABELS[status]}{' '}
          <span className="board-count">
            {(isFiltered ? cards.length : (counts?.[status] ?? 0)).toLocaleString()}
          </span>
        </button>
      ))}
    </nav>
  );
}
