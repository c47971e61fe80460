/** What a scenario is, and how its rounds run: every contender once a round, each round beginning with another one. */
import type { Bench } from './bench.ts';
import { median, type Spread, spreadOf } from './statistics.ts';

export interface Metric {
  readonly key: string;
  readonly unit: string;
  readonly digits: number;
}

/** One contender's figures of one round, by metric. */
export type Measurement = Readonly<Record<string, number>>;

export interface Contender {
  readonly name: string;
  measure(bench: Bench): Promise<Measurement>;
}

/** Ours divided by a peer's figure of the same round, or our figure alone. */
export interface Comparison {
  readonly metric: string;
  readonly of: string;
  /** null: an absolute bar. */
  readonly against: string | null;
  readonly bar: Bar | null;
}

export interface Bar {
  readonly kind: 'at_least' | 'at_most';
  readonly value: number;
}

export interface Scenario {
  readonly id: string;
  readonly title: string;
  readonly metrics: readonly Metric[];
  readonly contenders: readonly Contender[];
  readonly comparisons: readonly Comparison[];
}

export interface ComparisonResult extends Comparison {
  readonly perRound: readonly number[];
  readonly median: number;
  /** null: there is no bar. */
  readonly isMet: boolean | null;
}

export interface ScenarioResult {
  readonly id: string;
  readonly title: string;
  readonly metrics: readonly Metric[];
  readonly contenders: readonly {
    readonly name: string;
    readonly rounds: readonly Measurement[];
    readonly spread: Readonly<Record<string, Spread>>;
  }[];
  readonly comparisons: readonly ComparisonResult[];
}

export async function runScenario(scenario: Scenario, bench: Bench, rounds: number): Promise<ScenarioResult> {
  const { contenders } = scenario;
  const measured = new Map<string, Measurement[]>(contenders.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (let turn = 0; turn < contenders.length; turn += 1) {
      bench.signal.throwIfAborted();
      const contender = contenders[(round + turn) % contenders.length];
      if (contender === undefined) continue;
      const measurement = await contender.measure(bench);
      measured.get(contender.name)?.push(measurement);
      const [first] = scenario.metrics;
      const figure =
        first === undefined ? '' : `${measurement[first.key]?.toFixed(first.digits)} ${first.unit}`;
      bench.report(`${scenario.id} round ${round + 1}/${rounds}  ${contender.name}: ${figure}`);
    }
  }
  const roundsOf = (name: string): readonly Measurement[] => measured.get(name) ?? [];
  return {
    id: scenario.id,
    title: scenario.title,
    metrics: scenario.metrics,
    contenders: contenders.map(({ name }) => ({
      name,
      rounds: roundsOf(name),
      spread: Object.fromEntries(
        scenario.metrics.map(({ key }) => [
          key,
          spreadOf(roundsOf(name).map((measurement) => measurement[key] ?? Number.NaN)),
        ]),
      ),
    })),
    comparisons: scenario.comparisons.map((comparison) => compare(comparison, roundsOf)),
  };
}

function compare(
  comparison: Comparison,
  roundsOf: (name: string) => readonly Measurement[],
): ComparisonResult {
  const { metric, of, against, bar } = comparison;
  const peers = against === null ? null : roundsOf(against);
  const perRound = roundsOf(of).map(
    (measurement, round) =>
      (measurement[metric] ?? Number.NaN) / (peers === null ? 1 : (peers[round]?.[metric] ?? Number.NaN)),
  );
  const middle = median(perRound);
  return { ...comparison, perRound, median: middle, isMet: bar === null ? null : isMet(bar, middle) };
}

function isMet(bar: Bar, value: number): boolean {
  return bar.kind === 'at_least' ? value >= bar.value : value <= bar.value;
}
