/** Backups and restores of a test's own databases, in a directory of its own. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { inject, onTestFinished } from 'vitest';
import {
  dropDatabase,
  urlOfDatabase,
  withMaintenance,
} from '../../../../src/server/db/backup/database-names.ts';
import {
  type Restored,
  type RestoreOptions,
  restoreBackup,
} from '../../../../src/server/db/backup/restore-backup.ts';
import {
  type BackupOptions,
  type TakenBackup,
  takeBackup,
} from '../../../../src/server/db/backup/take-backup.ts';
import { type VerifiedBackup, verifyBackup } from '../../../../src/server/db/backup/verify-backup.ts';
import { migrateDatabase } from '../../../../src/server/db/migrate.ts';
import { TestBoard } from '../../../fixtures/board.ts';
import { startTestServer, type TestServer } from '../../../fixtures/server.ts';

export const MIGRATIONS = join(import.meta.dirname, '../../../../drizzle');

export async function useDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'lanekeeper-backup-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

export async function useBackupFile(): Promise<string> {
  return join(await useDirectory(), 'lanes.backup');
}

export function take(url: string, file: string, options: Partial<BackupOptions> = {}): Promise<TakenBackup> {
  return takeBackup({
    url,
    file,
    mayReplace: false,
    migrationsDir: MIGRATIONS,
    version: '0.0.0-test',
    bytesPerSecond: null,
    isLocal: false,
    onProgress: () => undefined,
    signal: new AbortController().signal,
    ...options,
  });
}

export function verify(file: string): Promise<VerifiedBackup> {
  return verifyBackup({
    file,
    migrationsDir: MIGRATIONS,
    onProgress: () => undefined,
    signal: new AbortController().signal,
  });
}

export async function restore(
  url: string,
  file: string,
  options: Partial<RestoreOptions> = {},
): Promise<Restored> {
  return restoreBackup({
    url,
    file,
    verified: await verify(file),
    migrationsDir: MIGRATIONS,
    mayReplace: false,
    clusterDir: null,
    onProgress: () => undefined,
    signal: new AbortController().signal,
    ...options,
  });
}

/** An empty database, never migrated; dropped with what restores have made beside it. */
export async function useEmptyDatabase(): Promise<{ readonly url: string; readonly name: string }> {
  const server = inject('databaseServerUrl');
  const name = `lanekeeper_test_${Math.random().toString(36).slice(2, 14)}`;
  await withMaintenance(server, (sql) => sql`CREATE DATABASE ${sql(name)}`);
  onTestFinished(() => dropWithCompanions(name));
  return { url: urlOfDatabase(server, name), name };
}

async function dropWithCompanions(name: string): Promise<void> {
  await withMaintenance(inject('databaseServerUrl'), async (sql) => {
    for (const each of [name, `${name}_restoring`, `${name}_before_restore`]) await dropDatabase(sql, each);
  });
}

/** Databases of this name and those that restores make beside it. */
export async function companionsOf(name: string): Promise<string[]> {
  return withMaintenance(inject('databaseServerUrl'), async (sql) => {
    const rows = await sql<{ datname: string }[]>`
      SELECT datname FROM pg_database WHERE starts_with(datname, ${name}) ORDER BY datname`;
    return rows.map(({ datname }) => datname.slice(name.length));
  });
}

/** A short look; no connection is left behind that would stand in a restore's way. */
export async function look<T>(url: string, work: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = postgres(url, { max: 1, onnotice: () => undefined });
  try {
    return await work(sql);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

export async function useMigratedDatabase() {
  const database = await useEmptyDatabase();
  await migrateDatabase(database.url, MIGRATIONS);
  return database;
}

/** A server for as long as the work takes: a restore refuses while one is there. */
export async function whileServed<T>(
  url: string,
  work: (board: TestBoard, server: TestServer) => Promise<T>,
): Promise<T> {
  const server = await startTestServer(url);
  try {
    return await work(new TestBoard(server, 'default'), server);
  } finally {
    await server.stop();
  }
}

export const titlesOf = (url: string): Promise<string[]> =>
  look(url, async (sql) =>
    (await sql`SELECT title FROM task_details ORDER BY title`).map(({ title }) => title),
  );
