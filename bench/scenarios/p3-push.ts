/** P3: work is handed to workers as they have room for it. */
import type { Contender, Scenario } from '../scenario.ts';
import { THROUGHPUT_METRICS, throughputContender } from '../throughput.ts';

/** Sockets, each a worker of the lane, and how many tasks each may be handed ahead. Tried: 1 × 400, 2 × 100, 4 × 100, 4 × 250, 8 × 50. */
const SOCKETS = 4;
const CREDITS = 100;
const WARM_UP_PIECES = 50_000;
/** Tried: 10, 24, 50, 100. From 24 on a job costs the same. */
const BULLMQ_CONCURRENCY = 24;
/** It does some 30,000 a second, as the local queue below. */
const BULLMQ_WARM_UP_PIECES = 100_000;
/** As in P1. */
const GRAPHILE_CONCURRENCY = 24;
/** Jobs that it fetches ahead: its documentation says a size well above the concurrency for short tasks. Tried: 100, 500, 1000; only 100 is slower. */
const GRAPHILE_LOCAL_QUEUE = 500;
/** It does some 30,000 a second. */
const GRAPHILE_WARM_UP_PIECES = 120_000;

const withoutTokens = ours('lanekeeper, without tokens', false);
const withTokens = ours('lanekeeper, with tokens', true);
const bullmq = throughputContender('BullMQ', {
  party: 'bullmq',
  concurrency: BULLMQ_CONCURRENCY,
  manner: { kind: 'push', ahead: BULLMQ_CONCURRENCY, hasTokens: false },
  warmUpPieces: BULLMQ_WARM_UP_PIECES,
});
const graphile = throughputContender('graphile-worker, local queue', {
  party: 'graphile-worker',
  concurrency: GRAPHILE_CONCURRENCY,
  manner: { kind: 'push', ahead: GRAPHILE_LOCAL_QUEUE, hasTokens: false },
  warmUpPieces: GRAPHILE_WARM_UP_PIECES,
});

export const push: Scenario = {
  id: 'P3',
  title: 'push: work handed out over a socket, ended on the same',
  metrics: THROUGHPUT_METRICS,
  contenders: [withoutTokens, withTokens, bullmq, graphile],
  comparisons: [
    {
      metric: 'per_second',
      of: withoutTokens.name,
      against: bullmq.name,
      bar: { kind: 'at_least', value: 1 },
    },
    {
      metric: 'per_second',
      of: withoutTokens.name,
      against: graphile.name,
      bar: { kind: 'at_least', value: 0.4 },
    },
    { metric: 'per_second', of: withTokens.name, against: bullmq.name, bar: null },
  ],
};

function ours(name: string, hasTokens: boolean): Contender {
  return throughputContender(name, {
    party: 'lanekeeper',
    concurrency: SOCKETS,
    manner: { kind: 'push', ahead: CREDITS, hasTokens },
    warmUpPieces: WARM_UP_PIECES,
  });
}
