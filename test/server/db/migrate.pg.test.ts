/** What an upgrade of the schema promises to the servers that work on it meanwhile, and to whoever starts it. */
import { join } from 'node:path';
import { drizzle } from 'drizzle-orm/postgres-js';
import { migrate as migrateByDrizzle } from 'drizzle-orm/postgres-js/migrator';
import type postgres from 'postgres';
import { describe, expect, onTestFinished, test } from 'vitest';
import { migrateDatabase } from '../../../src/server/db/migrate.ts';
import { knownMigrationCount } from '../../../src/server/db/migration/files.ts';
import { describeLocks, previewMigrations, scriptOf } from '../../../src/server/db/migration/preview.ts';
import { useEmptyDatabase, useTestDatabase } from '../../fixtures/database.ts';
import { eventually } from '../../fixtures/eventually.ts';
import { useFirstMigrations, useMigrations } from '../../fixtures/migrations-folder.ts';

const OURS = join(import.meta.dirname, '../../../drizzle');
const MAKE_TABLE = 'CREATE TABLE "things" ("id" integer PRIMARY KEY, "word" text);';
const ADD_COLUMN = 'ALTER TABLE "things" ADD COLUMN "more" text;';
const ADD_INDEX =
  '-- lanekeeper: outside a transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS "things_word_index" ON "things" ("word");';
/** Releases with that migrator had so many. */
const OF_EARLIER_MIGRATOR = 10;
/** Longer than two waits of a lock. */
const PATIENCE_MS = 2500;

async function tags(sql: postgres.Sql): Promise<number> {
  const rows = await sql`SELECT id FROM drizzle.__drizzle_migrations`;
  return rows.length;
}

const columnsOf = async (sql: postgres.Sql): Promise<string[]> => {
  const rows = await sql<{ name: string }[]>`
    SELECT column_name AS name FROM information_schema.columns WHERE table_name = 'things' ORDER BY ordinal_position`;
  return rows.map(({ name }) => name);
};

/** A transaction that has written to the table, and is not over before it is told. */
async function holdTable(sql: postgres.Sql, name: string): Promise<{ release: () => Promise<void> }> {
  const session = await sql.reserve();
  let isHeld = true;
  const release = async (): Promise<void> => {
    if (!isHeld) return;
    isHeld = false;
    await session`ROLLBACK`;
    session.release();
  };
  onTestFinished(release);
  await session`SELECT set_config('application_name', ${name}, false)`;
  await session`BEGIN`;
  await session`INSERT INTO things (id) VALUES (-1)`;
  return { release };
}

describe('the ledger', () => {
  test('of a database that the earlier migrator made is understood, and the earlier migrator understands ours', async () => {
    const earlier = await useFirstMigrations(OF_EARLIER_MIGRATOR);
    const theirs = await useEmptyDatabase();
    await migrateByDrizzle(drizzle(theirs.sql), { migrationsFolder: earlier });
    const total = await knownMigrationCount(OURS);
    const applied = total - OF_EARLIER_MIGRATOR;
    expect(await migrateDatabase(theirs.url, OURS)).toEqual({ applied, total, newer: 0 });
    const ours = await useEmptyDatabase();
    expect(await migrateDatabase(ours.url, OURS)).toEqual({ applied: total, total, newer: 0 });
    await migrateByDrizzle(drizzle(ours.sql), { migrationsFolder: earlier });
    expect(await tags(ours.sql)).toBe(total);
  });

  test('gets each migration once when many servers start on an empty database together', async () => {
    const { url, sql } = await useEmptyDatabase();
    const results = await Promise.all(Array.from({ length: 5 }, () => migrateDatabase(url, OURS)));
    const total = await knownMigrationCount(OURS);
    expect(results.map((result) => result.total)).toEqual(results.map(() => total));
    expect(results.reduce((sum, { applied }) => sum + applied, 0)).toBe(total);
    expect(await tags(sql)).toBe(total);
  });

  test('keeps what came before a migration that fails, and nothing of it', async () => {
    const { url, sql } = await useEmptyDatabase();
    const broken = `${ADD_COLUMN}--> statement-breakpoint\nALTER TABLE "nothing" ADD COLUMN "x" text;`;
    const folder = await useMigrations({ '0000_table': MAKE_TABLE, '0001_broken': broken });
    await expect(migrateDatabase(url, folder)).rejects.toThrow(
      /0001_broken failed and was taken back: .*nothing/,
    );
    expect([await tags(sql), await columnsOf(sql)]).toEqual([1, ['id', 'word']]);
    const mended = await useMigrations({ '0000_table': MAKE_TABLE, '0001_mended': ADD_COLUMN });
    expect(await migrateDatabase(url, mended)).toEqual({ applied: 1, total: 2, newer: 0 });
  });

  test('of a later release is nothing to wait for, also while that release is migrating', async () => {
    const { url, sql } = await useEmptyDatabase();
    const earlier = await useMigrations({ '0000_table': MAKE_TABLE });
    const later = await useMigrations({ '0000_table': MAKE_TABLE, '0001_column': ADD_COLUMN });
    await migrateDatabase(url, earlier);
    const { release } = await holdTable(sql, 'a report');
    const upgrading = migrateDatabase(url, later);
    await eventually('it waits', async () => {
      const rows = await sql`SELECT FROM pg_locks WHERE NOT granted AND relation = 'things'::regclass`;
      return rows.length > 0;
    });
    expect(await migrateDatabase(url, earlier)).toEqual({ applied: 0, total: 1, newer: 0 });
    await release();
    await upgrading;
    expect(await migrateDatabase(url, earlier)).toEqual({ applied: 0, total: 2, newer: 1 });
  });
});

