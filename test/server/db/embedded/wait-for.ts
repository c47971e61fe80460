/** Polls a condition until it holds or its deadline passes; the failure says what was seen last. */
import { setTimeout as delay } from 'node:timers/promises';

const POLL_MILLIS = 20;

export async function waitFor(
  what: string,
  deadlineMillis: number,
  check: () => Promise<true | { readonly notYet: string }>,
): Promise<void> {
  const startedAt = performance.now();
  for (;;) {
    const outcome = await check();
    if (outcome === true) {
      return;
    }
    if (performance.now() - startedAt > deadlineMillis) {
      throw new Error(`waited ${deadlineMillis} ms for ${what}; last seen: ${outcome.notYet}`);
    }
    await delay(POLL_MILLIS);
  }
}
