/** Waiting for a condition, with an end. */
import { setTimeout as delay } from 'node:timers/promises';

const LOOK_MS = 50;

/** Answers whether it came to hold within that time. An error while looking counts as "not yet". */
export async function waitUntil(
  isSo: () => Promise<boolean> | boolean,
  deadlineMs: number,
  lookMs = LOOK_MS,
): Promise<boolean> {
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    const holds = await Promise.resolve()
      .then(isSo)
      .catch(() => false);
    if (holds) return true;
    if (performance.now() > deadline) return false;
    await delay(lookMs);
  }
}
