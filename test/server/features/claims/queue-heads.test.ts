import { beforeEach, describe, expect, test } from 'vitest';
import { QueueHeads } from '../../../../src/server/features/claims/claiming/queue-heads.ts';
import type { ClaimedRow } from '../../../../src/server/features/claims/store/claimed-row.ts';
import type { Uuid } from '../../../../src/server/kernel/ids.ts';

const BOARD_ID = 1;
const OTHER_BOARD_ID = 2;
const SLOW_MS = 20;
const FAST_MS = 0.1;
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

const wantedOf = (lines: readonly FoundLine[]) =>
  lines.flatMap(([lane, count]) => Array.from({ length: count }, () => ({ lane })));

/** One look from begin to end: where it was told to begin, and the lanes that were passed over. */
function look(lines: readonly FoundLine[], { boardId = BOARD_ID, isFromStart = false } = {}) {
  const looking = heads.begin(boardId, wantedOf(lines), { isFromStart });
  const passedOver = looking.ended(rowsOf(lines));
  return { from: placesOf(looking.heads), passedOver: [...passedOver] };
}

const placesOf = (places: ReadonlyMap<string, { readonly id: string }>): Record<string, string> =>
  Object.fromEntries([...places].map(([lane, { id }]) => [lane, id]));

/** Where a look of these lanes would begin. */
const begunAt = (...lanes: string[]): Record<string, string> =>
  placesOf(
    heads.begin(
      BOARD_ID,
      lanes.map((lane) => ({ lane })),
      { isFromStart: false },
    ).heads,
  );

/** Until the lane is looked at from task 3 on. */
function becomeSlow(lane: string, boardId = BOARD_ID): void {
  const many = Array.from({ length: MANY }, () => [1, SLOW_MS] as const);
  look([[lane, MANY, many]], { boardId });
  look([[lane, 1, [[2, SLOW_MS]]]], { boardId });
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

  test('is exact again with a look from the start that is fast', () => {
    becomeSlow('a');
    look([['a', 1, [[4, FAST_MS]]]], { isFromStart: true });
    expect(begunAt('a')).toEqual({});
  });

  test('is looked at from the start when that is asked for, which counts', () => {
    becomeSlow('a');
    now += 20 * SLOW_MS - 1;
    expect(look([['a', 1, [[4, SLOW_MS]]]], { isFromStart: true }).from).toEqual({});
    now += 20 * SLOW_MS - 1;
    expect(begunAt('a')).toEqual({ a: idOf(4) });
    now += 1;
    expect(begunAt('a')).toEqual({});
  });

  test('counts what was slow to find, not how much was found', () => {
    const many = Array.from({ length: 300 }, (_, index) => [index, 0.1 * index] as const);
    for (let batch = 0; batch < 20; batch += 1) look([['a', 300, many]]);
    expect(begunAt('a')).toEqual({});
  });

  test('is looked at from its start less often when other lanes of its board are slow as well: together they take no more', () => {
    becomeSlow('a');
    becomeSlow('b');
    now += 2 * 20 * SLOW_MS - 1;
    expect(Object.keys(begunAt('a', 'b'))).toEqual(['a', 'b']);
    now += 1;
    expect(begunAt('a', 'b')).toEqual({});
  });

  test('has nothing to do with the work under review', () => {
    becomeSlow('a');
    const looking = heads.begin(BOARD_ID, [{ lane: 'a' }], { isFromStart: false });
    const [review] = rowsOf([['a', 1, [[9, FAST_MS]]]]);
    const passedOver = looking.ended([{ ...review, reviewer: 'a', look_ms: null } as ClaimedRow]);
    expect(passedOver.size).toBe(0);
    expect(begunAt('a')).toEqual({ a: idOf(3) });
  });
});

describe('a look from a place', () => {
  beforeEach(() => {
    becomeSlow('a');
    becomeSlow('b');
  });

  test('names the lanes in which it found less than was asked for', () => {
    expect(
      look([
        ['a', 2, [[4, FAST_MS]]],
        ['b', 1, [[4, FAST_MS]]],
        ['c', 1, []],
      ]).passedOver,
    ).toEqual(['a']);
  });

  test('as one from the start does not', () => {
    expect(look([['a', 2, []]], { isFromStart: true }).passedOver).toEqual([]);
  });

  test('goes on from the same place when it has found nothing', () => {
    look([['a', 2, []]]);
    expect(begunAt('a')).toEqual({ a: idOf(3) });
  });

  test('moves nothing before it has ended, and never when it fails', () => {
    const looking = heads.begin(BOARD_ID, [{ lane: 'a' }], { isFromStart: false });
    expect(begunAt('a')).toEqual({ a: idOf(3) });
    looking.failed();
    expect(begunAt('a')).toEqual({ a: idOf(3) });
  });

  test('changes nothing where the lane was given up meanwhile', () => {
    const looking = heads.begin(BOARD_ID, [{ lane: 'a' }], { isFromStart: false });
    look([['a', 1, [[4, FAST_MS]]]], { isFromStart: true });
    looking.ended(rowsOf([['a', 1, [[5, SLOW_MS]]]]));
    expect(begunAt('a')).toEqual({});
  });
});

test('a look from the start that fails soon is made again', () => {
  becomeSlow('a');
  now += 1000;
  const looking = heads.begin(BOARD_ID, [{ lane: 'a' }], { isFromStart: false });
  expect(looking.heads.size).toBe(0);
  // Who comes meanwhile does not make the same look beside it.
  expect(begunAt('a')).toEqual({ a: idOf(3) });
  looking.failed();
  expect(begunAt('a')).toEqual({});
});
