import { expect, test } from 'vitest';
import { withoutColours } from '../../../src/server/kernel/colours.ts';

test('words are left of a coloured line, also where it was cut within a colour', () => {
  expect(withoutColours('\u001b[1;38:5:9mred\u001b[0m and \u001b[3')).toBe('red and ');
  expect(withoutColours('[31m is no colour')).toBe('[31m is no colour');
});
