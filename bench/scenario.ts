/** What a scenario is, and how its rounds run: every contender once a round, each round beginning with another one. */
import type { Bench } from './bench.ts';
import { type BenchOptions, UsageError } from './options.ts';
import { median, type Spread, spreadOf } from './statistics.ts';

export interface Metric {
  readonly key: string;
  readonly unit: string;
  readonly digits: number;
}

/** One contender's figures of one round, by metric. */
export type Measurement = Readonly<Record<string, number>>;

/** What only a table can tell, such as a course in time. */
export interface Series {
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export interface Measured {
  readonly figures: Measurement;
  readonly series?: Series;
}

export interface Contender {
  readonly name: string;
  /** Why it cannot take part here, or null. Default: it can. */
  missing?(): string | null;
  measure(bench: Bench): Promise<Measured>;
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
  /** True: only when it is asked for by name. */
  readonly isExtra?: boolean;
  /** Default: as many as the command line says. */
  readonly roundsMax?: number;
  /** The least that the command line may say; below it there would be no figures. Default: any. */
  readonly secondsMin?: number;
  /** After the last round, also of a run that failed. */
  close?(bench: Bench): Promise<void>;
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
  /** One line for each contender that could not take part. */
  readonly leftOut: readonly string[];
  /** Of the last round, by contender. */
  readonly series: readonly { readonly name: string; readonly series: Series }[];
  readonly elapsedSeconds: number;
}

/** Before any of them runs: a run that ends without its last figures has taken its time all the same. */
export function requireSeconds(
  scenarios: readonly Scenario[],
  { seconds, areSecondsGiven }: Pick<BenchOptions, 'seconds' | 'areSecondsGiven'>,
): void {
  for (const { id, secondsMin = 0 } of scenarios) {
    if (areSecondsGiven && seconds < secondsMin)
      throw new UsageError(`${id} takes at least --seconds ${secondsMin}`);
  }
}

export async function runScenario(scenario: Scenario, bench: Bench): Promise<ScenarioResult> {
  try {
    return await runRounds(scenario, bench);
  } finally {
    await scenario.close?.(bench);
  }
}

async function runRounds(scenario: Scenario, bench: Bench): Promise<ScenarioResult> {
  const startedAt = performance.now();
  const rounds = Math.min(bench.options.rounds, scenario.roundsMax ?? Number.POSITIVE_INFINITY);
  const missing = scenario.contenders.flatMap((contender) => {
    const reason = contender.missing?.() ?? null;
    return reason === null ? [] : [{ name: contender.name, reason }];
  });
  const leftOut = missing.map(({ name, reason }) => `${name} left out: ${reason}`);
  for (const line of leftOut) bench.report(`${scenario.id} ${line}`);
  const contenders = scenario.contenders.filter(({ name }) => !missing.some((one) => one.name === name));
  const comparisons = scenario.comparisons.filter(
    ({ of, against }) =>
      contenders.some(({ name }) => name === of) &&
      (against === null || contenders.some(({ name }) => name === against)),
  );
  const measured = new Map<string, Measurement[]>(contenders.map(({ name }) => [name, []]));
  const series = new Map<string, Series>();
  for (let round = 0; round < rounds; round += 1) {
    for (let turn = 0; turn < contenders.length; turn += 1) {
      bench.signal.throwIfAborted();
      const contender = contenders[(round + turn) % contenders.length];
      if (contender === undefined) continue;
      const outcome = await contender.measure(bench);
      const measurement = outcome.figures;
      measured.get(contender.name)?.push(measurement);
      if (outcome.series !== undefined) series.set(contender.name, outcome.series);
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
    comparisons: comparisons.map((comparison) => compare(comparison, roundsOf)),
    leftOut,
    series: [...series].map(([name, table]) => ({ name, series: table })),
    elapsedSeconds: Math.round((performance.now() - startedAt) / 1000),
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
