/** Reasons, and what waits for a person, are read without a look at the backlog, whatever the planner believes of the tables. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { begin } from '../../../../src/server/db/begin.ts';
import { type Database, openDatabase, pinPlans, type Tx } from '../../../../src/server/db/client.ts';
import { Attention, Why } from '../../../../src/server/features/attention/service.ts';
import { PresenceTracker } from '../../../../src/server/features/lanes/service.ts';
import type { TaskService } from '../../../../src/server/features/tasks/service.ts';
import type { Uuid } from '../../../../src/server/kernel/ids.ts';
import { createTestDatabase, type TestDatabase } from '../../../fixtures/database.ts';
import {
  BOARD_ID,
  countReads,
  fillBoard,
  prepareBoards,
  switchVacuumOff,
  untilPrunable,
} from '../../db/claim-path.ts';

const PAGE = 200;
const LANES = 10;
const RUNNING = 1000;
const STRANDED = 100;

let site: TestDatabase;
let database: Database;
let why: Why;
beforeAll(async () => {
  site = await createTestDatabase();
  await prepareBoards(site);
  await switchVacuumOff(site.sql, ['links', 'stranded_tasks', 'workers']);
  await site.sql`VACUUM ANALYZE`;
  database = openDatabase({ url: site.url, coldConnectionsMax: 1 });
  // Of one task they ask for nothing that these reads need.
  const tasks = {} as TaskService;
  why = new Why({ sql: database.cold, presence: new PresenceTracker(database.cold), tasks });
  // Plans of an empty database, which the one connection keeps.
  for (let round = 0; round < 6; round += 1) {
    await look(readReasons);
    await look(readAttention);
  }
  await fillBoard(site, { ready: 20_000, done: 20_000, running: RUNNING, lanes: LANES });
  await site.sql.begin(async (tx) => {
    await tx`
      INSERT INTO lanes (board_id, name, kind, claim_mode, allowed_status_mutations, max_concurrent_claims, lease_seconds)
      SELECT ${BOARD_ID}, 'lane-' || n, 'persistent', 'pull', 'own-claimed-only', 500, 60 FROM generate_series(0, ${LANES - 1}) AS n`;
    await tx`
      INSERT INTO stranded_tasks (board_id, task_id, ready_since)
      SELECT board_id, id, status_since FROM tasks WHERE board_id = ${BOARD_ID} AND status = 'ready' ORDER BY id LIMIT ${STRANDED}`;
    // What is ready waits for others no more; what is made to wait again does.
    await tx`
      INSERT INTO links (board_id, child_id, parent_id, is_met)
      SELECT ${BOARD_ID}, child.id, parent.id, false
      FROM (SELECT id FROM tasks WHERE board_id = ${BOARD_ID} AND status = 'ready' ORDER BY id DESC LIMIT 10) AS child
      CROSS JOIN (SELECT id FROM tasks WHERE board_id = ${BOARD_ID} AND status = 'running' ORDER BY id LIMIT 20) AS parent`;
    await tx`
      UPDATE tasks SET status = 'todo', unmet_parents = 20
      WHERE board_id = ${BOARD_ID} AND id IN (SELECT child_id FROM links WHERE board_id = ${BOARD_ID})`;
    // Of this connection, for the next ones: else what it has read is counted with what is measured.
    await tx`SELECT pg_stat_force_next_flush()`;
  });
  await untilPrunable(site);
});
afterAll(async () => {
  await database?.close();
  await site?.drop();
});

/** As the routes do it. */
function look<T>(read: (tx: Tx) => Promise<T>): Promise<T> {
  return begin(database.cold, 'ISOLATION LEVEL REPEATABLE READ READ ONLY', async (tx) => {
    await pinPlans(tx);
    return read(tx);
  });
}

let page: readonly Uuid[] = [];
const readReasons = (tx: Tx) => why.reasonsOf(tx, BOARD_ID, page);
const readAttention = (tx: Tx) =>
  new Attention(why).list(tx, { id: BOARD_ID, name: 'board-1', incarnation: 'abcdefgh' });

/** Tables of which more was read than this, or without an index. */
async function greed(
  read: (tx: Tx) => Promise<unknown>,
  most: Readonly<Record<string, number>>,
): Promise<string[]> {
  const reads = await countReads(site, database.cold, () => look(read));
  return [...reads].flatMap(([table, { rows, entries, sequentialScans }]) => {
    const isGreedy = Math.max(rows, entries) > (most[table] ?? 0) || sequentialScans > 0;
    return isGreedy ? [`${table}: ${rows} rows, ${entries} entries, ${sequentialScans} scans`] : [];
  });
}

describe('on a board with a backlog', () => {
  test('the reasons of a page read its tasks, their parents and the heads of their lanes', async () => {
    page = await site.sql.begin(async (tx) => {
      const rows = await tx<{ id: Uuid }[]>`
        SELECT id FROM tasks WHERE board_id = ${BOARD_ID} AND status IN ('ready', 'todo') ORDER BY id DESC LIMIT ${PAGE}`;
      await tx`SELECT pg_stat_force_next_flush()`;
      return rows.map(({ id }) => id);
    });
    const reasons = await look(readReasons);
    expect(reasons.get(page[0] as Uuid)?.[0]).toMatchObject({ code: 'waiting_for_parents' });
    expect(reasons.get(page.at(-1) as Uuid)?.map(({ code }) => code)).toContain('behind');
    // Of all lanes together 5,000 places, and one claim of each lane beside those under its cap.
    const most = {
      tasks: PAGE + 10 * 20 + 5000,
      links: 10 * 20,
      claims: RUNNING + LANES,
      lanes: LANES,
      boards: 1,
    };
    expect(await greed(readReasons, most)).toEqual([]);
  });

  test('what waits for a person reads live claims, lanes, and what is stranded', async () => {
    const { attention } = await look(readAttention);
    expect(attention.filter(({ code }) => code === 'stranded')).toHaveLength(STRANDED);
    const perTask = 3; // Whether it still waits, its name, its reasons.
    const most = {
      tasks: STRANDED * perTask + 5000 + LANES * (100 + 1),
      task_details: STRANDED,
      stranded_tasks: STRANDED,
      claims: 2 * RUNNING + 2 * LANES,
      lanes: 3 * LANES + STRANDED,
      boards: 2,
    };
    expect(await greed(readAttention, most)).toEqual([]);
  });
});
