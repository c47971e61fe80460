import { expect, it } from 'vitest';
import { positionOf, renderChart } from '../../bench/chart.ts';
import { replaceResults } from '../../bench/readme.ts';
import type { RunRecord } from '../../bench/record.ts';
import type { ComparisonResult, ScenarioResult } from '../../bench/scenario.ts';

const README = [
  'By hand.',
  '<!-- results:begin -->',
  'old results',
  '<!-- results:end -->',
  'Also by hand.',
  '<!-- P9:begin -->',
  'old churn',
  '<!-- P9:end -->',
  '',
].join('\n');

function resultOf(id: string, comparisons: readonly ComparisonResult[] = []): ScenarioResult {
  return {
    id,
    title: `title of ${id}`,
    metrics: [{ key: 'rate', unit: 'cycles/s', digits: 0 }],
    contenders: [
      { name: 'ours & theirs', rounds: [], spread: { rate: { median: 2, min: 1, max: 3 } } },
      { name: 'a party without it', rounds: [], spread: {} },
    ],
    comparisons,
    leftOut: [],
    series: [],
    elapsedSeconds: 1,
  };
}

function recordOf(results: readonly ScenarioResult[]): RunRecord {
  return {
    at: '2026-02-03T04:05:06.000Z',
    command: 'npm run bench',
    machine: {
      processor: 'a processor',
      cores: 2,
      memoryGib: 8,
      platform: 'linux x64',
      loadAverage: 0,
      versions: { node: '1.2.3' },
    },
    rounds: 3,
    seconds: 5,
    elapsedSeconds: 10,
    results,
  };
}

function comparisonOf(kind: 'at_least' | 'at_most', value: number, median: number): ComparisonResult {
  const perRound = [median / 2, median, median * 2];
  const isMet = kind === 'at_least' ? median >= value : median <= value;
  return { metric: 'rate', of: 'ours', against: '<theirs>', bar: { kind, value }, perRound, median, isMet };
}

it('replaces what stands between the markers of the run, and nothing else', () => {
  const text = replaceResults(README, recordOf([resultOf('P1'), resultOf('P2')]));
  expect(text).toContain('`npm run bench`, 2026-02-03');
  expect(text).toContain('### P1 title of P1');
  expect(text).toContain('### P2 title of P2');
  expect(text).not.toContain('old results');
  expect(text).toContain('By hand.\n<!-- results:begin -->');
  expect(text).toContain('<!-- results:end -->\nAlso by hand.\n<!-- P9:begin -->\nold churn\n');
  expect(replaceResults(text, recordOf([resultOf('P1'), resultOf('P2')]))).toBe(text);
});

it('refuses a run that has not all that stands there', () => {
  const text = replaceResults(README, recordOf([resultOf('P1'), resultOf('P2'), resultOf('P3')]));
  const refused = () => replaceResults(text, recordOf([resultOf('P2'), resultOf('P15')]));
  expect(refused).toThrow('the README has results of P1, P3, and this run has none');
});

it('leaves the other results alone when a scenario with a section of its own was run', () => {
  const text = replaceResults(README, recordOf([resultOf('P9')]));
  expect(text).toContain('old results');
  expect(text).toContain('### P9 title of P9');
  expect(text).not.toContain('old churn');
});

it('tells the rounds that there were, not those that were asked for', () => {
  const result = resultOf('P9');
  const contenders = result.contenders.map((contender) => ({ ...contender, rounds: [{ rate: 2 }] }));
  expect(replaceResults(README, recordOf([{ ...result, contenders }]))).toContain(
    ': 1 round, windows of 5 s',
  );
  expect(replaceResults(README, recordOf([result]))).toContain(': 3 rounds, windows of 5 s');
});

it('fails on a README whose markers are gone, instead of losing the run', () => {
  expect(() => replaceResults('By hand.', recordOf([resultOf('P1')]))).toThrow('no section results');
});

it('shows a dash where a run that was read back has no figure', () => {
  const back: RunRecord = JSON.parse(
    JSON.stringify(
      recordOf([
        {
          ...resultOf('P1'),
          contenders: [
            { name: 'a', rounds: [], spread: { rate: { median: Number.NaN, min: Number.NaN, max: 0 } } },
          ],
        },
      ]),
    ),
  );
  expect(replaceResults(README, back)).toMatch(/\| a +\| – +\|/);
});

it('draws what is better to the right of the bar, whichever way the bar points', () => {
  const bar = positionOf(1);
  expect(positionOf(2) - bar).toBeCloseTo(bar - positionOf(0.5));
  const chart = renderChart(
    recordOf([resultOf('P1', [comparisonOf('at_least', 1, 2), comparisonOf('at_most', 1, 2)])]),
  );
  expect(chart).toContain(`<rect class="met" x="${bar}"`);
  expect(chart).toContain(`<rect class="missed" x="${positionOf(0.5)}"`);
  expect(chart).toContain('1 of 2 bars met');
});

it('draws no bar of zero, no unescaped name, and nothing outside its frame', () => {
  const chart = renderChart(
    recordOf([resultOf('P1', [comparisonOf('at_most', 0, 0), comparisonOf('at_least', 1, 1000)])]),
  );
  expect(chart).toContain('1 of 1 bars met');
  expect(chart).toContain('&lt;theirs&gt;');
  expect(positionOf(1000)).toBe(positionOf(8));
  expect(positionOf(0)).toBe(positionOf(1 / 8));
});
