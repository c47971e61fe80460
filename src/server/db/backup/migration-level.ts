/** Which migrations a database or a backup has had, told by the times that they were given when they were written. */
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import type { Runner } from '../client.ts';
import { BackupError } from './backup-error.ts';

const Journal = z.looseObject({
  entries: z.array(z.looseObject({ idx: z.int(), when: z.int(), tag: z.string() })),
});
type Journal = z.infer<typeof Journal>;

const JOURNAL_FILE = join('meta', '_journal.json');

async function readJournal(migrationsDir: string): Promise<Journal> {
  return Journal.parse(JSON.parse(await readFile(join(migrationsDir, JOURNAL_FILE), 'utf8')));
}

/** Each once, however often it was noted down. Empty for a database that was never migrated. */
export async function readAppliedMigrations(sql: Runner): Promise<number[]> {
  const [ledger] = await sql<{ is_there: boolean }[]>`
    /* backup.find_ledger */ SELECT to_regclass('drizzle.__drizzle_migrations') IS NOT NULL AS is_there`;
  if (ledger?.is_there !== true) return [];
  const rows = await sql<{ created_at: string }[]>`
    /* backup.read_ledger */
    SELECT m.created_at::text AS created_at FROM drizzle.__drizzle_migrations m
    GROUP BY m.created_at ORDER BY m.created_at`;
  return rows.map((row) => Number(row.created_at));
}

/**
 * @param what whose migrations they are, for the message
 * @throws BackupError when they are not the first ones of this release
 */
export async function checkKnownMigrations(
  applied: readonly number[],
  migrationsDir: string,
  what: string,
): Promise<void> {
  const { entries } = await readJournal(migrationsDir);
  if (applied.length > 0 && applied.every((when, index) => entries[index]?.when === when)) return;
  throw new BackupError(
    `${what} has a schema that this release does not know (${applied.length} migrations; this one has ${entries.length}). ` +
      'Use the release of Lanekeeper that it belongs to, or a newer one.',
  );
}

/** Migrations up to a level, as a folder that the migrator reads; removed when the work is over. */
export async function withMigrationsUpTo<T>(
  level: number,
  migrationsDir: string,
  work: (folder: string) => Promise<T>,
): Promise<T> {
  const journal = await readJournal(migrationsDir);
  const entries = journal.entries.slice(0, level);
  const folder = await mkdtemp(join(tmpdir(), 'lanekeeper-migrations-'));
  try {
    await mkdir(join(folder, 'meta'));
    await writeFile(join(folder, JOURNAL_FILE), JSON.stringify({ ...journal, entries }));
    for (const { tag } of entries)
      await copyFile(join(migrationsDir, `${tag}.sql`), join(folder, `${tag}.sql`));
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const Snapshot = z.looseObject({ tables: z.record(z.string(), z.looseObject({ name: z.string() })) });

/** The tables that the schema had at a level: what else is in the database belongs to somebody else. */
export async function tablesAtLevel(level: number, migrationsDir: string): Promise<Set<string>> {
  const { entries } = await readJournal(migrationsDir);
  const index = String(entries[level - 1]?.idx ?? 0).padStart(4, '0');
  const file = join(migrationsDir, 'meta', `${index}_snapshot.json`);
  const { tables } = Snapshot.parse(JSON.parse(await readFile(file, 'utf8')));
  return new Set(Object.values(tables).map(({ name }) => name));
}
