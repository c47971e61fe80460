/** P1: take one piece of work, end it, one at a time. */
import type { PartyName } from '../parties.ts';
import type { Contender, Scenario } from '../scenario.ts';
import { THROUGHPUT_METRICS, throughputContender } from '../throughput.ts';

/** Given by the bar: 64 connections or loops, and graphile-worker's concurrency of 24. */
const CONNECTIONS = 64;
const GRAPHILE_CONCURRENCY = 24;
/** Twice what the fastest of them does in the 2.5 s of the warm-up. */
const WARM_UP_PIECES = 25_000;

const ours = contender('lanekeeper', 'lanekeeper', CONNECTIONS);
const graphile = contender('graphile-worker', 'graphile-worker', GRAPHILE_CONCURRENCY);
const pgBoss = contender('pg-boss, 64 loops', 'pg-boss', CONNECTIONS);
const pgBossAlone = contender('pg-boss, 1 loop', 'pg-boss', 1);

export const singleCycle: Scenario = {
  id: 'P1',
  title: 'single cycle: claim one, complete one',
  metrics: THROUGHPUT_METRICS,
  contenders: [ours, graphile, pgBoss, pgBossAlone],
  comparisons: [
    { metric: 'per_second', of: ours.name, against: graphile.name, bar: { kind: 'at_least', value: 1.2 } },
    { metric: 'per_second', of: ours.name, against: pgBoss.name, bar: { kind: 'at_least', value: 10 } },
    { metric: 'per_second', of: ours.name, against: pgBossAlone.name, bar: { kind: 'at_least', value: 10 } },
  ],
};

function contender(name: string, party: PartyName, concurrency: number): Contender {
  return throughputContender(name, {
    party,
    concurrency,
    manner: { kind: 'single' },
    warmUpPieces: WARM_UP_PIECES,
  });
}
