/** The line of one lane while looks for its next task are slow: from where on to look, and when from the start again. Pure. */
import type { Place } from '../store/ready-line.ts';

/** Of what was found in a line by one look. */
export interface Found {
  /** Tasks that were claimed, one at least. */
  readonly count: number;
  readonly last: Place;
  /** The longest from one task to the next, or from the beginning to the first. */
  readonly gapMs: number;
  /** From the beginning to the last one. */
  readonly lookMs: number;
}

/** What was known of the line when a look at it began. */
export interface Begun {
  /** null: it began at the start. */
  readonly from: Place | null;
  /** So far looks from the start were slow. null: that was not seen yet. */
  readonly slowUpTo: Place | null;
  /** Of one from the start, and what it puts back when it fails. */
  readonly before: TurnAtStart;
}

/** When the next look from the start is due. */
interface TurnAtStart {
  /** When the last one began; minus infinity: there was none. */
  readonly lookedAtMs: number;
  /** It was filled in front of the place: there may be more, and to look is cheap. */
  readonly isMoreInFront: boolean;
}

/** To come from one task to the next. It takes some 0.01 ms with nothing between them, and so long past 7,000 that were claimed. */
const SLOW_MS = 0.5;
/** One may have waited for the disk or for a core. */
const SLOW_LOOKS = 3;
/** So many are passed in 0.15 ms: with fewer claimed since looks are slow, it may be something else. */
const CLAIMED_MIN = 2000;

/** Looks from the start that are spared otherwise take this share of the time... */
const LOOK_SHARE = 0.05;
const LOOK_INTERVAL_MS_MIN = 100;
/** ...as long as that leaves them often enough... */
const LOOK_INTERVAL_MS_MAX = 1000;
/** ...and where even that is too often, this share. */
const LOOK_SHARE_MAX = 0.1;
/** One that failed because it took too long may have waited for something else: it is believed up to so many times what the last one took. */
const BELIEVED_FACTOR = 4;
/** A slow line that nobody looked at for so long takes no part in the time for looks from the start. */
const QUIET_MS = 10_000;

const NEVER_AT_START: TurnAtStart = { lookedAtMs: Number.NEGATIVE_INFINITY, isMoreInFront: false };
/** The line was not known when the look at it began. */
export const FROM_AN_UNKNOWN_START: Begun = { from: null, slowUpTo: null, before: NEVER_AT_START };

export class Line {
  #place: Place | null = null;
  #slowUpTo: Place | null = null;
  #claimed = 0;
  #slowLooks = 0;
  #idleLooks = 0;
  #lookMs = 0;
  #atStart: TurnAtStart = NEVER_AT_START;
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  /** One stretch was passed in which there was nothing, and that took most of the look: large looks are no slow ones. */
  static isSlow({ gapMs, lookMs }: Found): boolean {
    return gapMs > SLOW_MS && 2 * gapMs > lookMs;
  }

  /** It need not be looked at from its start, but now and then. */
  get isSpared(): boolean {
    return this.#place !== null;
  }

  /** It is one of those that share the time for looks from the start. */
  isSharing(nowMs: number): boolean {
    return this.isSpared && nowMs - this.#lookedAtMs < QUIET_MS;
  }

  /** When the last look from the start began; minus infinity: there was none. */
  get lookedAtStartMs(): number {
    return this.#atStart.lookedAtMs;
  }

  /** There may be more in front, and that costs little: the last look from the start has shown it. */
  get isMoreInFront(): boolean {
    return this.#atStart.isMoreInFront;
  }

  /** @param sharing How many lines share the time, with this one. */
  isDueAtStart(nowMs: number, sharing: number): boolean {
    return nowMs - this.#atStart.lookedAtMs >= sharing * intervalAfter(this.#lookMs);
  }

  beginFromPlace(nowMs: number): Begun {
    this.#lookedAtMs = nowMs;
    return { from: this.#place, slowUpTo: this.#slowUpTo, before: this.#atStart };
  }

  /** What becomes ready while that look is under way waits for the next one: it counts from its beginning. */
  beginFromStart(nowMs: number): Begun {
    this.#lookedAtMs = nowMs;
    const before = this.#atStart;
    this.#atStart = { lookedAtMs: nowMs, isMoreInFront: false };
    return { from: null, slowUpTo: this.#slowUpTo, before };
  }

  /** Answers whether the line is still slow, or no faster from its place: else there is nothing to remember of it. */
  found(found: Found, begun: Begun): boolean {
    this.#claimed += found.count;
    return begun.from === null ? this.#foundFromStart(found, begun) : this.#foundFromPlace(found, begun.from);
  }

  #foundFromStart(found: Found, { slowUpTo }: Begun): boolean {
    if (Line.isSlow(found)) {
      this.#slowLooks += 1;
      this.#lookMs = found.gapMs;
      if (this.#slowUpTo === null || isBefore(this.#slowUpTo, found.last)) this.#slowUpTo = found.last;
      if (this.#slowLooks >= SLOW_LOOKS && this.#claimed >= CLAIMED_MIN) this.#place = found.last;
      return true;
    }
    if (slowUpTo === null || !isBefore(found.last, slowUpTo)) return false;
    // It was filled before it came to where the slow ones had ended, so that it was fast proves nothing; and there may be more in front.
    this.#atStart = { ...this.#atStart, isMoreInFront: true };
    return true;
  }

  #foundFromPlace(found: Found, from: Place): boolean {
    // Set back while this look was under way, or given up and slow again: it has seen nothing of what is in front now.
    if (this.#place === null || isBefore(this.#place, from)) return true;
    if (isBefore(this.#place, found.last)) this.#place = found.last;
    const hadToBeSlow = this.#slowUpTo !== null && isBefore(from, this.#slowUpTo);
    const isNoFaster = Line.isSlow(found) && 2 * found.gapMs > this.#lookMs && !hadToBeSlow;
    this.#idleLooks = isNoFaster ? this.#idleLooks + 1 : 0;
    return this.#idleLooks < SLOW_LOOKS;
  }

  /** A look from the start that was begun then came to nothing: as if it had not been, or it was too slow for whoever waited for it. */
  failedFromStart(begunAtMs: number, { before }: Begun, tooSlowMs: number | null): void {
    if (tooSlowMs !== null)
      this.#lookMs = Math.max(this.#lookMs, Math.min(tooSlowMs, BELIEVED_FACTOR * this.#lookMs));
    else if (this.#atStart.lookedAtMs === begunAtMs) this.#atStart = before;
  }
}

/** Until the next look from the start at the only slow line of a board, after one that takes so long. */
function intervalAfter(lookMs: number): number {
  const usual = Math.max(LOOK_INTERVAL_MS_MIN, lookMs / LOOK_SHARE);
  return Math.max(Math.min(usual, LOOK_INTERVAL_MS_MAX), lookMs / LOOK_SHARE_MAX);
}

/** Higher priorities first, then the older task. */
function isBefore(place: Place, other: Place): boolean {
  return place.priority === other.priority ? place.id < other.id : place.priority > other.priority;
}
