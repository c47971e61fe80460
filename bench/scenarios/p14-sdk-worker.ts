/**
 * P14: the worker of our client library over push, with a handler that does nothing, beside the raw client of P3; what its leaving under load
 * leaves behind; and how soon a cancel from elsewhere reaches a handler.
 */
import type { Bench } from '../bench.ts';
import { openParty } from '../parties.ts';
import type { Contender, Measured, Scenario } from '../scenario.ts';
import { percentile } from '../statistics.ts';
import { type Load, measureThroughput, THROUGHPUT_METRICS } from '../throughput.ts';

/** As in P3. */
const SOCKETS = 4;
const CREDITS = 100;
const WARM_UP_PIECES = 50_000;
/** As in P11. */
const SAMPLES = 300;
const WARM_UP_SAMPLES = 50;
const INTERVALS = { intervalMsMin: 5, intervalMsMax: 25 } as const;
/** Given by the bar. */
const RATIO_MIN = 0.8;
const ABORT_P99_MS_MAX = 100;
/** Of its own, so that every row in it was made here. */
const DATABASE = 'sdk';

const rawBare = contender('raw client, without tokens', 'raw', false);
const sdkBare = contender('SDK, without tokens', 'sdk', false);
const rawSigned = contender('raw client, with tokens', 'raw', true);
const sdkSigned = contender('SDK, with tokens', 'sdk', true);
const cancelled: Contender = { name: 'SDK, cancel → AbortSignal', measure: measureAborts };

export const sdkWorker: Scenario = {
  id: 'P14',
  title:
    'SDK worker over push: a handler that does nothing, beside the raw client of P3; cancel → its AbortSignal',
  isExtra: true,
  metrics: [
    ...THROUGHPUT_METRICS,
    { key: 'burnt', unit: 'attempts burnt by leaving', digits: 0 },
    { key: 'p50_ms', unit: 'ms p50', digits: 2 },
    { key: 'p99_ms', unit: 'ms p99', digits: 2 },
  ],
  contenders: [rawBare, sdkBare, rawSigned, sdkSigned, cancelled],
  comparisons: [
    { metric: 'per_second', of: sdkBare.name, against: rawBare.name, bar: atLeast(RATIO_MIN) },
    { metric: 'per_second', of: sdkSigned.name, against: rawSigned.name, bar: atLeast(RATIO_MIN) },
    { metric: 'burnt', of: sdkBare.name, against: null, bar: atMost(0) },
    { metric: 'burnt', of: sdkSigned.name, against: null, bar: atMost(0) },
    { metric: 'p99_ms', of: cancelled.name, against: null, bar: atMost(ABORT_P99_MS_MAX) },
  ],
};

function atLeast(value: number) {
  return { kind: 'at_least', value } as const;
}

function atMost(value: number) {
  return { kind: 'at_most', value } as const;
}

function contender(name: string, client: 'raw' | 'sdk', hasTokens: boolean): Contender {
  const load: Load = {
    party: 'lanekeeper',
    concurrency: SOCKETS,
    manner: { kind: 'push', ahead: CREDITS, hasTokens, client },
    warmUpPieces: WARM_UP_PIECES,
  };
  return { name, measure: (bench) => measureLoad(bench, load) };
}

/** The driver stops its workers in the middle of a backlog, and fails the run when the board counts another number of tasks than it did. */
async function measureLoad(bench: Bench, load: Load): Promise<Measured> {
  const party = await openParty('lanekeeper', bench, { database: DATABASE });
  try {
    const before = await countBurnt(bench);
    const figures = await measureThroughput(bench, party, load);
    return { figures: { ...figures, burnt: (await countBurnt(bench)) - before } };
  } finally {
    await party.close();
  }
}

/** Runs that are neither done nor given back, and tasks that count a failure. */
async function countBurnt(bench: Bench): Promise<number> {
  const sql = await bench.sqlFor(DATABASE);
  const [row] = await sql<{ burnt: number }[]>`
    SELECT (SELECT count(*) FROM runs WHERE outcome NOT IN ('completed', 'released'))::int
         + (SELECT count(*) FROM tasks WHERE consecutive_failures > 0)::int AS burnt`;
  return row?.burnt ?? Number.NaN;
}

async function measureAborts(bench: Bench): Promise<Measured> {
  const { driver, close } = await openParty('lanekeeper', bench, { database: DATABASE });
  try {
    await driver.call('sampleLatency', { ...INTERVALS, way: 'abort', samples: WARM_UP_SAMPLES });
    await bench.checkpoint();
    const latencies = await driver.call('sampleLatency', { ...INTERVALS, way: 'abort', samples: SAMPLES });
    return { figures: { p50_ms: percentile(latencies, 0.5), p99_ms: percentile(latencies, 0.99) } };
  } finally {
    await close();
  }
}
