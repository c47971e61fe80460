/**
 * What has been applied: drizzle's own table, so that databases which its migrator made are understood, and an earlier release's server,
 * which still uses it, understands ours. Its existence is asked of the catalogue: a name that is resolved by the session's cache may
 * say that the table is missing when another server has just made it.
 */
import type { Runner, Tx } from '../client.ts';
import type { Migration } from './files.ts';

/** Any numbers that no other software on the same database is likely to choose: "lane" in ASCII, and the one after it. */
const EARLIER_LOCK = 0x6c616e65;
const LOCK = 0x6c616e66;

/** By `createdAt`; null: there is no ledger yet, so nothing has been applied. */
export type Ledger = ReadonlySet<number> | null;

export const CREATE_LEDGER = [
  'CREATE SCHEMA IF NOT EXISTS drizzle',
  'CREATE TABLE IF NOT EXISTS drizzle.__drizzle_migrations (id serial PRIMARY KEY, hash text NOT NULL, created_at bigint)',
] as const;

/** Whose turn it is. Until the end of the transaction, which is all that a pooler in transaction mode can carry. False: another server's. */
export const tryLockLedger = (tx: Tx): Promise<boolean> => tryLock(tx, LOCK);

/**
 * Keeps migrators of 0.1 away, which wait for this lock in a statement. Not while an index is built beside the traffic: the build waits for
 * statements that are older than it, so the two would wait for each other.
 */
export const tryLockEarlierMigrators = (tx: Tx): Promise<boolean> => tryLock(tx, EARLIER_LOCK);

async function tryLock(tx: Tx, key: number): Promise<boolean> {
  const [row] = await tx<
    { isLocked: boolean }[]
  >`/* migrate.lock */ SELECT pg_try_advisory_xact_lock(${key}::bigint) AS "isLocked"`;
  return row?.isLocked === true;
}

export async function readLedger(sql: Runner): Promise<Ledger> {
  const [found] = await sql`
    /* migrate.ledger_exists */
    SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'drizzle' AND c.relname = '__drizzle_migrations'`;
  if (found === undefined) return null;
  const rows = await sql<
    { createdAt: string }[]
  >`/* migrate.ledger */ SELECT created_at::text AS "createdAt" FROM drizzle.__drizzle_migrations`;
  return new Set(rows.map((row) => Number(row.createdAt)));
}

export async function createLedger(tx: Tx): Promise<void> {
  for (const statement of CREATE_LEDGER) await tx.unsafe(`/* migrate.create_ledger */ ${statement}`);
}

export async function recordMigration(tx: Tx, { hash, createdAt }: Migration): Promise<void> {
  await tx`
    /* migrate.record */
    INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES (${hash}, ${createdAt}::bigint)`;
}

export function missingOf(migrations: readonly Migration[], ledger: Ledger): Migration[] {
  return migrations.filter(({ createdAt }) => ledger?.has(createdAt) !== true);
}

/** Migrations of a later release than this one. */
export function newerCount(migrations: readonly Migration[], ledger: Ledger): number {
  const known = new Set(migrations.map(({ createdAt }) => createdAt));
  return [...(ledger ?? [])].filter((createdAt) => !known.has(createdAt)).length;
}