test('a migration in a transaction waits for a migrator of an earlier release', async () => {
  const { url, sql } = await useEmptyDatabase();
  const session = await sql.reserve();
  await session`SELECT pg_advisory_lock(${0x6c616e65}::bigint)`;
  const folder = await useMigrations({ '0000_table': MAKE_TABLE });
  const lines: string[] = [];
  const migrating = migrateDatabase(url, folder, { report: (line) => lines.push(line) });
  await eventually('it waits', () =>
    lines.includes('another server is migrating this database; trying again'),
  );
  expect(await columnsOf(sql)).toEqual([]);
  await session`SELECT pg_advisory_unlock(${0x6c616e65}::bigint)`;
  session.release();
  expect(await migrating).toMatchObject({ applied: 1 });
});

describe('a table that somebody holds', () => {
  const FOLDER = { '0000_table': MAKE_TABLE, '0001_column': ADD_COLUMN };

  test('is waited for in short turns: the traffic behind goes on, and the migration as soon as it can', async () => {
    const { url, sql } = await useEmptyDatabase();
    await migrateDatabase(url, await useMigrations({ '0000_table': MAKE_TABLE }));
    const { release } = await holdTable(sql, 'a report');
    const lines: string[] = [];
    const upgrading = migrateDatabase(url, await useMigrations(FOLDER), {
      report: (line) => lines.push(line),
    });
    await eventually('it waits for the table', async () => {
      const rows = await sql`SELECT FROM pg_locks WHERE NOT granted AND relation = 'things'::regclass`;
      return rows.length > 0;
    });
    // Stands behind the migration, which would have everybody wait for the report.
    await sql.begin(async (tx) => {
      await tx`SET LOCAL lock_timeout = '5s'`;
      await tx`INSERT INTO things (id) VALUES (1)`;
    });
    await eventually('it says who is in the way', () =>
      lines.some((line) =>
        /0001_column waits for "things", held by process \d+ \(a report, in a transaction/.test(line),
      ),
    );
    await release();
    expect(await upgrading).toMatchObject({ applied: 1 });
    expect(await columnsOf(sql)).toEqual(['id', 'word', 'more']);
  });

  test('for too long is a failure that names the table and who has it, and changes nothing', async () => {
    const { url, sql } = await useEmptyDatabase();
    await migrateDatabase(url, await useMigrations({ '0000_table': MAKE_TABLE }));
    await holdTable(sql, 'a backup');
    const failing = migrateDatabase(url, await useMigrations(FOLDER), { patienceMs: PATIENCE_MS });
    await expect(failing).rejects.toThrow(
      /Given up after \d+ s: the migration 0001_column waits for "things", held by process \d+ \(a backup/,
    );
    expect(await columnsOf(sql)).toEqual(['id', 'word']);
  });

  test('keeps nobody from stopping the migration, and Postgres forgets it at once', async () => {
    const { url, sql } = await useEmptyDatabase();
    await migrateDatabase(url, await useMigrations({ '0000_table': MAKE_TABLE }));
    await holdTable(sql, 'a report');
    const stopping = new AbortController();
    const upgrading = migrateDatabase(url, await useMigrations(FOLDER), { signal: stopping.signal });
    const waiting = async (): Promise<number> => {
      const rows =
        await sql`SELECT FROM pg_stat_activity WHERE query LIKE '/* migrate.0001_column */%' AND state = 'active'`;
      return rows.length;
    };
    await eventually('it waits', async () => (await waiting()) === 1);
    stopping.abort();
    await expect(upgrading).rejects.toThrow(/stopped/);
    await eventually('nobody waits', async () => (await waiting()) === 0);
  });
});

describe('a migration outside a transaction', () => {
  const FOLDER = { '0000_table': MAKE_TABLE, '0001_index': ADD_INDEX };
  const states = (sql: postgres.Sql) =>
    sql`SELECT indisvalid AS valid FROM pg_index WHERE indexrelid = 'things_word_index'::regclass`;

  test('builds its index while others write, under the turn of one server', async () => {
    const { url, sql } = await useEmptyDatabase();
    await migrateDatabase(url, await useMigrations({ '0000_table': MAKE_TABLE }));
    const { release } = await holdTable(sql, 'a writer');
    const folder = await useMigrations(FOLDER);
    const upgrading = Promise.all([migrateDatabase(url, folder), migrateDatabase(url, folder)]);
    await eventually('the build waits for the older transaction', async () => {
      const rows = await sql`SELECT FROM pg_stat_progress_create_index`;
      return rows.length === 1;
    });
    await sql`INSERT INTO things (id, word) VALUES (1, 'written meanwhile')`;
    // What the migrator of 0.1 waits for in a statement, for which the build would wait in turn.
    expect(await sql`SELECT pg_try_advisory_xact_lock(${0x6c616e65}::bigint) AS free`).toEqual([
      { free: true },
    ]);
    await release();
    const results = await upgrading;
    expect(results.map(({ applied }) => applied).toSorted()).toEqual([0, 1]);
    expect(await states(sql)).toEqual([{ valid: true }]);
  });

  test('that was cut off is done again from the start', async () => {
    const { url, sql } = await useEmptyDatabase();
    await migrateDatabase(url, await useMigrations({ '0000_table': MAKE_TABLE }));
    const { release } = await holdTable(sql, 'a writer');
    const folder = await useMigrations(FOLDER);
    const stopping = new AbortController();
    const cut = migrateDatabase(url, folder, { signal: stopping.signal });
    await eventually('the index is there, and not valid', async () => {
      const rows =
        await sql`SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relname = 'things_word_index'`;
      return rows.length === 1;
    });
    stopping.abort();
    await expect(cut).rejects.toThrow(/stopped/);
    expect(await states(sql)).toEqual([{ valid: false }]);
    await release();
    expect(await migrateDatabase(url, folder)).toMatchObject({ applied: 1 });
    expect(await states(sql)).toEqual([{ valid: true }]);
  });
});

describe('a preview', () => {
  test('says what is missing, and changes nothing', async () => {
    const { url, sql } = await useEmptyDatabase();
    const folder = await useMigrations({ '0000_table': MAKE_TABLE, '0001_column': ADD_COLUMN });
    const preview = await previewMigrations(url, folder);
    expect(preview.missing.map(({ tag }) => tag)).toEqual(['0000_table', '0001_column']);
    expect(await sql`SELECT FROM pg_namespace WHERE nspname = 'drizzle'`).toHaveLength(0);
    await migrateDatabase(url, folder);
    expect(await previewMigrations(url, folder)).toMatchObject({ missing: [], total: 2, newer: 0 });
  });

  test('names the locks on what was there before', async () => {
    const folder = await useMigrations({
      '0000_table': `${MAKE_TABLE}--> statement-breakpoint\n${ADD_COLUMN}`,
      '0001_index': ADD_INDEX,
      '0002_other': 'ALTER TABLE "others" ADD COLUMN "x" text;',
    });
    const { missing } = await previewMigrations(null, folder);
    expect([...describeLocks(missing)]).toEqual([
      ['0000_table', []],
      ['0001_index', []],
      ['0002_other', ['ACCESS EXCLUSIVE on "others": everybody waits until it is done']],
    ]);
    expect(describeLocks(missing.slice(1)).get('0001_index')).toEqual([
      'SHARE UPDATE EXCLUSIVE on "things": nobody waits',
    ]);
  });

  test('as a script leaves a database that the migrator finds current', async () => {
    const { url, sql } = await useEmptyDatabase();
    const folder = await useMigrations({ '0000_table': MAKE_TABLE, '0001_column': ADD_COLUMN });
    const session = await sql.reserve();
    await session.unsafe(scriptOf(await previewMigrations(url, folder)));
    session.release();
    expect(await migrateDatabase(url, folder)).toEqual({ applied: 0, total: 2, newer: 0 });
    expect(await columnsOf(sql)).toEqual(['id', 'word', 'more']);
  });
});

test('a migrated copy of the template is current', async () => {
  const { url } = await useTestDatabase();
  expect(await migrateDatabase(url, OURS)).toMatchObject({ applied: 0, newer: 0 });
});
