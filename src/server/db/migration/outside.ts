/**
 * A statement that Postgres refuses in a transaction: an index that is built while everybody goes on writing. It runs on a session of its
 * own; the transaction of the step stays open beside it for the ledger's lock, and has no snapshot that the build would wait for.
 * A build that was cut off leaves an invalid index under its name, which is removed before the next try.
 */
import type { Sql } from '../client.ts';
import { RaceError } from '../failures.ts';
import type { Migration } from './files.ts';
import { execute } from './statement-run.ts';

/** Some ten million rows take a minute. Whoever has more than this takes needs a person to look at it. */
const BUILD_MS_MAX = 12 * 3600 * 1000;
const CREATES_INDEX = /\bINDEX\s+CONCURRENTLY\s+IF\s+NOT\s+EXISTS\s+"?(\w+)"?/i;

export async function buildBeside(sql: Sql, migration: Migration, signal: AbortSignal): Promise<void> {
  const [statement, ...more] = migration.statements;
  if (statement === undefined || more.length > 0)
    throw new Error(`${migration.tag} must have one statement, because it is outside a transaction.`);
  const index = CREATES_INDEX.exec(statement)?.[1];
  if (index !== undefined) await removeInvalid(sql, index);
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(BUILD_MS_MAX)]);
  await execute(sql, migration, { statement, signal: bounded });
}

async function removeInvalid(sql: Sql, index: string): Promise<void> {
  const [found] = await sql<{ isValid: boolean; isBeingBuilt: boolean }[]>`
    /* migrate.index_state */
    SELECT i.indisvalid AS "isValid",
      EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid) AS "isBeingBuilt"
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
    WHERE c.relname = ${index} AND c.relnamespace = current_schema()::regnamespace`;
  if (found === undefined || found.isValid) return;
  // Of a server that lost its lock with its other session, and does not know yet.
  if (found.isBeingBuilt) throw new RaceError(`another session is building "${index}"`);
  await sql`/* migrate.remove_invalid */ DROP INDEX CONCURRENTLY IF EXISTS ${sql(index)}`;
}
