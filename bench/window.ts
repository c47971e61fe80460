/** Windows of time in a driver's process. Node's own modules only, as in driver.ts. */
import type { CycleInput, CycleResult } from './driver.ts';

/** Fine enough to end a window sharply, coarse enough to cost nothing. */
const WINDOW_TICK_MS = 5;
/** What is in flight must not starve inside the window: more than the largest concurrency, batch or local queue in all. */
const LOW_BACKLOG_PIECES = 2000;

/** Counts what ends between the lead-in and the end of the window, or until the backlog is nearly gone. */
export async function measureWindow(
  { leadInMs, windowMs }: Pick<CycleInput, 'leadInMs' | 'windowMs'>,
  backlog: number,
  ended: () => number,
): Promise<CycleResult> {
  const first = ended();
  const isLow = (): boolean => ended() - first > backlog - LOW_BACKLOG_PIECES;
  await pauseMs(leadInMs);
  const startedAt = performance.now();
  const before = ended();
  while (performance.now() - startedAt < windowMs && !isLow()) await pauseMs(WINDOW_TICK_MS);
  const cycles = ended() - before;
  const lastedMs = performance.now() - startedAt;
  if (lastedMs < windowMs / 2)
    throw new Error(`a backlog of ${backlog} ran low before half of the window had passed`);
  return { cycles, windowMs: lastedMs, ranLow: lastedMs < windowMs };
}

/**
 * Measures beside loops that take work until they are told to stop. The first that fails ends the measurement; one that found
 * nothing to do while there was plenty makes it void.
 */
export async function measureLoops(
  loops: readonly Promise<unknown>[],
  measured: Promise<CycleResult>,
): Promise<CycleResult> {
  let ended = 0;
  const all = Promise.all(
    loops.map(async (loop) => {
      await loop;
      ended += 1;
    }),
  );
  const result = await Promise.race([measured, all.then(() => measured)]);
  if (ended > 0 && !result.ranLow)
    throw new Error(`${ended} of ${loops.length} loops found nothing to do, although there was work`);
  return result;
}

export function pauseMs(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
