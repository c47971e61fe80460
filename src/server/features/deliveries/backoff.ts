/** How long a delivery pauses after a failure. */

/** All pinned by the domain. */
const FIRST_SECONDS = 5;
const LONGEST_SECONDS = 300;
/** Counted ones in a row; the last makes it dead. */
export const FAILURES_MAX = 12;
/** Up to so much longer, so that what failed together does not come back together. */
const JITTER = 0.2;

/** @param random From 0 up to 1. */
export function backoffSeconds(failures: number, random: number): number {
  const seconds = Math.min(LONGEST_SECONDS, FIRST_SECONDS * 2 ** (failures - 1));
  return Math.min(LONGEST_SECONDS, seconds * (1 + JITTER * random));
}
