import { expect, test } from 'vitest';
import { guesserOf } from '../../../../src/server/features/auth/guesser.ts';

test.each([
  ['2001:db8:1:2::7', '2001:db8:1:2::/64'],
  ['2001:db8:1:2:ffff:ffff:ffff:ffff', '2001:db8:1:2::/64'],
  ['2001:db8:1:3::7', '2001:db8:1:3::/64'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['198.51.100.7', '198.51.100.7'],
  ['', ''],
])('guesses from %s are counted for %s', (address, guesser) => {
  expect(guesserOf(address)).toBe(guesser);
});
