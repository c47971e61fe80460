import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Client, Event, StateName } from '../../../src/client/index.ts';
import { type Connection, LogFollower } from '../../../src/dashboard/live/log-follower.ts';
import { AT_MS, event } from '../fixtures/cards.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Each watch is as the test says: how it begins, and how it ends when it is told to. */
function followed(serverNowMs = AT_MS) {
  const said: Connection[] = [];
  const reads: number[] = [];
  let push = (_event: Event | null): void => undefined;
  let onState = (_state: StateName): void => undefined;
  let first: StateName | null = 'live';
  async function* events(signal: AbortSignal): AsyncGenerator<Event> {
    for (;;) {
      const next = await new Promise<Event | null>((resolve) => {
        push = resolve;
        signal.addEventListener('abort', () => resolve(null));
      });
      if (next === null) return;
      yield next;
    }
  }
  const client = {
    watch: (options: { onState: (state: StateName) => void }, signal: AbortSignal) => {
      onState = options.onState;
      if (first !== null) onState(first);
      return events(signal);
    },
  } as unknown as Client;
  const follower = new LogFollower(client, () => serverNowMs, {
    readAll: () => {
      reads.push(performance.now());
      return Promise.resolve('c0');
    },
    onEvent: () => undefined,
    onConnection: (connection) => said.push(connection),
  });
  const turn = (ms = 0): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);
  return {
    follower,
    said,
    reads,
    turn,
    send: async (given: Event) => {
      push(given);
      await turn();
    },
    endWatch: async () => {
      push(null);
      await turn();
    },
    state: (state: StateName) => onState(state),
    neverLive: () => {
      first = null;
    },
  };
}

const pausesBetween = (times: readonly number[]): number[] =>
  times.slice(1).map((time, index) => Math.round(time - (times[index] ?? 0)));

test.each([
  ['that is never live', true],
  ['that is live for a moment only', false],
])('a log %s is read anew more and more seldom', async (_, isNeverLive) => {
  const log = followed();
  if (isNeverLive) log.neverLive();
  log.follower.start();
  await log.turn();
  for (const pauseMs of [250, 1000, 3000, 10_000, 10_000]) {
    await log.endWatch();
    await log.turn(pauseMs);
  }
  expect(pausesBetween(log.reads)).toEqual([250, 1000, 3000, 10_000, 10_000]);
  log.follower.stop();
});

test('what has worked for a while is taken up again soon', async () => {
  const log = followed();
  log.follower.start();
  await log.turn();
  await log.endWatch();
  await log.turn(250);
  await log.endWatch();
  await log.turn(1000);
  await log.turn(10_000);
  await log.endWatch();
  await log.turn(250);
  expect(log.reads.length).toBe(4);
  log.follower.stop();
});

test('asked to, it reads everything anew, and not without a pause', async () => {
  const log = followed();
  log.follower.start();
  await log.turn();
  log.follower.resync();
  await log.turn();
  expect(log.reads.length).toBe(1);
  await log.turn(250);
  expect(log.reads.length).toBe(2);
  log.follower.stop();
});

test('a connection that is lost while old events come is not called live', async () => {
  const log = followed(AT_MS + 60_000);
  log.follower.start();
  await log.turn();
  await log.send(event('task.commented'));
  expect(log.said.at(-1)).toBe('catching_up');
  log.state('backing_off');
  await log.turn(1000);
  expect(log.said.at(-1)).toBe('offline');
  log.follower.stop();
});

test('old events that have all come are caught up with', async () => {
  const log = followed(AT_MS + 60_000);
  log.follower.start();
  await log.turn();
  await log.send(event('task.commented'));
  await log.turn(300);
  expect(log.said.at(-1)).toBe('live');
  log.follower.stop();
  log.state('live');
  expect(log.said.at(-1)).toBe('live');
});
