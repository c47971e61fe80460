/**
 * P16: ten minutes of create, claim, complete on a board that keeps what is over for seconds, in turns with the same on a board that keeps it all,
 * each with a database and a server of its own: does the disk use stay where it is, and what does it cost?
 */
import type { Bench } from '../bench.ts';
import { openParty, type Party } from '../parties.ts';
import type { Measured, Scenario, Series } from '../scenario.ts';

/** Of each of the two. */
const SECONDS_DEFAULT = 600;
/** Half a minute each by default: what else the machine does falls on both. */
const SEGMENTS = 20;
/** From here on the disk use is held against itself: by then there is as much as is ever kept, and room for what is dead. */
const SETTLED_SEGMENTS = 4;
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
    { key: 'settled_mebibytes', unit: 'MiB when settled', digits: 0 },
    { key: 'end_mebibytes', unit: 'MiB at the end', digits: 0 },
    { key: 'end_to_settled', unit: 'end / settled', digits: 2 },
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
  /** Of the board that is pruned. */
  readonly bytes: number;
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
  const [prunedPerSecond = Number.NaN] = await pruned.driver.call(
    'churn',
    { ...input, retention: KEPT },
    sliceMs,
  );
  const size = await readSize(bench);
  const [keptPerSecond = Number.NaN] = await kept.driver.call('churn', input, sliceMs);
  return { prunedPerSecond, keptPerSecond, ...size };
}

async function readSize(bench: Bench): Promise<Pick<Segment, 'bytes' | 'tasks'>> {
  const sql = await bench.sqlFor('pruned');
  const [row] = await sql<{ bytes: number; tasks: number }[]>`
    SELECT (SELECT sum(pg_total_relation_size(relid))::float8 FROM pg_stat_user_tables) AS bytes, (SELECT count(*)::int FROM tasks) AS tasks`;
  return row ?? { bytes: Number.NaN, tasks: Number.NaN };
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

function figuresOf(segments: readonly Segment[]): Record<string, number> {
  const pruned = mean(segments.map(({ prunedPerSecond }) => prunedPerSecond));
  const kept = mean(segments.map(({ keptPerSecond }) => keptPerSecond));
  const settled = segments[SETTLED_SEGMENTS - 1]?.bytes ?? Number.NaN;
  const end = segments.at(-1)?.bytes ?? Number.NaN;
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
    header: ['seconds', 'cycles/s, pruned', 'cycles/s, kept', 'MiB, pruned', 'tasks, pruned'],
    rows: segments.map(({ prunedPerSecond, keptPerSecond, bytes, tasks }, number) => [
      ((number + 1) * (sliceMs / 1000)).toFixed(0),
      prunedPerSecond.toFixed(0),
      keptPerSecond.toFixed(0),
      (bytes / MEBIBYTE).toFixed(0),
      String(tasks),
    ]),
  };
}
