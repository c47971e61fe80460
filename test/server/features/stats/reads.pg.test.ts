/** The counting reads the log once, and what it looks up by key, whatever the planner believes of the tables; charts read no log at all. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { begin } from '../../../../src/server/db/begin.ts';
import { type Database, openDatabase } from '../../../../src/server/db/client.ts';
import { LogCounting } from '../../../../src/server/features/stats/service.ts';
import { readStats } from '../../../../src/server/features/stats/stats.ts';
import { createTestDatabase, type TestDatabase } from '../../../fixtures/database.ts';
import { eventually } from '../../../fixtures/eventually.ts';
import { countReads, switchVacuumOff } from '../../db/claim-path.ts';
import { writeLog } from './log.ts';

const EVENTS = 1000;
const MEASURED = 50;
const SHAPE = {
  tasks: 10_000,
  lanes: 10,
  startedSecondsAgo: 80_000,
  spacingSeconds: 7,
  waitSeconds: () => 5,
  runSeconds: () => 30,
};
/** Their statistics say what an empty database's do; nothing corrects them meanwhile. */
const TABLES = ['events', 'runs', 'board_minutes', 'stats_progress', 'board_seq', 'boards'];

let site: TestDatabase;
let database: Database;
let board = 0;
beforeAll(async () => {
  site = await createTestDatabase();
  await switchVacuumOff(site.sql, TABLES);
  await site.sql`VACUUM ANALYZE`;
  database = openDatabase({ url: site.url, coldConnectionsMax: 1 });
  board = await writeLog(site.sql, 'counted', SHAPE);
  await writeLog(site.sql, 'beside', SHAPE);
  await site.sql`SELECT pg_stat_force_next_flush()`;
});
afterAll(async () => {
  await database?.close();
  await site?.drop();
});

async function readBy(work: () => Promise<unknown>) {
  const reads = await countReads(site, database.cold, work);
  return (table: string) => {
    const { rows = 0, entries = 0, sequentialScans = 0 } = reads.get(table) ?? {};
    return { most: Math.max(rows, entries), sequentialScans };
  };
}

async function counted(): Promise<number> {
  const [row] = await site.sql<{ seq: string }[]>`SELECT sum(seq) AS seq FROM stats_progress`;
  return Number(row?.seq ?? 0);
}

test.for(['empty', 'analyzed'])(
  'a turn reads its events, and a look-up for each that is measured: %s',
  async (state) => {
    if (state === 'analyzed') await site.sql`ANALYZE`;
    const counting = new LogCounting(database.cold, { eventsPerTurn: EVENTS, measuredPerTurn: MEASURED });
    await counting.sweep(new AbortController().signal);
    const before = await counted();
    const reads = await readBy(() => counting.sweep(new AbortController().signal));
    const turns = ((await counted()) - before) / EVENTS;
    expect(turns).toBeGreaterThanOrEqual(5);
    // Of each measured claim the event before it, and what the index has around it.
    expect(reads('events').most).toBeLessThan(turns * (EVENTS + 5 * MEASURED));
    expect(reads('runs').most).toBeLessThanOrEqual(turns * MEASURED);
    for (const table of ['events', 'runs', 'board_minutes'])
      expect([table, reads(table).sequentialScans]).toEqual([table, 0]);
  },
);

test('charts read the minutes of their window, and one event', async () => {
  const counting = new LogCounting(database.cold);
  await eventually('all is added up', async () => {
    await counting.sweep(new AbortController().signal);
    return (await counted()) === 2 * 3 * SHAPE.tasks;
  });
  const reads = await readBy(() =>
    begin(database.cold, 'ISOLATION LEVEL REPEATABLE READ READ ONLY', (tx) =>
      readStats(tx, { id: board, name: 'counted', incarnation: 'abcdefgh' }, '1h'),
    ),
  );
  expect(reads('events').most).toBeLessThanOrEqual(2);
  expect([reads('tasks').most, reads('runs').most]).toEqual([0, 0]);
  // Points, lanes and depths, each once; and the last depth before the window.
  expect(reads('board_minutes').most).toBeLessThan(4 * 60);
  expect(reads('board_minutes').sequentialScans).toBe(0);
});
