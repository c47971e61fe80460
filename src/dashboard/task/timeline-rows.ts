/** The rows of a timeline: one for each event, but signs of life that follow each other share one. Pure. */
import type { Event } from '../../client/index.ts';
import { shortDuration } from '../ui/duration.ts';
import { counted } from './timeline-words.ts';

export type TimelineRow =
  | {
      readonly type: 'event';
      readonly event: Event;
      readonly sinceSeconds: number | null;
      /** It stands below the fold that it was taken out of. */
      readonly isUnfolded?: boolean;
    }
  | { readonly type: 'beats'; readonly events: readonly Event[]; readonly sinceSeconds: number | null };

/** What says something stands by itself. */
function isSilentBeat({ kind, data }: Event): boolean {
  return kind === 'task.heartbeat' && data['note'] === undefined && data['metadata'] === undefined;
}

export interface Folding {
  readonly isFolded: boolean;
  /** An event that somebody looks for is never hidden in a fold. */
  readonly shownSeq: number | null;
}

/**
 * The rows so far, and what further events make of them: oldest first. Only the last row may change, where a sign of life joins its fold.
 * `sinceSeconds` is the time since the event before.
 */
export function rowsAfter(
  before: readonly TimelineRow[],
  events: readonly Event[],
  folding: Folding,
): readonly TimelineRow[] {
  const last = before.at(-1);
  if (last === undefined) return foldedRows(events, folding, null);
  const beforeLast = before.at(-2);
  const lastMs = beforeLast === undefined ? null : Date.parse(eventsOf(beforeLast).at(-1)?.at ?? '');
  return [...before.slice(0, -1), ...foldedRows([...eventsOf(last), ...events], folding, lastMs)];
}

function eventsOf(row: TimelineRow): readonly Event[] {
  return row.type === 'event' ? [row.event] : row.events;
}

function foldedRows(
  events: readonly Event[],
  { isFolded, shownSeq }: Folding,
  startMs: number | null,
): readonly TimelineRow[] {
  const rows: TimelineRow[] = [];
  let beats: Event[] = [];
  let beforeMs = startMs;
  const since = (event: Event): number | null =>
    beforeMs === null ? null : (Date.parse(event.at) - beforeMs) / 1000;
  const endBeats = (): void => {
    const [first] = beats;
    if (first === undefined) return;
    const sinceSeconds = since(first);
    if (beats.length === 1) rows.push({ type: 'event', event: first, sinceSeconds });
    else rows.push({ type: 'beats', events: beats, sinceSeconds });
    beforeMs = Date.parse(beats.at(-1)?.at ?? first.at);
    beats = [];
  };
  for (const event of events) {
    if (isFolded && event.seq !== shownSeq && isSilentBeat(event)) {
      // Another run's are another fold.
      if (beats[0] !== undefined && beats[0].run_id !== event.run_id) endBeats();
      beats.push(event);
      continue;
    }
    endBeats();
    rows.push({ type: 'event', event, sinceSeconds: since(event) });
    beforeMs = Date.parse(event.at);
  }
  endBeats();
  return rows;
}

/** The number of its first event: it stays the same while a fold grows. */
export function seqOfRow(row: TimelineRow): number {
  return (row.type === 'event' ? row.event.seq : row.events[0]?.seq) ?? 0;
}

/** What names a row: that of a fold is not that of the event which comes first out of it. */
export function keyOfRow(row: TimelineRow): string {
  return `${row.type} ${seqOfRow(row)}`;
}

/** With the events of every fold that is open (by the number of its first event) below it. */
export function unfold(rows: readonly TimelineRow[], open: ReadonlySet<number>): readonly TimelineRow[] {
  if (open.size === 0) return rows;
  return rows.flatMap((row): readonly TimelineRow[] => {
    if (row.type === 'event' || !open.has(seqOfRow(row))) return [row];
    return [
      row,
      ...row.events.map((event) => ({ type: 'event', event, sinceSeconds: null, isUnfolded: true }) as const),
    ];
  });
}

/** "14 heartbeats in 7 min". */
export function beatsSentence(events: readonly Event[]): string {
  const first = Date.parse(events[0]?.at ?? '');
  const last = Date.parse(events.at(-1)?.at ?? '');
  return `${counted(events.length, 'heartbeat')} in ${shortDuration((last - first) / 1000)}`;
}

const HASH = /^#event-(\d{1,15})$/;

/** Which event an address asks for. */
export function seqOfHash(hash: string): number | null {
  const [, digits] = HASH.exec(hash) ?? [];
  return digits === undefined ? null : Number(digits);
}
