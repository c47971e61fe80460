import { beforeEach, describe, expect, test } from 'vitest';
import { type Begun, type Found, Line } from '../../../../src/server/features/claims/claiming/line.ts';
import type { Place } from '../../../../src/server/features/claims/store/ready-line.ts';
import type { Uuid } from '../../../../src/server/kernel/ids.ts';

const SLOW_MS = 20;
const FAST_MS = 0.4;

const place = (number: number, priority = 0): Place => ({
  priority,
  id: `task-${String(number).padStart(6, '0')}` as Uuid,
});

let line: Line;

beforeEach(() => {
  line = new Line();
});

const foundOf = (last: Place, gapMs: number, more: Partial<Found> = {}): Found => ({
  last,
  gapMs,
  lookMs: gapMs,
  count: 1,
  ...more,
});

/** A look from the start; answers whether the line is kept. */
const fromStart = (last: Place, gapMs: number, more: Partial<Found> = {}, nowMs = 0): boolean =>
  line.found(foundOf(last, gapMs, more), line.beginFromStart(nowMs));

/** A look from its place. */
const fromPlace = (last: Place, gapMs: number, more: Partial<Found> = {}): boolean =>
  line.found(foundOf(last, gapMs, more), line.beginFromPlace(0));

const currentPlace = (): Place | null => line.beginFromPlace(0).from;

/** Until it is looked at from task 3 on. */
function becomeSlow(): void {
  fromStart(place(1), SLOW_MS, { count: 2000 });
  fromStart(place(2), SLOW_MS);
  fromStart(place(3), SLOW_MS);
}

describe('a line is looked at from its start', () => {
  test('as long as fewer than three looks were slow', () => {
    expect(fromStart(place(1), SLOW_MS, { count: 5000 })).toBe(true);
    expect(fromStart(place(2), SLOW_MS)).toBe(true);
    expect(line.isSpared).toBe(false);
    expect(fromStart(place(3), SLOW_MS)).toBe(true);
    expect(line.isSpared).toBe(true);
  });

  test('as long as little was claimed since they are slow', () => {
    for (let look = 1; look <= 1999; look += 1) fromStart(place(look), SLOW_MS);
    expect(line.isSpared).toBe(false);
    fromStart(place(2000), SLOW_MS);
    expect(currentPlace()).toEqual(place(2000));
  });

  test('and forgotten once it is fast up to where it was slow', () => {
    expect(fromStart(place(1), FAST_MS)).toBe(false);
    becomeSlow();
    expect(fromStart(place(3), FAST_MS)).toBe(false);
  });

  test('and not because of what was found fast in front of that, also before anything is spared', () => {
    fromStart(place(5), SLOW_MS, { count: 5000 });
    expect(fromStart(place(4), FAST_MS)).toBe(true);
    fromStart(place(6), SLOW_MS);
    expect(fromStart(place(9, 3), FAST_MS)).toBe(true);
    fromStart(place(7), SLOW_MS);
    expect(currentPlace()).toEqual(place(7));
  });
});

test.each([
  ['one stretch that takes long', 1, 1.2, true],
  ['one that does not', 0.5, 0.5, false],
  ['long only because it finds much', 1, 2.1, false],
])('a look is slow by %s', (_, gapMs, lookMs, isSlow) => {
  expect(Line.isSlow(foundOf(place(1), gapMs, { lookMs }))).toBe(isSlow);
});

