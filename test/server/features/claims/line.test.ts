import { beforeEach, describe, expect, test } from 'vitest';
import { type Found, Line } from '../../../../src/server/features/claims/claiming/line.ts';
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
  line.found(foundOf(last, gapMs, more), line.beginFromPlace());

const currentPlace = (): Place | null => line.beginFromPlace().from;

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
    expect(line.lookedAtMs).toBe(1000);
    expect(line.lookMs).toBe(SLOW_MS);
  });

  test('is due again at once where the look was filled in front, fast: there may be more', () => {
    expect(fromStart(place(2), FAST_MS, {}, 1000)).toBe(true);
    expect(line.lookedAtMs).toBe(Number.NEGATIVE_INFINITY);
    expect(currentPlace()).toEqual(place(3));
  });

  test('goes on from there where it was filled in front, slowly', () => {
    fromStart(place(1, 5), SLOW_MS);
    expect(currentPlace()).toEqual(place(1, 5));
  });

  test('stays there whatever ends that had begun behind it', () => {
    const begun = line.beginFromPlace();
    fromStart(place(1, 5), SLOW_MS);
    line.found(foundOf(place(9), FAST_MS), begun);
    expect(currentPlace()).toEqual(place(1, 5));
    fromPlace(place(2, 5), FAST_MS);
    expect(currentPlace()).toEqual(place(2, 5));
  });

  test('never goes back by looks from its place, which may end in any order', () => {
    const [one, other] = [line.beginFromPlace(), line.beginFromPlace()];
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
    const looks = Array.from({ length: 5 }, () => line.beginFromPlace());
    const kept = looks.map((begun, index) => line.found(foundOf(place(10 + index), SLOW_MS), begun));
    expect(kept).toEqual([true, true, true, true, true]);
    expect(currentPlace()).toEqual(place(14));
  });

  test('takes no place from a look that was under way when it was given up', () => {
    const begun = line.beginFromPlace();
    line = new Line();
    expect(line.found(foundOf(place(9), FAST_MS, { count: 5000 }), begun)).toBe(true);
    expect(line.isSpared).toBe(false);
  });
});

describe('a look from the start that fails', () => {
  beforeEach(() => {
    becomeSlow();
    line.beginFromStart(1000);
  });

  test('is due again at once', () => {
    line.failedFromStart(1000, null);
    expect(line.lookedAtMs).toBe(Number.NEGATIVE_INFINITY);
  });

  test('was made when it was too slow, and has taken that long', () => {
    line.failedFromStart(1000, 7000);
    expect(line.lookedAtMs).toBe(1000);
    expect(line.lookMs).toBe(7000);
  });

  test('says nothing when another one was begun after it', () => {
    line.beginFromStart(1100);
    line.failedFromStart(1000, null);
    expect(line.lookedAtMs).toBe(1100);
  });
});
