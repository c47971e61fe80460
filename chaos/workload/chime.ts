/** The strokes of a clock that all processes share, however wrong their wall clocks are: who is to meet, ends on the next one. */

import { nowMs } from '../recorder.ts';

/** Long enough that several who wait for the next stroke began apart, and below every lease. */
const CHIME_MS = 500;
/** How far apart those are who mean the same moment: about as long as a statement takes. */
export const APART_MS = [0, 8] as const;

export function untilChimeMs(): number {
  const now = nowMs();
  return (Math.floor(now / CHIME_MS) + 1) * CHIME_MS - now;
}
