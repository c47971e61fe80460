/** What Ctrl-C and TERM mean to whoever holds claims. */
import type { Context } from '../context.ts';

/** Ctrl-C may arrive twice, from the terminal and from npm; a person takes longer to press it again. */
const REPEAT_MS = 1000;

/** First signal: drain. Another one a second later or more: at once. */
export function followSignals(context: Context): { drain: AbortSignal; hardStop: AbortSignal } {
  const drain = new AbortController();
  const hardStop = new AbortController();
  let firstAtMs: number | undefined;
  context.endsWithStdout = false;
  context.onSignal = () => {
    const nowMs = performance.now();
    firstAtMs ??= nowMs;
    if (nowMs - firstAtMs >= REPEAT_MS) hardStop.abort();
    drain.abort();
  };
  return { drain: drain.signal, hardStop: hardStop.signal };
}
