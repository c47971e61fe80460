/** Addresses as they stand in the browser. */
import { expect, test } from 'vitest';
import { withoutEndingSlash } from '../../src/dashboard/shell/links.ts';

test.each([
  ['/boards/a/?q=b', '/boards/a?q=b'],
  ['/boards/a/', '/boards/a'],
  ['/boards/a/#event-1', '/boards/a#event-1'],
  ['/boards/a/lanes?q=b/', '/boards/a/lanes?q=b/'],
  ['/boards/a#b/', '/boards/a#b/'],
  ['/boards/a', '/boards/a'],
  ['/?q=b', '/?q=b'],
  ['/', '/'],
])('%s is %s', (address, expected) => {
  expect(withoutEndingSlash(address)).toBe(expected);
});
