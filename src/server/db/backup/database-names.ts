/**
 * The databases of one cluster that a restore moves about: the one that servers use, the one that is being filled, and the one that was
 * there before. Two renames in one transaction put one in the place of another: a crash leaves either the old or the new, whole.
 */
import postgres from 'postgres';
import { begin } from '../begin.ts';
import type { Sql } from '../client.ts';
import { BackupError } from './backup-error.ts';

/** There in every cluster; nobody can rename the database that he is connected to. */
const MAINTENANCE_DATABASE = 'postgres';
const NEW_SUFFIX = '_restoring';
const FORMER_SUFFIX = '_before_restore';
/** Of a name in Postgres. */
const NAME_CHARACTERS_MAX = 63;
const INSUFFICIENT_PRIVILEGE = '42501';
const OBJECT_IN_USE = '55006';

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

/** An empty one, whatever an earlier restore that was killed has left of it. */
export async function remakeDatabase(sql: Sql, name: string): Promise<void> {
  try {
    await dropDatabase(sql, name);
    await sql`/* restore.create_database */ CREATE DATABASE ${sql(name)}`;
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

export async function dropDatabase(sql: Sql, name: string): Promise<void> {
  await sql`/* restore.drop_database */ DROP DATABASE IF EXISTS ${sql(name)} WITH (FORCE)`;
}

/** Each takes the name that follows it, all in one transaction; the first name must be free. */
export async function shiftNames(sql: Sql, names: readonly string[]): Promise<void> {
  try {
    await begin(sql, '', async (tx) => {
      for (let index = 1; index < names.length; index += 1) {
        const [to = '', from = ''] = names.slice(index - 1);
        await tx`/* restore.rename_database */ ALTER DATABASE ${tx(from)} RENAME TO ${tx(to)}`;
      }
    });
  } catch (error) {
    throw codeOf(error) === OBJECT_IN_USE
      ? new BackupError(
          'Somebody is connected to the database. Stop all servers and tools that use it first.',
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
