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

/** Whoever has the turn, as far as Postgres tells. */
export interface LedgerHolder {
  readonly pid: number;
  /** Since its transaction began; null: it is in none. */
  readonly seconds: number | null;
  /** Of the session beside it that builds an index; null: there is none. */
  readonly builderPid: number | null;
  readonly table: string | null;
  /** Whose transaction the build waits for; null: it works. */
  readonly lockerPid: number | null;
}

export async function readHolder(tx: Tx, applicationName: string): Promise<LedgerHolder | null> {
  const [holder] = await tx<LedgerHolder[]>`
    /* migrate.holder */
    SELECT l.pid, extract(epoch FROM clock_timestamp() - a.xact_start)::int AS seconds, b.pid AS "builderPid",
      b.relid::regclass::text AS "table", nullif(b.current_locker_pid, 0) AS "lockerPid"
    FROM pg_catalog.pg_locks l
    LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
    LEFT JOIN LATERAL (
      SELECT p.pid, p.relid, p.current_locker_pid
      FROM pg_catalog.pg_stat_progress_create_index p JOIN pg_catalog.pg_stat_activity s ON s.pid = p.pid
      WHERE p.datid = l.database AND s.application_name = ${applicationName}
      LIMIT 1
    ) b ON true
    WHERE l.locktype = 'advisory' AND l.granted AND l.pid <> pg_backend_pid() AND l.classid = 0 AND l.objsubid = 1
      AND l.objid::bigint IN (${LOCK}::bigint, ${EARLIER_LOCK}::bigint)
      AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
    ORDER BY seconds DESC NULLS LAST
    LIMIT 1`;
  return holder ?? null;
}

/** For people. */
export function describeHolder(holder: LedgerHolder | null): string {
  const words = 'another server is migrating this database';
  if (holder === null) return words;
  const { pid, builderPid, table, lockerPid } = holder;
  if (builderPid === null) return `${words} (process ${pid})`;
  const waits = lockerPid === null ? '' : `, and waits for the transaction of process ${lockerPid} to end`;
  return `${words} (process ${pid}; process ${builderPid} builds an index on "${table ?? '?'}"${waits})`;
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
