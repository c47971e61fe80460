/** Which entries one page of the audit log looks at: a stretch of numbers with a bound, whatever is asked for and however rare that is. */

/** Some 10 ms. Behind them the page ends, with a cursor to go on from, also when it has found nothing. */
export const LOOKED_AT_MAX = 20_000;

/** Numbers, both ends included; empty where `from` is above `to`. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
}

export interface PagePlace {
  /** Behind which, or before which, is read. */
  readonly seq: number;
  readonly isBackwards: boolean;
}

/** The part of `all` that is looked at now, and whether there is more of it beyond. */
export function stretchOf({ seq, isBackwards }: PagePlace, all: Stretch): Stretch & { hasMore: boolean } {
  if (isBackwards) {
    const to = Math.min(all.to, seq - 1);
    const from = Math.max(all.from, to - LOOKED_AT_MAX + 1);
    return { from, to, hasMore: from > all.from && from <= to };
  }
  const from = Math.max(all.from, seq + 1);
  const to = Math.min(all.to, from + LOOKED_AT_MAX - 1);
  return { from, to, hasMore: to < all.to && from <= to };
}
