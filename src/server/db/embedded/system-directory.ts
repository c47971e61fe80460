/**
 * A directory outside the checkout for what the database account must reach when it can reach neither the checkout nor
 * the data dir. Only root needs one. Everything on its path belongs to root and nobody else may write there: programs
 * are started from it, so a directory that another account could have prepared is refused, not repaired.
 */
import { chmod, lstat, mkdir, realpath } from 'node:fs/promises';
import { dirname } from 'node:path';

import type { Account } from './account.ts';
import { describeAccount } from './account.ts';
import { describeError, EmbeddedPostgresError, hasErrorCode } from './embedded-postgres-error.ts';
import { canEnterDirectory } from './run-command.ts';

/** State of a service first, then the places that exist where that one is read-only; /var/db is macOS's. */
export const SYSTEM_DIRECTORIES: readonly string[] =
  process.platform === 'darwin'
    ? ['/var/db/lanekeeper', '/usr/local/var/lanekeeper', '/opt/lanekeeper']
    : ['/var/lib/lanekeeper', '/opt/lanekeeper', '/var/tmp/lanekeeper'];

const GROUP_AND_OTHERS_WRITE = 0o022;
const STICKY = 0o1000;
const DIRECTORY_MODE = 0o755;

/**
 * The candidates that can be used, best first, each made only when it is asked for. At least one, or an error with the
 * reasons.
 */
export async function* findSystemDirectories(
  candidates: readonly string[],
  account: Account,
): AsyncGenerator<string, void> {
  let isAnyUsable = false;
  const reasons: string[] = [];
  for (const candidate of candidates) {
    const reason = await prepare(candidate, account);
    if (reason === null) {
      isAnyUsable = true;
      yield await realpath(candidate);
    } else {
      reasons.push(`${candidate}: ${reason}`);
    }
  }
  if (!isAnyUsable) {
    throw new EmbeddedPostgresError(
      'system_dir_unusable',
      `The account ${describeAccount(account)} that runs Postgres cannot enter the directory of Lanekeeper's data or ` +
        `programs, and no system directory can be used instead (${reasons.join('; ')}). Put both where every account ` +
        'may pass, start Lanekeeper as a user that is not root, or set DATABASE_URL to a Postgres that already runs.',
    );
  }
}

/** The best of them, for what needs no second try. */
export async function findSystemDirectory(candidates: readonly string[], account: Account): Promise<string> {
  for await (const directory of findSystemDirectories(candidates, account)) {
    return directory;
  }
  throw new Error('findSystemDirectories ended without a directory and without an error');
}

/** Null when root alone could have put something there; otherwise the reason why not. */
export async function findForeignWriter(path: string): Promise<string | null> {
  let current = await realpath(path);
  let isLeaf = true;
  for (;;) {
    const status = await lstat(current);
    if (status.uid !== 0) {
      return `${current} belongs to uid ${status.uid}, not to root`;
    }
    const isShared = (status.mode & GROUP_AND_OTHERS_WRITE) !== 0;
    // In a sticky directory such as /tmp nobody can replace what belongs to root, so it may be on the way.
    if (isShared && (isLeaf || (status.mode & STICKY) === 0)) {
      return `${current} can be written by others than root`;
    }
    if (dirname(current) === current) {
      return null;
    }
    current = dirname(current);
    isLeaf = false;
  }
}

async function prepare(path: string, account: Account): Promise<string | null> {
  try {
    await makeDirectories(path);
    const writer = await findForeignWriter(path);
    if (writer !== null) {
      return writer;
    }
    return (await canEnterDirectory(account, path)) ? null : `${describeAccount(account)} cannot enter it`;
  } catch (error) {
    if (error instanceof EmbeddedPostgresError) {
      throw error;
    }
    return describeError(error);
  }
}

/** Makes the missing parts with the mode, whatever the umask says; what is there already stays as it is. */
export async function makeDirectories(path: string, mode: number = DIRECTORY_MODE): Promise<void> {
  try {
    await mkdir(path, { mode });
  } catch (error) {
    if (hasErrorCode(error, 'EEXIST')) {
      return;
    }
    if (!hasErrorCode(error, 'ENOENT') || dirname(path) === path) {
      throw error;
    }
    await makeDirectories(dirname(path), mode);
    await makeDirectories(path, mode);
    return;
  }
  await chmod(path, mode);
}
