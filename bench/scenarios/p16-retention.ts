/**
 * P16: ten minutes of create, claim, complete on a board that keeps what is over for seconds, in turns with the same on a board that keeps it all,
 * each with a database and a server of its own: does the disk use stay where it is, and what does it cost?
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Bench } from '../bench.ts';
import { openParty, type Party } from '../parties.ts';
import type { Measured, Scenario, Series } from '../scenario.ts';

/** Of each of the two. */
const SECONDS_DEFAULT = 600;
/** Half a minute each by default: what else the machine does falls on both. */
const SEGMENTS = 20;
/** The disk use of the last minute is held against that of the second: by then there is as much as is ever kept, and room for what is dead. */
const SEGMENTS_PER_MINUTE = 2;
/** What is dead comes and goes with the rounds of autovacuum, so one look says little: a minute is the mean of its looks. */
const LOOK_MS = 1000;
const CONNECTIONS = 64;
/** The connections are new in each segment. */
const LEAD_IN_MS = 1000;
/** The least that is a steady state within a segment. */
const KEPT = {
  events_seconds: 10,
  finished_tasks_seconds: 10,
  runs_seconds: 10,
  output_seconds: 10,
  deliveries_seconds: 10,
  messages_seconds: 10,
};
const MEBIBYTE = 2 ** 20;

const NAME = 'lanekeeper, 64 connections';

export const retention: Scenario = {
  id: 'P16',
  title: 'churn with retention: what is over goes after ten seconds',
  isExtra: true,
  roundsMax: 1,
  metrics: [
    { key: 'pruned_per_second', unit: 'cycles/s, pruned', digits: 0 },
    { key: 'kept_per_second', unit: 'cycles/s, kept', digits: 0 },
    { key: 'pruned_to_kept', unit: 'pruned / kept', digits: 2 },
    { key: 'settled_mebibytes', unit: 'MiB, second minute', digits: 0 },
    { key: 'end_mebibytes', unit: 'MiB, last minute', digits: 0 },
    { key: 'end_to_settled', unit: 'last / second', digits: 2 },
  ],
  contenders: [{ name: NAME, measure }],
  comparisons: [
    { metric: 'pruned_to_kept', of: NAME, against: null, bar: { kind: 'at_least', value: 0.95 } },
    { metric: 'end_to_settled', of: NAME, against: null, bar: { kind: 'at_most', value: 1.05 } },
  ],
};

interface Segment {
  readonly prunedPerSecond: number;
  readonly keptPerSecond: number;
  /** Of the board that is pruned: mean and most of the looks. */
  readonly bytes: number;
  readonly bytesMax: number;
  readonly tasks: number;
}

async function measure(bench: Bench): Promise<Measured> {
  const { seconds, areSecondsGiven } = bench.options;
  const sliceMs = ((areSecondsGiven ? seconds : SECONDS_DEFAULT) * 1000) / SEGMENTS;
  const parties: Party[] = [];
  try {
    const [pruned, kept] = [
      await openParty('lanekeeper', bench, { database: 'pruned' }),
      await openParty('lanekeeper', bench, { database: 'kept' }),
    ];
    parties.push(pruned, kept);
    const segments: Segment[] = [];
    for (let number = 0; number < SEGMENTS; number += 1)
      segments.push(await measureSegment(bench, pruned, kept, sliceMs));
    return { figures: figuresOf(segments), series: seriesOf(segments, sliceMs) };
  } finally {
    for (const party of parties) await party.close();
  }
}

async function measureSegment(bench: Bench, pruned: Party, kept: Party, sliceMs: number): Promise<Segment> {
  const input = { connections: CONNECTIONS, leadInMs: LEAD_IN_MS, sliceMs, slices: 1 };
  const sizes = new Sizes(bench);
  const [prunedPerSecond = Number.NaN] = await pruned.driver
    .call('churn', { ...input, retention: KEPT }, sliceMs)
    .finally(() => sizes.stop());
  const bytes = await sizes.read();
  const tasks = await countTasks(bench);
  const [keptPerSecond = Number.NaN] = await kept.driver.call('churn', input, sliceMs);
  return { prunedPerSecond, keptPerSecond, bytes: mean(bytes), bytesMax: Math.max(...bytes), tasks };
}

/** Looks at the disk use of the pruned database, from now on until it is stopped. */
class Sizes {
  readonly #stopped = new AbortController();
  readonly #looks: Promise<readonly number[]>;

  constructor(bench: Bench) {
    this.#looks = this.#look(bench);
    // Reported where they are read.
    this.#looks.catch(() => undefined);
  }

  stop(): void {
    this.#stopped.abort();
  }

  /** Bytes. */
  read(): Promise<readonly number[]> {
    return this.#looks;
  }

  async #look(bench: Bench): Promise<readonly number[]> {
    const sql = await bench.sqlFor('pruned');
    const found: number[] = [];
    do {
      await delay(LOOK_MS, undefined, { signal: this.#stopped.signal }).catch(() => undefined);
      const [row] = await sql<{ bytes: number }[]>`
        SELECT sum(pg_total_relation_size(relid))::float8 AS bytes FROM pg_stat_user_tables`;
      found.push(row?.bytes ?? Number.NaN);
    } while (!this.#stopped.signal.aborted);
    return found;
  }
}

async function countTasks(bench: Bench): Promise<number> {
  const sql = await bench.sqlFor('pruned');
  const [row] = await sql<{ count: number }[]>`SELECT count(*)::int AS count FROM tasks`;
  return row?.count ?? Number.NaN;
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

function figuresOf(segments: readonly Segment[]): Record<string, number> {
  const pruned = mean(segments.map(({ prunedPerSecond }) => prunedPerSecond));
  const kept = mean(segments.map(({ keptPerSecond }) => keptPerSecond));
  const minute = (from: number): number =>
    mean(
      segments
        .slice(from)
        .slice(0, SEGMENTS_PER_MINUTE)
        .map(({ bytes }) => bytes),
    );
  const settled = minute(SEGMENTS_PER_MINUTE);
  const end = minute(-SEGMENTS_PER_MINUTE);
  return {
    pruned_per_second: pruned,
    kept_per_second: kept,
    pruned_to_kept: pruned / kept,
    settled_mebibytes: settled / MEBIBYTE,
    end_mebibytes: end / MEBIBYTE,
    end_to_settled: end / settled,
  };
}

function seriesOf(segments: readonly Segment[], sliceMs: number): Series {
  return {
    header: ['seconds', 'cycles/s, pruned', 'cycles/s, kept', 'MiB, pruned', 'at most', 'tasks, pruned'],
    rows: segments.map(({ prunedPerSecond, keptPerSecond, bytes, bytesMax, tasks }, number) => [
      ((number + 1) * (sliceMs / 1000)).toFixed(0),
      prunedPerSecond.toFixed(0),
      keptPerSecond.toFixed(0),
      (bytes / MEBIBYTE).toFixed(0),
      (bytesMax / MEBIBYTE).toFixed(0),
      String(tasks),
    ]),
  };
}
