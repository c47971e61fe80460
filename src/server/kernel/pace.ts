/**
 * How much is done at a time, where nobody knows beforehand how long it takes: half as much after a time that was too long, a little more after
 * each full one that was short. So what is slow is soon tried in small portions, and what was slow once comes back slowly.
 *
 * Only what was given up goes down to one at a time. Where everything is slow (a busy machine, a slow disk) most of a portion's time is not the
 * rows', and ever smaller ones would do ever less in it, and never come back: they stop at half of where they started.
 */
import { assert } from './assert.ts';

interface PaceBounds {
  readonly start: number;
  readonly max: number;
  /** A portion that took longer was too large. */
  readonly slowMs: number;
}

/** Of the portion before: fourteen short ones make up for one that was too long. */
const GROWTH = 0.05;
/** Shorter than this part of what is too long: what is in between stays as it is. */
const SHORT_SHARE = 0.5;
const SLOW_FLOOR_SHARE = 1 / 2;

export class Pace {
  readonly #bounds: PaceBounds;
  #size: number;

  constructor(bounds: PaceBounds) {
    assert(bounds.start >= 1 && bounds.max >= bounds.start && bounds.slowMs > 0, 'a portion is something');
    this.#bounds = bounds;
    this.#size = bounds.start;
  }

  /** Of the next portion. */
  get size(): number {
    return this.#size;
  }

  /** @param done How much it was: less than was asked for says nothing of how long more would take. */
  noteDone(done: number, elapsedMs: number): void {
    const { start, slowMs } = this.#bounds;
    const floor = Math.min(this.#size, Math.ceil(start * SLOW_FLOOR_SHARE));
    if (elapsedMs > slowMs) this.#size = Math.max(floor, Math.floor(this.#size / 2));
    else if (done >= this.#size && elapsedMs < slowMs * SHORT_SHARE)
      this.#size = Math.min(this.#bounds.max, this.#size + Math.ceil(this.#size * GROWTH));
  }

  /** It was given up for that: nothing of it is done. */
  noteGivenUp(): void {
    this.#size = Math.max(1, Math.floor(this.#size / 2));
  }
}
