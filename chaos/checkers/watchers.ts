/**
 * Property 5: every watcher saw every event once and in order, through all its reconnects.
 *
 * Proves, for each process that watched the whole board: what it received is a run of consecutive sequence numbers, with the kinds and
 * cursors that the log has; a bookmark stands exactly where the watcher is, so that nothing at or before it comes later or was left out;
 * and those that were still there at the end had come to the end of the log.
 *
 * Cannot prove: anything about what a watcher that was killed would have received, nor about the payload of events. Where a watch begins
 * (the start, or the moment it was opened) is the watcher's choice, and the first event or bookmark shows it.
 */
import type { Event } from '../../src/contract/events.ts';
import type { FinalState, HistoryEntry, Violation } from '../history.ts';
import type { WatchedEntry, WatcherEntry } from '../watch-entries.ts';
import { groupBy } from './group-by.ts';

const violation = (detail: string, evidence: Violation['evidence']): Violation => ({
  property: 5,
  detail,
  evidence,
});

function isWatcherEntry(entry: HistoryEntry): entry is WatcherEntry {
  return entry.entry === 'watched' || entry.entry === 'bookmark' || entry.entry === 'watch_end';
}

export function checkWatchers(entries: readonly HistoryEntry[], final: FinalState): Violation[] {
  const log: Log = {
    final,
    bySeq: new Map(final.events.map((event) => [event.seq, event])),
    seqByCursor: new Map(final.events.map((event) => [event.cursor, event.seq])),
  };
  return [...groupBy(entries.filter(isWatcherEntry), (entry) => entry.process).values()].flatMap((own) =>
    checkWatcher(own, log),
  );
}

interface Log {
  readonly final: FinalState;
  readonly bySeq: ReadonlyMap<number, Event>;
  readonly seqByCursor: ReadonlyMap<string, number>;
}

function checkWatcher(entries: readonly WatcherEntry[], log: Log): Violation[] {
  const found: Violation[] = [];
  /** It has everything up to here; null: it has not been told yet where it stands. */
  let position: number | null = null;
  let before: WatcherEntry | null = null;
  for (const entry of entries) {
    const detail = contradictionOf(entry, position, log);
    if (detail !== null) found.push(violation(detail, { entry, before, position }));
    position = positionAfter(entry, position, log);
    before = entry;
  }
  return found;
}

function contradictionOf(entry: WatcherEntry, position: number | null, log: Log): string | null {
  if (entry.entry === 'watched') return contradictionOfEvent(entry, position, log);
  if (entry.entry === 'watch_end')
    return (position ?? 0) < log.final.seq ? 'a watcher did not get to the end of the log' : null;
  const marked = log.seqByCursor.get(entry.cursor);
  if (marked === undefined)
    // The start of an empty log has no event, and what came after the final state is not known.
    return position !== null && position > 0 && position <= log.final.seq
      ? 'a bookmark is not of this log'
      : null;
  if (position === null || marked === position) return null;
  return marked > position
    ? 'a bookmark came before events that lie at or before it'
    : 'a bookmark lies before an event that was received';
}

function contradictionOfEvent(entry: WatchedEntry, position: number | null, log: Log): string | null {
  if (position !== null && entry.seq <= position) return 'an event came again or out of order';
  if (position !== null && entry.seq > position + 1) return 'events are missing';
  if (entry.seq > log.final.seq) return null;
  const event = log.bySeq.get(entry.seq);
  if (event === undefined) return 'an event was received that is not in the log';
  return event.kind === entry.kind && event.cursor === entry.cursor
    ? null
    : 'an event is not the one of the log';
}

/** Goes on from where the watcher is now, so that one fault is one violation. */
function positionAfter(entry: WatcherEntry, position: number | null, log: Log): number | null {
  if (entry.entry === 'watch_end') return position;
  const reached = entry.entry === 'watched' ? entry.seq : (log.seqByCursor.get(entry.cursor) ?? null);
  return reached === null ? position : Math.max(reached, position ?? 0);
}
