/** The line of one lane while looks for its next task are slow: from where on to look, and when from the start again. Pure. */
import type { Place } from '../store/ready-line.ts';

/** Of what was found in a line by one look. */
export interface Found {
  /** Tasks that were claimed, one at least. */
  readonly count: number;
  readonly last: Place;
  /** The longest from one task to the next, or from the beginning to the first. */
  readonly gapMs: number;
}

/** To come from one task to the next. It takes some 0.01 ms with nothing between them, and so long past 7,000 that were claimed. */
const SLOW_MS = 0.5;
/** In a row: one may have waited for the disk or for a core. */
const SLOW_LOOKS = 3;
/** So many are passed in 0.15 ms: with fewer claimed since looks are slow, it may be something else. */
const CLAIMED_MIN = 2000;
/** Looks from the start of all lines of a board take this share of the time... */
const LOOK_SHARE = 0.05;
const LOOK_INTERVAL_MS_MIN = 100;
/** ...as long as that leaves them often enough... */
const LOOK_INTERVAL_MS_MAX = 1000;
/** ...and where even that is too often, this share. */
const LOOK_SHARE_MAX = 0.1;
/** A look that fails after so long was too slow; before, it has shown nothing. */
const LONG_MS = 1000;

export class Line {
  #place: Place | null = null;
  #claimed = 0;
  #slowLooks = 0;
  #slowLooksFromPlace = 0;
  #lookMs = 0;
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  static isSlow({ gapMs }: Found): boolean {
    return gapMs > SLOW_MS;
  }

  /** What a look from its start takes, where it is spared that; else 0. */
  get sparedMs(): number {
    return this.#place === null ? 0 : this.#lookMs;
  }

  /** From where on it is to be looked at now; null: from its start, as is due after the interval. */
  placeAt(nowMs: number, intervalMs: number): Place | null {
    return nowMs - this.#lookedAtMs < intervalMs ? this.#place : null;
  }

  /** What becomes ready while that look is under way waits for the next one: it counts from its beginning. */
  beginFromStart(nowMs: number): void {
    this.#lookedAtMs = nowMs;
  }

  /** What a look from the start has found. Answers whether the line is still slow: else there is nothing to remember of it. */
  foundFromStart(found: Found): boolean {
    this.#claimed += found.count;
    // Filled before it came to where the slow ones end: that it was fast proves nothing.
    const isShort = this.#place !== null && isBefore(found.last, this.#place);
    if (Line.isSlow(found)) {
      this.#slowLooks += 1;
      this.#lookMs = found.gapMs;
    } else if (!isShort) return false;
    if (this.#slowLooks >= SLOW_LOOKS && this.#claimed >= CLAIMED_MIN) this.#place = found.last;
    return true;
  }

  /** What a look from its place on has found. Answers false where such looks are no faster: then it is not what was claimed before. */
  foundFromPlace(found: Found): boolean {
    this.#claimed += found.count;
    if (this.#place === null) return true; // Given up while this look was under way, and slow again.
    if (isBefore(this.#place, found.last)) this.#place = found.last;
    const isNoFaster = Line.isSlow(found) && 2 * found.gapMs > this.#lookMs;
    this.#slowLooksFromPlace = isNoFaster ? this.#slowLooksFromPlace + 1 : 0;
    return this.#slowLooksFromPlace < SLOW_LOOKS;
  }

  /** A look from the start that was begun then came to nothing. */
  failedFromStart(begunAtMs: number, nowMs: number): void {
    if (this.#lookedAtMs !== begunAtMs) return;
    const tookMs = nowMs - begunAtMs;
    const isTooSlow = tookMs >= LONG_MS;
    if (isTooSlow) this.#lookMs = Math.max(this.#lookMs, tookMs);
    this.#lookedAtMs = isTooSlow ? nowMs : Number.NEGATIVE_INFINITY;
  }
}

/** Between two looks at one line from its start, where the lines of its board are spared so much. */
export function intervalMs(sparedMs: number): number {
  const usual = Math.max(LOOK_INTERVAL_MS_MIN, sparedMs / LOOK_SHARE);
  return Math.max(Math.min(usual, LOOK_INTERVAL_MS_MAX), sparedMs / LOOK_SHARE_MAX);
}

/** Higher priorities first, then the older task. */
function isBefore(place: Place, other: Place): boolean {
  return place.priority === other.priority ? place.id < other.id : place.priority > other.priority;
}
