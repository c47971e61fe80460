/**
 * Waiting, with a way out. Time limits are joined to the caller's signal by hand: AbortSignal.any keeps every
 * derived signal alive as long as a long-lived source on Node 20, which a worker that runs for weeks would feel.
 */

import { onAbort } from './abort-hub.ts';

/** Clock, dice and sleep of the client; tests bring their own. */
export interface Timing {
  /** Milliseconds that only rise; not a time of day. */
  readonly now: () => number;
  /** 0 ≤ random() < 1. */
  readonly random: () => number;
  /** Resolves after `ms`; rejects with the signal's reason as soon as it is aborted. */
  readonly wait: (ms: number, signal?: AbortSignal) => Promise<void>;
}

export const systemTiming: Timing = {
  now: () => performance.now(),
  random: () => Math.random(),
  wait: waitFor,
};

function waitFor(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(reasonOf(signal));
      return;
    }
    const stopTimer = callAfter(ms, () => {
      stopListening?.();
      resolve();
    });
    const stopListening =
      signal &&
      onAbort(signal, () => {
        stopTimer();
        reject(reasonOf(signal));
      });
  });
}

/** What setTimeout can count, in milliseconds: anything longer fires at once, with a warning. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** setTimeout for any time, also one of months, or Infinity. Returns how to stop it. */
export function callAfter(ms: number, callback: () => void): () => void {
  let leftMs = ms;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const arm = (): void => {
    const partMs = Math.min(leftMs, TIMER_MS_MAX);
    leftMs -= partMs;
    timer = setTimeout(leftMs > 0 ? arm : callback, partMs);
  };
  arm();
  return () => clearTimeout(timer);
}

/** What an aborted call throws: the reason as given, or the platform's AbortError. */
export function reasonOf(signal: AbortSignal | undefined): unknown {
  return signal?.reason ?? new DOMException('This operation was aborted', 'AbortError');
}

/** Random between nothing and the doubled bound: spreads retries of many clients best (AWS, "Exponential Backoff And Jitter"). */
export function fullJitterMs(
  attempt: number,
  bounds: { readonly baseMs: number; readonly capMs: number },
  random: () => number,
): number {
  // 2 ** 30 is beyond any cap; the limit only keeps the power finite.
  return random() * Math.min(bounds.capMs, bounds.baseMs * 2 ** Math.min(attempt, 30));
}

/** A signal of its own; `release` must be called, or the sources keep it alive. */
export interface JoinedSignal {
  readonly signal: AbortSignal;
  readonly abort: (reason: unknown) => void;
  readonly release: () => void;
}

/** Fires with the first of the given signals. */
export function joinSignals(sources: readonly (AbortSignal | undefined)[]): JoinedSignal {
  const controller = new AbortController();
  const undo: (() => void)[] = [];
  for (const source of sources) {
    if (source === undefined) continue;
    const abort = (): void => controller.abort(reasonOf(source));
    if (source.aborted) abort();
    else undo.push(onAbort(source, abort));
  }
  const release = (): void => {
    for (const step of undo) step();
  };
  return { signal: controller.signal, abort: (reason) => controller.abort(reason), release };
}

export interface Deadline extends JoinedSignal {
  readonly isTimedOut: () => boolean;
}

/** Fires with the first of the given signals, or after `timeoutMs`. */
export function startDeadline(timeoutMs: number, sources: readonly (AbortSignal | undefined)[]): Deadline {
  const joined = joinSignals(sources);
  let timedOut = false;
  const stopTimer = callAfter(timeoutMs, () => {
    timedOut = !joined.signal.aborted;
    joined.abort(new DOMException('The time limit of the request has passed', 'TimeoutError'));
  });
  const release = (): void => {
    stopTimer();
    joined.release();
  };
  return { ...joined, release, isTimedOut: () => timedOut };
}
