import { describe, expect, test } from 'vitest';
import type { Event } from '../../../../src/contract/events.ts';
import type { ClaimedTasks } from '../../../../src/server/features/claims/claiming/slot-plan.ts';
import { PushBoard } from '../../../../src/server/features/claims/push/push-board.ts';
import type { Offer } from '../../../../src/server/features/claims/push/push-lane.ts';
import type { BoardFeeds, Follower } from '../../../../src/server/features/watch/service.ts';

const BOARD = { id: 1, name: 'b', incarnation: 'aaaaaaaa' };

async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
}

/** A board whose log is joined when the test lets it, and where `ready` tasks wait. */
function setup() {
  const state = { follower: null as Follower | null, joins: 0, leaves: 0, ready: 0, asks: 0 };
  let join: () => void = () => undefined;
  const feeds = {
    follow: (_board: unknown, follower: Follower) =>
      new Promise((resolve) => {
        state.joins += 1;
        join = () => {
          state.follower = follower;
          resolve({
            seq: 1,
            leave: () => {
              state.leaves += 1;
            },
          });
        };
      }),
  } as unknown as BoardFeeds;
  const board = new PushBoard(BOARD, {
    feeds,
    ask: async (_offer, max) => {
      state.asks += 1;
      const count = Math.min(max, state.ready);
      state.ready -= count;
      const rows = Array.from({ length: count }, () => ({})) as unknown as ClaimedTasks['rows'];
      return { rows, reason: count > 0 ? null : 'none_ready' };
    },
    onError: (error) => {
      throw error;
    },
  });
  const offer = (credits: number) => {
    const made = {
      lane: 'work',
      worker: 'w',
      keyId: 'k',
      credits,
      asked: 0,
      restUntil: 0,
      standing: 0,
      taken: 0,
      refusal: null as string | null,
      canTake: () => true,
      take: (rows: readonly unknown[]) => {
        made.taken += rows.length;
      },
      giveBack: () => undefined,
      onAnswered: () => undefined,
      refuse: (problem: { code: string }) => {
        made.refusal = problem.code;
      },
    } satisfies Offer & { taken: number; refusal: string | null };
    board.update(made);
    return made;
  };
  return { board, state, offer, join: () => join() };
}

const event = (kind: Event['kind'], lane: string | undefined, data: Event['data']): Event => ({
  cursor: 'c',
  seq: 1,
  board: 'b',
  kind,
  at: '2026-01-01T00:00:00.000Z',
  actor: { type: 'system', id: 'test' },
  data,
  ...(lane === undefined ? {} : { lane }),
});

describe('the log of a board with push lanes', () => {
  test('is not read while there is work for every credit', async () => {
    const { state, offer } = setup();
    state.ready = 50;
    const worker = offer(50);
    await settled();
    expect([worker.taken, state.joins]).toEqual([50, 0]);
  });

  test('is joined once when a lane runs dry, and what became ready in between is found by a look', async () => {
    const { board, state, offer, join } = setup();
    const worker = offer(5);
    await settled();
    board.sweep();
    expect([state.joins, worker.taken]).toEqual([1, 0]);
    state.ready = 2; // Committed before following began: no event will tell of it.
    join();
    await settled();
    expect([state.joins, worker.taken]).toEqual([1, 2]);
  });

  test('tells of work, of a gate that opens for one lane or all, and of nothing else', async () => {
    const { state, offer, join } = setup();
    const worker = offer(5);
    await settled();
    join();
    await settled();
    const { asks } = state;
    const ready = { status_after: 'ready' };
    state.follower?.onEvents([event('task.created', 'other', ready)], 2);
    state.follower?.onEvents([event('lane.updated', 'other', {})], 3);
    await settled();
    expect(state.asks).toBe(asks);
    state.ready = 3;
    state.follower?.onEvents([event('task.created', 'work', ready)], 4);
    await settled();
    expect(worker.taken).toBe(1);
    state.follower?.onEvents([event('board.updated', undefined, {})], 5);
    await settled();
    expect(worker.taken).toBe(3);
  });

  test('is left some sweeps after the last lane was hungry, and joined again when one is', async () => {
    const { board, state, offer, join } = setup();
    const worker = offer(1);
    await settled();
    join();
    await settled();
    for (let sweep = 0; sweep < 20; sweep += 1) board.sweep();
    expect(state.leaves).toBe(0);
    state.ready = 1;
    state.follower?.onEvents([event('task.created', 'work', { status_after: 'ready' })], 2);
    await settled();
    expect([worker.taken, worker.credits]).toEqual([1, 0]);
    for (let sweep = 0; sweep < 20; sweep += 1) board.sweep();
    expect([state.leaves, board.isEmpty]).toEqual([1, true]);
    offer(1);
    await settled();
    expect(state.joins).toBe(2);
  });

  test('that ends takes every offer with it', async () => {
    const { board, state, offer, join } = setup();
    const worker = offer(5);
    await settled();
    join();
    await settled();
    state.follower?.onEnd();
    board.sweep();
    expect([worker.refusal, board.isEmpty]).toEqual(['not_found', true]);
  });

  test('that has ended is not taken for one that is followed: who comes after it makes it be joined anew', async () => {
    const { state, offer, join } = setup();
    offer(5);
    await settled();
    join();
    await settled();
    state.follower?.onEnd();
    offer(5);
    await settled();
    expect(state.joins).toBe(2);
  });

  test('of which something was missed is looked at', async () => {
    const { state, offer, join } = setup();
    const worker = offer(5);
    await settled();
    join();
    await settled();
    state.ready = 2;
    state.follower?.onGap();
    await settled();
    expect(worker.taken).toBe(2);
  });

  test('that is joined after the server has begun to stop is left at once', async () => {
    const { board, state, offer, join } = setup();
    offer(5);
    await settled();
    board.stop();
    join();
    await settled();
    expect(state.leaves).toBe(1);
  });
});
