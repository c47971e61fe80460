/** Lets no more bytes a second pass than it was told, over any stretch of time that matters. */
import { pause } from '../../kernel/lifecycle.ts';

/**
 * Of rows: a million tasks with their log take 80 s, and a server at its limit on the same two cores keeps 0.83 of its throughput (benchmark P17). At 16 MiB
 * it kept 0.79, at 24 it kept 0.74.
 */
export const PACE_BYTES_PER_SECOND = 12 * 2 ** 20;
/** What a pause may be late by without being made up for: a machine that was asleep does not catch up. */
const DEBT_MS_MAX = 1000;

export class Pace {
  readonly #bytesPerMs: number;
  readonly #signal: AbortSignal;
  #freeAt = 0;

  /** @param bytesPerSecond null: as many as come */
  constructor(bytesPerSecond: number | null, signal: AbortSignal) {
    this.#bytesPerMs = (bytesPerSecond ?? Number.POSITIVE_INFINITY) / 1000;
    this.#signal = signal;
  }

  /** Resolves when bytes that have passed have had their time. */
  async passed(bytes: number): Promise<void> {
    this.#signal.throwIfAborted();
    const now = performance.now();
    this.#freeAt = Math.max(this.#freeAt, now - DEBT_MS_MAX) + bytes / this.#bytesPerMs;
    if (this.#freeAt > now) await pause(this.#freeAt - now, this.#signal);
    this.#signal.throwIfAborted();
  }
}
