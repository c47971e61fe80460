/** The reader of one board's log, at moments that a database reaches seldom: another log, a ring in between, a read that fails. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { BatchFollower, EndCause, Follower } from '../../../../src/server/features/watch/followers.ts';
import { BoardFeeds } from '../../../../src/server/features/watch/service.ts';
import type { LogRow } from '../../../../src/server/features/watch/store.ts';
import { logRow } from '../../../fixtures/log-row.ts';

const OLD = { id: 1, name: 'b', incarnation: 'aaaaaaaa' };
const NEW = { ...OLD, incarnation: 'bbbbbbbb' };

const rowOf = (seq: number, fields: Partial<LogRow> = {}) => ({
  ...logRow(seq, fields),
  writer: String(seq),
});

/** A log of so many events, and feeds that read it. */
function setup(length: number) {
  const log = {
    incarnation: OLD.incarnation,
    length,
    prunedSeq: 0,
    /** From here on it has other events than it had. */
    otherFrom: Number.POSITIVE_INFINITY,
    /** Of one event the row is not there, as after a hand has been at it. */
    missingSeq: 0,
    isThere: true,
    isAway: false,
    reads: 0,
    endReads: 0,
  };
  const hooks = { onEnds: (): void => undefined, onManyEvents: (): void => undefined };
  /** Of followers that fail on purpose. */
  const faults: unknown[] = [];
  const listeners = new Set<(isDoubt: boolean) => void>();
  const answer = async (text: string, values: readonly unknown[]): Promise<unknown> => {
    log.reads += 1;
    if (log.isAway) throw new Error('away');
    if (text.includes('watch.events')) hooks.onManyEvents();
    const rows = Array.from({ length: log.length }, (_, index) =>
      rowOf(index + 1, index + 1 >= log.otherFrom ? { at: '2026-01-01T00:01:00.000Z' } : {}),
    )
      .slice(log.prunedSeq)
      .filter(({ seq }) => seq !== log.missingSeq);
    if (text.includes('watch.log_tip')) {
      log.endReads += 1;
      const ends = { pruned_seq: log.prunedSeq, incarnation: log.incarnation, seq: log.length };
      hooks.onEnds();
      return log.isThere ? [{ at: null, ...rows.at(-1), ...ends }] : [];
    }
    if (text.includes('watch.events'))
      return rows
        .filter(({ seq }) => seq > (values.at(-4) as number))
        .map((row, _, { length }) => ({ ...row, is_change_end: true, found: length }));
    const [fromSeq] = values.slice(-2) as [number, number];
    return rows.filter(({ seq }) => seq >= fromSeq);
  };
  const sql = (text: TemplateStringsArray, ...values: unknown[]): unknown =>
    text.join('?').includes('/*') ? answer(text.join('?'), values.flat()) : values;
  const feeds = new BoardFeeds({
    sql: sql as never,
    wake: {
      subscribe: (_id: number, listener: (isDoubt: boolean) => void) => {
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
    } as never,
    clock: { now: () => Date.now() },
    onError: (error) => {
      if (error === FAULT) faults.push(error);
      else if (!log.isAway) throw error;
    },
    onLag: () => undefined,
  });
  return {
    feeds,
    log,
    hooks,
    faults,
    ring: async (isDoubt = false): Promise<void> => {
      for (const listener of listeners) listener(isDoubt);
      await vi.advanceTimersByTimeAsync(0);
    },
  };
}

const FAULT = new Error('a follower has failed');
const fail = (): never => {
  throw FAULT;
};

class Hearer implements Follower {
  readonly heard: (number | 'gap' | 'end')[] = [];
  onEvents(events: readonly { readonly seq: number }[]): void {
    this.heard.push(...events.map(({ seq }) => seq));
  }
  onGap(): void {
    this.heard.push('gap');
  }
  onEnd(): void {
    this.heard.push('end');
  }
}

class Sender implements BatchFollower {
  readonly sent: (number | EndCause)[] = [];
  onBatch(batch: { readonly events: readonly { readonly seq: number }[] }): void {
    this.sent.push(...batch.events.map(({ seq }) => seq));
  }
  onEnd(cause: EndCause): void {
    this.sent.push(cause);
  }
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('a log that is replaced', () => {
  test.each([
    ['by another one', { incarnation: NEW.incarnation, length: 5 }],
    ['by a shorter part of itself', { length: 3 }],
    ['by a part of itself that is as long again', { otherFrom: 4 }],
    ['by a part of itself that has grown past it', { otherFrom: 4, length: 7 }],
  ])('%s sends away who has a position in it, and all others go on in the next', async (_how, next) => {
    const { feeds, log, ring } = setup(5);
    const [hearer, sender] = [new Hearer(), new Sender()];
    await feeds.follow(OLD, hearer);
    await feeds.follow(OLD, sender);
    Object.assign(log, next);
    await ring();
    expect([hearer.heard, sender.sent]).toEqual([['gap'], ['replaced']]);
    log.length += 2;
    await ring();
    expect(hearer.heard).toEqual(['gap', log.length - 1, log.length]);
    expect(sender.sent).toEqual(['replaced']);
  });

  test('is looked at when somebody comes who knows the next one: he comes again, and hears what happens there', async () => {
    const { feeds, log, ring } = setup(5);
    const [hearer, sender, newcomer] = [new Hearer(), new Sender(), new Sender()];
    await feeds.follow(OLD, hearer);
    await feeds.follow(OLD, sender);
    Object.assign(log, { incarnation: NEW.incarnation, length: 9 });
    await feeds.follow(NEW, newcomer);
    await ring();
    // Nothing of the next log passed for a part of the old one.
    expect([hearer.heard, sender.sent, newcomer.sent]).toEqual([['gap'], ['replaced'], ['replaced']]);
    await feeds.follow(NEW, newcomer);
    expect(feeds.isLiveAfter(NEW, 9)).toBe(true);
    log.length = 10;
    await ring();
    expect([hearer.heard, newcomer.sent]).toEqual([
      ['gap', 10],
      ['replaced', 10],
    ]);
  });

  test('is no reason to send anybody away who follows the next one, whoever comes with an old idea of it', async () => {
    const { feeds, log, ring } = setup(5);
    const [sender, hearer, late] = [new Sender(), new Hearer(), new Sender()];
    log.incarnation = NEW.incarnation;
    await feeds.follow(NEW, sender);
    await feeds.follow(OLD, hearer);
    await feeds.follow(OLD, late);
    log.length = 6;
    await ring();
    expect([sender.sent, hearer.heard, late.sent]).toEqual([[6], [6], ['replaced']]);
  });

  test('is followed as it is, also where the first who came had an old idea of it', async () => {
    const { feeds, log, ring } = setup(5);
    const [hearer, sender] = [new Hearer(), new Sender()];
    log.incarnation = NEW.incarnation;
    await feeds.follow(OLD, hearer);
    await feeds.follow(NEW, sender);
    log.length = 6;
    await ring();
    expect([hearer.heard, sender.sent]).toEqual([[6], [6]]);
  });

  test('is noticed by the last event that was handed on, too, when it was cut and has grown past it', async () => {
    const { feeds, log, ring } = setup(5);
    const [hearer, sender] = [new Hearer(), new Sender()];
    await feeds.follow(OLD, hearer);
    await feeds.follow(OLD, sender);
    log.length = 6;
    await ring();
    Object.assign(log, { otherFrom: 6, length: 8 });
    await ring();
    expect([hearer.heard, sender.sent]).toEqual([
      [6, 'gap'],
      [6, 'replaced'],
    ]);
  });

  test('is noticed also between the two statements that many events take', async () => {
    const { feeds, log, hooks, ring } = setup(5);
    const [hearer, sender] = [new Hearer(), new Sender()];
    await feeds.follow(OLD, hearer);
    await feeds.follow(OLD, sender);
    log.length = 45;
    await ring();
    hooks.onManyEvents = () => {
      log.otherFrom = 40;
    };
    log.length = 85;
    await ring();
    expect([hearer.heard.slice(-2), sender.sent.slice(-2)]).toEqual([
      [45, 'gap'],
      [45, 'replaced'],
    ]);
  });

  test('is not what a log is whose last event here has been pruned, with what came after it or without', async () => {
    const { feeds, log, ring } = setup(5);
    const [hearer, sender] = [new Hearer(), new Sender()];
    await feeds.follow(OLD, hearer);
    await feeds.follow(OLD, sender);
    Object.assign(log, { prunedSeq: 5, length: 6 });
    await ring();
    Object.assign(log, { prunedSeq: 7, length: 9 });
    await ring();
    expect([hearer.heard, sender.sent]).toEqual([
      [6, 'gap', 8, 9],
      [6, 8, 9],
    ]);
  });

  test('is not what a log is that lacks the last event handed on: it is read on, and by no more reads than that takes', async () => {
    const { feeds, log, ring } = setup(5);
    const hearer = new Hearer();
    await feeds.follow(OLD, hearer);
    const { reads } = log;
    Object.assign(log, { missingSeq: 5, length: 7 });
    await Promise.race([ring(), new Promise((resolve) => setImmediate(resolve))]);
    expect(hearer.heard).toEqual([6, 7]);
    expect(log.reads - reads).toBeLessThanOrEqual(6);
  });

  test('is noticed by the one ring that it causes, also shortly after a look around', async () => {
    const { feeds, log, ring } = setup(5);
    const hearer = new Hearer();
    await feeds.follow(OLD, hearer);
    await ring();
    log.length = 3;
    await ring();
    await vi.advanceTimersByTimeAsync(2000);
    expect(hearer.heard).toEqual(['gap']);
    // Looks around have an end where nothing happens.
    const { endReads } = log;
    await vi.advanceTimersByTimeAsync(60_000);
    expect([log.endReads, vi.getTimerCount()]).toEqual([endReads, 0]);
  });

  test('is noticed at once where a wake-up says that it may be another one, also shortly after a look around', async () => {
    const { feeds, log, ring } = setup(5);
    const hearer = new Hearer();
    await feeds.follow(OLD, hearer);
    await ring();
    log.incarnation = NEW.incarnation;
    await ring();
    expect(hearer.heard).toEqual([]);
    await ring(true);
    expect(hearer.heard).toEqual(['gap']);
  });

  test('is noticed at once after a failed read, for the database may have come back as an older one', async () => {
    const { feeds, log, ring } = setup(5);
    const hearer = new Hearer();
    await feeds.follow(OLD, hearer);
    await ring();
    log.isAway = true;
    await ring();
    Object.assign(log, { isAway: false, length: 3 });
    await vi.advanceTimersByTimeAsync(500);
    expect(hearer.heard).toEqual(['gap']);
  });
});

describe('while reads go on failing', () => {
  test('one is tried each half second, however often it rings, and what was rung for is heard when one succeeds', async () => {
    const { feeds, log, ring } = setup(5);
    const hearer = new Hearer();
    await feeds.follow(OLD, hearer);
    log.isAway = true;
    const before = log.reads;
    for (let ms = 0; ms < 2000; ms += 20) {
      await ring();
      await vi.advanceTimersByTimeAsync(20);
    }
    expect([log.reads - before, vi.getTimerCount()]).toEqual([5, 1]);
    Object.assign(log, { isAway: false, length: 6 });
    await ring();
    await vi.advanceTimersByTimeAsync(500);
    // And then at once again.
    log.length = 7;
    await ring();
    expect(hearer.heard).toEqual([6, 7]);
    await vi.advanceTimersByTimeAsync(500);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('nothing is tried for nobody', async () => {
    const { feeds, log, ring } = setup(5);
    const { leave } = await feeds.follow(OLD, new Hearer());
    log.isAway = true;
    await ring();
    leave();
    expect(vi.getTimerCount()).toBe(0);
  });

  test('nor for somebody who left during the read', async () => {
    const { feeds, log, hooks, ring } = setup(5);
    const { leave } = await feeds.follow(OLD, new Hearer());
    hooks.onEnds = () => {
      leave();
      log.isAway = true;
      throw new Error('away');
    };
    await ring();
    expect(vi.getTimerCount()).toBe(0);
  });
});

test('the end of a board is told to everybody, once', async () => {
  const { feeds, log, ring } = setup(5);
  const [hearer, sender] = [new Hearer(), new Sender()];
  await feeds.follow(OLD, hearer);
  await feeds.follow(OLD, sender);
  log.isThere = false;
  await ring();
  await ring();
  expect([hearer.heard, sender.sent]).toEqual([['end'], ['gone']]);
});

test('a follower that fails is noted down, and the others are told what they are to be told', async () => {
  const { feeds, log, faults, ring } = setup(5);
  const [hearer, sender] = [new Hearer(), new Sender()];
  const join = async (): Promise<void> => {
    await feeds.follow({ ...OLD, incarnation: log.incarnation }, { onBatch: fail, onEnd: fail });
    await feeds.follow({ ...OLD, incarnation: log.incarnation }, sender);
  };
  await feeds.follow(OLD, { onEvents: fail, onGap: fail, onEnd: fail });
  await feeds.follow(OLD, hearer);
  await join();
  log.length = 6;
  await ring();
  expect([hearer.heard, sender.sent, faults.length]).toEqual([[6], [6], 2]);
  log.incarnation = NEW.incarnation;
  await ring();
  expect([hearer.heard, sender.sent, faults.length]).toEqual([[6, 'gap'], [6, 'replaced'], 4]);
  await join();
  log.isThere = false;
  await ring();
  await vi.advanceTimersByTimeAsync(2000);
  expect([hearer.heard, sender.sent, faults.length]).toEqual([[6, 'gap', 'end'], [6, 'replaced', 'gone'], 6]);
  expect(vi.getTimerCount()).toBe(0);
});

test('who joins while the feed finds out what was pruned is told of it as everybody, and hears what comes after', async () => {
  const { feeds, log, hooks, ring } = setup(5);
  const [hearer, late, lateSender] = [new Hearer(), new Hearer(), new Sender()];
  await feeds.follow(OLD, hearer);
  await ring();
  const joined: Promise<{ readonly seq: number }>[] = [];
  // Between the read that found a gap and the gap's being told.
  hooks.onEnds = () => {
    if (log.endReads === looks + 2) joined.push(feeds.follow(OLD, late), feeds.follow(OLD, lateSender));
  };
  const looks = log.endReads;
  Object.assign(log, { prunedSeq: 7, length: 9 });
  await ring();
  expect((await Promise.all(joined)).map(({ seq }) => seq)).toEqual([5, 5]);
  expect([hearer.heard, late.heard, lateSender.sent]).toEqual([
    ['gap', 8, 9],
    ['gap', 8, 9],
    [8, 9],
  ]);
});

test('an event that is rung for while the feed finds out where it stands is heard without another ring', async () => {
  const { feeds, log, hooks, ring } = setup(5);
  const hearer = new Hearer();
  // Committed behind the position that is just being read.
  hooks.onEnds = () => {
    log.length = 6;
    void ring();
  };
  expect((await feeds.follow(OLD, hearer)).seq).toBe(5);
  await vi.advanceTimersByTimeAsync(0);
  expect(hearer.heard).toEqual([6]);
});
