/** Start, drain, stop: loops that end with a signal, and things closed in the reverse order of their start. */
import { setMaxListeners } from 'node:events';
import { ProblemError } from './problem-error.ts';

/** Each loop listens for the stop: about a dozen. Node warns of a leak from 11 on. */
const LOOPS_MAX = 50;
const DRAINING = { headers: { 'Retry-After': '1', Connection: 'close' } };

export interface Lifecycle {
  /** Aborted when the server begins to stop. */
  readonly signal: AbortSignal;
  /** Runs at stop, last registered first. */
  onStop(name: string, stop: () => Promise<void> | void): void;
  /** Calls `tick` every `intervalMs` until stop, never two at once; an error is reported and the loop goes on. */
  every(name: string, intervalMs: number, tick: (signal: AbortSignal) => Promise<void>): void;
  stop(): Promise<void>;
}

/** @param onTick Hears of every call of a loop: how long it took, whatever became of it. */
export function createLifecycle(
  reportError: (name: string, error: unknown) => void,
  onTick: (name: string, seconds: number) => void = () => undefined,
): Lifecycle {
  const controller = new AbortController();
  setMaxListeners(LOOPS_MAX, controller.signal);
  const stops: { readonly name: string; readonly stop: () => Promise<void> | void }[] = [];
  let stopping: Promise<void> | undefined;

  const guard = async (name: string, work: () => Promise<void> | void): Promise<void> => {
    try {
      await work();
    } catch (error) {
      reportError(name, error);
    }
  };

  const stopAll = async (): Promise<void> => {
    // What is given up for it is answered with the reason.
    controller.abort(new ProblemError('draining', 'This server is shutting down; retry.', DRAINING));
    for (const entry of stops.reverse()) await guard(entry.name, entry.stop);
  };

  return {
    signal: controller.signal,
    onStop: (name, stop) => {
      stops.push({ name, stop });
    },
    every: (name, intervalMs, tick) => {
      const loop = runEvery(intervalMs, controller.signal, async () => {
        const startedAtMs = performance.now();
        await guard(name, () => tick(controller.signal));
        onTick(name, (performance.now() - startedAtMs) / 1000);
      });
      stops.push({ name, stop: () => loop });
    },
    stop: () => {
      stopping ??= stopAll();
      return stopping;
    },
  };
}

async function runEvery(intervalMs: number, signal: AbortSignal, tick: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    await tick();
    await pause(intervalMs, signal);
  }
}

/** Resolves after `ms`, or as soon as the signal is aborted. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
