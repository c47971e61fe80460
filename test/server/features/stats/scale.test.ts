/** The scale keeps its promise: percentiles within 10 %, whatever the durations. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { addCounts, durationsOf } from '../../../../src/server/features/stats/scale.ts';

/** As the statement that counts has it. */
function stepOf(seconds: number): number {
  return Math.floor(4 * Math.log2(Math.max(seconds * 1000, 1)));
}

function countsOf(durations: readonly number[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const seconds of durations) addCounts(counts, new Map([[stepOf(seconds), 1]]));
  return counts;
}

test('percentiles of any durations from a millisecond to a month are within 10 % of the true ones', () => {
  const seconds = fc.double({ min: 0.001, max: 30 * 86_400, noNaN: true });
  fc.assert(
    fc.property(fc.array(seconds, { minLength: 1, maxLength: 200 }), (durations) => {
      const sorted = [...durations].sort((left, right) => left - right);
      const trueAt = (share: number) => sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN;
      const { count, p50_seconds, p95_seconds } = durationsOf(countsOf(durations));
      expect(count).toBe(durations.length);
      for (const [said, share] of [
        [p50_seconds, 0.5],
        [p95_seconds, 0.95],
      ] as const)
        expect(Math.abs((said ?? 0) / trueAt(share) - 1)).toBeLessThan(0.1);
    }),
  );
});

test('counts of two places add up to what they are together', () => {
  const durations = [0.002, 0.5, 3, 3, 60, 7200];
  const sum = countsOf(durations.slice(0, 2));
  addCounts(sum, countsOf(durations.slice(2)));
  expect(durationsOf(sum)).toEqual(durationsOf(countsOf(durations)));
});

test('of nothing there is no percentile, and what is shorter than a millisecond counts as one', () => {
  expect(durationsOf(new Map())).toEqual({ count: 0, p50_seconds: null, p95_seconds: null });
  expect(durationsOf(countsOf([0, 0.0001])).p95_seconds).toBeLessThan(0.0012);
});
