import fc from 'fast-check';
import { expect, test } from 'vitest';
import { backoffSeconds, TASK_BACKOFF } from '../../../src/server/kernel/backoff.ts';

const policy = fc.record({
  baseSeconds: fc.double({ min: 0, max: 86_400, noNaN: true }),
  factor: fc.double({ min: 1, max: 100, noNaN: true }),
  capSeconds: fc.double({ min: 0, max: 86_400, noNaN: true }),
});
const failures = fc.integer({ min: 1, max: 1000 });

test('the delay lies between nothing and the cap, whatever the policy', () => {
  const draw = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  fc.assert(
    fc.property(policy, failures, draw, (given, count, random) => {
      const seconds = backoffSeconds(given, count, () => random);
      return seconds >= 0 && seconds <= given.capSeconds;
    }),
  );
});

test('the ceiling never falls with another failure', () => {
  const ceiling = (given: typeof TASK_BACKOFF, count: number) => backoffSeconds(given, count, () => 1);
  fc.assert(
    fc.property(policy, failures, (given, count) => ceiling(given, count) <= ceiling(given, count + 1)),
  );
});

test('the default is 1 s, doubling, at most 300 s, drawn over the whole span', () => {
  expect([1, 2, 3, 9, 10, 1000].map((count) => backoffSeconds(TASK_BACKOFF, count, () => 1))).toEqual([
    1, 2, 4, 256, 300, 300,
  ]);
  const drawn = Array.from({ length: 200 }, () => backoffSeconds(TASK_BACKOFF, 5));
  expect(Math.max(...drawn)).toBeLessThanOrEqual(16);
  expect(Math.max(...drawn) - Math.min(...drawn)).toBeGreaterThan(4);
});
