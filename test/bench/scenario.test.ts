import { expect, it } from 'vitest';
import type { Bench } from '../../bench/bench.ts';
import { UsageError } from '../../bench/options.ts';
import { renderScenario } from '../../bench/report.ts';
import { type Contender, requireSeconds, runScenario, type Scenario } from '../../bench/scenario.ts';

const ROUNDS = 3;

function fakeBench(signal = new AbortController().signal): Bench {
  return { options: { rounds: ROUNDS }, signal, report: () => undefined } as unknown as Bench;
}

function contender(name: string, rates: readonly number[], order: string[] = []): Contender {
  let round = 0;
  return {
    name,
    measure: () => {
      order.push(name);
      round += 1;
      return Promise.resolve({ figures: { rate: rates[round - 1] ?? Number.NaN } });
    },
  };
}

function scenarioOf(contenders: readonly Contender[], extra: Partial<Scenario> = {}): Scenario {
  return {
    id: 'P0',
    title: 'a comparison',
    metrics: [{ key: 'rate', unit: 'cycles/s', digits: 0 }],
    contenders,
    comparisons: [
      { metric: 'rate', of: 'ours', against: 'theirs', bar: { kind: 'at_least', value: 1 } },
      { metric: 'rate', of: 'ours', against: null, bar: { kind: 'at_most', value: 15 } },
    ],
    ...extra,
  };
}

it('begins each round with another contender', async () => {
  const order: string[] = [];
  const contenders = ['a', 'b', 'c'].map((name) => contender(name, [1, 1, 1], order));
  await runScenario(scenarioOf(contenders, { comparisons: [] }), fakeBench());
  expect(order).toEqual(['a', 'b', 'c', 'b', 'c', 'a', 'c', 'a', 'b']);
});

it('takes ratios within a round and holds the bar against their median, not against a ratio of medians', async () => {
  const ours = contender('ours', [10, 20, 30]);
  const theirs = contender('theirs', [5, 40, 60]);
  const { comparisons } = await runScenario(scenarioOf([ours, theirs]), fakeBench());
  expect(comparisons[0]).toMatchObject({ perRound: [2, 0.5, 0.5], median: 0.5, isMet: false });
  expect(comparisons[1]).toMatchObject({ perRound: [10, 20, 30], median: 20, isMet: false });
});

it('leaves out a contender that cannot take part, with all that is compared with it, and says so', async () => {
  const missing: Contender = { ...contender('theirs', []), missing: () => 'it is not installed' };
  const result = await runScenario(scenarioOf([contender('ours', [10, 10, 10]), missing]), fakeBench());
  expect(result.contenders.map(({ name }) => name)).toEqual(['ours']);
  expect(result.comparisons.map(({ against }) => against)).toEqual([null]);
  const text = renderScenario(result);
  expect(text).toContain('theirs left out: it is not installed');
  expect(text).toContain('cycles/s: ours: **10** (rounds 10, 10, 10); bar ≤ 15: met');
});

it('cleans up after a scenario that failed', async () => {
  let closed = 0;
  const failing: Contender = { name: 'ours', measure: () => Promise.reject(new Error('lost work')) };
  const close = (): Promise<void> => {
    closed += 1;
    return Promise.resolve();
  };
  await expect(runScenario(scenarioOf([failing], { close, comparisons: [] }), fakeBench())).rejects.toThrow(
    'lost work',
  );
  expect(closed).toBe(1);
});

it('refuses a length that is too short for one of its scenarios, but not the length that this one has by itself', () => {
  const scenarios = [scenarioOf([]), scenarioOf([], { id: 'P00', secondsMin: 40 })];
  expect(() => requireSeconds(scenarios, { seconds: 39, areSecondsGiven: true })).toThrow(UsageError);
  expect(() => requireSeconds(scenarios, { seconds: 39, areSecondsGiven: true })).toThrow(
    'P00 takes at least --seconds 40',
  );
  requireSeconds(scenarios, { seconds: 40, areSecondsGiven: true });
  requireSeconds(scenarios, { seconds: 5, areSecondsGiven: false });
  requireSeconds(scenarios.slice(0, 1), { seconds: 1, areSecondsGiven: true });
});
