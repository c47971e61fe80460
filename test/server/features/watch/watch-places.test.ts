import { expect, test } from 'vitest';
import { WatchPlaces } from '../../../../src/server/features/watch/watch-places.ts';

const KEY = { kind: 'key', keyId: 'key_1' } as never;
const OTHER = { kind: 'key', keyId: 'key_2' } as never;
const TOKEN = { kind: 'claim', runId: 'run_1' } as never;
const PLAIN = { words: 0, hasOutput: false };
const OUTPUT = { words: 0, hasOutput: true };

test.each([
  ['watches of a key', KEY, PLAIN, 10_000],
  ['watches of a claim token', TOKEN, PLAIN, 100],
  ['watches with output of a key', KEY, OUTPUT, 1000],
  ['watches with output of a claim token', TOKEN, OUTPUT, 20],
  ['filter words of a key', KEY, { words: 200, hasOutput: false }, 500],
  ['filter words of a claim token', TOKEN, { words: 200, hasOutput: false }, 10],
])('%s have a bound over all sockets, and one that ends makes room', (_what, caller, need, most) => {
  const places = new WatchPlaces();
  const leaves = Array.from({ length: most }, () => places.take(caller, need));
  expect(() => places.take(caller, need)).toThrow(expect.objectContaining({ code: 'rate_limited' }));
  places.take(OTHER, need);
  leaves[0]?.();
  const leave = places.take(caller, need);
  expect(() => places.take(caller, need)).toThrow();
  for (const each of [leave, ...leaves.slice(1)]) each();
  for (let count = 0; count < most; count += 1) places.take(caller, need);
});
