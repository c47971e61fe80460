/**
 * At the end of a run, whoever follows a log gets the rest of it. Who does not in time proves nothing about the log: it is ended before it could
 * say that it was there to the end, and that is a trouble of the run.
 */
import { waitUntil } from './deadline.ts';
import type { Party } from './party.ts';

/** The longest that a watcher pauses (10 s), and what it takes to notice a half-open connection. */
const CATCH_UP_MS = 20_000;

/** @param withinMs Only tests make it smaller. */
export async function catchUp(
  watchers: readonly Pick<Party, 'process' | 'seq' | 'order' | 'kill'>[],
  seq: number,
  onTrouble: (detail: string) => void,
  withinMs = CATCH_UP_MS,
): Promise<void> {
  for (const watcher of watchers) watcher.order({ order: 'quiet' });
  await waitUntil(() => {
    for (const watcher of watchers) watcher.order({ order: 'report' });
    return watchers.every((watcher) => watcher.seq >= seq);
  }, withinMs);
  for (const watcher of watchers.filter((one) => one.seq < seq)) {
    onTrouble(
      `${watcher.process} had only come to event ${watcher.seq} of ${seq} after ${withinMs / 1000} s of catching up`,
    );
    await watcher.kill();
  }
}
