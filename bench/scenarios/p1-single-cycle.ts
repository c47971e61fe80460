/** P1: take one piece of work, end it, one at a time, on a backlog that outlasts the window. */
import type { Bench } from '../bench.ts';
import { openParty, type PartyName } from '../parties.ts';
import { measureCores } from '../processor-time.ts';
import type { Contender, Measurement, Scenario } from '../scenario.ts';

/** Given by the bar: 64 connections or loops, and graphile-worker's concurrency of 24. */
const CONNECTIONS = 64;
const GRAPHILE_CONCURRENCY = 24;

/** Compiles the hot paths and shows the rate that the backlog must last for. */
const WARM_UP = { leadInMs: 500, windowMs: 2000 } as const;
const WARM_UP_PIECES = 15_000;
/** Connections open and the first fetches happen before the count begins. */
const LEAD_IN_MS = 500;
/** What was seen in the warm-up may still double once everything is compiled. */
const BACKLOG_MARGIN = 2;

const ours: Contender = contender('lanekeeper', 'lanekeeper', CONNECTIONS);
const graphile: Contender = contender('graphile-worker', 'graphile-worker', GRAPHILE_CONCURRENCY);
const pgBoss: Contender = contender('pg-boss, 64 loops', 'pg-boss', CONNECTIONS);
const pgBossAlone: Contender = contender('pg-boss, 1 loop', 'pg-boss', 1);

export const singleCycle: Scenario = {
  id: 'P1',
  title: 'single cycle: claim one, complete one',
  metrics: [
    { key: 'per_second', unit: 'cycles/s', digits: 0 },
    { key: 'client_cores', unit: 'client cores', digits: 2 },
    { key: 'server_cores', unit: 'server cores', digits: 2 },
    { key: 'postgres_cores', unit: 'Postgres cores', digits: 2 },
    { key: 'other_cores', unit: 'cores of others', digits: 2 },
  ],
  contenders: [ours, graphile, pgBoss, pgBossAlone],
  comparisons: [
    {
      metric: 'per_second',
      of: ours.name,
      against: graphile.name,
      bar: { kind: 'at_least', value: 1.2 },
    },
    { metric: 'per_second', of: ours.name, against: pgBoss.name, bar: { kind: 'at_least', value: 10 } },
    { metric: 'per_second', of: ours.name, against: pgBossAlone.name, bar: { kind: 'at_least', value: 10 } },
  ],
};

function contender(name: string, party: PartyName, concurrency: number): Contender {
  return { name, measure: (bench) => measure(bench, party, concurrency) };
}

async function measure(bench: Bench, name: PartyName, concurrency: number): Promise<Measurement> {
  const party = await openParty(name, bench);
  try {
    await party.driver.fill(WARM_UP_PIECES);
    const warm = await party.driver.runCycles({ ...WARM_UP, concurrency });
    const windowMs = bench.options.seconds * 1000;
    const perMs = warm.cycles / warm.windowMs;
    await party.driver.fill(Math.ceil(perMs * (LEAD_IN_MS + windowMs) * BACKLOG_MARGIN) + 1000);
    await bench.checkpoint();
    const { value, cores } = await measureCores(party.pids, () =>
      party.driver.runCycles({ concurrency, leadInMs: LEAD_IN_MS, windowMs }),
    );
    return {
      per_second: (value.cycles / value.windowMs) * 1000,
      client_cores: cores['client'] ?? Number.NaN,
      server_cores: cores['server'] ?? Number.NaN,
      postgres_cores: cores['postgres'] ?? Number.NaN,
      other_cores: cores['other'] ?? Number.NaN,
      ran_low: value.ranLow ? 1 : 0,
    };
  } finally {
    await party.close();
  }
}
