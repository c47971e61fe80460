/**
 * Long work in parts: handing something to ten thousand followers takes longer than everybody else may be made to wait. All that is handed on
 * in one turn of the event loop shares one slice of time, whoever does it; past it, it goes on in a later turn, and those who go on in the same
 * turn have equal shares of its slice. What one of them leaves of its share is for those behind it.
 *
 * A number of followers for each part was too coarse: what one of them costs differs a hundredfold. One slice for whoever comes first was
 * unfair: beside somebody who always has work, everybody else did one thing a turn.
 */

/** A heartbeat or a probe waits this much longer, at most; handing one event to a thousand watchers fits into three. */
const SLICE_MS = 10;

/** A turn of the event loop in which so many go on who had to stop. */
interface Turn {
  waiting: number;
  endsAt: number | undefined;
}

/** Of whoever is at work now. */
let sliceEndsAt: number | undefined;
let upcoming: Turn | undefined;

/** Whoever is told so does nothing more before the next turn. */
export function isSliceOver(): boolean {
  const now = performance.now();
  return now >= (sliceEndsAt ?? beginSlice(now + SLICE_MS));
}

function beginSlice(endsAt: number): number {
  if (sliceEndsAt === undefined)
    setImmediate(() => {
      sliceEndsAt = undefined;
    });
  sliceEndsAt = endsAt;
  return endsAt;
}

/**
 * Everything that has come in meanwhile goes first. Whoever awaits it goes on at once and with a share of its own, so nobody should who only
 * waits for somebody else.
 */
export function nextTurn(): Promise<void> {
  upcoming ??= { waiting: 0, endsAt: undefined };
  const turn = upcoming;
  turn.waiting += 1;
  return new Promise((resolve) => {
    setImmediate(() => {
      // Who stops from now on goes on in the turn after this one.
      if (upcoming === turn) upcoming = undefined;
      const now = performance.now();
      turn.endsAt ??= now + SLICE_MS;
      beginSlice(now + Math.max(0, turn.endsAt - now) / turn.waiting);
      turn.waiting -= 1;
      resolve();
    });
  });
}
