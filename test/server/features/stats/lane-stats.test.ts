/** Figures by lane: one number for each point, of a bounded number of lanes, and nothing is lost. */
import { expect, test } from 'vitest';
import { laneStatsOf } from '../../../../src/server/features/stats/lane-stats.ts';

const TIMES = ['2026-01-01T00:00:00.000Z', '2026-01-01T00:01:00.000Z'];

test('a lane has a number for each point, also where nothing happened', () => {
  const rows = [{ at: TIMES[1] ?? '', lane: 'a', claims: 2, completed: 1 }];
  expect(laneStatsOf(rows, TIMES)).toEqual({
    lanes: { a: { claims: [0, 2], completed: [0, 1] } },
    other_lanes: null,
  });
});

test('of more than 200 lanes the busiest are named, and the others are one sum', () => {
  const rows = Array.from({ length: 250 }, (_, number) => ({
    at: TIMES[0] ?? '',
    lane: `lane-${number}`,
    claims: number,
    completed: 0,
  }));
  rows.push({ at: TIMES[1] ?? '', lane: '', claims: 7, completed: 5 });
  const { lanes, other_lanes } = laneStatsOf(rows, TIMES);
  expect(Object.keys(lanes)).toHaveLength(200);
  expect(lanes['lane-249']).toEqual({ claims: [249, 0], completed: [0, 0] });
  expect(lanes['lane-49']).toBeUndefined();
  // 0 + 1 + … + 49, and what was of no lane with a name before.
  expect(other_lanes).toEqual({ claims: [1225, 7], completed: [0, 5] });
});
