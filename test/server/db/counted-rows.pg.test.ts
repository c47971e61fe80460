/**
 * Statements that find one row twice, first to lock and then to write it, count both. A row that is missed the second time takes the
 * whole statement back, to be decided again: a claim without its task, or an end without its run, cannot be made. Here a
 * trigger makes rows be missed, one in a batch.
 */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../../src/server/db/client.ts';
import { isStaleDecision } from '../../../src/server/db/failures.ts';
import { claimReady } from '../../../src/server/features/claims/store/claim.ts';
import { completeRuns } from '../../../src/server/features/claims/store/complete.ts';
import { insertTasks } from '../../../src/server/features/tasks/store/create.ts';
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts';
import { only } from '../../fixtures/eventually.ts';
import { BATCH, BOARD_ID, completionsOf, holdsOf, newTasks, prepareBoards, slots } from './claim-path.ts';

const TABLES = ['tasks', 'claims', 'runs', 'events'] as const;

let site: TestDatabase;
let database: Database;
let missed: string;

beforeAll(async () => {
  site = await createTestDatabase();
  await prepareBoards(site);
  database = openDatabase({ url: site.url, hotConnectionsMax: 1 });
  const { sql } = site;
  await sql`CREATE TABLE missed (task_id uuid)`;
  await sql`
    CREATE FUNCTION miss() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF (to_jsonb(OLD)->>TG_ARGV[0])::uuid IN (SELECT task_id FROM missed) THEN RETURN NULL; END IF;
      RETURN NEW;
    END $$`;
});
afterAll(async () => {
  await database.close();
  await site.drop();
});

/** Everything that a claim or an end could have left behind. */
async function state(): Promise<unknown> {
  const { sql } = site;
  const rows = await Promise.all(
    TABLES.map((table) => sql`SELECT to_jsonb(t) AS row FROM ${sql(table)} t ORDER BY 1`),
  );
  return [...rows.map((list) => [...list]), [...(await sql`SELECT * FROM board_seq`)]];
}

async function expectTakenBack(work: () => Promise<unknown>): Promise<void> {
  const before = await state();
  await expect(work()).rejects.toSatisfy(isStaleDecision);
  expect(await state()).toEqual(before);
}

beforeEach(async () => {
  const { sql } = site;
  await sql`TRUNCATE tasks, task_details, claims, runs, events, missed`;
  const tasks = newTasks(BATCH);
  await insertTasks(database.hot, BOARD_ID, tasks);
  missed = only(tasks.slice(7, 8)).id;
});

/** From now on, writes to the row of one task of the batch in this table do nothing. Answers with the end of that. */
async function missOne(table: 'tasks' | 'runs', column: 'id' | 'task_id'): Promise<() => Promise<unknown>> {
  const { sql } = site;
  await sql`INSERT INTO missed VALUES (${missed})`;
  await sql.unsafe(
    `CREATE TRIGGER miss BEFORE UPDATE ON ${table} FOR EACH ROW EXECUTE FUNCTION miss('${column}')`,
  );
  return () => sql.unsafe(`DROP TRIGGER miss ON ${table}`);
}

const claim = () => claimReady(database.hot, BOARD_ID, 1, slots(BATCH));

test('a task that is missed takes the claims of its batch back', async () => {
  const restore = await missOne('tasks', 'id');
  await expectTakenBack(claim);
  await restore();
  expect(await claim()).toHaveLength(BATCH);
});

test.each([
  ['task', 'tasks', 'id'],
  ['run', 'runs', 'task_id'],
] as const)('a %s that is missed takes the ends of its batch back', async (_, table, column) => {
  const completions = completionsOf(holdsOf(await claim()));
  const complete = () => completeRuns(database.hot, BOARD_ID, completions);
  const restore = await missOne(table, column);
  await expectTakenBack(complete);
  await restore();
  expect(await complete()).toHaveLength(BATCH);
});
