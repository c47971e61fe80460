/** P5: what a claim and a creation cost on a full board, beside a small one; and with many lanes, and with many boards. */
import type { Bench } from '../bench.ts';
import { fillBoard, tidyTables } from '../bulk-fill.ts';
import type { Layout } from '../driver.ts';
import { boardNamesOf, laneNamesOf } from '../layout.ts';
import { openParty } from '../parties.ts';
import type { Comparison, Contender, Measured, Scenario } from '../scenario.ts';
import { median, percentile } from '../statistics.ts';

/** A database and what is in it; ready and finished are of each board. */
interface Place {
  readonly database: string;
  readonly layout: Layout;
  readonly ready: number;
  readonly finished: number;
}

/** Requests one at a time, some 10 ms for the three of a sample. */
const SAMPLES = 400;
const WARM_UP_SAMPLES = 100;
const LARGE = 'growth-large';
const SMALL_DATABASE = 'growth-small';

/** Given by the bar; lanes and boards by the issue of growth. What stands in one database grows together. */
const SMALL: Place = place(SMALL_DATABASE, { name: 'small', boards: 1, lanesPerBoard: 1 }, 1000, 0);
const FULL: Place = place(LARGE, { name: 'full', boards: 1, lanesPerBoard: 1 }, 1_000_000, 1_000_000);
const LANES: Place = place(LARGE, { name: 'lanes', boards: 1, lanesPerBoard: 1000 }, 100_000, 100_000);
const BOARDS: Place = place(LARGE, { name: 'boards', boards: 100, lanesPerBoard: 1 }, 1000, 1000);
const PLACES = [SMALL, FULL, LANES, BOARDS];

const small = contender('1k ready', SMALL);
const full = contender('1M ready, 1M finished', FULL);
const lanes = contender('beside it, 1,000 lanes', LANES);
const boards = contender('beside it, 100 boards', BOARDS);

const filled = new WeakSet<Bench>();

export const growth: Scenario = {
  id: 'P5',
  title: 'cost with size: single requests on a full board and on a small one',
  metrics: [
    { key: 'claim_p50_ms', unit: 'claim, ms p50', digits: 2 },
    { key: 'create_p50_ms', unit: 'create, ms p50', digits: 2 },
    { key: 'complete_p50_ms', unit: 'complete, ms p50', digits: 2 },
    { key: 'claim_p99_ms', unit: 'claim, ms p99', digits: 2 },
  ],
  contenders: [small, full, lanes, boards],
  comparisons: [full, lanes, boards].flatMap(({ name }): Comparison[] => [
    { metric: 'claim_p50_ms', of: name, against: small.name, bar: { kind: 'at_most', value: 1.3 } },
    { metric: 'create_p50_ms', of: name, against: small.name, bar: { kind: 'at_most', value: 1.3 } },
  ]),
  // Gigabytes that no other scenario has a use for.
  close: async (bench) => {
    await bench.dropDatabase(LARGE);
    await bench.dropDatabase(SMALL_DATABASE);
  },
};

function place(database: string, layout: Layout, ready: number, finished: number): Place {
  return { database, layout, ready, finished };
}

function contender(name: string, where: Place): Contender {
  return { name, measure: (bench) => measure(bench, where) };
}

async function measure(bench: Bench, { database, layout }: Place): Promise<Measured> {
  if (!filled.has(bench)) await fillAll(bench);
  filled.add(bench);
  const party = await openParty('lanekeeper', bench, { database });
  try {
    await party.driver.call('sampleCosts', { layout, samples: WARM_UP_SAMPLES });
    await bench.checkpoint();
    const { claimMs, createMs, completeMs } = await party.driver.call('sampleCosts', {
      layout,
      samples: SAMPLES,
    });
    const figures = {
      claim_p50_ms: median(claimMs),
      create_p50_ms: median(createMs),
      complete_p50_ms: median(completeMs),
      claim_p99_ms: percentile(claimMs, 0.99),
    };
    return { figures };
  } finally {
    await party.close();
  }
}

async function fillAll(bench: Bench): Promise<void> {
  const startedAt = performance.now();
  for (const database of [SMALL_DATABASE, LARGE]) {
    const places = PLACES.filter((one) => one.database === database);
    // The server makes schema, boards and lanes, and is gone while tables are filled.
    const party = await openParty('lanekeeper', bench, { database });
    try {
      for (const { layout } of places) await party.driver.call('layOut', layout);
    } finally {
      await party.close();
    }
    const sql = await bench.sqlFor(database);
    for (const { layout, ready, finished } of places)
      for (const board of boardNamesOf(layout)) {
        bench.signal.throwIfAborted();
        await fillBoard(sql, { board, lanes: laneNamesOf(layout), ready, finished });
      }
    await tidyTables(sql);
  }
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  bench.report(`P5 filled its databases in ${seconds} s`);
}
