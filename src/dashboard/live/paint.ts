/**
 * Calls back before a frame, however often it was asked to, and not before every one of them: a hundred events a second would else take each
 * frame of a large board away from scrolling. A page in the background has no frames, so a timer stands in.
 */

/** How far a page that nobody sees may lag behind. */
const HIDDEN_MS = 250;
/** From one drawing to the next: too short to be seen as a delay. The first after a pause is drawn at once. */
const GAP_MS = 50;

export interface Paint {
  readonly request: () => void;
  readonly cancel: () => void;
}

export function paint(draw: () => void): Paint {
  let undo: (() => void) | null = null;
  let drawnAtMs = Number.NEGATIVE_INFINITY;
  const run = (): void => {
    undo = null;
    drawnAtMs = performance.now();
    draw();
  };
  const wait = (ms: number, then: () => void): void => {
    const timer = setTimeout(then, ms);
    undo = () => clearTimeout(timer);
  };
  const beforeFrame = (): void => {
    const frame = requestAnimationFrame(() => {
      clearTimeout(timer);
      run();
    });
    // A page that is hidden before its frame comes would wait for it for ever.
    const timer = setTimeout(() => {
      cancelAnimationFrame(frame);
      run();
    }, HIDDEN_MS);
    undo = () => {
      cancelAnimationFrame(frame);
      clearTimeout(timer);
    };
  };
  return {
    request: () => {
      if (undo !== null) return;
      const gapMs = drawnAtMs + GAP_MS - performance.now();
      if (document.hidden) wait(HIDDEN_MS, run);
      else if (gapMs > 0) wait(gapMs, beforeFrame);
      else beforeFrame();
    },
    cancel: () => {
      undo?.();
      undo = null;
    },
  };
}
