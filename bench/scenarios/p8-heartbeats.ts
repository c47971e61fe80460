/** P8: a fleet that holds 10,000 claims and keeps them alive. */
import type { Bench } from '../bench.ts';
import type { FleetInput } from '../driver.ts';
import { openParty } from '../parties.ts';
import { measureCores } from '../processor-time.ts';
import type { Contender, Measured, Scenario } from '../scenario.ts';
import { percentile } from '../statistics.ts';

/** Given by the bar: 10,000 claims, a heartbeat each in 20 s. A lease of three intervals is what the server advises. */
const WORKERS = 100;
const CLAIMS_PER_WORKER = 100;
const INTERVAL_MS = 20_000;
const LEASE_SECONDS = 60;
/** Whole intervals only, so that every claim counts alike. */
const WINDOW_MS = INTERVAL_MS;

const batched = contender('100 workers, runs/batch', 'batch');
const single = contender('100 workers, single requests', 'single');

export const heartbeats: Scenario = {
  id: 'P8',
  title: 'heartbeats: 10,000 live claims, one each in 20 s',
  metrics: [
    { key: 'busy_percent', unit: '% of a core, server + Postgres', digits: 1 },
    { key: 'server_cores', unit: 'server cores', digits: 3 },
    { key: 'postgres_cores', unit: 'Postgres cores', digits: 3 },
    { key: 'beats_per_second', unit: 'heartbeats/s', digits: 0 },
    { key: 'hot_percent', unit: '% HOT updates', digits: 2 },
    { key: 'p99_ms', unit: 'ms p99 from due to answer', digits: 1 },
    { key: 'other_cores', unit: 'cores of others', digits: 2 },
  ],
  contenders: [batched, single],
  comparisons: [batched, single].flatMap(({ name }) => [
    { metric: 'busy_percent', of: name, against: null, bar: { kind: 'at_most', value: 25 } },
    { metric: 'hot_percent', of: name, against: null, bar: { kind: 'at_least', value: 95 } },
  ]),
};

function contender(name: string, way: FleetInput['way']): Contender {
  return { name, measure: (bench) => measure(bench, way) };
}

async function measure(bench: Bench, way: FleetInput['way']): Promise<Measured> {
  const party = await openParty('lanekeeper', bench);
  try {
    const { driver, pids } = party;
    const fleet = { workers: WORKERS, claimsPerWorker: CLAIMS_PER_WORKER, intervalMs: INTERVAL_MS };
    await driver.call('holdFleet', { ...fleet, leaseSeconds: LEASE_SECONDS, way });
    await bench.checkpoint();
    const before = await readUpdates(bench);
    const { value, cores } = await measureCores(pids, () =>
      driver.call('countBeats', { windowMs: WINDOW_MS }),
    );
    const after = await readUpdates(bench);
    await driver.call('releaseFleet', null);
    const server = cores['server'] ?? Number.NaN;
    const postgres = cores['postgres'] ?? Number.NaN;
    const figures = {
      busy_percent: (server + postgres) * 100,
      server_cores: server,
      postgres_cores: postgres,
      beats_per_second: (value.beats / WINDOW_MS) * 1000,
      hot_percent: ((after.hot - before.hot) / (after.all - before.all)) * 100,
      p99_ms: percentile(value.delaysMs, 0.99),
      other_cores: cores['other'] ?? Number.NaN,
    };
    return { figures };
  } finally {
    await party.close();
  }
}

/** Backends report about once a second, so both ends of the window are blurred by that much. */
async function readUpdates(bench: Bench): Promise<{ readonly all: number; readonly hot: number }> {
  const sql = await bench.sqlFor('lanekeeper');
  const [row] = await sql<{ all: number; hot: number }[]>`
    SELECT n_tup_upd::float8 AS all, n_tup_hot_upd::float8 AS hot FROM pg_stat_user_tables WHERE relname = 'claims'`;
  if (row === undefined) throw new Error('there is a table of claims');
  return row;
}
