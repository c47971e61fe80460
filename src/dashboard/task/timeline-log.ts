/**
 * The part of a task's log that the page has: without a gap, up to its end, and never more than so much. What is cut is cut in pieces, of
 * which the cursor is kept, so that they can be read again. Pure.
 */
import type { Event } from '../../client/index.ts';

export interface TimelineLog {
  /** Oldest first. */
  readonly events: readonly Event[];
  /** What the first of them stands behind: a cursor, or the beginning of the log. */
  readonly begin: string;
  /** Where each piece that was cut begins, the oldest first. */
  readonly cut: readonly string[];
  /** So many are kept: more once older ones were asked for. */
  readonly limit: number;
}

/** The word of the API for the oldest that is retained. */
const START = 'start';
/** A day and a half of a worker that says every 30 s that it lives. */
export const EVENTS_KEPT = 5000;
/** At 1 to 2 KB each some 30 MB: however far somebody looks back. */
export const EVENTS_KEPT_MAX = 20_000;
/** One page of what was cut. */
export const PIECE_EVENTS = 500;

export const EMPTY_LOG: TimelineLog = { events: [], begin: START, cut: [], limit: EVENTS_KEPT };

/**
 * What was read on or has just happened: oldest first.
 * @param keptFromSeq Somebody looks at it: it is cut only when there is no other way.
 */
export function addNewer(
  log: TimelineLog,
  more: readonly Event[],
  keptFromSeq: number | null = null,
): TimelineLog {
  const events = mergeEvents(log.events, more);
  if (events === log.events) return log;
  let begin = log.begin;
  let count = 0;
  const cut = [...log.cut];
  for (;;) {
    const last = events[count + PIECE_EVENTS - 1];
    const left = events.length - count - PIECE_EVENTS;
    if (last === undefined || left < log.limit) break;
    if (keptFromSeq !== null && last.seq >= keptFromSeq && left < EVENTS_KEPT_MAX) break;
    cut.push(begin);
    begin = last.cursor;
    count += PIECE_EVENTS;
  }
  return count === 0 ? { ...log, events } : { ...log, events: events.slice(count), begin, cut };
}

/** A piece that had been cut, read again: all that stands behind `begin` and before what is there. */
export function addOlder(log: TimelineLog, begin: string, piece: readonly Event[]): TimelineLog {
  if (log.cut.at(-1) !== begin) return log;
  const first = log.events[0]?.seq ?? Number.POSITIVE_INFINITY;
  const older = piece.filter(({ seq }) => seq < first);
  return {
    events: [...older, ...log.events],
    begin,
    cut: log.cut.slice(0, -1),
    limit: Math.min(EVENTS_KEPT_MAX, Math.max(log.limit, older.length + log.events.length)),
  };
}

/** How many there are before those that are kept. */
export function cutCount({ cut }: TimelineLog): number {
  return cut.length * PIECE_EVENTS;
}

export function isFull({ events }: TimelineLog): boolean {
  return events.length + PIECE_EVENTS > EVENTS_KEPT_MAX;
}

/** Both lists oldest first and without doubles; so is the result. */
export function mergeEvents(known: readonly Event[], more: readonly Event[]): readonly Event[] {
  const lastSeq = known.at(-1)?.seq ?? 0;
  const fresh = more.filter(({ seq }) => seq > lastSeq);
  if (fresh.length === more.length) return fresh.length === 0 ? known : [...known, ...fresh];
  const bySeq = new Map([...known, ...more].map((event) => [event.seq, event]));
  if (bySeq.size === known.length) return known;
  return [...bySeq.values()].sort((left, right) => left.seq - right.seq);
}
