/** When those who follow a log are told that it may be another one, which no number needs to show. */
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { createWake } from '../../../src/server/db/wake.ts';

/** Where nobody is notified. */
const POLL_MS = 50;
/** At least one poll that also asks which log it is. */
const WHICH_POLL_MS = 500;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A wake over two boards' logs, and what is told of the first one: `look`, or `doubt`. */
async function setup(mode: 'listen' | 'poll') {
  const state = {
    logs: [
      { board_id: 1, seq: 5, log: 'a' },
      { board_id: 2, seq: 5, log: 'a' },
    ],
    asked: { which: 0, seq: 0 },
    isAway: false,
    reconnect: (): void => undefined,
  };
  const told: string[] = [];
  const database = {
    wakes: async ([statement]: readonly string[]) => {
      if (state.isAway) throw new Error('away');
      const isWhichAsked = statement?.includes('wake.poll_which') === true;
      state.asked[isWhichAsked ? 'which' : 'seq'] += 1;
      return state.logs.map((row) => ({ ...row, log: isWhichAsked ? row.log : null }));
    },
    listen: async (_channel: string, _onPayload: unknown, onListening: () => void) => {
      state.reconnect = onListening;
    },
  };
  const wake = createWake({ database: database as never, mode, onError: () => undefined });
  wake.subscribe(1, (isDoubt) => told.push(isDoubt ? 'doubt' : 'look'));
  wake.subscribe(2, () => undefined);
  const stopping = new AbortController();
  const running = wake.run(stopping.signal);
  onTestFinished(async () => {
    stopping.abort();
    await running;
  });
  const poll = (): Promise<unknown> => vi.advanceTimersByTimeAsync(WHICH_POLL_MS);
  await poll();
  told.length = 0;
  return { wake, state, first: state.logs[0] as { seq: number; log: string }, told, poll };
}

test('growth is no doubt, and nothing is nothing', async () => {
  const { first, told, poll } = await setup('poll');
  await poll();
  first.seq = 6;
  await poll();
  await poll();
  expect(told).toEqual(['look']);
});

test('which log it is, is asked for seldom, and growth is told at the next poll', async () => {
  const { state, first, told, poll } = await setup('poll');
  state.asked = { which: 0, seq: 0 };
  await poll();
  expect(state.asked.which).toBe(1);
  expect(state.asked.seq).toBeGreaterThanOrEqual(8);
  first.seq = 6;
  await vi.advanceTimersByTimeAsync(POLL_MS);
  expect(told).toEqual(['look']);
});

test('a log that ends earlier is doubted at the next poll, whichever that asks for', async () => {
  const { first, told } = await setup('poll');
  first.seq = 4;
  await vi.advanceTimersByTimeAsync(POLL_MS);
  expect(told).toEqual(['doubt']);
});

test.each([
  ['ends earlier than it did', { seq: 4 }],
  ['has another incarnation, or is at another server, and ends where it did', { log: 'b' }],
])('a log that %s is doubted, once', async (_what, change) => {
  const { first, told, poll } = await setup('poll');
  Object.assign(first, change);
  await poll();
  await poll();
  expect(told).toEqual(['doubt']);
});

describe('a log that is another one, and has grown,', () => {
  test.each<['listen' | 'poll', string, string[]]>([
    ['listen', 'before anybody looks at its growth', ['doubt']],
    ['poll', 'though its growth may be told before', ['look', 'doubt']],
  ])('is doubted in mode %s, once, %s', async (mode, _when, expected) => {
    const { first, told, poll } = await setup(mode);
    Object.assign(first, { seq: 7, log: 'b' });
    await poll();
    await poll();
    expect(told).toEqual(expected);
  });
});

test('a log that becomes another one before it was asked for which it is, is doubted', async () => {
  const { state, wake, poll } = await setup('poll');
  const told: string[] = [];
  const third = { board_id: 3, seq: 5, log: 'a' };
  state.logs.push(third);
  wake.subscribe(3, (isDoubt) => told.push(isDoubt ? 'doubt' : 'look'));
  await vi.advanceTimersByTimeAsync(POLL_MS);
  expect(told).toEqual(['look']);
  third.log = 'b';
  await poll();
  await poll();
  expect(told).toEqual(['look', 'doubt']);
});

test('after polls that failed every log is doubted, wherever it ends', async () => {
  const { state, told, poll } = await setup('poll');
  state.isAway = true;
  await poll();
  await poll();
  expect(told).toEqual([]);
  state.isAway = false;
  await poll();
  await poll();
  expect(told).toEqual(['doubt']);
});

test('after notifications were cut off every log is doubted, wherever it ends', async () => {
  const { state, told } = await setup('listen');
  state.reconnect();
  expect(told).toEqual(['doubt']);
});
