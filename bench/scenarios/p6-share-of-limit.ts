/** P6: how much of what the database can do is left after HTTP, authority and tokens. */
import type { Scenario } from '../scenario.ts';
import { THROUGHPUT_METRICS, throughputContender } from '../throughput.ts';
import { BATCH_LOAD, BATCH_SIZE, BATCH_WARM_UP_PIECES } from './batch-load.ts';

/** As many as our load has. Tried: 1, 2, 4, 8. The counter row makes more than two wait for one another, which costs them little. */
const RAW_CONNECTIONS = 4;

const ours = throughputContender('lanekeeper, batches of 50', BATCH_LOAD);
const raw = throughputContender('raw client, the same statements', {
  party: 'raw client',
  concurrency: RAW_CONNECTIONS,
  manner: { kind: 'batch', size: BATCH_SIZE },
  warmUpPieces: BATCH_WARM_UP_PIECES,
});

export const shareOfLimit: Scenario = {
  id: 'P6',
  title: 'share of the limit: batches beside the bare statements',
  metrics: THROUGHPUT_METRICS,
  contenders: [ours, raw],
  comparisons: [
    { metric: 'per_second', of: ours.name, against: raw.name, bar: { kind: 'at_least', value: 0.6 } },
  ],
};
