/** An event as the wire shows it, and the filters that choose among events. */
import type { Event } from '../../../contract/events.ts';
import { EVENT_KINDS } from '../../../contract/statuses.ts';
import { boundedCache } from '../../kernel/bounded-cache.ts';
import { formatCursor } from '../../kernel/cursor.ts';
import { formatId } from '../../kernel/ids.ts';
import type { Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { BoardRef } from '../boards/service.ts';
import type { EventRow } from './store.ts';

export function cursorAt(board: BoardRef, seq: number): string {
  return formatCursor({ boardId: board.id, incarnation: board.incarnation, seq });
}

export function eventOf(board: BoardRef, row: EventRow): Event {
  return {
    cursor: cursorAt(board, row.seq),
    seq: row.seq,
    board: board.name,
    kind: row.kind,
    at: row.at,
    ...(row.task_id === null ? {} : { task_id: formatId('task', row.task_id) }),
    ...(row.run_id === null ? {} : { run_id: formatId('run', row.run_id) }),
    ...(row.lane === null ? {} : { lane: row.lane }),
    ...(row.worker === null ? {} : { worker: row.worker }),
    ...(row.attempt === null ? {} : { attempt: row.attempt }),
    ...(row.task_version === null ? {} : { task_version: row.task_version }),
    ...(row.delegation_id === null ? {} : { delegation_id: formatId('deleg', row.delegation_id) }),
    actor: { type: row.actor_type, id: row.actor_id },
    data: row.data as Event['data'],
  };
}

/** Each set narrows; null lets everything through. */
export interface EventFilter {
  readonly kinds: ReadonlySet<string> | null;
  readonly lanes: ReadonlySet<string> | null;
  readonly tasks: ReadonlySet<string> | null;
}

export function passes(filter: EventFilter, event: Event): boolean {
  return (
    (filter.kinds === null || filter.kinds.has(event.kind)) &&
    (filter.lanes === null || (event.lane !== undefined && filter.lanes.has(event.lane))) &&
    (filter.tasks === null || (event.task_id !== undefined && filter.tasks.has(event.task_id)))
  );
}

/** Distinct filters of a server's watches; those beyond only share less. */
const SHARED_FILTERS_MAX = 1000;
const sharedFilters = boundedCache<string, EventFilter>(SHARED_FILTERS_MAX);

/** The same object for filters that say the same: what they let through is then told by the filter alone, and held once. */
export function sharedFilter(filter: EventFilter): EventFilter {
  const { kinds, lanes, tasks } = filter;
  const key = JSON.stringify(
    [kinds, lanes, tasks].map((words) => (words === null ? null : [...words].sort())),
  );
  const known = sharedFilters.get(key);
  if (known !== undefined) return known;
  sharedFilters.set(key, filter);
  return filter;
}

/** `task.*` stands for every kind of tasks. */
export function kindsOf(words: readonly string[] | null | undefined): ReadonlySet<string> | null {
  if (!words) return null;
  const kinds = words.flatMap((word) => {
    const matching = word.endsWith('.*')
      ? EVENT_KINDS.filter((kind) => kind.startsWith(word.slice(0, -1)))
      : EVENT_KINDS.filter((kind) => kind === word);
    if (matching.length > 0) return matching;
    throw new ProblemError('invalid_request', `There is no event kind ${JSON.stringify(word)}.`, {
      errors: [{ pointer: '/kinds', detail: 'names no event kind' }],
    });
  });
  return new Set(kinds);
}

export function setOf(words: readonly string[] | null | undefined): ReadonlySet<string> | null {
  return words ? new Set(words) : null;
}

/** A claim token sees its own task's events only, whatever it asks for. */
export function visibleTo(caller: Principal, filter: EventFilter): EventFilter {
  if (caller.kind === 'key') return filter;
  const isAsked = filter.tasks === null || filter.tasks.has(caller.taskId);
  return { ...filter, tasks: new Set(isAsked ? [caller.taskId] : []) };
}
