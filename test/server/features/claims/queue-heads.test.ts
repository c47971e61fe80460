import { beforeEach, describe, expect, test } from 'vitest';
import { QueueHeads } from '../../../../src/server/features/claims/claiming/queue-heads.ts';
import type { ClaimedRow } from '../../../../src/server/features/claims/store/claimed-row.ts';
import type { Uuid } from '../../../../src/server/kernel/ids.ts';

/** Postgres has ended a statement that took too long. */
const QUERY_CANCELED = '57014';
const BOARD_ID = 1;
const OTHER_BOARD_ID = 2;
const SLOW_MS = 20;
const FAST_MS = 0.1;
/** After a look from the start at one lane. */
const INTERVAL_MS = 20 * SLOW_MS;
/** Enough to believe that slow looks are slow for what was claimed. */
const MANY = 2000;

let now: number;
let heads: QueueHeads;

beforeEach(() => {
  now = 10_000;
  heads = new QueueHeads(() => now);
});

const idOf = (number: number): Uuid => `task-${String(number).padStart(6, '0')}` as Uuid;

/** Of one lane, in a look: each task, and how long the look had gone on in its line when it was found. */
type FoundLine = readonly [
  lane: string,
  count: number,
  tasks: readonly (readonly [task: number, foundMs: number])[],
];

const rowsOf = (lines: readonly FoundLine[]): ClaimedRow[] =>
  lines.flatMap(([lane, , tasks]) =>
    tasks.map(
      ([task, look_ms]) => ({ claim_lane: lane, id: idOf(task), priority: 0, look_ms }) as ClaimedRow,
    ),
  );

const slotsOf = (...lanes: readonly string[]) => lanes.map((lane) => ({ lane }));
const wantedOf = (lines: readonly FoundLine[]) =>
  slotsOf(...lines.flatMap(([lane, count]) => Array.from({ length: count }, () => lane)));

/** One look from begin to end: where it was told to begin, and the lanes that were passed over. */
function look(lines: readonly FoundLine[], { boardId = BOARD_ID, isFromStart = false } = {}) {
  const made = heads.look(boardId, isFromStart);
  const from = placesOf(made.begin(wantedOf(lines)));
  return { from, passedOver: [...made.ended(rowsOf(lines))] };
}

const placesOf = (places: ReadonlyMap<string, { readonly id: string }>): Record<string, string> =>
  Object.fromEntries([...places].map(([lane, { id }]) => [lane, id]));

const canceled = () => Object.assign(new Error('canceling statement'), { code: QUERY_CANCELED });

/** Where a look of these lanes would begin, which comes to nothing. */
function begunAt(...lanes: string[]): Record<string, string> {
  const made = heads.look(BOARD_ID, false);
  const from = placesOf(made.begin(slotsOf(...lanes)));
  made.failed(new Error('only asked'));
  return from;
}

/** The lanes that a look begins at their starts; each finds one more task. */
function lookedAtStart(...lanes: string[]): string[] {
  const made = heads.look(BOARD_ID, false);
  const from = made.begin(slotsOf(...lanes));
  const foundIn = (lane: string): FoundLine => [lane, 1, [[4, from.has(lane) ? FAST_MS : SLOW_MS]]];
  made.ended(rowsOf(lanes.map(foundIn)));
  return lanes.filter((lane) => !from.has(lane));
}

/** Until the lane is looked at from task 3 on. */
function becomeSlow(lane: string, boardId = BOARD_ID): void {
  const many = Array.from({ length: MANY }, (_, index) => [1, SLOW_MS + index / MANY] as const);
  look([[lane, MANY, many]], { boardId });
  look([[lane, 1, [[2, SLOW_MS]]]], { boardId });
  look([[lane, 1, [[3, SLOW_MS]]]], { boardId });
  // The first look from its start after it became slow: the interval counts from here.
  look([[lane, 1, [[3, SLOW_MS]]]], { boardId });
}

