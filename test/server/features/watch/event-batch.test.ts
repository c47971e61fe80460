import { describe, expect, test } from 'vitest';
import { EventBatch } from '../../../../src/server/features/watch/event-batch.ts';
import type { LogRow } from '../../../../src/server/features/watch/store.ts';
import { cursorAt, type EventFilter } from '../../../../src/server/features/watch/view.ts';
import { logRow } from '../../../fixtures/log-row.ts';

const BOARD = { id: 1, name: 'b', incarnation: 'aaaaaaaa' };
const ALL: EventFilter = { kinds: null, lanes: null, tasks: null };
const LANE: EventFilter = { kinds: null, lanes: new Set(['a']), tasks: null };

interface RowOptions {
  readonly kib?: number;
  readonly lane?: string;
}

/** Rows of a log, one transaction after another; the last one may go on beyond them. */
function rowsOf(changes: readonly (readonly RowOptions[])[], isCut = false): LogRow[] {
  let seq = 0;
  return changes.flatMap((change, at) =>
    change.map(({ kib = 0, lane = 'a' }, index) => {
      seq += 1;
      const isLast = index === change.length - 1;
      return logRow(seq, {
        lane,
        data: { text: 'x'.repeat(kib * 1024) },
        bytes: 350 + kib * 1024,
        is_change_end: isLast && !(isCut && at === changes.length - 1),
      });
    }),
  );
}

const batchOf = (rows: readonly LogRow[], isAtEnd = true) => new EventBatch(BOARD, 0, { rows, isAtEnd });
const shown = (batch: EventBatch, filter = ALL, afterSeq = 0) =>
  batch
    .portionsFor(filter, afterSeq)
    .map(({ events, seq, isPartial }) => [events.map((event) => event.seq), seq, isPartial]);
const one = {};
const small = { kib: 10 };
/** Two of them fill a frame. */
const big = { kib: 60 };

describe('the frames of a batch', () => {
  test('are made once for all watches with one id, filter and position, and their events once for all of them', () => {
    let made = 0;
    const rows = rowsOf([[one], [one]]);
    for (const { data } of rows)
      Object.assign(data, {
        toJSON: () => {
          made += 1;
          return {};
        },
      });
    const batch = batchOf(rows);
    const frames = (filter: EventFilter, id: string, after = 0) =>
      batch.portionsFor(filter, after).map((portion) => portion.frameFor(id));
    const first = frames(ALL, 'w');
    expect(frames(ALL, 'w')[0]).toBe(first[0]);
    expect(frames(ALL, 'other')[0]).not.toBe(first[0]);
    frames(LANE, 'w');
    frames(ALL, 'w', 1);
    expect(made).toBe(2);
  });

  test('hold one text for all ids that watches choose, and few of them are remembered', () => {
    const [portion] = batchOf(rowsOf([[{ kib: 250 }]])).portionsFor(ALL, 0);
    const frames = Array.from({ length: 100 }, (_, index) => portion?.frameFor(`watch ${index}`));
    expect(new Set(frames.map((frame) => frame?.tail))).toHaveLength(1);
    expect(frames.every((frame) => frame !== undefined && frame.wire.length < 100)).toBe(true);
    expect(portion?.frameFor('watch 99')).not.toBe(frames[99]);
  });

  test('are remembered for few filters, as those are the choice of watches, too', () => {
    const batch = batchOf(rowsOf([[one]]));
    const filters = Array.from({ length: 100 }, (_, index) => ({
      ...ALL,
      lanes: new Set(['a', `other ${index}`]),
    }));
    const portions = filters.map((filter) => batch.portionsFor(filter, 0));
    const again = filters.map((filter) => batch.portionsFor(filter, 0));
    expect(again).toEqual(portions);
    expect(again.filter((each, index) => each === portions[index])).toHaveLength(32);
  });

  test('say what the schema of the protocol says', () => {
    const [portion] = batchOf(rowsOf([[one, one]])).portionsFor(ALL, 0);
    const wire = portion?.frameFor('a "quoted" id').wire ?? Buffer.alloc(0);
    const frame = JSON.parse(wire.toString('utf8', wire.indexOf('{')));
    expect(frame).toMatchObject({ type: 'events', id: 'a "quoted" id', cursor: cursorAt(BOARD, 2) });
    expect(frame.events).toEqual(portion?.events);
    expect(frame).not.toHaveProperty('partial');
  });

  test('hold whole transactions, as many as fit', () => {
    const batch = batchOf(rowsOf([[small, one], [big], [big, one], [one]]));
    expect(shown(batch)).toEqual([
      [[1, 2, 3], 3, false],
      [[4, 5, 6], 6, false],
    ]);
  });

  test('that end inside a transaction say so, and only the last one of it does not', () => {
    const batch = batchOf(rowsOf([[one], [big, big, big, one], [one]]));
    expect(shown(batch)).toEqual([
      [[1], 1, false],
      [[2, 3], 3, true],
      [[4, 5, 6], 6, false],
    ]);
    const tail = batch.portionsFor(ALL, 0)[1]?.frameFor('w').tail?.toString('utf8');
    expect(tail).toContain('"partial":true}');
  });

  test('end behind what a filter hid, so that their cursor is never inside a transaction that was not begun', () => {
    const other = { lane: 'b' };
    const batch = batchOf(rowsOf([[small, other], [other], [big, other, big, other], [other]]));
    expect(shown(batch, LANE)).toEqual([
      [[1], 2, false],
      [[4, 6], 8, false],
    ]);
    expect(shown(batch, { ...ALL, lanes: new Set(['nobody']) })).toEqual([]);
  });

  test('of who joins in the middle begin there', () => {
    expect(shown(batchOf(rowsOf([[one], [one, one]])), ALL, 1)).toEqual([[[2, 3], 3, false]]);
  });

  test('take an event of any size', () => {
    expect(shown(batchOf(rowsOf([[one], [{ kib: 500 }], [one]])))).toEqual([
      [[1], 1, false],
      [[2], 2, false],
      [[3], 3, false],
    ]);
  });
});

describe('a read that ends inside a transaction', () => {
  test('leaves all of it for the next one', () => {
    const batch = batchOf(rowsOf([[one], [one, one]], true), false);
    expect([batch.seq, batch.isWhole, batch.isAtEnd]).toEqual([1, true, false]);
    expect(shown(batch)).toEqual([[[1], 1, false]]);
  });

  test('is handed on in parts when there is nothing else in it', () => {
    const batch = batchOf(rowsOf([[one, one]], true), false);
    expect([batch.seq, batch.isWhole, batch.isAtEnd]).toEqual([2, false, false]);
    expect(shown(batch)).toEqual([[[1, 2], 2, true]]);
  });
});
