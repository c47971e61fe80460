/** Sleeping, until a signal says that there is no more need. */
import { setTimeout as delay } from 'node:timers/promises';

export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await delay(Math.max(0, ms), undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
}

/** Fires after about that long. */
export function after(ms: number): AbortSignal {
  return AbortSignal.timeout(Math.round(ms));
}
