/**
 * P16: ten minutes of create, claim, complete on a board that keeps what is over for seconds, between ten of the same on a board that keeps it all,
 * each with a server and a Postgres of its own: does the disk use stay where it is, and what does it cost? On one Postgres autovacuum, which takes turns
 * among the databases that have work for it, was now and then half a minute late for the pruned one, whose tables then grew by a third.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type Bench, openBench } from '../bench.ts';
import type { BoardSettings, ChurnInput } from '../driver.ts';
import { openParty, type Party } from '../parties.ts';
import type { Measured, Scenario, Series } from '../scenario.ts';

/** Of each of the two. */
const SECONDS_DEFAULT = 600;
/** Stretches of the pruned board, each without a break, and with half as much of the other one before and after it: what else the machine does falls on both. */
const STRETCHES = 2;
/** In which throughput and disk use are told: half a minute each by default. */
const SLICES = 20;
/** The disk use of the last minute is held against that of the second: by then there is as much as is ever kept, and room for what is dead. */
const SLICES_PER_MINUTE = 2;
/** What is dead comes and goes with the rounds of autovacuum, so one look says little: a minute is the mean of its looks. */
const LOOK_MS = 1000;
/** A look takes its time, too: where a slice is two pauses long, one comes to an end in each. */
const SECONDS_MIN = (SLICES * 2 * LOOK_MS) / 1000;
const CONNECTIONS = 64;
const KEPT_SECONDS = 10;
/** Not measured, of either board: from then on as much is pruned in a second as is made in one. */
const LEAD_IN_MS = (KEPT_SECONDS + 5) * 1000;
/** What is left to prune after a stretch is not to fall on what is measured next. */
const PRUNED_WITHIN_MS = 120_000;
/** Of both boards: events go when they have been searched for stranded tasks, which is this much behind. */
const STRANDED_AFTER_SECONDS = 1;
/** The least that is a steady state within a stretch. */
const KEPT = {
  events_seconds: KEPT_SECONDS,
  finished_tasks_seconds: KEPT_SECONDS,
  runs_seconds: KEPT_SECONDS,
  output_seconds: KEPT_SECONDS,
  deliveries_seconds: KEPT_SECONDS,
  messages_seconds: KEPT_SECONDS,
};
const MEBIBYTE = 2 ** 20;

const NAME = 'lanekeeper, 64 connections';

