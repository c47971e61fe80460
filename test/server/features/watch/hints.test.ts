import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Event } from '../../../../src/contract/events.ts';
import type { EventKind } from '../../../../src/contract/statuses.ts';
import { LaneHints } from '../../../../src/server/features/watch/hints.ts';
import type { Follower } from '../../../../src/server/features/watch/service.ts';
import type { PreparedFrame } from '../../../../src/server/ws/prepared-frame.ts';

const BOARD = { id: 1, name: 'b', incarnation: 'aaaaaaaa' };

const eventOf = (kind: EventKind, lane?: string, data: Event['data'] = {}): Event => ({
  cursor: 'c',
  seq: 1,
  board: 'b',
  kind,
  at: '2026-01-01T00:00:00.000Z',
  ...(lane === undefined ? {} : { lane }),
  actor: { type: 'system', id: 'test' },
  data,
});
const isReady = { status_after: 'ready' };

class Listener {
  readonly heard: string[] = [];
  onHint({ wire }: PreparedFrame): void {
    const { lane, ready } = JSON.parse(wire.toString('utf8', wire.indexOf('{')));
    this.heard.push(`${lane} ${ready}`);
  }
}

function setup(modes: Readonly<Record<string, string>>) {
  const lanes = new Map(
    Object.entries(modes).map(([name, claim_mode]) => [
      name,
      { name, claim_mode, is_paused: false, is_draining: false },
    ]),
  );
  const state = {
    isPaused: false,
    lanes,
    ready: 3,
    counted: [] as string[],
    configReads: 0,
    follower: undefined as Follower | undefined,
    leaves: 0,
    /** What the database does not answer at present. */
    away: null as 'log' | 'config' | 'count' | null,
    failures: 0,
    /** Counts take until they are made to fail. */
    isSlow: false,
    slowCounts: [] as (() => void)[],
  };
  const ask = (what: 'log' | 'config' | 'count'): void => {
    if (state.away !== what) return;
    state.failures += 1;
    throw new Error('away');
  };
  const hints = new LaneHints({
    feeds: {
      follow: async (_board: unknown, follower: unknown) => {
        ask('log');
        state.follower = follower as Follower;
        const leave = (): void => {
          state.leaves += 1;
        };
        return { seq: 0, leave };
      },
    },
    readConfig: async () => {
      ask('config');
      state.configReads += 1;
      return { version: 1, isPaused: state.isPaused, lanes: new Map(lanes) } as never;
    },
    countReady: async (_board: unknown, names: readonly string[]) => {
      ask('count');
      if (state.isSlow)
        return new Promise<never>((_, reject) => {
          state.slowCounts.push(() => reject(new Error('away')));
        });
      state.counted.push(names.join(','));
      return new Map(names.map((name) => [name, state.ready]));
    },
    onError: (error: unknown) => {
      if (state.away === null && !state.isSlow) throw error;
    },
  });
  return {
    hints,
    state,
    tell: (...events: Event[]): void => state.follower?.onEvents(events, 1),
    /** Until all that is coalesced has been told. */
    later: () => vi.advanceTimersByTimeAsync(100),
  };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('hints of a lane', () => {
  test('are counted once, however many sockets hear them, and a newcomer alone is told what waits', async () => {
    const { hints, state, tell, later } = setup({ a: 'watch' });
    const [first, second] = [new Listener(), new Listener()];
    hints.add(BOARD, ['a'], first);
    await later();
    hints.add(BOARD, ['a'], second);
    await later();
    tell(eventOf('task.created', 'a', isReady), eventOf('task.created', 'a', isReady));
    await later();
    expect([state.counted, first.heard, second.heard]).toEqual([
      ['a', 'a', 'a'],
      ['a 3', 'a 3'],
      ['a 3', 'a 3'],
    ]);
  });

  test('are for the modes that have them: watch and pull-or-watch, not pull and push, nor a lane that is not there', async () => {
    const { hints, later } = setup({
      both: 'pull-or-watch',
      watched: 'watch',
      pulled: 'pull',
      pushed: 'push',
    });
    const listener = new Listener();
    hints.add(BOARD, ['both', 'watched', 'pulled', 'pushed', 'missing'], listener);
    await later();
    expect(listener.heard).toEqual(['both 3', 'watched 3']);
  });

  test.each([
    ['the lane is paused', { is_paused: true }, 'lane.resumed', 'a'],
    ['the lane drains', { is_draining: true }, 'lane.resumed', 'a'],
    ['its mode has none', { claim_mode: 'pull' }, 'lane.updated', 'a'],
    ['the board is paused', null, 'board.updated', undefined],
  ] as const)('are not given while %s, and given when that is over', async (_what, change, kind, lane) => {
    const { hints, state, tell, later } = setup({ a: 'watch' });
    const listener = new Listener();
    const open = state.lanes.get('a');
    if (open === undefined) throw new Error('the lane is there');
    if (change === null) state.isPaused = true;
    else state.lanes.set('a', { ...open, ...change });
    hints.add(BOARD, ['a'], listener);
    tell(eventOf('task.created', 'a', isReady));
    await later();
    expect([listener.heard, state.counted]).toEqual([[], []]);
    state.isPaused = false;
    state.lanes.set('a', open);
    tell(eventOf(kind, lane));
    await later();
    expect(listener.heard).toEqual(['a 3']);
  });

  test('read the configuration when an event may have changed it, and not for every task', async () => {
    const { hints, state, tell, later } = setup({ a: 'watch' });
    hints.add(BOARD, ['a'], new Listener());
    for (let round = 0; round < 5; round += 1) {
      tell(eventOf('task.created', 'a', isReady));
      await later();
    }
    expect(state.configReads).toBe(1);
    tell(eventOf('lane.paused', 'a'));
    await later();
    expect(state.configReads).toBe(2);
  });

  test('end with the last socket that hears them, and so does following the log for them', async () => {
    const { hints, state, tell, later } = setup({ a: 'watch' });
    const [first, second] = [new Listener(), new Listener()];
    hints.add(BOARD, ['a'], first);
    hints.add(BOARD, ['a'], second);
    await later();
    hints.remove(BOARD, ['a'], first);
    tell(eventOf('task.created', 'a', isReady));
    await later();
    expect([first.heard.length, second.heard.length, state.leaves]).toEqual([1, 2, 0]);
    hints.remove(BOARD, ['a'], second);
    expect([state.leaves, vi.getTimerCount()]).toEqual([1, 0]);
  });
});

describe('a hint that could not be given', () => {
  test.each(['config', 'count'] as const)(
    'because the %s could not be read is given half a second later, without another event',
    async (what) => {
      const { hints, state, tell, later } = setup({ a: 'watch' });
      const listener = new Listener();
      state.ready = 0;
      hints.add(BOARD, ['a'], listener);
      await later();
      state.ready = 3;
      state.away = what;
      tell(eventOf('lane.resumed', 'a'), eventOf('task.created', 'a', isReady));
      await later();
      expect([state.failures, listener.heard]).toEqual([1, []]);
      state.away = null;
      await vi.advanceTimersByTimeAsync(500);
      expect([listener.heard, vi.getTimerCount()]).toEqual([['a 3'], 0]);
    },
  );

  test('is tried again with a pause, for those who were to hear it and are still there', async () => {
    const { hints, state, later } = setup({ a: 'watch', b: 'watch' });
    const [first, second, gone] = [new Listener(), new Listener(), new Listener()];
    hints.add(BOARD, ['a'], first);
    await later();
    state.away = 'count';
    hints.add(BOARD, ['a'], second);
    hints.add(BOARD, ['b'], gone);
    await vi.advanceTimersByTimeAsync(1900);
    expect(state.failures).toBe(4);
    hints.remove(BOARD, ['b'], gone);
    state.away = null;
    await vi.advanceTimersByTimeAsync(500);
    expect([state.counted, first.heard, second.heard, gone.heard]).toEqual([
      ['a', 'a'],
      ['a 3'],
      ['a 3'],
      [],
    ]);
  });

  test.each([
    ['fail', 2],
    ['hang', 1],
  ] as const)(
    'because counts are slow and %s does not make every event of a busy board ask for another one',
    async (ending, counts) => {
      const { hints, state, tell, later } = setup({ a: 'watch' });
      hints.add(BOARD, ['a'], new Listener());
      await later();
      state.isSlow = true;
      for (let ms = 0; ms < 1000; ms += 20) {
        tell(eventOf('task.created', 'a', isReady));
        if (ending === 'fail') for (const fail of state.slowCounts) fail();
        await vi.advanceTimersByTimeAsync(20);
      }
      expect(state.slowCounts.length).toBe(counts);
    },
  );

  test('because the log could not be followed is given when it can be', async () => {
    const { hints, state, tell, later } = setup({ a: 'watch' });
    const listener = new Listener();
    state.away = 'log';
    hints.add(BOARD, ['a'], listener);
    await vi.advanceTimersByTimeAsync(1900);
    // Nothing is counted before following has begun: what became ready in between would not be heard of.
    expect([state.failures, state.counted]).toEqual([4, []]);
    state.away = null;
    await vi.advanceTimersByTimeAsync(600);
    tell(eventOf('task.created', 'a', isReady));
    await later();
    expect(listener.heard).toEqual(['a 3', 'a 3']);
  });

  test('is not tried again for nobody', async () => {
    const { hints, state } = setup({ a: 'watch' });
    const listener = new Listener();
    state.away = 'log';
    hints.add(BOARD, ['a'], listener);
    await vi.advanceTimersByTimeAsync(100);
    hints.remove(BOARD, ['a'], listener);
    await vi.advanceTimersByTimeAsync(2000);
    expect([state.failures, vi.getTimerCount()]).toEqual([1, 0]);
  });
});

test('what was missed of the log may have been anything: configuration and lanes are looked at anew', async () => {
  const { hints, state, later } = setup({ a: 'watch', b: 'watch' });
  const listener = new Listener();
  hints.add(BOARD, ['a', 'b'], listener);
  await later();
  state.follower?.onGap();
  await later();
  expect([state.configReads, listener.heard]).toEqual([2, ['a 3', 'b 3', 'a 3', 'b 3']]);
});

test('who comes after the log has ended makes it be followed anew', async () => {
  const { hints, state, later } = setup({ a: 'watch' });
  const [first, second] = [new Listener(), new Listener()];
  hints.add(BOARD, ['a'], first);
  await later();
  state.follower?.onEnd();
  state.follower = undefined;
  hints.add(BOARD, ['a'], second);
  await later();
  expect([state.follower === undefined, second.heard]).toEqual([false, ['a 3']]);
});
