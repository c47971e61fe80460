import fc from 'fast-check';
import { expect, test } from 'vitest';
import { excerptOf } from '../../../src/server/kernel/excerpt.ts';

test('an excerpt is the longest beginning within the bound that is well-formed', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 20 }),
      fc.integer({ min: 1, max: 12 }),
      (text, max) => {
        const excerpt = excerptOf(text, max);
        expect(text.startsWith(excerpt)).toBe(true);
        expect(excerpt.isWellFormed()).toBe(true);
        expect(excerpt.length).toBeLessThanOrEqual(max);
        if (text.length > max) expect(excerpt.length).toBeGreaterThanOrEqual(max - 1);
        else expect(excerpt).toBe(text);
      },
    ),
  );
  expect(excerptOf('ab😀', 3)).toBe('ab');
});
