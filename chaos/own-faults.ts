/** The boards of a run share its faults. What is done to a client of one is nothing that another could be slow for. */
import type { HistoryEntry } from './history.ts';

/** Of the entries of one board, those that say nothing of the others' clients. */
export function omitFaultsOfOthers(
  entries: readonly HistoryEntry[],
  others: readonly HistoryEntry[],
): HistoryEntry[] {
  const clients = new Set(
    others.flatMap((entry) => (entry.entry === 'fault' ? [] : [nameOf(entry.process)])),
  );
  return entries.filter((entry) => entry.entry !== 'fault' || !clients.has(nameOf(entry.target)));
}

/** "churn.2" is a life of "churn". */
function nameOf(process: string): string {
  const [name = process] = process.split('.');
  return name;
}
