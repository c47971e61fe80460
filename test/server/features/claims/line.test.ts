import { beforeEach, describe, expect, test } from 'vitest';
import { type Found, intervalMs, Line } from '../../../../src/server/features/claims/claiming/line.ts';
import type { Place } from '../../../../src/server/features/claims/store/ready-line.ts';
import type { Uuid } from '../../../../src/server/kernel/ids.ts';

const SLOW_MS = 20;
const FAST_MS = 0.4;
/** Twenty times what a look from the start takes. */
const INTERVAL_MS = 20 * SLOW_MS;

const place = (number: number, priority = 0): Place => ({
  priority,
  id: `task-${String(number).padStart(6, '0')}` as Uuid,
});
const found = (last: Place, gapMs: number, count = 1): Found => ({ last, gapMs, count });

let line: Line;

const placeAt = (nowMs: number): Place | null => line.placeAt(nowMs, intervalMs(line.sparedMs));

beforeEach(() => {
  line = new Line();
});

/** Until it is looked at from task 3 on; the last look from the start was at 0. */
function becomeSlow(gapMs = SLOW_MS): void {
  line.beginFromStart(0);
  line.foundFromStart(found(place(1), gapMs, 2000));
  line.foundFromStart(found(place(2), gapMs));
  line.foundFromStart(found(place(3), gapMs));
}

describe('a line is looked at from its start', () => {
  test('as long as fewer than three looks in a row were slow', () => {
    expect(line.foundFromStart(found(place(1), SLOW_MS, 5000))).toBe(true);
    expect(line.foundFromStart(found(place(2), SLOW_MS))).toBe(true);
    expect(placeAt(0)).toBeNull();
  });

  test('as long as little was claimed since they are slow', () => {
    for (let look = 1; look <= 1999; look += 1) line.foundFromStart(found(place(look), SLOW_MS));
    expect(placeAt(0)).toBeNull();
    line.beginFromStart(0);
    line.foundFromStart(found(place(2000), SLOW_MS));
    expect(placeAt(0)).toEqual(place(2000));
  });

  test('and forgotten once it is fast', () => {
    expect(line.foundFromStart(found(place(1), FAST_MS))).toBe(false);
    becomeSlow();
    expect(line.foundFromStart(found(place(4), FAST_MS))).toBe(false);
  });
});

describe('a line that is slow', () => {
  test('is looked at from where the last look ended, and from its start after twenty times what that took', () => {
    becomeSlow();
    expect(placeAt(1)).toEqual(place(3));
    line.foundFromPlace(found(place(7), FAST_MS));
    expect(placeAt(INTERVAL_MS - 1)).toEqual(place(7));
    expect(placeAt(INTERVAL_MS)).toBeNull();
  });

  test.each([
    ['very short', 4, 100],
    ['a twentieth of a second', 50, 1000],
    ['a tenth of a second', 100, 1000],
    ['a second', 1000, 10_000],
  ])('where that is %s, after so long', (_, gapMs, intervalMs) => {
    becomeSlow(gapMs);
    expect(placeAt(intervalMs - 1)).not.toBeNull();
    expect(placeAt(intervalMs)).toBeNull();
  });

  test('is spared nothing as long as it is looked at from its start', () => {
    line.foundFromStart(found(place(1), SLOW_MS));
    expect(line.sparedMs).toBe(0);
    becomeSlow();
    expect(line.sparedMs).toBe(SLOW_MS);
  });

  test('counts from the beginning of the look', () => {
    becomeSlow();
    line.beginFromStart(1000);
    line.foundFromStart(found(place(9), SLOW_MS));
    expect(placeAt(1000 + INTERVAL_MS - 1)).toEqual(place(9));
    expect(placeAt(1000 + INTERVAL_MS)).toBeNull();
  });

  test('goes on from what became ready in front, also when that was found fast: the look did not come to what is slow', () => {
    becomeSlow();
    expect(line.foundFromStart(found(place(2), FAST_MS))).toBe(true);
    expect(placeAt(1)).toEqual(place(2));
    expect(line.foundFromStart(found(place(1, 5), SLOW_MS))).toBe(true);
    expect(placeAt(1)).toEqual(place(1, 5));
  });

  test('never goes back by a look from its place, of which two may end in any order', () => {
    becomeSlow();
    line.foundFromPlace(found(place(9), FAST_MS));
    line.foundFromPlace(found(place(8), FAST_MS));
    expect(placeAt(1)).toEqual(place(9));
    line.foundFromPlace(found(place(1, -1), FAST_MS));
    expect(placeAt(1)).toEqual(place(1, -1));
  });

  test('is given up where looks from its place are no faster, three times in a row', () => {
    becomeSlow();
    const noFaster = SLOW_MS / 2 + 1;
    expect(line.foundFromPlace(found(place(4), noFaster))).toBe(true);
    expect(line.foundFromPlace(found(place(5), noFaster))).toBe(true);
    expect(line.foundFromPlace(found(place(6), SLOW_MS / 2))).toBe(true);
    expect(line.foundFromPlace(found(place(7), noFaster))).toBe(true);
    expect(line.foundFromPlace(found(place(8), noFaster))).toBe(true);
    expect(line.foundFromPlace(found(place(9), noFaster))).toBe(false);
  });

  test('takes no place from a look that was under way when it was given up', () => {
    expect(line.foundFromPlace(found(place(9), FAST_MS, 5000))).toBe(true);
    expect(placeAt(0)).toBeNull();
  });
});

describe('a look from the start that fails', () => {
  beforeEach(() => {
    becomeSlow();
    line.beginFromStart(1000);
  });

  test('is made again at once when it failed soon', () => {
    line.failedFromStart(1000, 1500);
    expect(placeAt(1500)).toBeNull();
  });

  test('is not before ten times of what it took when it was too slow', () => {
    line.failedFromStart(1000, 8000);
    expect(placeAt(8000 + 70_000 - 1)).toEqual(place(3));
    expect(placeAt(8000 + 70_000)).toBeNull();
  });

  test('says nothing when another one was begun after it', () => {
    line.beginFromStart(1100);
    line.failedFromStart(1000, 1200);
    expect(placeAt(1200)).toEqual(place(3));
  });
});
