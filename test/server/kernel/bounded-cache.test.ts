import { expect, test } from 'vitest';
import { boundedCache } from '../../../src/server/kernel/bounded-cache.ts';

test('forgets what was used longest ago, above its number of entries and not before', () => {
  const cache = boundedCache<string, number>(3);
  for (const [index, key] of ['a', 'b', 'c'].entries()) cache.set(key, index);
  expect(cache.get('a')).toBe(0);
  cache.set('d', 3);
  expect([...cache.keys()].sort()).toEqual(['a', 'c', 'd']);
  cache.set('d', 4);
  expect(cache.size).toBe(3);
});

test('keeps an entry for its time, and without one until there is no room', () => {
  const [aging, lasting] = [boundedCache<string, number>(3, 1000), boundedCache<string, number>(3)];
  aging.set('a', 1);
  lasting.set('a', 1);
  expect(aging.getRemainingTTL('a')).toBeGreaterThan(0);
  expect(aging.getRemainingTTL('a')).toBeLessThanOrEqual(1000);
  expect(lasting.getRemainingTTL('a')).toBe(Number.POSITIVE_INFINITY);
});