describe('a lane whose looks are slow', () => {
  test('is looked at from where the last look ended; others, and one of its name on another board, are not', () => {
    becomeSlow('a');
    expect(begunAt('a', 'b')).toEqual({ a: idOf(3) });
    expect(look([['a', 1, [[4, FAST_MS]]]], { boardId: OTHER_BOARD_ID }).from).toEqual({});
  });

  test('stays so whatever other lanes find, in the same look or in one of their own', () => {
    becomeSlow('a');
    look([['b', 1, [[1, FAST_MS]]]]);
    look([
      ['a', 1, [[4, FAST_MS]]],
      ['b', 1, [[2, FAST_MS]]],
    ]);
    look([
      ['b', 5, []],
      ['a', 1, [[5, FAST_MS]]],
    ]);
    expect(begunAt('a', 'b')).toEqual({ a: idOf(5) });
  });

  test('is looked at from its start after twenty times what that took, counted from its beginning', () => {
    becomeSlow('a');
    now += INTERVAL_MS - 1;
    expect(look([['a', 1, [[4, FAST_MS]]]]).from).toEqual({ a: idOf(3) });
    now += 1;
    expect(look([['a', 1, [[5, SLOW_MS]]]]).from).toEqual({});
    now += INTERVAL_MS - 1;
    expect(look([['a', 1, [[6, FAST_MS]]]]).from).toEqual({ a: idOf(5) });
    now += 1;
    expect(begunAt('a')).toEqual({});
  });

  test('takes turns with other slow lanes of its board: by one look at the start of one, the longest waiting first', () => {
    for (const lane of ['a', 'b', 'c']) becomeSlow(lane);
    now += 3 * INTERVAL_MS;
    const turns = Array.from({ length: 4 }, () => lookedAtStart('a', 'b', 'c'));
    expect(turns).toEqual([['a'], ['b'], ['c'], []]);
  });

  test('shares the time for that with those of its board that are in use, and no others', () => {
    for (const lane of ['a', 'b', 'c']) becomeSlow(lane);
    becomeSlow('d', OTHER_BOARD_ID);
    look([['a', 1, [[4, SLOW_MS]]]], { isFromStart: true });
    now += 3 * INTERVAL_MS - 1;
    expect(begunAt('a')).toEqual({ a: idOf(4) });
    now += 1;
    expect(begunAt('a')).toEqual({});
    now += 10_000;
    look([['a', 1, [[5, SLOW_MS]]]], { isFromStart: true });
    now += INTERVAL_MS - 1;
    expect(begunAt('a')).toEqual({ a: idOf(5) });
    now += 1;
    expect(begunAt('a')).toEqual({});
  });

  test('is not kept from its turn by others that come more often, and were looked at later', () => {
    for (const lane of ['a', 'b']) becomeSlow(lane);
    now += 2 * INTERVAL_MS;
    const often = Array.from({ length: 5 }, () => lookedAtStart('a'));
    expect(often).toEqual([['a'], [], [], [], []]);
    expect(lookedAtStart('a', 'b')).toEqual(['b']);
  });

  test('is not kept from its turn by one with more in front, which takes none', () => {
    for (const lane of ['a', 'b']) becomeSlow(lane);
    now += 2 * INTERVAL_MS;
    expect(look([['a', 1, [[1, FAST_MS]]]]).from).toEqual({});
    expect(lookedAtStart('b')).toEqual(['b']);
    now += 2 * INTERVAL_MS;
    const { from } = look([
      ['a', 1, [[2, FAST_MS]]],
      ['b', 1, [[5, SLOW_MS]]],
    ]);
    expect(from).toEqual({});
    expect(begunAt('a', 'b')).toEqual({ b: idOf(5) });
  });

  test('is looked at from its start again at once when that was filled in front', () => {
    becomeSlow('a');
    now += INTERVAL_MS;
    expect(look([['a', 1, [[1, FAST_MS]]]]).from).toEqual({});
    expect(look([['a', 1, [[2, FAST_MS]]]]).from).toEqual({});
    expect(look([['a', 1, [[4, SLOW_MS]]]]).from).toEqual({});
    expect(look([['a', 1, [[5, FAST_MS]]]]).from).toEqual({ a: idOf(4) });
  });

  test('is exact again with a look from the start that is fast', () => {
    becomeSlow('a');
    now += INTERVAL_MS;
    look([['a', 1, [[4, FAST_MS]]]]);
    expect(begunAt('a')).toEqual({});
  });

  test('is looked at from the start when that is asked for, whenever that was last done', () => {
    becomeSlow('a');
    expect(look([['a', 1, [[4, SLOW_MS]]]], { isFromStart: true }).from).toEqual({});
    expect(begunAt('a')).toEqual({ a: idOf(4) });
  });

  test('counts what was slow to come to, not how much was found', () => {
    const many = Array.from({ length: 300 }, (_, index) => [index, 0.6 * index] as const);
    for (let batch = 0; batch < 20; batch += 1) look([['a', 300, many]]);
    expect(begunAt('a')).toEqual({});
  });

  test('has nothing to do with the work under review', () => {
    becomeSlow('a');
    const made = heads.look(BOARD_ID, false);
    made.begin(slotsOf('a'));
    const [review] = rowsOf([['a', 1, [[9, FAST_MS]]]]);
    expect([...made.ended([{ ...review, look_ms: null } as ClaimedRow])]).toEqual(['a']);
    expect(begunAt('a')).toEqual({ a: idOf(3) });
  });
});

