import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Rereads } from '../../../src/dashboard/live/rereads.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const NAME = '["default","attention"]';
const LEAST_MS = 400;

/** Reads that end when the test says so. */
function slowReads() {
  let isPaused = false;
  const ends: (() => void)[] = [];
  const keys: unknown[] = [];
  const read = (): Promise<unknown> =>
    rereads.during(
      NAME,
      () =>
        new Promise((resolve) => {
          ends.push(() => resolve(null));
        }),
    );
  const rereads: Rereads = new Rereads(
    (key) => {
      keys.push(key);
      void read();
    },
    () => isPaused,
  );
  const end = async (): Promise<void> => {
    ends.shift()?.();
    await vi.advanceTimersByTimeAsync(0);
  };
  const pause = (): void => {
    isPaused = true;
  };
  return { rereads, read, end, pause, keys, underWay: () => ends.length };
}

test('however busy the log is, a read under way comes to its end and is repeated once after it', async () => {
  const { rereads, read, end, keys, underWay } = slowReads();
  rereads.show(NAME);
  void read();
  for (let event = 0; event < 50; event += 1) {
    rereads.touch(NAME, LEAST_MS);
    await vi.advanceTimersByTimeAsync(100);
  }
  expect([keys.length, underWay()]).toEqual([0, 1]);
  await end();
  await vi.advanceTimersByTimeAsync(LEAST_MS - 1);
  expect(keys.length).toBe(0);
  await vi.advanceTimersByTimeAsync(1);
  expect(keys).toEqual([['default', 'attention']]);
  await end();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(keys.length).toBe(1);
});

test('the first event after a quiet time is answered at once, and two views of one thing read it once', async () => {
  const { rereads, read, end, keys } = slowReads();
  rereads.show(NAME);
  const hide = rereads.show(NAME);
  void read();
  await end();
  await vi.advanceTimersByTimeAsync(10_000);
  rereads.touch(NAME, LEAST_MS);
  rereads.touch(NAME, LEAST_MS);
  await vi.advanceTimersByTimeAsync(0);
  expect(keys.length).toBe(1);
  hide();
  await end();
  rereads.touch(NAME, LEAST_MS);
  await vi.advanceTimersByTimeAsync(LEAST_MS);
  expect(keys.length).toBe(2);
});

test('what nobody looks at any more is not read again', async () => {
  const { rereads, read, end, keys } = slowReads();
  const hide = rereads.show(NAME);
  void read();
  rereads.touch(NAME, LEAST_MS);
  hide();
  await end();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(keys.length).toBe(0);
});

test('while the board is paused nothing is read again, not even what was touched before', async () => {
  const { rereads, read, end, pause, keys } = slowReads();
  rereads.show(NAME);
  void read();
  rereads.touch(NAME, LEAST_MS);
  pause();
  await end();
  rereads.touch(NAME, LEAST_MS);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(keys.length).toBe(0);
});
