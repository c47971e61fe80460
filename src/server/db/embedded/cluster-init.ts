/**
 * Makes a new cluster. It is built under another name and moved to its own when it is complete, with its database in it
 * and on disk, so a start that dies halfway leaves rubbish that the next one removes, and never half a cluster. For the
 * same reason initdb syncs: it costs 0.3 s once, and a cluster without it may be gone after a power cut.
 */
import { randomBytes } from 'node:crypto';
import { chmod, lchown, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { RunAs } from './account.ts';
import type { PostgresBinaries } from './binaries.ts';
import type { ClusterPlace } from './cluster-place.ts';
import { syncFile, writeDurableFile } from './durable-file.ts';
import { EmbeddedPostgresError, hasErrorCode, throwIfAborted } from './embedded-postgres-error.ts';
import { runToCompletion } from './run-to-completion.ts';

export const SUPERUSER = 'lanekeeper';
export const DATABASE = 'lanekeeper';

const PASSWORD_FILE = 'postgres.password';
const UNFINISHED_PREFIX = 'postgres.init-';
/** 192 bits, more than a scram-sha-256 exchange can lose. Hex needs no quoting in SQL or in a URL. */
const PASSWORD_BYTES = 24;

/** Written to the cluster's postgresql.conf, where its owner may change them. */
const INITIAL_SETTINGS: Readonly<Record<string, string>> = {
  shared_buffers: '128MB',
  max_connections: '100',
  // Rows die by the thousand a second where work is quick and little is kept: nobody would look for them for a minute by default.
  autovacuum_naptime: '15s',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_line_prefix: '%m [%p] ',
  // A line for each checkpoint would fill the log of an idle server.
  log_checkpoints: 'off',
};

export interface ClusterInitOptions {
  readonly place: ClusterPlace;
  readonly binaries: PostgresBinaries;
  readonly password: string;
  readonly signal: AbortSignal | undefined;
}

export async function initializeCluster(options: ClusterInitOptions): Promise<void> {
  const { place, binaries, signal } = options;
  const workDir = join(place.directory, `${UNFINISHED_PREFIX}${randomBytes(6).toString('hex')}`);
  try {
    await mkdir(workDir, { mode: 0o700 });
    await giveTo(place.runAs, workDir);
    const passwordFile = join(workDir, 'password');
    await writeFile(passwordFile, `${options.password}\n`, { mode: 0o600, flag: 'wx' });
    await giveTo(place.runAs, passwordFile);
    const clusterDir = join(workDir, 'cluster');
    await runInitdb({ binaries, clusterDir, passwordFile, runAs: place.runAs, signal });
    await rm(passwordFile);
    await runSingleUser(
      { binaries, clusterDir, runAs: place.runAs, signal },
      `CREATE DATABASE ${DATABASE} OWNER ${SUPERUSER};`,
    );
    throwIfAborted(signal);
    await rename(clusterDir, place.clusterDir);
    await syncFile(place.directory);
  } finally {
    await rm(workDir, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Null when the data dir has none. */
export async function readPassword(dataDir: string): Promise<string | null> {
  const path = join(dataDir, PASSWORD_FILE);
  try {
    const password = (await readFile(path, 'utf8')).trim();
    await chmod(path, 0o600);
    return password === '' ? null : password;
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT')) {
      return null;
    }
    throw error;
  }
}

export function makePassword(): string {
  return randomBytes(PASSWORD_BYTES).toString('hex');
}

export async function writePassword(dataDir: string, password: string): Promise<void> {
  await writeDurableFile(join(dataDir, PASSWORD_FILE), `${password}\n`);
}

/** For a data dir that lost its password file: whoever may write there may set a new one. The server must not run. */
export function setPassword(options: SingleUserOptions, password: string): Promise<void> {
  return runSingleUser(options, `ALTER ROLE ${SUPERUSER} PASSWORD '${password}';`);
}

export async function checkClusterVersion(place: ClusterPlace, binaries: PostgresBinaries): Promise<void> {
  const path = join(place.clusterDir, 'PG_VERSION');
  let major: number;
  try {
    major = Number.parseInt(await readFile(path, 'utf8'), 10);
  } catch (error) {
    throw EmbeddedPostgresError.causedBy(
      error,
      'cluster_unusable',
      `${place.clusterDir} is not a Postgres cluster that can be read (${path}). Restore it from a backup, or move it ` +
        'away to start with an empty database.',
    );
  }
  if (major !== binaries.major) {
    throw new EmbeddedPostgresError(
      'version_mismatch',
      `The database in ${place.clusterDir} was made by Postgres ${major}, and this release brings Postgres ` +
        `${binaries.major}. Take a backup with the release that made it (lanekeeper backup, or ` +
        `pg_dump) and restore it into a new data dir, or run Postgres ${major} on it yourself and set DATABASE_URL.`,
    );
  }
}

export interface SingleUserOptions {
  readonly binaries: PostgresBinaries;
  readonly clusterDir: string;
  readonly runAs: RunAs;
  readonly signal: AbortSignal | undefined;
}

async function runInitdb(options: SingleUserOptions & { readonly passwordFile: string }): Promise<void> {
  const settings = Object.entries(INITIAL_SETTINGS).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const result = await runToCompletion({
    file: options.binaries.initdb,
    arguments: [
      ['-D', options.clusterDir, '-U', SUPERUSER, `--pwfile=${options.passwordFile}`],
      ['--auth=scram-sha-256', '--encoding=UTF8', '--locale=C', '--no-instructions'],
      settings,
    ].flat(),
    runAs: options.runAs,
    signal: options.signal,
  });
  throwIfAborted(options.signal);
  if (result.kind === 'failed') {
    throw new EmbeddedPostgresError(
      'initdb_failed',
      `Postgres could not make a new database in ${options.clusterDir}: ${result.reason}\nFree disk space or correct the ` +
        'permissions if that is the reason, or set DATABASE_URL to a Postgres that already runs.',
    );
  }
}

/** SQL without a server: no port, no password, and it runs before anybody else can connect. */
async function runSingleUser(options: SingleUserOptions, statement: string): Promise<void> {
  const result = await runToCompletion({
    file: options.binaries.postgres,
    // Without exit_on_error a failed statement ends in success.
    arguments: ['--single', '-D', options.clusterDir, '-c', 'exit_on_error=on', 'postgres'],
    input: `${statement}\n`,
    runAs: options.runAs,
    signal: options.signal,
  });
  throwIfAborted(options.signal);
  if (result.kind === 'failed') {
    throw new EmbeddedPostgresError(
      'initdb_failed',
      `Postgres could not prepare the database in ${options.clusterDir}: ${result.reason}`,
    );
  }
}

/** What starts that died left behind. Only under the lock, which says that nobody works on it now. */
export async function removeUnfinishedClusters(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (name.startsWith(UNFINISHED_PREFIX)) {
      await rm(join(directory, name), { recursive: true, force: true, maxRetries: 5 });
    }
  }
}

async function giveTo(runAs: RunAs, path: string): Promise<void> {
  if (runAs !== null) {
    await lchown(path, runAs.uid, runAs.gid);
  }
}
