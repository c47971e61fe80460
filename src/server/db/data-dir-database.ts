/** The database of a data dir for commands that are no server: the one that a server has running, or started for as long as they take. */
import { DATABASE, readPassword, SUPERUSER } from './embedded/cluster-init.ts';
import { readRecord } from './embedded/data-dir-record.ts';
import { startEmbeddedPostgres } from './embedded/embedded-postgres.ts';
import { EmbeddedPostgresError } from './embedded/embedded-postgres-error.ts';
import { LOOPBACK_ADDRESS } from './embedded/free-port.ts';
import { readHosts } from './hosts.ts';
import { WritableHost } from './writable-host.ts';

export interface OpenedDatabase {
  readonly url: string;
  /** Where Postgres keeps its files; null: elsewhere, or a server's business. */
  readonly clusterDir: string | null;
  /** Postgres runs on this machine, as ours. */
  readonly isLocal: boolean;
  close(): Promise<void>;
}

interface DatabaseOptions {
  /** null: the data dir's own. */
  readonly databaseUrl: string | null;
  readonly dataDir: string;
  readonly log: (line: string, fields?: Record<string, unknown>) => void;
  readonly signal: AbortSignal;
}

/** For reading: beside a server that runs on the data dir. Null: there is no database. */
export async function openExistingDatabase(options: DatabaseOptions): Promise<OpenedDatabase | null> {
  const { databaseUrl, dataDir } = options;
  if (databaseUrl === null && !(await readRecord(dataDir)).isInitialized) return null;
  try {
    return await openOwnDatabase(options);
  } catch (error) {
    if (!(error instanceof EmbeddedPostgresError) || error.code !== 'already_running') throw error;
    const url = await findRunningDatabase(dataDir);
    if (url === null) throw error;
    return { url, clusterDir: null, isLocal: true, close: () => Promise.resolve() };
  }
}

/**
 * For changing: refused while a server runs on the data dir; made when there is none yet.
 * @throws EmbeddedPostgresError
 */
export async function openOwnDatabase(options: DatabaseOptions): Promise<OpenedDatabase> {
  const { databaseUrl, dataDir, log, signal } = options;
  if (databaseUrl !== null)
    return {
      url: await findHost(databaseUrl),
      clusterDir: null,
      isLocal: false,
      close: () => Promise.resolve(),
    };
  const { url, clusterDir, stop } = await startEmbeddedPostgres({ dataDir, log, signal });
  return { url, clusterDir, isLocal: true, close: stop };
}

/** Of several hosts the one that takes writes: a standby may be behind, and what is read there is not what was acknowledged. */
async function findHost(databaseUrl: string): Promise<string> {
  const { urls, isWritableSought } = readHosts(databaseUrl);
  return isWritableSought ? new WritableHost(urls).find() : urls[0];
}

/** Where the server that has the lock of the data dir runs it; with the password in it. */
async function findRunningDatabase(dataDir: string): Promise<string | null> {
  const [{ port }, password] = await Promise.all([readRecord(dataDir), readPassword(dataDir)]);
  if (port === null || password === null) return null;
  return `postgres://${SUPERUSER}:${password}@${LOOPBACK_ADDRESS}:${port}/${DATABASE}`;
}
