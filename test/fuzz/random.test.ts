import { expect, test } from 'vitest';
import { Random } from './random.ts';

test('the same seed makes the same choices, another one others', () => {
  const choices = (seed: number): number[] => {
    const random = new Random(seed);
    return Array.from({ length: 50 }, () => random.whole(0, 1000));
  };
  expect(choices(7)).toEqual(choices(7));
  expect(choices(7)).not.toEqual(choices(8));
  expect(new Set(choices(7)).size).toBeGreaterThan(40);
  expect(choices(7).every((choice) => choice >= 0 && choice <= 1000)).toBe(true);
});
