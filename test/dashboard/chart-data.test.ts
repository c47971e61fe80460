import { expect, test } from 'vitest';
import {
  chartsOf,
  durationText,
  type Stats,
  shortNumber,
  stacked,
  summaryOf,
} from '../../src/dashboard/charts/chart-data.ts';

const ENDS = {
  completed: 0,
  changes_requested: 0,
  blocked: 0,
  released: 0,
  failed: 0,
  crashed: 0,
  timed_out: 0,
  reclaimed: 0,
  cancelled: 0,
};
const NO_DURATIONS = { count: 0, p50_seconds: null, p95_seconds: null };

function statsOf(points: readonly Partial<Stats['points'][number]>[]): Stats {
  const at = (index: number): string => new Date(Date.UTC(2026, 0, 1, 0, index)).toISOString();
  const activity = { created: 0, claims: 0, ends: ENDS, queue_wait: NO_DURATIONS, run_time: NO_DURATIONS };
  return {
    board: 'default',
    window: '15m',
    step_seconds: 60,
    from_at: at(0),
    to_at: new Date(Date.parse(at(points.length - 1)) + 30_000).toISOString(),
    counted_at: at(points.length - 1),
    points: points.map((point, index) => ({ at: at(index), depth: null, ...activity, ...point })),
    totals: activity,
    lanes: {},
    other_lanes: null,
  };
}

const chart = (stats: Stats, title: string) => chartsOf(stats).find((each) => each.title === title);

test('a rate is by the seconds of its point, of the last one by those that have passed', () => {
  const { series } = chart(statsOf([{ claims: 120 }, { claims: 60 }]), 'Claims') ?? {};
  expect(series?.[0]?.values).toEqual([2, 2]);
});

test('outcomes are grouped, and none is left out', () => {
  const ends = Object.fromEntries(
    Object.keys(ENDS).map((outcome, index) => [outcome, 10 ** index]),
  ) as typeof ENDS;
  const { series = [] } = chart(statsOf([{ ends }]), 'Ends by outcome') ?? {};
  const sum = series.reduce((total, { values }) => total + (values[0] ?? 0), 0);
  expect(sum).toBe(111_111_111);
  expect(series.find(({ label }) => label === 'failed')?.values).toEqual([
    ends.failed + ends.crashed + ends.timed_out,
  ]);
});

test('what was not measured is a gap, not a zero', () => {
  const wait = { count: 3, p50_seconds: 0.5, p95_seconds: 4 };
  const { series } = chart(statsOf([{}, { queue_wait: wait }]), 'Queue wait') ?? {};
  expect(series?.map(({ values }) => values)).toEqual([
    [null, 0.5],
    [null, 4],
  ]);
});

test('a stack adds up from below', () => {
  const row = (values: (number | null)[]) => ({ label: '', colour: 'good', values }) as const;
  expect(stacked([row([1, 2]), row([null, 3]), row([4, 0])])).toEqual([
    [1, 2],
    [1, 5],
    [5, 5],
  ]);
});

test('numbers and durations are short', () => {
  expect([0, 0.1234, 9.87, 12.34, 1234.5].map(shortNumber)).toEqual(['0', '0.12', '9.9', '12.3', '1235']);
  expect([null, 0.0421, 12, 90, 7200].map(durationText)).toEqual(['–', '42 ms', '12 s', '1.5 min', '2 h']);
});

test('a chart is said in words', () => {
  const stats = statsOf([{ claims: 120 }, { claims: 15 }]);
  const claims = chart(stats, 'Claims');
  expect(claims && summaryOf(claims)).toBe(
    'Claims (per second): claims now 0.5, at most 2; created now 0, at most 0',
  );
  const wait = chart(stats, 'Queue wait');
  expect(wait && summaryOf(wait)).toBe('Queue wait: nothing yet');
});
