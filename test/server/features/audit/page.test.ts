/** A page looks at a bounded stretch of the log, and one after the other they are all of it. */
import { expect, test } from 'vitest';
import { LOOKED_AT_MAX, stretchOf } from '../../../../src/server/features/audit/page.ts';

const ALL = { from: 11, to: 3 * LOOKED_AT_MAX + 17 };

test.each([false, true])('stretches follow each other without a gap (backwards: %s)', (isBackwards) => {
  let seq = isBackwards ? ALL.to + 1 : ALL.from - 1;
  let looked = 0;
  for (let hasMore = true; hasMore; ) {
    const stretch = stretchOf({ seq, isBackwards }, ALL);
    expect(isBackwards ? stretch.to + 1 : stretch.from - 1).toBe(seq);
    const size = stretch.to - stretch.from + 1;
    expect(size).toBeLessThanOrEqual(LOOKED_AT_MAX);
    looked += size;
    seq = isBackwards ? stretch.from : stretch.to;
    hasMore = stretch.hasMore;
  }
  expect(looked).toBe(ALL.to - ALL.from + 1);
});

test('nothing is looked at, and nothing is beyond, where there is nothing', () => {
  for (const isBackwards of [false, true]) {
    const { from, to, hasMore } = stretchOf({ seq: 5, isBackwards }, { from: 10, to: 9 });
    expect([from <= to, hasMore]).toEqual([false, false]);
  }
});
