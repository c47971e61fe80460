/**
 * Property 12: what a board prunes, it prunes openly, in its time, and nothing that is needed.
 *
 * Proves, of a log that is pruned while it is followed: after the place from which a watch resumes comes the very next event, or
 * cursor_expired; that is told only where the next event had been kept for its time and is gone; the edge only rises; and what is left at the
 * end is every event behind it. Of tasks: pruned were finished ones, each after its time, told by an event, and none whose child was still to
 * be done; what was acknowledged and not finished is there; and the log, as far as it is known, leads to the tables.
 *
 * Known of the log is what some watcher received, and what was left at the end: where nobody watched for longer than events are kept, the
 * fold begins anew, but for who is gone for ever. How much of that there was is printed. Times that are compared within the log are those of
 * the database; when a watcher was told something is known by the clock of the history, which costs two seconds of sharpness where it is held
 * against the database's. Of an end that nobody heard of it is only known that it came after the claim. Cannot prove: that what is due goes
 * soon (a race window shows that it goes), nor anything about runs, output, deliveries and messages.
 */
import type { HistoryEntry, PrunedState, Violation } from '../history.ts';
import { KnownLog } from './known-log.ts';
import { checkEdge } from './log-edge.ts';
import { checkCounts } from './log-fold.ts';
import { checkPrunedTasks } from './pruned-tasks.ts';
import { followWatches } from './resumed-watches.ts';

export function checkRetention(entries: readonly HistoryEntry[], final: PrunedState): Violation[] {
  const operations = entries.filter((entry) => entry.entry === 'operation');
  const log = new KnownLog(entries, final);
  const { findings, sightings } = followWatches(entries, log, final);
  const found = [
    ...log.findings,
    ...findings,
    ...checkEdge(sightings, log, final),
    ...checkPrunedTasks(operations, log, final),
  ];
  return [...found.map((finding) => ({ property: 12, ...finding })), ...checkCounts(final)];
}
