/** What an upgrade of the schema promises to the servers that work on it meanwhile, and to whoever starts it. */
import { join } from 'node:path';
import { drizzle } from 'drizzle-orm/postgres-js';
import { migrate as migrateByDrizzle } from 'drizzle-orm/postgres-js/migrator';
import type postgres from 'postgres';
import { describe, expect, onTestFinished, test } from 'vitest';
import { readAppliedMigrations } from '../../../src/server/db/backup/migration-level.ts';
import type { Sql } from '../../../src/server/db/client.ts';
import { migrateDatabase } from '../../../src/server/db/migrate.ts';
import { knownMigrationCount } from '../../../src/server/db/migration/files.ts';
import { describeLocks, previewMigrations, scriptOf } from '../../../src/server/db/migration/preview.ts';
import { countAppliedMigrations } from '../../../src/server/features/system/store.ts';
import { useEmptyDatabase, useTestDatabase } from '../../fixtures/database.ts';
import { eventually } from '../../fixtures/eventually.ts';
import { useFirstMigrations, useMigrations } from '../../fixtures/migrations-folder.ts';
import { runPsql } from '../../fixtures/psql.ts';

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

  test('in which a migration was noted down twice has it once', async () => {
    const { url, sql } = await useEmptyDatabase();
    const folder = await useMigrations({ '0000_table': MAKE_TABLE, '0001_column': ADD_COLUMN });
    await migrateDatabase(url, folder);
    await sql`INSERT INTO drizzle.__drizzle_migrations (hash, created_at) SELECT hash, created_at FROM drizzle.__drizzle_migrations`;
    const runner = sql as unknown as Sql;
    expect(await readAppliedMigrations(runner)).toEqual([1000, 1001]);
    expect(await countAppliedMigrations(runner)).toBe(2);
    expect(await migrateDatabase(url, folder)).toEqual({ applied: 0, total: 2, newer: 0 });
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
  const [holder] = await session<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`;
  await eventually('it waits, and says for whom', () =>
    lines.includes(`another server is migrating this database (process ${holder?.pid}); trying again`),
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

  test('says at once whose transaction it waits for, and the servers that wait for their turn do so for as long as it takes', async () => {
    const { url, sql } = await useEmptyDatabase();
    await migrateDatabase(url, await useMigrations({ '0000_table': MAKE_TABLE }));
    const { release } = await holdTable(sql, 'a report');
    const folder = await useMigrations(FOLDER);
    const patienceMs = 1000;
    const starting = (): { lines: string[]; ended: Promise<unknown> } => {
      const lines: string[] = [];
      return {
        lines,
        ended: migrateDatabase(url, folder, { patienceMs, report: (line) => lines.push(line) }),
      };
    };
    const builder = starting();
    const ended = [builder.ended];
    const wait =
      /^the migration 0001_index with its index on "things" waits for the end of a transaction, held by process (\d+) \(a report, in/;
    await eventually('the builder says so', () => builder.lines.some((line) => wait.test(line)));
    const other = starting();
    ended.push(other.ended);
    const startedAt = performance.now();
    await eventually('the other one says what is going on', () =>
      other.lines.some((line) =>
        /\(process \d+; process \d+ builds an index on "things", and waits for the transaction of process \d+ to end\)/.test(
          line,
        ),
      ),
    );
    const gaveUp = Promise.race(ended).then(
      () => 'ended',
      (error: unknown) => String(error),
    );
    await eventually(
      'its patience would be over twice',
      () => performance.now() - startedAt > 2 * patienceMs,
    );
    expect(await Promise.race([gaveUp, Promise.resolve('waits')])).toBe('waits');
    // Said once, although it was seen many times.
    expect(builder.lines.filter((line) => wait.test(line))).toHaveLength(1);
    await release();
    await Promise.all(ended);
    expect(await states(sql)).toEqual([{ valid: true }]);
  });

  test('whose index another session is still building waits for it, and names it', async () => {
    const { url, sql } = await useEmptyDatabase();
    await migrateDatabase(url, await useMigrations({ '0000_table': MAKE_TABLE }));
    const { release } = await holdTable(sql, 'a report');
    const session = await sql.reserve();
    const [builder] = await session<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`;
    const building = session
      .unsafe('CREATE INDEX CONCURRENTLY "things_word_index" ON "things" ("word")')
      .execute();
    await eventually(
      'it builds',
      async () => (await sql`SELECT FROM pg_stat_progress_create_index`).length === 1,
    );
    const lines: string[] = [];
    const upgrading = migrateDatabase(url, await useMigrations(FOLDER), {
      report: (line) => lines.push(line),
    });
    const words = `process ${builder?.pid} is still building "things_word_index" for another server`;
    await eventually('it says who', () =>
      lines.includes(`the migration 0001_index waits: ${words}; trying again`),
    );
    await release();
    await building;
    session.release();
    expect(await upgrading).toMatchObject({ applied: 1 });
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
});

