/**
 * P4: from the call that adds a piece of work until a worker has it in its hands, one at a time on an idle system; and the same for a worker
 * that waits at another server than the one where the work is added, so that only the database can wake it.
 */
import type { Bench } from '../bench.ts';
import type { LatencyInput } from '../driver.ts';
import { openParty, type PartyName } from '../parties.ts';
import type { Comparison, Contender, Measured, Scenario } from '../scenario.ts';
import { percentile } from '../statistics.ts';

/** A round's p99 is then its fourth-slowest sample: read it with its spread over the rounds. */
const SAMPLES = 300;
/** Unrecorded: compiles the path and opens every pool's connections. */
const WARM_UP_SAMPLES = 50;
/** Random, so that no timer of a contender can fall into step; together about 10 s a round. */
const INTERVALS = { intervalMsMin: 5, intervalMsMax: 45 } as const;

/** From one server to another; a server flushes its notifications every 10 ms. */
const ACROSS_P99_MS_MAX = 50;

const polled = contender('lanekeeper, long poll', 'lanekeeper', { way: 'poll' });
const pushed = contender('lanekeeper, push', 'lanekeeper', { way: 'push' });
const polledAcross = contender('lanekeeper, long poll, across', 'lanekeeper', { way: 'poll', servers: 2 });
const pushedAcross = contender('lanekeeper, push, across', 'lanekeeper', { way: 'push', servers: 2 });
const graphile = contender('graphile-worker', 'graphile-worker', { way: 'poll' });

export const latency: Scenario = {
  id: 'P4',
  title:
    'latency: create → in the hands of a worker, idle; across: created on one server, waited for on another',
  metrics: [
    { key: 'p50_ms', unit: 'ms p50', digits: 2 },
    { key: 'p99_ms', unit: 'ms p99', digits: 2 },
    { key: 'max_ms', unit: 'ms max', digits: 2 },
  ],
  contenders: [polled, pushed, graphile, polledAcross, pushedAcross],
  comparisons: [
    ...comparisonsOf(polled),
    ...comparisonsOf(pushed),
    ...[polledAcross, pushedAcross].map(
      ({ name }): Comparison => ({
        metric: 'p99_ms',
        of: name,
        against: null,
        bar: { kind: 'at_most', value: ACROSS_P99_MS_MAX },
      }),
    ),
  ],
};

interface Route {
  readonly way: LatencyInput['way'];
  /** Default: one. */
  readonly servers?: number;
}

function comparisonsOf({ name }: Contender): readonly Comparison[] {
  return [
    { metric: 'p50_ms', of: name, against: graphile.name, bar: { kind: 'at_most', value: 2 } },
    { metric: 'p99_ms', of: name, against: graphile.name, bar: null },
    { metric: 'p99_ms', of: name, against: null, bar: { kind: 'at_most', value: 15 } },
  ];
}

function contender(name: string, party: PartyName, route: Route): Contender {
  return { name, measure: (bench) => measure(bench, party, route) };
}

async function measure(bench: Bench, name: PartyName, { way, servers = 1 }: Route): Promise<Measured> {
  const party = await openParty(name, bench, { servers });
  try {
    await party.driver.call('sampleLatency', { ...INTERVALS, way, samples: WARM_UP_SAMPLES });
    await bench.checkpoint();
    const latencies = await party.driver.call('sampleLatency', { ...INTERVALS, way, samples: SAMPLES });
    const figures = {
      p50_ms: percentile(latencies, 0.5),
      p99_ms: percentile(latencies, 0.99),
      max_ms: Math.max(...latencies),
      samples: latencies.length,
    };
    return { figures };
  } finally {
    await party.close();
  }
}
