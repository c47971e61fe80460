/**
 * Decides where the cluster lives: in the data dir when the database account can enter it, otherwise in a system
 * directory that the data dir remembers. What is remembered is followed for ever, also when the data dir moves or
 * becomes enterable; a cluster that is remembered and missing is an error, never a reason to make an empty one.
 */
import { createHash } from 'node:crypto';
import { chmod, mkdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import type { Account, RunAs } from './account.ts';
import { chooseAccount, describeAccount, findAccountByUid, isRoot } from './account.ts';
import type { DataDirRecord } from './data-dir-record.ts';
import { writeRecord } from './data-dir-record.ts';
import { EmbeddedPostgresError, hasErrorCode } from './embedded-postgres-error.ts';
import { canEnterDirectory } from './run-command.ts';
import { findForeignWriter, findSystemDirectory, makeDirectories } from './system-directory.ts';

export interface ClusterPlace {
  /** Holds the cluster and, when it is not the data dir, a lock of its own. */
  readonly directory: string;
  readonly clusterDir: string;
  readonly runAs: RunAs;
  readonly isNew: boolean;
  /** One sentence for the owner when the cluster is not in the data dir. */
  readonly notice: string | null;
}

export interface ClusterPlaceOptions {
  /** Its real path. */
  readonly dataDir: string;
  readonly record: DataDirRecord;
  readonly systemDirectories: readonly string[];
}

const CLUSTER_NAME = 'postgres';
const CLUSTERS_NAME = 'clusters';
/** 64 bits of the path's hash: the name need not be secret, only different for different paths. */
const HASH_CHARACTERS = 16;
/** How many deleted predecessors of one data dir path may have left their cluster behind. */
const NAMES_MAX = 100;

export async function findClusterPlace(options: ClusterPlaceOptions): Promise<ClusterPlace> {
  const { dataDir, record } = options;
  const directory = record.place ?? dataDir;
  if (directory !== dataDir) {
    await checkRemembered(directory, options);
  }
  const owner = await findClusterOwner(join(directory, CLUSTER_NAME));
  if (owner !== null) {
    const runAs = await checkOwner(directory, owner);
    return describePlace({ directory, runAs, isNew: false, dataDir });
  }
  if (record.isInitialized) {
    throw new EmbeddedPostgresError(
      'cluster_missing',
      `The database of ${dataDir} was in ${join(directory, CLUSTER_NAME)} and is no longer there. Restore it from a ` +
        `backup, or delete ${join(dataDir, 'postgres.json')} to start with an empty database.`,
    );
  }
  const runAs = await chooseAccount();
  const place = record.place ?? (await choosePlace(runAs, options));
  return describePlace({ directory: place, runAs, isNew: true, dataDir });
}

async function choosePlace(runAs: RunAs, options: ClusterPlaceOptions): Promise<string> {
  if (runAs === null || (await canEnterDirectory(runAs, options.dataDir))) {
    return options.dataDir;
  }
  const systemDirectory = await findSystemDirectory(options.systemDirectories, runAs);
  const clusters = join(systemDirectory, CLUSTERS_NAME);
  await makeDirectories(clusters);
  const place = await makePlace(clusters, options.dataDir);
  // Remembered before anything is in it: a start that dies now finds its place again.
  await writeRecord(options.dataDir, { ...options.record, place, isInitialized: false });
  return place;
}

/** A place of that name may be what a deleted data dir left behind. It may hold the only copy of its tasks: not ours. */
async function makePlace(clusters: string, dataDir: string): Promise<string> {
  const hash = createHash('sha256').update(dataDir).digest('hex').slice(0, HASH_CHARACTERS);
  for (let number = 1; number <= NAMES_MAX; number += 1) {
    const place = join(clusters, number === 1 ? hash : `${hash}-${number}`);
    try {
      await mkdir(place);
      // The account passes through to its cluster; the mode must not depend on the umask.
      await chmod(place, 0o711);
      return place;
    } catch (error) {
      if (!hasErrorCode(error, 'EEXIST')) {
        throw error;
      }
    }
  }
  throw new EmbeddedPostgresError(
    'system_dir_unusable',
    `${clusters} holds ${NAMES_MAX} databases of deleted data dirs at ${dataDir}. Delete those that are no longer needed.`,
  );
}

/** The record lies in the data dir, which somebody else may own; as root we follow it to a place of ours only. */
async function checkRemembered(directory: string, options: ClusterPlaceOptions): Promise<void> {
  const isOurs = basename(dirname(directory)) === CLUSTERS_NAME;
  const writer = isOurs && isRoot() ? await findForeignWriter(directory).catch(missingIsNull) : null;
  if (!isOurs || writer !== null) {
    throw new EmbeddedPostgresError(
      'data_dir_unusable',
      `${join(options.dataDir, 'postgres.json')} names ${directory} as the place of the database, which is not a place ` +
        `that Lanekeeper makes${writer === null ? '' : ` (${writer})`}. Correct it, or use another data dir.`,
    );
  }
}

function missingIsNull(error: unknown): null {
  if (hasErrorCode(error, 'ENOENT')) {
    return null;
  }
  throw error;
}

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

async function findClusterOwner(clusterDir: string): Promise<Owner | null> {
  const status = await stat(clusterDir).catch(missingIsNull);
  return status === null ? null : { uid: status.uid, gid: status.gid };
}

/** The account of an existing cluster is its owner, whichever account we would choose today. */
async function checkOwner(directory: string, owner: Owner): Promise<RunAs> {
  const clusterDir = join(directory, CLUSTER_NAME);
  if (!isRoot()) {
    if (owner.uid !== process.getuid?.()) {
      throw new EmbeddedPostgresError(
        'cluster_unusable',
        `The database in ${clusterDir} belongs to uid ${owner.uid}, and this process is uid ${process.getuid?.()}. Start ` +
          'Lanekeeper as the user (or root) that made it, or use another data dir.',
      );
    }
    return null;
  }
  if (owner.uid === 0) {
    throw new EmbeddedPostgresError(
      'cluster_unusable',
      `The database in ${clusterDir} belongs to root, and Postgres does not run as root. Give it to another account ` +
        `with \`chown -R postgres ${clusterDir}\`.`,
    );
  }
  const account = await findAccountByUid(owner.uid, owner.gid);
  if (!(await canEnterDirectory(account, directory))) {
    throw new EmbeddedPostgresError(
      'cluster_unusable',
      `The account ${describeAccount(account)}, which owns the database in ${clusterDir}, can no longer enter ` +
        `${directory}. Let it pass (\`chmod o+x\` on that directory and those above it).`,
    );
  }
  return account;
}

function describePlace(found: {
  readonly directory: string;
  readonly runAs: Account | null;
  readonly isNew: boolean;
  readonly dataDir: string;
}): ClusterPlace {
  const clusterDir = join(found.directory, CLUSTER_NAME);
  const notice =
    found.directory === found.dataDir || found.runAs === null
      ? null
      : `The database is in ${clusterDir}, because the account ${describeAccount(found.runAs)} that runs Postgres ` +
        `cannot enter ${found.dataDir}.`;
  return { directory: found.directory, clusterDir, runAs: found.runAs, isNew: found.isNew, notice };
}
