/** Brings the schema up to date, one server at a time. */
import { readFile } from 'node:fs/promises';
import { drizzle } from 'drizzle-orm/postgres-js';
import { migrate } from 'drizzle-orm/postgres-js/migrator';
import postgres from 'postgres';

/** Any number that no other software on the same database is likely to choose: "lane" in ASCII. */
const MIGRATION_LOCK = 0x6c616e65;
/** A migration that cannot get its table lock gives way to the traffic instead of queueing everyone behind it. */
const LOCK_TIMEOUT_MS = 5000;

export interface MigrationResult {
  readonly applied: number;
  readonly total: number;
}

async function appliedCount(sql: postgres.Sql): Promise<number> {
  const [row] =
    await sql`/* migrate.count */ SELECT to_regclass('drizzle.__drizzle_migrations') IS NOT NULL AS exists`;
  if (row?.['exists'] !== true) return 0;
  const [count] =
    await sql`/* migrate.count */ SELECT count(*)::int AS count FROM drizzle.__drizzle_migrations`;
  return Number(count?.['count']);
}

/**
 * Applies what is missing. The advisory lock is the session's, so a second server waits here until the first is done; a
 * crashed migrator loses it with its connection. It has a connection of its own: the lock must not outlive it in a pool.
 */
export async function migrateDatabase(url: string, migrationsDir: string): Promise<MigrationResult> {
  const sql = postgres(url, {
    max: 1,
    onnotice: () => undefined,
    connect_timeout: 10,
    connection: { application_name: 'lanekeeper migrate' },
  });
  try {
    await sql`/* migrate.lock */ SELECT pg_advisory_lock(${MIGRATION_LOCK})`;
    await sql`/* migrate.lock_timeout */ SELECT set_config('lock_timeout', ${String(LOCK_TIMEOUT_MS)}, false)`;
    const before = await appliedCount(sql);
    await migrate(drizzle(sql), { migrationsFolder: migrationsDir });
    const total = await appliedCount(sql);
    return { applied: total - before, total };
  } finally {
    await sql.end({ timeout: 5 });
  }
}

/** How many migrations this build knows; the database is current when it has applied at least as many. */
export async function knownMigrationCount(migrationsDir: string): Promise<number> {
  const journal: unknown = JSON.parse(await readFile(`${migrationsDir}/meta/_journal.json`, 'utf8'));
  const entries =
    typeof journal === 'object' && journal !== null && 'entries' in journal ? journal.entries : [];
  return Array.isArray(entries) ? entries.length : 0;
}
