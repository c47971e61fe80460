/** Puts times of the database beside those of the history: both were read at the same moment, at the end. */
import type { AtMs, FinalState } from '../history.ts';

/**
 * How far the two clocks may have drifted apart in a run. A guess on the safe side: a clock that is slewed goes wrong by at most half a
 * millisecond a second (adjtime), which is 0.9 s in the longest run of half an hour, and reading both at once takes milliseconds.
 */
export const CLOCK_DRIFT_MS = 2000;

/** The moment of the history that a time of the database was, to within the drift. */
export function databaseClock(final: FinalState): (time: string) => AtMs {
  const offsetMs = final.readAtMs - Date.parse(final.readAt);
  return (time) => Date.parse(time) + offsetMs;
}
