import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatCursor, parseCursor } from '../../../src/server/kernel/cursor.ts';

const position = fc.record({
  boardId: fc.integer({ min: 1, max: 0x7fffffff }),
  incarnation: fc.string({
    unit: fc.constantFrom(...'0123456789abcdefghijklmnopqrstuvwxyz'),
    minLength: 8,
    maxLength: 8,
  }),
  seq: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
});

test('a cursor names board, incarnation and position, and gives them back', () => {
  fc.assert(
    fc.property(position, (value) => {
      expect(parseCursor(formatCursor(value))).toEqual(value);
    }),
  );
});

test('no two positions share a cursor', () => {
  fc.assert(
    fc.property(position, position, (left, right) => {
      const isSame = JSON.stringify(left) === JSON.stringify(right);
      return (formatCursor(left) === formatCursor(right)) === isSame;
    }),
  );
});

test('a cursor goes into a URL as it is', () => {
  fc.assert(
    fc.property(position, (value) => encodeURIComponent(formatCursor(value)) === formatCursor(value)),
  );
});

test('what was made up is no cursor, and one position has one spelling', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.base64String()), (text) => {
      const parsed = parseCursor(text);
      return parsed === null || formatCursor(parsed) === text;
    }),
  );
  const encode = (text: string) => Buffer.from(text).toString('base64url');
  expect(parseCursor(encode('1.abcdefgh.2'))).toEqual({ boardId: 1, incarnation: 'abcdefgh', seq: 2 });
  for (const text of [
    '01.abcdefgh.2',
    '1.abcdefgh.02',
    '1.abcdefgh',
    '1.abcdefgh.-2',
    '1.ABCDEFGH.2',
    '1.abcdefgh.zzzzzzzzzzz',
  ])
    expect(parseCursor(encode(text)), text).toBeNull();
});
