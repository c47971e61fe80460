/** P10: two servers on one Postgres share the load of P1, on the same cores. */
import type { Bench } from '../bench.ts';
import { openParty } from '../parties.ts';
import type { Contender, Measured, Scenario } from '../scenario.ts';
import { type Load, measureThroughput, THROUGHPUT_METRICS } from '../throughput.ts';

/** As in P1. */
const LOAD: Load = {
  party: 'lanekeeper',
  concurrency: 64,
  manner: { kind: 'single' },
  warmUpPieces: 25_000,
};
/** Of its own, so that every row in it was made here. */
const DATABASE = 'replicas';

const one = contender('one server', 1);
const two = contender('two servers', 2);

export const replicas: Scenario = {
  id: 'P10',
  title: 'replicas: two servers on one Postgres, the same cores',
  metrics: [
    ...THROUGHPUT_METRICS,
    { key: 'double_claims', unit: 'claimed more than once', digits: 0 },
    { key: 'deadlocks', unit: 'deadlocks', digits: 0 },
  ],
  contenders: [one, two],
  comparisons: [
    { metric: 'per_second', of: two.name, against: one.name, bar: { kind: 'at_least', value: 0.75 } },
    { metric: 'double_claims', of: two.name, against: null, bar: { kind: 'at_most', value: 0 } },
    { metric: 'deadlocks', of: two.name, against: null, bar: { kind: 'at_most', value: 0 } },
  ],
};

function contender(name: string, servers: number): Contender {
  return { name, measure: (bench) => measure(bench, servers) };
}

async function measure(bench: Bench, servers: number): Promise<Measured> {
  const party = await openParty('lanekeeper', bench, { servers, database: DATABASE });
  try {
    const before = await readDeadlocks(bench);
    const figures = await measureThroughput(bench, party, LOAD);
    const deadlocks = (await readDeadlocks(bench)) - before;
    return { figures: { ...figures, deadlocks, double_claims: await countDoubleClaims(bench) } };
  } finally {
    await party.close();
  }
}

async function readDeadlocks(bench: Bench): Promise<number> {
  const sql = await bench.sqlFor(DATABASE);
  const [row] = await sql<{ deadlocks: number }[]>`
    SELECT deadlocks::int FROM pg_stat_database WHERE datname = current_database()`;
  return row?.deadlocks ?? Number.NaN;
}

/** Nothing here ends but by completion, so a second attempt or a second event is a task that was handed out twice. */
async function countDoubleClaims(bench: Bench): Promise<number> {
  const sql = await bench.sqlFor(DATABASE);
  const [row] = await sql<{ doubles: number }[]>`
    SELECT (SELECT count(*) FROM tasks WHERE attempt > 1)::int + (
      SELECT count(*) FROM (SELECT FROM events WHERE kind = 'task.claimed' GROUP BY board_id, task_id HAVING count(*) > 1) AS twice
    )::int AS doubles`;
  return row?.doubles ?? Number.NaN;
}
