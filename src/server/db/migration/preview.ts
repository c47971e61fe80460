/** What an upgrade would do, without doing it: read from the ledger and from the files alone. */
import { openMigrationSql } from '../migrate.ts';
import { type Migration, readMigrations } from './files.ts';
import { CREATE_LEDGER, type Ledger, missingOf, newerCount, readLedger } from './ledger.ts';
import { lockOf, readStatement, type TableLock } from './statement.ts';

export interface MigrationPreview {
  readonly total: number;
  readonly missing: readonly Migration[];
  /** Applied by a later release. */
  readonly newer: number;
  readonly hasLedger: boolean;
}

/** What others notice of a lock while it is held. */
const EFFECTS: Readonly<Record<TableLock, string>> = {
  'ROW EXCLUSIVE': 'the rows it changes are locked until it is done',
  'SHARE UPDATE EXCLUSIVE': 'nobody waits',
  SHARE: 'writes wait until it is done',
  'SHARE ROW EXCLUSIVE': 'writes wait until it is done',
  'ACCESS EXCLUSIVE': 'everybody waits until it is done',
};

/** @param url null: there is no database yet. */
export async function previewMigrations(
  url: string | null,
  migrationsDir: string,
): Promise<MigrationPreview> {
  const migrations = await readMigrations(migrationsDir);
  const ledger = url === null ? null : await ledgerOf(url);
  return {
    total: migrations.length,
    missing: missingOf(migrations, ledger),
    newer: newerCount(migrations, ledger),
    hasLedger: ledger !== null,
  };
}

async function ledgerOf(url: string): Promise<Ledger> {
  const sql = openMigrationSql(url);
  try {
    return await readLedger(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
}

/** By tag, for people, a line each: `SHARE on "tasks": writes wait until it is done`. Nobody uses yet what is made on the way. */
export function describeLocks(missing: readonly Migration[]): ReadonlyMap<string, readonly string[]> {
  const made = new Set<string>();
  const lines = new Map<string, readonly string[]>();
  for (const { tag, statements } of missing) {
    const read = statements.map(readStatement);
    for (const statement of read) if (statement.kind === 'create_table') made.add(statement.table);
    const described = read.flatMap((statement) => {
      const taken = lockOf(statement);
      if (taken === null || made.has(taken.name)) return [];
      return [`${taken.lock} on "${taken.name}": ${EFFECTS[taken.lock]}`];
    });
    lines.set(tag, [...new Set(described)]);
  }
  return lines;
}

/** SQL that somebody else may run by hand, ledger and all: what the database then is, is what `lanekeeper migrate` would have made of it. */
export function scriptOf({ missing, hasLedger }: MigrationPreview): string {
  const begin = hasLedger || missing.length === 0 ? [] : CREATE_LEDGER.map((statement) => `${statement};`);
  return [...begin, ...missing.map(scriptOfOne)].join('\n');
}

function scriptOfOne({ tag, hash, createdAt, statements, isOutsideTransaction }: Migration): string {
  const record = `INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES ('${hash}', ${createdAt});`;
  const body = statements.map((statement) => (statement.endsWith(';') ? statement : `${statement};`));
  const lines = isOutsideTransaction ? [...body, record] : ['BEGIN;', ...body, record, 'COMMIT;'];
  return [`-- ${tag}`, ...lines, ''].join('\n');
}
