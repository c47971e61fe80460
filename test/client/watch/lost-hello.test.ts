import { expect, test } from 'vitest';
import { LostHello } from '../../../src/client/watch/lost-hello.ts';

test('a hello that was never answered excuses one close, for as long as it may still be written', () => {
  let nowMs = 0;
  const hello = new LostHello(() => nowMs);
  const lose = (): void => {
    hello.onSaid();
    hello.onSocketGone();
  };
  expect(hello.excuse(), 'nothing was said').toBe(false);
  lose();
  hello.onSaid();
  nowMs += 59_999;
  expect(hello.excuse(), 'the hello before').toBe(true);
  hello.onSocketGone();
  hello.onSaid();
  expect(hello.excuse(), 'a second time, though the close was all that the last hello got').toBe(false);
  lose();
  nowMs += 60_000;
  expect(hello.excuse(), 'too long ago').toBe(false);
  hello.onSaid();
  hello.onAnswered();
  hello.onSocketGone();
  expect(hello.excuse(), 'it was answered').toBe(false);
});
