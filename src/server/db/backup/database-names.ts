/**
 * The databases of one cluster that a restore moves about: the one that servers use, the one that is being filled, and the one that was
 * there before. Two renames in one transaction put one in the place of another: a crash leaves either the old or the new, whole.
 */
import postgres from 'postgres';
import { begin } from '../begin.ts';
import type { Runner, Sql } from '../client.ts';
import { BackupError } from './backup-error.ts';
import { createDatabaseLike } from './database-traits.ts';

/** There in every cluster; nobody can rename the database that he is connected to. */
const MAINTENANCE_DATABASE = 'postgres';
const NEW_SUFFIX = '_restoring';
const FORMER_SUFFIX = '_before_restore';
/** Of a name in Postgres. */
const NAME_CHARACTERS_MAX = 63;
const INSUFFICIENT_PRIVILEGE = '42501';
const OBJECT_IN_USE = '55006';
/** Any number will do; the other half of the lock's is the name of the database. */
const LOCK_CLASS = 1_818_979_940;

export interface DatabaseNames {
  readonly current: string;
  readonly next: string;
  readonly former: string;
}

export function databaseNamesOf(url: string): DatabaseNames {
  if (!URL.canParse(url))
    throw new BackupError('A restore needs a DATABASE_URL that names one host: that of the primary.');
  const current = decodeURIComponent(new URL(url).pathname.slice(1));
  if (current === '' || current.length + FORMER_SUFFIX.length > NAME_CHARACTERS_MAX)
    throw new BackupError(
      'A restore needs a DATABASE_URL that names its database, in at most 48 characters.',
    );
  return { current, next: `${current}${NEW_SUFFIX}`, former: `${current}${FORMER_SUFFIX}` };
}

export function urlOfDatabase(url: string, database: string): string {
  const other = new URL(url);
  other.pathname = `/${encodeURIComponent(database)}`;
  return other.href;
}

/** One connection to a database, with no bound on its statements; ended with the work. */
export async function withConnection<T>(url: string, work: (sql: Sql) => Promise<T>): Promise<T> {
  const sql = postgres(url, {
    max: 1,
    fetch_types: false,
    onnotice: () => undefined,
    connect_timeout: 10,
    max_lifetime: null,
    connection: { application_name: 'lanekeeper restore', TimeZone: 'UTC', DateStyle: 'ISO, MDY' },
  }) as unknown as Sql;
  try {
    return await work(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
}

export const withMaintenance = <T>(url: string, work: (sql: Sql) => Promise<T>): Promise<T> =>
  withConnection(urlOfDatabase(url, MAINTENANCE_DATABASE), work);

export async function databaseExists(sql: Sql, name: string): Promise<boolean> {
  const rows = await sql`/* restore.find_database */ SELECT FROM pg_database WHERE datname = ${name}`;
  return rows.length > 0;
}

/** The databases beside one are this session's to make, drop and rename. */
export interface Held {
  readonly sql: Sql;
  /** Of the session that has the lock: the driver connects again by itself, and then has it no more. */
  readonly pid: number;
}

/**
 * One restore of a database at a time, and no undo or drop beside it: each drops and renames what the other one relies on. The lock ends
 * with the session, so nobody who was killed has it.
 */
export async function whileHeld<T>(
  url: string,
  { current }: DatabaseNames,
  work: (held: Held) => Promise<T>,
): Promise<T> {
  return withMaintenance(url, async (sql) => {
    const [row] = await sql<{ is_held: boolean; pid: number }[]>`
      /* restore.hold */
      SELECT pg_try_advisory_lock(${LOCK_CLASS}::int, hashtext(${current}::text)) AS is_held, pg_backend_pid() AS pid,
        set_config('idle_session_timeout', '0', false)`;
    if (row?.is_held !== true)
      throw new BackupError(
        'Another restore of this database is under way, or its undo. Nothing was changed. Try again when it has ended.',
      );
    try {
      return await work({ sql, pid: row.pid });
    } finally {
      // Postgres takes a moment to notice that a session has ended: whoever comes next need not wait for it.
      await sql`/* restore.let_go */ SELECT pg_advisory_unlock(${LOCK_CLASS}::int, hashtext(${current}::text))`.catch(
        () => undefined,
      );
    }
  });
}

async function refuseLost(sql: Runner, pid: number): Promise<void> {
  const [row] = await sql<{ pid: number }[]>`/* restore.still_held */ SELECT pg_backend_pid() AS pid`;
  if (row?.pid !== pid)
    throw new BackupError(
      'The connection to the database was lost in the middle. Nothing was changed. Try again.',
    );
}

/** An empty one like the model, whatever an earlier restore that was killed has left of it. */
export async function remakeDatabase({ sql }: Held, name: string, model: string): Promise<void> {
  try {
    await dropDatabase(sql, name);
    await createDatabaseLike(sql, name, model);
  } catch (error) {
    throw codeOf(error) === INSUFFICIENT_PRIVILEGE
      ? new BackupError(
          'A restore makes a database of its own beside the old one: the account needs CREATEDB.',
          {
            cause: error,
          },
        )
      : error;
  }
}

/** What was made for nothing; where this fails, the next restore does it. */
export async function discardDatabase({ sql, pid }: Held, name: string): Promise<void> {
  try {
    // Somebody else's by now, perhaps.
    await refuseLost(sql, pid);
    await dropDatabase(sql, name);
  } catch {
    // Whatever has brought us here is what is told.
  }
}

export async function dropDatabase(sql: Sql, name: string): Promise<void> {
  await sql`/* restore.drop_database */ DROP DATABASE IF EXISTS ${sql(name)} WITH (FORCE)`;
}

/** Each name is taken by what has the one that follows it, all in one transaction; the first name must be free. */
export async function shiftNames({ sql, pid }: Held, names: readonly string[]): Promise<void> {
  try {
    await begin(sql, '', async (tx) => {
      await refuseLost(tx, pid);
      for (let index = 1; index < names.length; index += 1) {
        const [to = '', from = ''] = names.slice(index - 1);
        await tx`/* restore.rename_database */ ALTER DATABASE ${tx(from)} RENAME TO ${tx(to)}`;
      }
    });
  } catch (error) {
    throw codeOf(error) === OBJECT_IN_USE
      ? new BackupError(
          'Somebody is connected to the database. Nothing was changed. Stop all servers and tools that use it first.',
          {
            cause: error,
          },
        )
      : error;
  }
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}