describe('a look from a place', () => {
  beforeEach(() => {
    becomeSlow('a');
    becomeSlow('b');
  });

  test('names the lanes in which it found less than was asked for', () => {
    const { passedOver } = look([
      ['a', 2, [[4, FAST_MS]]],
      ['b', 1, [[4, FAST_MS]]],
      ['c', 1, []],
    ]);
    expect(passedOver).toEqual(['a']);
  });

  test('as one from the start does not', () => {
    expect(look([['a', 2, []]], { isFromStart: true }).passedOver).toEqual([]);
  });

  test('goes on from the same place when it has found nothing', () => {
    look([['a', 2, []]]);
    expect(begunAt('a')).toEqual({ a: idOf(3) });
  });

  test('moves nothing before it has ended, and never when it fails', () => {
    const made = heads.look(BOARD_ID, false);
    made.begin(slotsOf('a'));
    made.failed(new Error('a connection broke'));
    expect([...made.ended(rowsOf([['a', 1, [[9, FAST_MS]]]]))]).toEqual([]);
    expect(begunAt('a')).toEqual({ a: idOf(3) });
  });

  test('changes nothing where the lane was given up meanwhile', () => {
    const made = heads.look(BOARD_ID, false);
    made.begin(slotsOf('a'));
    look([['a', 1, [[4, FAST_MS]]]], { isFromStart: true });
    made.ended(rowsOf([['a', 1, [[5, SLOW_MS]]]]));
    expect(begunAt('a')).toEqual({});
  });
});

describe('a look from the start', () => {
  beforeEach(() => {
    becomeSlow('a');
    now += INTERVAL_MS;
  });

  test('that fails is made again by the next one; meanwhile nobody makes the same', () => {
    const made = heads.look(BOARD_ID, false);
    expect(made.begin(slotsOf('a')).size).toBe(0);
    expect(begunAt('a')).toEqual({ a: idOf(3) });
    made.failed(new Error('a connection broke'));
    expect(begunAt('a')).toEqual({});
  });

  test('that was taken back with its transaction is begun anew', () => {
    const made = heads.look(BOARD_ID, false);
    made.begin(slotsOf('a'));
    expect(made.begin(slotsOf('a')).size).toBe(0);
    made.ended(rowsOf([['a', 1, [[4, SLOW_MS]]]]));
    expect(begunAt('a')).toEqual({ a: idOf(4) });
  });

  test('that is too slow for who waits for it is one, which took four times the last one at most', () => {
    const made = heads.look(BOARD_ID, false);
    made.begin(slotsOf('a'));
    now += 7000;
    made.failed(canceled());
    // Longer than that.
    expect(lookedAtStart('a')).toEqual(['a']);
    now += INTERVAL_MS;
    const again = heads.look(BOARD_ID, false);
    again.begin(slotsOf('a'));
    now += 10;
    again.failed(canceled());
    now += INTERVAL_MS - 10 - 1;
    expect(lookedAtStart('a')).toEqual([]);
    now += 1;
    expect(lookedAtStart('a')).toEqual(['a']);
  });

  test('at every lane says nothing of one when it is too slow', () => {
    const made = heads.look(BOARD_ID, true);
    made.begin(slotsOf('a'));
    now += 10;
    made.failed(canceled());
    expect(begunAt('a')).toEqual({});
  });

  test('that was taken back, and is not begun anew, was not made', () => {
    const made = heads.look(BOARD_ID, false);
    made.begin(slotsOf('a'));
    made.takeBack();
    expect([...made.ended([])]).toEqual([]);
    expect(begunAt('a')).toEqual({});
  });

  test('is not begun for who was answered already', () => {
    const made = heads.look(BOARD_ID, false);
    made.failed(canceled());
    expect(() => made.begin(slotsOf('a'))).toThrow('The look is over');
  });

  test('for which nobody asked does not count', () => {
    const made = heads.look(BOARD_ID, false);
    expect([...made.ended([])]).toEqual([]);
    expect(begunAt('a')).toEqual({});
  });
});
