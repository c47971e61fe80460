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

/**
 * A script for psql that somebody else may run: what the database then is, is what `lanekeeper migrate` would have made of it. It stops at the
 * first failure, waits for a lock no longer than the migrator does, and may be run again: what was noted down is passed over.
 */
export function scriptOf({ missing, hasLedger }: MigrationPreview): string {
  const begin = hasLedger || missing.length === 0 ? [] : CREATE_LEDGER.map((statement) => `${statement};`);
  return [...PREAMBLE, ...begin, ...missing.map(scriptOfOne)].join('\n');
}

const PREAMBLE = [
  '-- For psql. It stops at the first failure; run it again when the cause is gone.',
  '\\set ON_ERROR_STOP on',
  "SET lock_timeout = '1s';",
  'SET statement_timeout = 0;',
];

const LEDGER = 'drizzle.__drizzle_migrations';

function scriptOfOne(migration: Migration): string {
  const { tag, createdAt } = migration;
  return [
    `-- ${tag}`,
    `SELECT EXISTS (SELECT FROM ${LEDGER} WHERE created_at = ${createdAt}) AS is_applied \\gset`,
    '\\if :is_applied',
    `\\echo ${tag} is applied already`,
    '\\else',
    ...(migration.isOutsideTransaction ? linesOutside(migration) : linesInTransaction(migration)),
    '\\endif',
    '',
  ].join('\n');
}

function linesInTransaction(migration: Migration): string[] {
  return ['BEGIN;', ...terminated(migration), `${recordOf(migration)};`, 'COMMIT;'];
}

/**
 * Nobody waits behind such a statement, and it waits for every transaction that is older: cut off by the timeout it would leave an index
 * that is not valid, which IF NOT EXISTS would take for the index. So one that was left is dropped, and only a valid one is noted down.
 */
function linesOutside(migration: Migration): string[] {
  const built = migration.statements
    .map(readStatement)
    .flatMap((statement) => (statement.kind === 'create_index' ? [statement.index] : []));
  const unbounded = ['SET lock_timeout = 0;', ...built.map(dropOfInvalid), ...terminated(migration)];
  const valid = built.map((index) => `EXISTS (SELECT ${indexNamed(index)} AND i.indisvalid)`);
  return [...unbounded, "SET lock_timeout = '1s';", `${[recordOf(migration), ...valid].join(' AND ')};`];
}

const terminated = ({ statements }: Migration): string[] =>
  statements.map((statement) => (statement.endsWith(';') ? statement : `${statement};`));

const recordOf = ({ hash, createdAt }: Migration): string =>
  `INSERT INTO ${LEDGER} (hash, created_at) SELECT '${hash}', ${createdAt} ` +
  `WHERE NOT EXISTS (SELECT FROM ${LEDGER} WHERE created_at = ${createdAt})`;

const indexNamed = (index: string): string =>
  'FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid ' +
  `WHERE c.relname = '${index}' AND c.relnamespace = current_schema()::regnamespace`;

/** Not one that a server is building at the moment: the statement that follows waits for that. */
const dropOfInvalid = (index: string): string =>
  `SELECT 'DROP INDEX CONCURRENTLY "${index}"' ${indexNamed(index)} AND NOT i.indisvalid ` +
  'AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid) \\gexec';
