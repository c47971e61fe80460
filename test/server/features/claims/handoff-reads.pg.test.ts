/** What stands between a claim and its answer reads no more than will be shown, however much there is. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Database, openDatabase, type Sql } from '../../../../src/server/db/client.ts';
import { readPasts } from '../../../../src/server/features/claims/claiming/pasts.ts';
import { handoffCapsOf } from '../../../../src/server/features/claims/view.ts';
import type { Uuid } from '../../../../src/server/kernel/ids.ts';
import { createTestDatabase, type TestDatabase } from '../../../fixtures/database.ts';
import { BOARD_ID, countReads, fillBoard, prepareBoards, switchVacuumOff } from '../../db/claim-path.ts';

/** Of fillBoard: done, then running, then ready, by number. */
const taskId = (number: number): Uuid =>
  `01900000-0000-7000-8000-${number.toString(16).padStart(12, '0')}` as Uuid;
const DONE = 5000;
const CHILD = taskId(DONE + 1);
const TASKS = { ids: [CHILD], children: [CHILD], delegated: [] };
const PARENTS = 1000;
const ATTEMPTS = 1000;
const COMMENTS = 1000;
/** Stored uncompressed and out of line, as what does not compress is. */
const LARGE = 100_000;

let site: TestDatabase;
let database: Database;
beforeAll(async () => {
  site = await createTestDatabase({ plainBecause: 'what is unpacked is counted, of one table' });
  await prepareBoards(site);
  await switchVacuumOff(site.sql, ['links', 'comments']);
  await site.sql`VACUUM ANALYZE`;
  database = openDatabase({ url: site.url, coldConnectionsMax: 1 });
  // Plans of an empty database, which the one connection keeps.
  for (let round = 0; round < 6; round += 1)
    await readPasts(database.cold, BOARD_ID, TASKS, handoffCapsOf(1));
  await fillBoard(site, { ready: 5000, done: DONE, running: 0, lanes: 1 });
  await site.sql`ALTER TABLE runs ALTER COLUMN result SET STORAGE EXTERNAL, ALTER COLUMN checkpoint SET STORAGE EXTERNAL`;
  await site.sql`
    INSERT INTO links (board_id, child_id, parent_id, is_met)
    SELECT ${BOARD_ID}, ${CHILD}, id, true FROM tasks WHERE board_id = ${BOARD_ID} AND status = 'done' ORDER BY id LIMIT ${PARENTS}`;
  await site.sql`
    INSERT INTO runs (board_id, task_id, attempt, id, outcome, started_at, ended_at, checkpoint)
    SELECT ${BOARD_ID}, ${CHILD}, n, gen_random_uuid(), 'released', now(), now(), to_jsonb(repeat('c', ${LARGE}))
    FROM generate_series(1, ${ATTEMPTS}::int) AS n`;
  await site.sql`
    INSERT INTO comments (board_id, task_id, id, body, author_type, author_id, at)
    SELECT ${BOARD_ID}, ${CHILD}, gen_random_uuid(), 'x', 'key', 'k', now() FROM generate_series(1, ${COMMENTS}::int)`;
  await site.sql`
    UPDATE runs SET result = to_jsonb(repeat('r', ${LARGE}))
    WHERE board_id = ${BOARD_ID} AND task_id IN (SELECT parent_id FROM links WHERE child_id = ${CHILD})`;
  await site.sql`SELECT pg_stat_force_next_flush()`;
});
afterAll(async () => {
  await database?.close();
  await site?.drop();
});

/** Pieces of documents that were read. */
async function toastReads(sql: Sql): Promise<number> {
  await sql`SELECT pg_stat_force_next_flush()`;
  const [row] = await site.sql<{ count: number }[]>`
    SELECT coalesce(idx_tup_fetch, 0)::int AS count FROM pg_stat_all_tables
    WHERE relid = (SELECT reltoastrelid FROM pg_class WHERE oid = 'runs'::regclass)`;
  return row?.count ?? 0;
}

describe('what a task has behind it', () => {
  test('is read by index, as far as it is shown, with plans that were made while there was nothing', async () => {
    const reads = await countReads(site, database.cold, async () => {
      const past = (await readPasts(database.cold, BOARD_ID, TASKS, handoffCapsOf(1))).get(CHILD);
      const lengths = [past?.parents.length, past?.attempts.length, past?.comments.length];
      expect(lengths).toEqual([50, 10, 30]);
    });
    // One more of each than is shown; a hundred attempts are looked at, and the shown ones again.
    const rowsMax = { links: 51, tasks: 51, task_details: 51, runs: 51 + 100 + 10, comments: 31 };
    for (const [table, max] of Object.entries(rowsMax)) {
      const { rows = 0, entries = 0, sequentialScans } = reads.get(table) ?? {};
      expect([table, sequentialScans, Math.max(rows, entries) <= max, rows + entries > 0]).toEqual([
        table,
        0,
        true,
        true,
      ]);
    }
  });

  test('is not unpacked where it is too long to be shown, but for the latest checkpoint', async () => {
    const before = await toastReads(database.cold);
    const past = (await readPasts(database.cold, BOARD_ID, TASKS, handoffCapsOf(1))).get(CHILD);
    expect(past?.parents.map((row) => [row.result, row.is_result_cut])).toEqual(
      Array.from({ length: 50 }, () => [null, true]),
    );
    expect(past?.attempts.map((row) => [row.attempt, row.cut, String(row.checkpoint ?? '').length])).toEqual([
      ...Array.from({ length: 9 }, (_, index) => [ATTEMPTS - 9 + index, 'checkpoint', 0]),
      [ATTEMPTS, '', LARGE],
    ]);
    // Pieces of 2 kB.
    const pieces = (await toastReads(database.cold)) - before;
    expect(pieces).toBeGreaterThan(LARGE / 2100);
    expect(pieces).toBeLessThan(LARGE / 1900);
  });
});