export const retention: Scenario = {
  id: 'P16',
  title: 'churn with retention: what is over goes after ten seconds',
  isExtra: true,
  roundsMax: 1,
  secondsMin: SECONDS_MIN,
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

/** Of each slice, in turn. */
interface Pruned {
  readonly perSecond: readonly number[];
  readonly disk: readonly Disk[];
}

/** Mean and most of the looks of a slice. */
interface Disk {
  readonly bytes: number;
  readonly bytesMax: number;
}

async function measure(bench: Bench): Promise<Measured> {
  const { seconds, areSecondsGiven } = bench.options;
  const sliceMs = ((areSecondsGiven ? seconds : SECONDS_DEFAULT) * 1000) / SLICES;
  const parties: Party[] = [];
  const other = await openBench(bench.options, bench.signal);
  try {
    const pruned = await openParty('lanekeeper', bench, { database: 'pruned' });
    parties.push(pruned);
    const kept = await openParty('lanekeeper', other, { database: 'kept' });
    parties.push(kept);
    const prunedSlices: Pruned[] = [];
    const keptPerSecond: number[] = [];
    const slices = SLICES / STRETCHES;
    for (let stretch = 0; stretch < STRETCHES; stretch += 1) {
      keptPerSecond.push(...(await measureKept(kept, slices / 2, sliceMs)));
      prunedSlices.push(await measurePruned(bench, pruned, slices, sliceMs));
      keptPerSecond.push(...(await measureKept(kept, slices / 2, sliceMs)));
    }
    const perSecond = prunedSlices.flatMap((stretch) => stretch.perSecond);
    const disk = prunedSlices.flatMap((stretch) => stretch.disk);
    return {
      figures: figuresOf({ perSecond, disk }, keptPerSecond),
      series: seriesOf({ perSecond, disk }, keptPerSecond, sliceMs),
    };
  } finally {
    for (const party of parties) await party.close();
    await other.close();
  }
}

function measureKept({ driver }: Party, slices: number, sliceMs: number): Promise<readonly number[]> {
  return driver.call('churn', inputOf(slices, sliceMs, {}), LEAD_IN_MS + slices * sliceMs);
}

async function measurePruned(
  bench: Bench,
  { driver }: Party,
  slices: number,
  sliceMs: number,
): Promise<Pruned> {
  const sizes = new Sizes(bench);
  const input = inputOf(slices, sliceMs, { retention: KEPT });
  const perSecond = await driver
    .call('churn', input, LEAD_IN_MS + slices * sliceMs)
    .finally(() => sizes.stop());
  const looks = await sizes.read();
  await isAllPruned(bench);
  const disk = perSecond.map((_, slice): Disk => {
    const fromMs = LEAD_IN_MS + slice * sliceMs;
    const ofSlice = looks.filter(({ atMs }) => atMs >= fromMs && atMs < fromMs + sliceMs);
    if (ofSlice.length === 0)
      throw new Error(`no look at the disk use has come to an end in slice ${slice + 1}`);
    const bytes = ofSlice.map((look) => look.bytes);
    return { bytes: mean(bytes), bytesMax: Math.max(...bytes) };
  });
  return { perSecond, disk };
}

const inputOf = (slices: number, sliceMs: number, kept: Pick<BoardSettings, 'retention'>): ChurnInput => ({
  connections: CONNECTIONS,
  leadInMs: LEAD_IN_MS,
  sliceMs,
  slices,
  settings: { stranded_after_seconds: STRANDED_AFTER_SECONDS, ...kept },
});

interface Look {
  /** From the first of the stretch on. */
  readonly atMs: number;
  readonly bytes: number;
}

/** Looks at the disk use of the pruned database, from now on until it is stopped. */
class Sizes {
  readonly #stopped = new AbortController();
  readonly #looks: Promise<readonly Look[]>;

  constructor(bench: Bench) {
    this.#looks = this.#look(bench);
    // Reported where they are read.
    this.#looks.catch(() => undefined);
  }

  stop(): void {
    this.#stopped.abort();
  }

  read(): Promise<readonly Look[]> {
    return this.#looks;
  }

  async #look(bench: Bench): Promise<readonly Look[]> {
    const fromMs = performance.now();
    const sql = await bench.sqlFor('pruned');
    const found: Look[] = [];
    do {
      await delay(LOOK_MS, undefined, { signal: this.#stopped.signal }).catch(() => undefined);
      const [row] = await sql<{ bytes: number }[]>`
        SELECT sum(pg_total_relation_size(relid))::float8 AS bytes FROM pg_stat_user_tables`;
      found.push({ atMs: performance.now() - fromMs, bytes: row?.bytes ?? Number.NaN });
    } while (!this.#stopped.signal.aborted);
    return found;
  }
}

/** But for the newest of the log, which is searched before it goes. */
async function isAllPruned(bench: Bench): Promise<void> {
  const sql = await bench.sqlFor('pruned');
  const deadlineMs = performance.now() + PRUNED_WITHIN_MS;
  for (;;) {
    const [row] = await sql<{ isLeft: boolean }[]>`
      SELECT EXISTS (SELECT 1 FROM tasks WHERE status = 'done')
          OR EXISTS (SELECT 1 FROM events WHERE at < now() - ${2 * KEPT_SECONDS} * interval '1 second' OFFSET 1000) AS "isLeft"`;
    if (row?.isLeft === false) return;
    if (performance.now() > deadlineMs)
      throw new Error('what is over was not pruned after the load had ended');
    await delay(LOOK_MS);
  }
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

function figuresOf({ perSecond, disk }: Pruned, keptPerSecond: readonly number[]): Record<string, number> {
  const pruned = mean(perSecond);
  const kept = mean(keptPerSecond);
  const minute = (from: number): number =>
    mean(
      disk
        .slice(from)
        .slice(0, SLICES_PER_MINUTE)
        .map(({ bytes }) => bytes),
    );
  const settled = minute(SLICES_PER_MINUTE);
  const end = minute(-SLICES_PER_MINUTE);
  return {
    pruned_per_second: pruned,
    kept_per_second: kept,
    pruned_to_kept: pruned / kept,
    settled_mebibytes: settled / MEBIBYTE,
    end_mebibytes: end / MEBIBYTE,
    end_to_settled: end / settled,
  };
}

function seriesOf({ perSecond, disk }: Pruned, keptPerSecond: readonly number[], sliceMs: number): Series {
  return {
    header: ['seconds', 'cycles/s, pruned', 'cycles/s, kept', 'MiB, pruned', 'at most'],
    rows: disk.map(({ bytes, bytesMax }, slice) => [
      ((slice + 1) * (sliceMs / 1000)).toFixed(0),
      (perSecond[slice] ?? Number.NaN).toFixed(0),
      (keptPerSecond[slice] ?? Number.NaN).toFixed(0),
      (bytes / MEBIBYTE).toFixed(0),
      (bytesMax / MEBIBYTE).toFixed(0),
    ]),
  };
}
