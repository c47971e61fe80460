/**
 * Stretches in which the machine had so much else to do that whatever took long in them is no wonder. They are told to the checkers as
 * faults of the machine, so that nobody takes a lack of processor time for a wake that was lost.
 */
import { type FaultEntry, type HistoryEntry, isWait, type Operation } from './history.ts';

/**
 * What does not wait takes milliseconds, also with all this load. A system that is slow without reason is for the benchmarks to find.
 */
const SLOW_MS = 1000;

export function listSlowStretches(entries: readonly HistoryEntry[]): FaultEntry[] {
  return entries.flatMap((entry) => {
    if (entry.entry !== 'operation' || !isSlow(entry)) return [];
    const { invokedAt: at, endedAt: until = at, process } = entry;
    return [{ entry: 'fault', at, until, fault: 'slow', target: `machine, for ${process}` }];
  });
}

/** They have a lower priority than the rest, or are stopped on purpose: their slowness is their own. */
const OWN_SLOWNESS = /^(?:worker|gateway|synthesizer)-/;

/** Only what was answered: what was not has met another fault. */
function isSlow(operation: Operation): boolean {
  const { ending, invokedAt, endedAt, process } = operation;
  if (OWN_SLOWNESS.test(process) || isWait(operation)) return false;
  return ending === 'ok' && endedAt !== undefined && endedAt - invokedAt > SLOW_MS;
}
