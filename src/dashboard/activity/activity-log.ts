/**
 * The part of the log that the page has: without a gap, the newest first, and never more than so much. While somebody reads it what happens
 * waits beside it, so that nothing of what is read is moved or cut. Pure.
 */
import type { Event } from '../../client/index.ts';

export interface ActivityLog {
  /** The newest first. */
  readonly events: readonly Event[];
  /** Where what is older is read from; null: there is nothing older. */
  readonly older: string | null;
  /** What came while somebody reads, the newest first; never more than so much either. */
  readonly waiting: readonly Event[];
  /** Where what is older than the waiting ones is read from, once there were too many of them; null: they follow `events`. */
  readonly waitingOlder: string | null;
}

/** At 1 to 2 KB each some 15 MB; older ones are read again when somebody scrolls there. */
export const EVENTS_KEPT = 10_000;

export function beginLog(cursor: string): ActivityLog {
  return { events: [], older: cursor, waiting: [], waitingOlder: null };
}

/** The log that has nothing in it, and nothing older. */
export const NO_LOG: ActivityLog = { events: [], older: null, waiting: [], waitingOlder: null };

/** What has just happened: oldest first, as it comes. What is there already is not there twice. */
export function addNewer(log: ActivityLog, more: readonly Event[], isHeld = false): ActivityLog {
  const newest = log.waiting[0]?.seq ?? log.events[0]?.seq ?? 0;
  const fresh = more.filter(({ seq }) => seq > newest).reverse();
  if (fresh.length === 0) return isHeld ? log : release(log);
  const { kept, cut } = bounded([...fresh, ...log.waiting]);
  const held = { ...log, waiting: kept, waitingOlder: cut ?? log.waitingOlder };
  return isHeld ? held : release(held);
}

/** Nobody reads any more: what has waited joins the log, or takes its place where there is a gap between the two. */
export function release(log: ActivityLog): ActivityLog {
  const { events, older, waiting, waitingOlder } = log;
  if (waiting.length === 0) return log;
  if (waitingOlder !== null) return { ...NO_LOG, events: waiting, older: waitingOlder };
  const { kept, cut } = bounded([...waiting, ...events]);
  return { ...NO_LOG, events: kept, older: cut ?? older };
}

/** The newest; `cut` is where the rest can be read from again, null where there is none. */
function bounded(events: readonly Event[]): { readonly kept: readonly Event[]; readonly cut: string | null } {
  const first = events[EVENTS_KEPT];
  return first === undefined
    ? { kept: events, cut: null }
    : { kept: events.slice(0, EVENTS_KEPT), cut: first.cursor };
}

/** A page that was read back: the newest first. `asked` is the cursor it was read from. */
export function addOlder(
  log: ActivityLog,
  page: { readonly events: readonly Event[]; readonly cursor: string },
  asked: string,
): ActivityLog {
  if (log.older !== asked) return log;
  const oldest = log.events.at(-1)?.seq ?? Number.POSITIVE_INFINITY;
  const older = page.events.filter(({ seq }) => seq < oldest);
  const isOver = page.events.length === 0 && page.cursor === asked;
  return { ...log, events: [...log.events, ...older], older: isOver ? null : page.cursor };
}
