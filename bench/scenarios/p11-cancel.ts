/** P11: from the request to cancel a running task until its holder hears of it over its socket, one at a time on an idle system. */
import type { Bench } from '../bench.ts';
import { openParty } from '../parties.ts';
import type { Contender, Measured, Scenario } from '../scenario.ts';
import { percentile } from '../statistics.ts';

/** A round's p99 is then its fourth-slowest sample, as in P4. */
const SAMPLES = 300;
/** Unrecorded: compiles the path and opens every pool's connections. */
const WARM_UP_SAMPLES = 50;
/** Random, so that no timer of the server can fall into step; a round takes some 8 s. */
const INTERVALS = { intervalMsMin: 5, intervalMsMax: 25 } as const;
/** Given by the bar. */
const P99_MS_MAX = 20;

const one = contender('one server', 1);
const two = contender('two servers, holder and caller apart', 2);

export const cancel: Scenario = {
  id: 'P11',
  title: 'cancel: request → frame on the socket of the holder, idle',
  metrics: [
    { key: 'p50_ms', unit: 'ms p50', digits: 2 },
    { key: 'p99_ms', unit: 'ms p99', digits: 2 },
    { key: 'max_ms', unit: 'ms max', digits: 2 },
  ],
  contenders: [one, two],
  comparisons: [one, two].map(({ name }) => ({
    metric: 'p99_ms',
    of: name,
    against: null,
    bar: { kind: 'at_most', value: P99_MS_MAX },
  })),
};

function contender(name: string, servers: number): Contender {
  return { name, measure: (bench) => measure(bench, servers) };
}

async function measure(bench: Bench, servers: number): Promise<Measured> {
  const { driver, close } = await openParty('lanekeeper', bench, { servers });
  try {
    await driver.call('sampleLatency', { ...INTERVALS, way: 'cancel', samples: WARM_UP_SAMPLES });
    await bench.checkpoint();
    const latencies = await driver.call('sampleLatency', { ...INTERVALS, way: 'cancel', samples: SAMPLES });
    return {
      figures: {
        p50_ms: percentile(latencies, 0.5),
        p99_ms: percentile(latencies, 0.99),
        max_ms: Math.max(...latencies),
        samples: latencies.length,
      },
    };
  } finally {
    await close();
  }
}
