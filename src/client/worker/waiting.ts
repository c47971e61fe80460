/** Waits that end early and leave nothing behind: no timer that keeps the process up, no listener that piles up. */

import { onAbort } from '../abort-hub.ts';
import { callAfter } from '../timing.ts';

/** Resolves when one of the signals fires. One call per signal and lifetime: each leaves a listener until it fires. */
export function firstAborted(...signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of signals) {
      if (signal.aborted) resolve();
      else onAbort(signal, resolve);
    }
  });
}

/** Resolves with the promise or after `ms`, whichever comes first. */
export async function within(promise: Promise<unknown>, ms: number): Promise<void> {
  let stopTimer: (() => void) | undefined;
  const timeout = new Promise<void>((resolve) => {
    stopTimer = callAfter(ms, resolve);
  });
  await Promise.race([promise, timeout]);
  stopTimer?.();
}
