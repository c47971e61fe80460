/** Whether the server answers: said once when it stops and once when it is back, and how long to wait in between. */
import { LanekeeperError, UnreachableError } from '../errors.ts';
import { fullJitterMs } from '../timing.ts';
import { messageOf } from './plain-text.ts';
import type { WorkerClient } from './worker-client.ts';
import type { WorkerLog } from './worker-log.ts';

/** A restart is met within a second or two; an outage costs four requests a minute. */
const RETRY_BOUNDS = { baseMs: 500, capMs: 15_000 };

export class Availability {
  readonly #client: WorkerClient;
  readonly #log: WorkerLog;
  #isAway = false;

  constructor(client: WorkerClient, log: WorkerLog) {
    this.#client = client;
    this.#log = log;
  }

  /** Said once per absence, however many requests meet it. */
  gone(error: unknown): void {
    if (!this.#isAway) this.#log.warn(`${messageOf(error)}; trying again until it answers`);
    this.#isAway = true;
  }

  back(): void {
    if (this.#isAway) this.#log.warn('the server answers again');
    this.#isAway = false;
  }

  /**
   * Repeats a request until the server answers it: with null when the signal fires meanwhile. Throws what waiting does
   * not mend, and after `patienceMs` also what it might.
   */
  async ask<T>(
    request: () => Promise<T>,
    signal: AbortSignal,
    patienceMs = Number.POSITIVE_INFINITY,
  ): Promise<T | null> {
    const untilMs = performance.now() + patienceMs;
    for (let failures = 0; !signal.aborted; failures += 1) {
      try {
        const answer = await request();
        this.back();
        return answer;
      } catch (error) {
        if (signal.aborted) return null;
        if (!isTransient(error) || performance.now() > untilMs) throw error;
        await this.pauseAfter(error, failures, signal);
      }
    }
    return null;
  }

  /** Waits before the next attempt, or until the signal fires. */
  async pauseAfter(error: unknown, failures: number, signal: AbortSignal): Promise<void> {
    this.gone(error);
    const askedMs = error instanceof LanekeeperError ? (error.retryAfterSeconds ?? 0) * 1000 : 0;
    const delayMs = Math.max(askedMs, fullJitterMs(failures, RETRY_BOUNDS, Math.random));
    await this.#client.transport.timing.wait(delayMs, signal).catch(() => undefined);
  }
}

/** The server is away or busy; the same request may succeed later. */
export function isTransient(error: unknown): boolean {
  if (error instanceof UnreachableError) return true;
  return error instanceof LanekeeperError && (error.retryable || error.status >= 500);
}
