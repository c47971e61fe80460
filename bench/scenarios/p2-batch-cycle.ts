/** P2: take and end work in batches. */
import type { Scenario } from '../scenario.ts';
import { THROUGHPUT_METRICS, throughputContender } from '../throughput.ts';
import { BATCH_LOAD } from './batch-load.ts';

/** Given by the bar. */
const PG_BOSS_BATCH = 100;
/** Tried on two cores: 1, 2, 4, 8. One or two leave a core idle, eight wait for one another. */
const PG_BOSS_LOOPS = 4;
/** On a fresh table it did 40,000 a second, later a quarter of that. */
const PG_BOSS_WARM_UP_PIECES = 150_000;

const ours = throughputContender('lanekeeper, batches of 50', BATCH_LOAD);
const pgBoss = throughputContender('pg-boss, batches of 100', {
  party: 'pg-boss',
  concurrency: PG_BOSS_LOOPS,
  manner: { kind: 'batch', size: PG_BOSS_BATCH },
  warmUpPieces: PG_BOSS_WARM_UP_PIECES,
});

export const batchCycle: Scenario = {
  id: 'P2',
  title: 'batch cycle: claim many, complete many in one call',
  metrics: THROUGHPUT_METRICS,
  contenders: [ours, pgBoss],
  comparisons: [
    { metric: 'per_second', of: ours.name, against: pgBoss.name, bar: { kind: 'at_least', value: 0.7 } },
  ],
};
