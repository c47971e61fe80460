/**
 * Long work in parts: handing something to ten thousand followers takes longer than everybody else may be made to wait. All that is handed on
 * in one turn of the event loop shares one slice of time, whoever does it; past it, it goes on in a later turn.
 *
 * A number of followers for each part was too coarse: what one of them costs differs a hundredfold.
 */

/** A heartbeat or a probe waits this much longer, at most; handing one event to a thousand watchers fits into it. */
const SLICE_MS = 10;

let startedAt: number | undefined;

/** Whoever is told so does nothing more before the next turn. */
export function isSliceOver(): boolean {
  const now = performance.now();
  if (startedAt === undefined) {
    startedAt = now;
    setImmediate(() => {
      startedAt = undefined;
    });
  }
  return now - startedAt >= SLICE_MS;
}

/** Everything that has come in meanwhile goes first. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