describe('the script', () => {
  const SCRIPT = { '0000_table': MAKE_TABLE, '0001_index': ADD_INDEX, '0002_column': ADD_COLUMN };
  const ledger = (sql: postgres.Sql) =>
    sql`SELECT created_at::int AS at FROM drizzle.__drizzle_migrations ORDER BY id`;

  test('leaves a database that the migrator finds current, however often it is run', async () => {
    const { url, sql } = await useEmptyDatabase();
    const folder = await useMigrations(SCRIPT);
    const script = scriptOf(await previewMigrations(url, folder));
    expect(await runPsql(url, script)).toEqual({ code: 0, errors: [] });
    expect(await runPsql(url, script)).toEqual({ code: 0, errors: [] });
    expect(await ledger(sql)).toEqual([{ at: 1000 }, { at: 1001 }, { at: 1002 }]);
    expect(await migrateDatabase(url, folder)).toEqual({ applied: 0, total: 3, newer: 0 });
    expect(await columnsOf(sql)).toEqual(['id', 'word', 'more']);
  });

  test('ends at a step that fails, notes down none from there on, and goes on when the cause is gone', async () => {
    const { url, sql } = await useEmptyDatabase();
    const folder = await useMigrations({
      ...SCRIPT,
      '0001_index': ADD_INDEX.replace('CREATE INDEX', 'CREATE UNIQUE INDEX'),
      '0003_other': `ALTER TABLE "things" ADD COLUMN "last" text;--> statement-breakpoint\nALTER TABLE "nothing" ADD COLUMN "x" text;`,
    });
    await migrateDatabase(url, await useMigrations({ '0000_table': MAKE_TABLE }));
    await sql`INSERT INTO things (id, word) VALUES (1, 'twice'), (2, 'twice')`;
    const script = scriptOf(await previewMigrations(url, folder));
    const failed = { code: 3, errors: [expect.stringContaining('could not create unique index')] };
    expect(await runPsql(url, script)).toEqual(failed);
    expect(await ledger(sql)).toEqual([{ at: 1000 }]);
    // The index that is left behind is not valid: without it being dropped IF NOT EXISTS would be content with it.
    expect(await runPsql(url, script)).toEqual(failed);
    await sql`DELETE FROM things WHERE id = 2`;
    expect(await runPsql(url, script)).toEqual({ code: 3, errors: [expect.stringContaining('"nothing"')] });
    expect(
      await sql`SELECT indisvalid FROM pg_index WHERE indexrelid = 'things_word_index'::regclass`,
    ).toEqual([{ indisvalid: true }]);
    expect(await ledger(sql)).toEqual([{ at: 1000 }, { at: 1001 }, { at: 1002 }]);
    expect(await columnsOf(sql)).toEqual(['id', 'word', 'more']);
  });

  test('gives way to whoever holds a table, and builds an index however long somebody else takes', async () => {
    const { url, sql } = await useEmptyDatabase();
    await migrateDatabase(url, await useMigrations({ '0000_table': MAKE_TABLE }));
    const { release } = await holdTable(sql, 'a report');
    const column = await useMigrations({ '0000_table': MAKE_TABLE, '0002_column': ADD_COLUMN });
    expect(await runPsql(url, scriptOf(await previewMigrations(url, column)))).toEqual({
      code: 3,
      errors: [expect.stringContaining('lock timeout')],
    });
    const startedAt = performance.now();
    const index = await useMigrations({ '0000_table': MAKE_TABLE, '0001_index': ADD_INDEX });
    const running = runPsql(url, scriptOf(await previewMigrations(url, index)));
    await eventually('it waits for longer than for a lock', async () => {
      const rows = await sql`SELECT FROM pg_stat_progress_create_index`;
      return rows.length === 1 && performance.now() - startedAt > 1500;
    });
    await release();
    expect(await running).toEqual({ code: 0, errors: [] });
    expect(await ledger(sql)).toHaveLength(2);
  });
});

test('a migrated copy of the template is current', async () => {
  const { url } = await useTestDatabase();
  expect(await migrateDatabase(url, OURS)).toMatchObject({ applied: 0, newer: 0 });
});
