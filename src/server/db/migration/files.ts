/** The migrations that this build brings along: drizzle-kit's journal, and a file of SQL for each entry. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The first line of a file whose one statement Postgres refuses in a transaction: an index that is built beside the traffic. */
const OUTSIDE_MARK = '-- lanekeeper: outside a transaction';
const BREAKPOINT = '--> statement-breakpoint';

export interface Migration {
  /** Its file name without the ending: `0009_dashboard`. */
  readonly tag: string;
  /** When it was generated, in ms since 1970: what the ledger knows it by. */
  readonly createdAt: number;
  /** Of the file's text, as drizzle's own migrator writes it. */
  readonly hash: string;
  readonly statements: readonly string[];
  readonly isOutsideTransaction: boolean;
}

interface JournalEntry {
  readonly tag: string;
  readonly when: number;
}

/** In the order in which they are applied. */
export async function readMigrations(migrationsDir: string): Promise<Migration[]> {
  const entries = await readJournal(migrationsDir);
  return Promise.all(
    entries.map(async ({ tag, when }) =>
      parseMigration(tag, when, await readFile(join(migrationsDir, `${tag}.sql`), 'utf8')),
    ),
  );
}

/** How many migrations this build knows; the database is current when it has applied at least as many. */
export async function knownMigrationCount(migrationsDir: string): Promise<number> {
  return (await readJournal(migrationsDir)).length;
}

export function parseMigration(tag: string, createdAt: number, text: string): Migration {
  return {
    tag,
    createdAt,
    hash: createHash('sha256').update(text).digest('hex'),
    statements: text
      .split(BREAKPOINT)
      .map((statement) => statement.trim())
      .filter((statement) => statement !== ''),
    isOutsideTransaction: text.split('\n', 1)[0]?.trim() === OUTSIDE_MARK,
  };
}

async function readJournal(migrationsDir: string): Promise<JournalEntry[]> {
  const journal: unknown = JSON.parse(await readFile(join(migrationsDir, 'meta/_journal.json'), 'utf8'));
  const entries: unknown =
    typeof journal === 'object' && journal !== null && 'entries' in journal ? journal.entries : null;
  if (!Array.isArray(entries) || !entries.every(isJournalEntry))
    throw new Error(`${migrationsDir}/meta/_journal.json is not a journal of migrations.`);
  return entries;
}

function isJournalEntry(entry: unknown): entry is JournalEntry {
  if (typeof entry !== 'object' || entry === null || !('tag' in entry) || !('when' in entry)) return false;
  return typeof entry.tag === 'string' && typeof entry.when === 'number';
}