describe('a line that is slow', () => {
  beforeEach(becomeSlow);

  test('is looked at from where the last look ended', () => {
    expect(currentPlace()).toEqual(place(3));
    fromPlace(place(7), FAST_MS);
    expect(currentPlace()).toEqual(place(7));
    fromStart(place(9), SLOW_MS);
    expect(currentPlace()).toEqual(place(9));
  });

  test('says when it was looked at from its start: from the beginning of that on', () => {
    fromStart(place(9), SLOW_MS, {}, 1000);
    fromPlace(place(10), FAST_MS);
    expect(line.lookedAtStartMs).toBe(1000);
  });

  test('is due again at once where the look was filled in front, fast: there may be more', () => {
    expect(fromStart(place(2), FAST_MS, {}, 1000)).toBe(true);
    expect(line.isMoreInFront).toBe(true);
    expect(currentPlace()).toEqual(place(3));
    line.beginFromStart(1001);
    expect(line.isMoreInFront).toBe(false);
  });

  test('goes on from there where it was filled in front, slowly', () => {
    fromStart(place(1, 5), SLOW_MS);
    expect(currentPlace()).toEqual(place(1, 5));
  });

  test('stays there whatever ends that had begun behind it', () => {
    const begun = line.beginFromPlace(0);
    fromStart(place(1, 5), SLOW_MS);
    line.found(foundOf(place(9), FAST_MS), begun);
    expect(currentPlace()).toEqual(place(1, 5));
    fromPlace(place(2, 5), FAST_MS);
    expect(currentPlace()).toEqual(place(2, 5));
  });

  test('never goes back by looks from its place, which may end in any order', () => {
    const [one, other] = [line.beginFromPlace(0), line.beginFromPlace(0)];
    line.found(foundOf(place(9), FAST_MS), other);
    line.found(foundOf(place(8), FAST_MS), one);
    expect(currentPlace()).toEqual(place(9));
    fromPlace(place(1, -1), FAST_MS);
    expect(currentPlace()).toEqual(place(1, -1));
  });

  test('is given up where looks from its place are no faster, three times in a row', () => {
    const noFaster = SLOW_MS / 2 + 1;
    const kept = [noFaster, noFaster, SLOW_MS / 2, noFaster, noFaster, noFaster].map((gapMs, index) =>
      fromPlace(place(4 + index), gapMs),
    );
    expect(kept).toEqual([true, true, true, true, true, false]);
  });

  test('and not because they pass what is known to be slow, after it was set back', () => {
    fromStart(place(1, 5), SLOW_MS);
    const looks = Array.from({ length: 5 }, () => line.beginFromPlace(0));
    const kept = looks.map((begun, index) => line.found(foundOf(place(10 + index), SLOW_MS), begun));
    expect(kept).toEqual([true, true, true, true, true]);
    expect(currentPlace()).toEqual(place(14));
  });

  test('takes no place from a look that was under way when it was given up', () => {
    const begun = line.beginFromPlace(0);
    line = new Line();
    expect(line.found(foundOf(place(9), FAST_MS, { count: 5000 }), begun)).toBe(true);
    expect(line.isSpared).toBe(false);
  });
});

describe('the next look from the start is due', () => {
  /** When the last one was at 0. */
  const isDueAround = (ms: number, sharing = 1): boolean[] =>
    [ms - 1, ms].map((at) => line.isDueAtStart(at, sharing));

  test.each([
    ['a tenth of a second', 2, 100],
    ['twenty times what the last one took', 30, 600],
    ['a second, which is twenty times a twentieth', 50, 1000],
    ['a second, which is ten times a tenth', 100, 1000],
    ['ten times half a second', 500, 5000],
    ['ten times a second', 1000, 10_000],
  ])('after %s', (_, gapMs, ms) => {
    fromStart(place(1), gapMs, { count: 2000 });
    expect(isDueAround(ms)).toEqual([false, true]);
  });

  test('where others share the time, so many times later', () => {
    fromStart(place(1), SLOW_MS, { count: 2000 });
    expect(isDueAround(3 * 20 * SLOW_MS, 3)).toEqual([false, true]);
  });

  test('at once where there was none', () => {
    expect(line.isDueAtStart(0, 1)).toBe(true);
  });
});

test('a line shares the time for looks from the start while it is slow and was looked at in the last ten seconds', () => {
  line.beginFromStart(0);
  expect(line.isSharing(0)).toBe(false);
  becomeSlow();
  line.beginFromPlace(5000);
  expect([line.isSharing(14_999), line.isSharing(15_000)]).toEqual([true, false]);
  line.beginFromStart(20_000);
  expect(line.isSharing(29_999)).toBe(true);
});

describe('a look from the start that fails', () => {
  let begun: Begun;

  beforeEach(() => {
    becomeSlow();
    fromStart(place(2), FAST_MS, {}, 900);
    begun = line.beginFromStart(1000);
  });

  test('was not made', () => {
    line.failedFromStart(1000, begun, null);
    expect([line.lookedAtStartMs, line.isMoreInFront]).toEqual([900, true]);
  });

  test('was made when it was too slow, and has taken that long, as far as that can be believed', () => {
    line.failedFromStart(1000, begun, 3 * SLOW_MS);
    expect([line.lookedAtStartMs, line.isMoreInFront]).toEqual([1000, false]);
    const dueAfter = (intervalMs: number) =>
      [intervalMs - 1, intervalMs].map((ms) => line.isDueAtStart(1000 + ms, 1));
    expect(dueAfter(1000)).toEqual([false, true]);
    line.failedFromStart(1000, begun, 7000);
    expect(dueAfter(10 * 4 * 3 * SLOW_MS)).toEqual([false, true]);
    line.failedFromStart(1000, begun, 900);
    expect(dueAfter(9000)).toEqual([false, true]);
    line.failedFromStart(1000, begun, 7000);
    expect(dueAfter(36_000)).toEqual([false, true]);
  });

  test('says nothing when another one was begun after it', () => {
    line.beginFromStart(1100);
    line.failedFromStart(1000, begun, null);
    expect(line.lookedAtStartMs).toBe(1100);
  });
});
