/** What of the board stands in the address: a reload or a shared link shows the same screen. */
import { useCallback, useMemo } from 'react';
import { useSearchParams } from 'wouter';
import type { TaskStatus } from '../live/card.ts';
import { TASK_STATUSES } from '../live/statuses.ts';
import { withFields } from '../shell/address-fields.ts';
import { STATUS_LABELS } from '../ui/status-chip.tsx';

export interface BoardAddress {
  readonly query: string;
  /** Columns that somebody closed, and empty ones that somebody opened. */
  readonly closed: ReadonlySet<TaskStatus>;
  readonly opened: ReadonlySet<TaskStatus>;
  readonly showsArchived: boolean;
  /** The one that a phone shows. */
  readonly column: TaskStatus | null;
}

const COLUMNS: readonly TaskStatus[] = TASK_STATUSES.filter((status) => status !== 'archived');

export function columnsOf({ showsArchived }: Pick<BoardAddress, 'showsArchived'>): readonly TaskStatus[] {
  return showsArchived ? TASK_STATUSES : COLUMNS;
}

const isStatus = (text: string): text is TaskStatus => Object.hasOwn(STATUS_LABELS, text);

function statusesOf(text: string | null): ReadonlySet<TaskStatus> {
  return new Set((text ?? '').split(',').filter(isStatus));
}

export function addressOf(search: URLSearchParams): BoardAddress {
  const column = search.get('column') ?? '';
  return {
    query: search.get('q') ?? '',
    closed: statusesOf(search.get('closed')),
    opened: statusesOf(search.get('open')),
    showsArchived: search.get('archived') === '1',
    column: isStatus(column) ? column : null,
  };
}

/** With the changes; what says nothing is left out. Other parts of the address stay. */
export function searchWith(search: URLSearchParams, change: Partial<BoardAddress>): URLSearchParams {
  const next = { ...addressOf(search), ...change };
  return withFields(search, {
    q: next.query,
    closed: [...next.closed].join(','),
    open: [...next.opened].join(','),
    archived: next.showsArchived ? '1' : '',
    column: next.column ?? '',
  });
}

export function useBoardAddress(): readonly [BoardAddress, (change: Partial<BoardAddress>) => void] {
  const [search, setSearch] = useSearchParams();
  const address = useMemo(() => addressOf(search), [search]);
  // Going back leaves the board; it does not walk through everything that was typed.
  const change = useCallback(
    (changes: Partial<BoardAddress>) => setSearch((before) => searchWith(before, changes), { replace: true }),
    [setSearch],
  );
  return [address, change];
}
