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
export const BUILD_MS_MAX = 12 * 3600 * 1000;
const CREATES_INDEX = /\bINDEX\s+CONCURRENTLY\s+IF\s+NOT\s+EXISTS\s+"?(\w+)"?/i;

export async function buildBeside(sql: Sql, migration: Migration, signal: AbortSignal): Promise<void> {
  const [statement, ...more] = migration.statements;
  if (statement === undefined || more.length > 0)
    throw new Error(`${migration.tag} must have one statement, because it is outside a transaction.`);
  const index = CREATES_INDEX.exec(statement)?.[1];
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(BUILD_MS_MAX)]);
  // Both wait for whoever is in a transaction, and can be seen waiting.
  if (index !== undefined && (await isLeftInvalid(sql, index)))
    await execute(sql, migration, {
      statement: `DROP INDEX CONCURRENTLY IF EXISTS "${index}"`,
      signal: bounded,
    });
  await execute(sql, migration, { statement, signal: bounded });
}

async function isLeftInvalid(sql: Sql, index: string): Promise<boolean> {
  const [found] = await sql<{ isValid: boolean; builderPid: number | null }[]>`
    /* migrate.index_state */
    SELECT i.indisvalid AS "isValid", (
        SELECT p.pid FROM pg_catalog.pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid LIMIT 1
      ) AS "builderPid"
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
    WHERE c.relname = ${index} AND c.relnamespace = current_schema()::regnamespace`;
  if (found === undefined || found.isValid) return false;
  // Of a server that lost its lock with its other session, and does not know yet.
  if (found.builderPid !== null)
    throw new RaceError(`process ${found.builderPid} is still building "${index}" for another server`);
  return true;
}
