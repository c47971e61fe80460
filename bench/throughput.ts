/** Cycles a second on a backlog that outlasts the window: what P1, P2, P3, P6 and P10 have in common. */
import type { Bench } from './bench.ts';
import type { Manner } from './driver.ts';
import { missingFor, openParty, type Party, type PartyName } from './parties.ts';
import { measureCores } from './processor-time.ts';
import type { Contender, Measurement, Metric } from './scenario.ts';

export interface Load {
  readonly party: PartyName;
  /** Ours only. Default: one. */
  readonly servers?: number;
  readonly concurrency: number;
  readonly manner: Manner;
  /** Enough for the warm-up at the highest rate seen. */
  readonly warmUpPieces: number;
}

/** Compiles the hot paths and shows the rate that the backlog must last for. */
const WARM_UP = { leadInMs: 500, windowMs: 2000 } as const;
/** Connections open and the first fetches happen before the count begins. */
const LEAD_IN_MS = 500;
/** What was seen in the warm-up may still double once everything is compiled. */
const BACKLOG_MARGIN = 2;
/** As measureWindow wants them left at the end. */
const SPARE_PIECES = 4000;

export const THROUGHPUT_METRICS: readonly Metric[] = [
  { key: 'per_second', unit: 'cycles/s', digits: 0 },
  { key: 'client_cores', unit: 'client cores', digits: 2 },
  { key: 'server_cores', unit: 'server cores', digits: 2 },
  { key: 'postgres_cores', unit: 'Postgres cores', digits: 2 },
  { key: 'other_cores', unit: 'cores of others', digits: 2 },
];

export function throughputContender(name: string, load: Load): Contender {
  return {
    name,
    missing: () => missingFor(load.party),
    measure: async (bench) => {
      const party = await openParty(load.party, bench, { servers: load.servers ?? 1 });
      try {
        return { figures: await measureThroughput(bench, party, load) };
      } finally {
        await party.close();
      }
    },
  };
}

export async function measureThroughput(
  bench: Bench,
  { driver, pids }: Party,
  { concurrency, manner, warmUpPieces }: Load,
): Promise<Measurement> {
  await driver.call('fill', { manner, pieces: warmUpPieces });
  const warm = await driver.call('runCycles', { ...WARM_UP, concurrency, manner });
  const windowMs = bench.options.seconds * 1000;
  const perMs = warm.cycles / warm.windowMs;
  const pieces = Math.ceil(perMs * (LEAD_IN_MS + windowMs) * BACKLOG_MARGIN) + SPARE_PIECES;
  await driver.call('fill', { manner, pieces });
  await bench.checkpoint();
  const { value, cores } = await measureCores(pids, () =>
    driver.call('runCycles', { concurrency, manner, leadInMs: LEAD_IN_MS, windowMs }),
  );
  return {
    per_second: (value.cycles / value.windowMs) * 1000,
    client_cores: cores['client'] ?? Number.NaN,
    server_cores: cores['server'] ?? Number.NaN,
    postgres_cores: cores['postgres'] ?? Number.NaN,
    other_cores: cores['other'] ?? Number.NaN,
    ran_low: value.ranLow ? 1 : 0,
  };
}
