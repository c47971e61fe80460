import { describe, expect, test } from 'vitest';
import { EventBatch } from '../../../../src/server/features/watch/event-batch.ts';
import type { LogRow } from '../../../../src/server/features/watch/store.ts';
import { Subscription } from '../../../../src/server/features/watch/subscription.ts';
import { cursorAt, type EventFilter } from '../../../../src/server/features/watch/view.ts';
import { ProblemError } from '../../../../src/server/kernel/problem-error.ts';
import { logRow } from '../../../fixtures/log-row.ts';

const BOARD = { id: 1, name: 'b', incarnation: 'aaaaaaaa' };
const ALL: EventFilter = { kinds: null, lanes: null, tasks: null };
const LANE: EventFilter = { kinds: null, lanes: new Set(['a']), tasks: null };

const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
};

/** A watch of a log that the test writes, on a socket that takes what the test says. */
function setup({ filter = ALL, feedSeq = 0, pageRows = 100, isFromStart = false } = {}) {
  const log: LogRow[] = [];
  const state = {
    sent: [] as (number | string)[],
    /** How many portions the socket still takes. */
    room: Number.POSITIVE_INFINITY,
    reads: 0,
    ends: [] as string[],
    failure: null as ProblemError | null,
    prunedSeq: 0,
    feedSeq,
  };
  const batchAfter = (afterSeq: number, rowsMax: number): EventBatch => {
    const rows = log.slice(afterSeq, afterSeq + rowsMax);
    return new EventBatch(BOARD, afterSeq, { rows, isAtEnd: afterSeq + rows.length === log.length });
  };
  const owner = {
    board: BOARD,
    feeds: {
      isLiveAfter: (_board: unknown, seq: number) => state.feedSeq <= seq,
      readOn: async (_board: unknown, seq: number) => {
        state.reads += 1;
        if (state.failure !== null) throw state.failure;
        if (state.prunedSeq > seq) throw new ProblemError('cursor_expired', 'pruned');
        return batchAfter(seq, pageRows);
      },
      position: async () => state.prunedSeq,
    },
    sendEvents: (_id: string, portion: { events: readonly { seq: number }[] }) => {
      if (state.room === 0) return false;
      state.room -= 1;
      state.sent.push(...portion.events.map((event) => event.seq));
      return true;
    },
    sendBookmark: (_id: string, cursor: string) => void state.sent.push(cursor),
    onExpired: (id: string, problem: ProblemError) => void state.ends.push(`${id} ${problem.code}`),
    onOverload: () => void state.ends.push('overload'),
    onError: (error: unknown) => {
      throw error;
    },
  };
  const subscription = new Subscription(owner, 'w', filter, { afterSeq: 0, isFromStart });
  /** The feed reads what was written. */
  const live = (...rows: LogRow[]): void => {
    log.push(...rows);
    const batch = batchAfter(state.feedSeq, rows.length);
    state.feedSeq = log.length;
    subscription.onBatch(batch);
  };
  return { subscription, state, log, live };
}

describe('a watch of a log that is pruned', () => {
  test('goes on from where the log begins by now, if it is from the start and has brought nothing yet', async () => {
    const { subscription, state, log, live } = setup({ feedSeq: 3, isFromStart: true, pageRows: 1 });
    log.push(logRow(1), logRow(2), logRow(3));
    state.prunedSeq = 2;
    subscription.start();
    await settled();
    expect(state.sent).toEqual([cursorAt(BOARD, 2), 3]);
    // From here on it is a watch like any other.
    state.room = 0;
    live(logRow(4));
    state.prunedSeq = 4;
    state.room = 1;
    subscription.resume();
    await settled();
    expect([state.sent.length, state.ends]).toEqual([2, ['w cursor_expired']]);
  });

  test('is told so when it stands before the beginning, also by a batch that begins behind it', async () => {
    const { subscription, state, log } = setup();
    subscription.start();
    log.push(logRow(1), logRow(2));
    state.prunedSeq = 2;
    subscription.onBatch(new EventBatch(BOARD, 2, { rows: [], isAtEnd: true }));
    await settled();
    expect([state.sent, state.ends]).toEqual([[], ['w cursor_expired']]);
  });
});

describe('a watch', () => {
  test('that begins where its board’s feed stands reads nothing; one that begins before it catches up first', async () => {
    const now = setup();
    now.subscription.start();
    now.live(logRow(1));
    expect([now.state.sent, now.state.reads]).toEqual([[1], 0]);
    const before = setup({ feedSeq: 2 });
    before.log.push(logRow(1), logRow(2));
    before.subscription.start();
    before.live(logRow(3));
    await settled();
    expect(before.state.sent).toEqual([1, 2, 3]);
  });

  test('is parked at the first event that does not fit, and goes on there when there is room, each event once', async () => {
    const { subscription, state, live } = setup({ pageRows: 2 });
    subscription.start();
    live(logRow(1));
    state.room = 0;
    live(logRow(2), logRow(3));
    live(logRow(4));
    expect([state.sent, state.reads]).toEqual([[1], 0]);
    state.room = 1;
    subscription.resume();
    await settled();
    expect(state.sent).toEqual([1, 2, 3]);
    live(logRow(5));
    state.room = 10;
    subscription.resume();
    await settled();
    live(logRow(6));
    expect(state.sent).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test('that was not parked reads nothing when room is told of', async () => {
    const { subscription, state, live } = setup();
    subscription.start();
    live(logRow(1));
    subscription.resume();
    await settled();
    expect([state.sent, state.reads]).toEqual([[1], 0]);
  });

  test('is bookmarked only where everything before has been sent', async () => {
    const { subscription, state, live } = setup({ filter: LANE });
    subscription.start();
    live(logRow(1), logRow(2, { lane: 'b' }));
    subscription.bookmark();
    expect(state.sent).toEqual([1, cursorAt(BOARD, 2)]);
    state.room = 0;
    live(logRow(3));
    subscription.bookmark();
    subscription.resume();
    subscription.bookmark();
    await settled();
    subscription.bookmark();
    expect(state.sent).toHaveLength(2);
  });

  test('is not bookmarked inside a transaction, and is at its end although nothing more of it passes the filter', () => {
    const { subscription, state, live } = setup({ filter: LANE });
    subscription.start();
    live(logRow(1, { is_change_end: false }));
    subscription.bookmark();
    expect(state.sent).toEqual([1]);
    live(logRow(2, { lane: 'b' }));
    expect(state.sent).toEqual([1, cursorAt(BOARD, 2)]);
  });

  test('whose place in the log has been pruned ends with cursor_expired instead of going on behind the gap', async () => {
    const { subscription, state } = setup({ feedSeq: 9 });
    state.failure = new ProblemError('cursor_expired', 'gone');
    subscription.start();
    await settled();
    expect(state.ends).toEqual(['w cursor_expired']);
  });

  test('that the server cannot read for in time ends its socket, and another server may do better', async () => {
    const { subscription, state } = setup({ feedSeq: 9 });
    state.failure = new ProblemError('rate_limited', 'busy');
    subscription.start();
    await settled();
    expect(state.ends).toEqual(['overload']);
  });

  test('of a log that has become shorter looks once, not for ever', async () => {
    const { subscription, state, live, log } = setup();
    subscription.start();
    live(logRow(1));
    state.room = 0;
    live(logRow(2));
    log.length = 1;
    state.room = 9;
    subscription.resume();
    await settled();
    expect([state.sent, state.reads]).toEqual([[1], 1]);
  });
});
