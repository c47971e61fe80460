/**
 * How often a lane key may take its lane over. Each takeover has the claims of the whole board that are under way decided again, so a
 * worker that starts, fails and starts again in a loop must not do it as fast as it can. Per server, in memory. Orchestrators are trusted
 * with the whole board as it is.
 */
import { boundedCache } from '../../../kernel/bounded-cache.ts';

/** A handful of workers that start together. */
const BURST_MAX = 10;
/** What claims do not feel. */
const PER_SECOND = 1;
/** Lanes remembered; one that falls out has its burst again. */
const LANES_MAX = 10_000;

interface Bucket {
  readonly left: number;
  readonly atMs: number;
}

export class TakeoverAllowance {
  readonly #now: () => number;
  readonly #buckets = boundedCache<string, Bucket>(LANES_MAX);

  /** @param now Milliseconds that only rise. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** False: not yet again. */
  take(boardId: number, lane: string): boolean {
    const key = `${boardId} ${lane}`;
    const atMs = this.#now();
    const known = this.#buckets.get(key) ?? { left: BURST_MAX, atMs };
    const left = Math.min(BURST_MAX, known.left + ((atMs - known.atMs) / 1000) * PER_SECOND);
    if (left < 1) return false;
    this.#buckets.set(key, { left: left - 1, atMs });
    return true;
  }
}
