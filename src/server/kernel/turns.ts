/**
 * Work that comes in portions, from several places: each gets one portion, then those that may have more another one, and so on. So one
 * place with a mountain of work stands before nobody. A place that fails, mostly because somebody has locked what it needs, is in trouble
 * until a portion of it succeeds: it is remembered from sweep to sweep, comes behind all that are well, and has a time of its own there,
 * so however many stand still, the others are only late by about one patience.
 *
 * To remember only those of the last sweep failed: of three that stood still a sweep came to one and forgot the two before it, which
 * then stood before the healthy ones again, for ever.
 */
import { assert } from './assert.ts';

interface TurnsBounds {
  /** Portions of one place and sweep. */
  readonly roundsMax: number;
  /** No portion of a place that is well is begun after this. */
  readonly durationMsMax: number;
}

/** Works on one portion; true: there may be more. For a lock it may wait so long, each time. */
type Portion<P> = (place: P, patienceMs: number) => Promise<boolean>;

/** Ten times what a transaction on a busy place takes. Of places that newly stand still a sweep of a second finds out five. */
const PATIENCE_MS = 200;
/** One that was only busy gets through with it; with the pause between two sweeps it is the second that the scheduler promises. */
const TROUBLED_PATIENCE_MS = 500;
/** No further place in trouble is tried after this: those that fail or succeed at once are all tried, of those that stand still one. */
const TROUBLED_MS_MAX = 250;
/** Far above what goes wrong by itself; of more the one tried longest ago counts as well again. */
const TROUBLED_MAX = 1000;
/** That a place fails is told at once, and then so often while it does: it is tried every second, or oftener. */
const TELLING_INTERVAL_MS = 10_000;

export class Turns<P> {
  readonly #bounds: TurnsBounds;
  /** The one tried longest ago is first. With the time when its failure was last told. */
  readonly #troubled = new Map<P, number>();

  constructor(bounds: TurnsBounds) {
    assert(bounds.roundsMax > 0 && bounds.durationMsMax > 0, 'everybody gets a turn');
    this.#bounds = bounds;
  }

  /** Tried in every sweep anyway, so whoever looks for places with work may leave them out and finds the others. */
  get troubled(): P[] {
    return [...this.#troubled.keys()];
  }

  /**
   * One sweep: until no place has more, a bound is reached or the signal is aborted. What a portion throws ends only its own place's
   * turns; the first such error that is to be told is thrown when all the others have had theirs.
   */
  async take(places: readonly P[], signal: AbortSignal, portion: Portion<P>): Promise<void> {
    const errors: unknown[] = [];
    const isDone = async (place: P, patienceMs: number): Promise<boolean> => {
      try {
        const hasMore = await portion(place, patienceMs);
        this.#troubled.delete(place);
        return !hasMore;
      } catch (error) {
        if (this.#noteFailure(place)) errors.push(error);
        return true;
      }
    };
    const { troubled } = this;
    const well = places.filter((place) => !this.#troubled.has(place));
    await this.#goRound(well, signal, (place) => isDone(place, PATIENCE_MS));
    const deadline = performance.now() + TROUBLED_MS_MAX;
    for (const place of troubled) {
      if (signal.aborted) break;
      await isDone(place, TROUBLED_PATIENCE_MS);
      if (performance.now() > deadline) break;
    }
    if (errors.length > 0) throw errors[0];
  }

  async #goRound(
    places: readonly P[],
    signal: AbortSignal,
    isDone: (place: P) => Promise<boolean>,
  ): Promise<void> {
    const { roundsMax, durationMsMax } = this.#bounds;
    const deadline = performance.now() + durationMsMax;
    let left = places;
    for (let round = 0; round < roundsMax && left.length > 0; round += 1) {
      const withMore: P[] = [];
      for (const place of left) {
        if (signal.aborted || performance.now() > deadline) return;
        if (!(await isDone(place))) withMore.push(place);
      }
      left = withMore;
    }
  }

  /** Puts the place behind all others that failed. True: it is to be told. */
  #noteFailure(place: P): boolean {
    const now = performance.now();
    const toldAt = this.#troubled.get(place) ?? Number.NEGATIVE_INFINITY;
    const isDue = now - toldAt >= TELLING_INTERVAL_MS;
    this.#troubled.delete(place);
    this.#troubled.set(place, isDue ? now : toldAt);
    for (const longestAgo of this.#troubled.keys()) {
      if (this.#troubled.size <= TROUBLED_MAX) break;
      this.#troubled.delete(longestAgo);
    }
    return isDue;
  }
}
