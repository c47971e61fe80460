/** By a clock that only work moves: what takes how long is known exactly. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { isSliceOver, nextTurn } from '../../../src/server/kernel/time-slice.ts';

const SLICE_MS = 10;

let nowMs = 0;

beforeEach(async () => {
  vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
  // What the last test has begun ends with its turn.
  for (let turn = 0; turn < 2; turn += 1) await turnOver();
});
afterEach(() => {
  vi.restoreAllMocks();
});

const turnOver = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Does pieces of so many milliseconds until it is told to stop; resolves to how many. */
async function work(pieceMs: number, isDone: (count: number) => boolean): Promise<number> {
  let count = 0;
  while (!isDone(count)) {
    if (isSliceOver()) await nextTurn();
    nowMs += pieceMs;
    count += 1;
  }
  return count;
}

test('beside work that never ends, work in pieces a hundred times as small gets half of the time', async () => {
  let isOver = false;
  const endless = work(1, () => isOver);
  const startedAt = nowMs;
  await work(0.01, (count) => count === 3000);
  const tookMs = nowMs - startedAt;
  isOver = true;
  // 30 ms of its own; one piece a turn would have been 3,000 slices of somebody else.
  expect(await endless).toBeLessThanOrEqual(50);
  expect(tookMs).toBeLessThanOrEqual(80);
});

test('a turn is no longer for many at work than for one', async () => {
  let isOver = false;
  const workers = Array.from({ length: 40 }, () => work(0.01, () => isOver));
  await turnOver();
  const counts: number[] = [];
  for (let turn = 0; turn < 20; turn += 1) {
    const startedAt = nowMs;
    await turnOver();
    counts.push(nowMs - startedAt);
  }
  isOver = true;
  await Promise.all(workers);
  // A piece each is done past the end of the share.
  expect(Math.max(...counts)).toBeLessThanOrEqual(SLICE_MS + 40 * 0.01 + 0.01);
});

test('who is alone has the whole slice, and what one leaves of its share is for the others', async () => {
  const alone = work(1, (count) => count === 40);
  let turns = 0;
  let isDone = false;
  void alone.then(() => {
    isDone = true;
  });
  while (!isDone) {
    await turnOver();
    turns += 1;
  }
  expect(turns).toBeLessThanOrEqual(5);

  // Three go on in one turn, of whom two have nothing to do.
  nowMs += SLICE_MS;
  const idle = [nextTurn(), nextTurn()];
  let done = 0;
  const busy = nextTurn().then(() => {
    while (!isSliceOver()) {
      nowMs += 1;
      done += 1;
    }
  });
  await Promise.all([...idle, busy]);
  expect(done).toBe(SLICE_MS);
});
