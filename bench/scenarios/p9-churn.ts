/** P9: ten minutes of create, claim, complete on one board: does it slow down as the dead rows and the log pile up? */
import { setTimeout as pause } from 'node:timers/promises';
import type { Bench } from '../bench.ts';
import { openParty } from '../parties.ts';
import { measureCores } from '../processor-time.ts';
import type { Measured, Scenario, Series } from '../scenario.ts';

const SECONDS_DEFAULT = 600;
/** A shorter trial has as many slices, shorter ones. */
const SLICES = 10;
const CONNECTIONS = 64;
/** Compiles the hot paths: the first slice must not be slow for that. */
const LEAD_IN_MS = 5000;
const TABLES = ['tasks', 'task_details', 'claims', 'runs', 'events', 'board_seq'] as const;
const MEBIBYTE = 2 ** 20;

const NAME = 'lanekeeper, 64 connections';

export const churn: Scenario = {
  id: 'P9',
  title: 'steady churn: create, claim, complete for ten minutes',
  isExtra: true,
  roundsMax: 1,
  metrics: [
    { key: 'first_per_second', unit: 'cycles/s, first tenth', digits: 0 },
    { key: 'last_per_second', unit: 'cycles/s, last tenth', digits: 0 },
    { key: 'last_to_first', unit: 'last / first', digits: 2 },
    { key: 'server_cores', unit: 'server cores', digits: 2 },
    { key: 'postgres_cores', unit: 'Postgres cores', digits: 2 },
    { key: 'other_cores', unit: 'cores of others', digits: 2 },
  ],
  contenders: [{ name: NAME, measure }],
  comparisons: [{ metric: 'last_to_first', of: NAME, against: null, bar: { kind: 'at_least', value: 0.9 } }],
};

interface TableSizes {
  readonly relname: string;
  readonly dead: number;
  readonly bytes: number;
}

async function measure(bench: Bench): Promise<Measured> {
  const { seconds, areSecondsGiven } = bench.options;
  const windowMs = (areSecondsGiven ? seconds : SECONDS_DEFAULT) * 1000;
  const sliceMs = windowMs / SLICES;
  const party = await openParty('lanekeeper', bench, { database: 'churn' });
  try {
    const input = { connections: CONNECTIONS, leadInMs: LEAD_IN_MS, sliceMs, slices: SLICES };
    const { value, cores } = await measureCores(party.pids, async () => {
      const stopping = new AbortController();
      try {
        const [rates, sizes] = await Promise.all([
          party.driver.call('churn', input, windowMs),
          sampleSizes(bench, sliceMs, stopping.signal),
        ]);
        return { rates, sizes };
      } finally {
        stopping.abort();
      }
    });
    const first = value.rates[0] ?? Number.NaN;
    const last = value.rates.at(-1) ?? Number.NaN;
    const figures = {
      first_per_second: first,
      last_per_second: last,
      last_to_first: last / first,
      server_cores: cores['server'] ?? Number.NaN,
      postgres_cores: cores['postgres'] ?? Number.NaN,
      other_cores: cores['other'] ?? Number.NaN,
    };
    return { figures, series: seriesOf(value.rates, value.sizes, sliceMs) };
  } finally {
    await party.close();
  }
}

/** At the end of each slice, as near as matters for sizes. */
async function sampleSizes(
  bench: Bench,
  sliceMs: number,
  signal: AbortSignal,
): Promise<readonly TableSizes[][]> {
  const sql = await bench.sqlFor('churn');
  const startedAt = performance.now() + LEAD_IN_MS;
  const samples: TableSizes[][] = [];
  for (let slice = 1; slice <= SLICES; slice += 1) {
    await pause(startedAt + slice * sliceMs - performance.now(), undefined, { signal });
    samples.push(
      await sql<TableSizes[]>`
        SELECT relname, n_dead_tup::float8 AS dead, pg_total_relation_size(relid)::float8 AS bytes
        FROM pg_stat_user_tables WHERE relname = ANY(${[...TABLES]})`,
    );
  }
  return samples;
}

function seriesOf(
  rates: readonly number[],
  samples: readonly (readonly TableSizes[])[],
  sliceMs: number,
): Series {
  return {
    header: ['seconds', 'cycles/s', ...TABLES.map((table) => `${table}: MiB, dead rows`)],
    rows: rates.map((rate, slice) => [
      ((slice + 1) * (sliceMs / 1000)).toFixed(0),
      rate.toFixed(0),
      ...TABLES.map((table) => {
        const sizes = samples[slice]?.find(({ relname }) => relname === table);
        return sizes === undefined ? '–' : `${(sizes.bytes / MEBIBYTE).toFixed(0)}, ${sizes.dead}`;
      }),
    ]),
  };
}
