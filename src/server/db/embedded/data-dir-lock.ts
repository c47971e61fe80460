/**
 * One server per directory. The lock is a file that names its holder by pid and start time; a holder that is gone holds
 * nothing, so kill -9 leaves no lock behind. It never breaks the lock of a process that lives.
 *
 * The file's name carries a number, and the highest number counts. A stale lock is not deleted but followed: whoever
 * links the next number first has it, and the file system decides between two that try. Deleting and creating one file
 * was rejected: a slow starter then deletes the lock that a faster one has just taken. For the same reason the release
 * writes into the file and leaves it, so that numbers never fall.
 *
 * A lock from another container or machine on a shared volume cannot be judged by its pid. Its holder shows that it
 * lives by writing to the file; whoever wants the lock watches for that. A kernel lock would be simpler, but Node has
 * no call for one.
 */
import type { FileHandle } from 'node:fs/promises';
import { link, open, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { writeDurableFile, writeUnfinishedFile } from './durable-file.ts';
import { EmbeddedPostgresError, hasErrorCode, throwIfAborted } from './embedded-postgres-error.ts';
import { identifyPidSpace, identifyProcess, isAlive } from './process-identity.ts';

export interface DataDirLock {
  /** After this the directory may be taken by another process. May be called more than once. */
  release(): Promise<void>;
}

interface LockHolder {
  readonly pid: number;
  readonly startedAt: string;
  readonly pidSpace: string;
  readonly directory: string;
  readonly inode: number;
}

const NAME_PATTERN = /^postgres\.lock\.(\d{1,15})$/;
/** How often a holder writes. */
const BEAT_MILLIS = 1_000;
/** A foreign holder that wrote nothing for this long is dead; five beats, so that a short stall costs nobody the lock. */
const WATCH_MILLIS = 5_000;
const WATCH_INTERVAL_MILLIS = 250;
/** An unclean end this long ago needs no watching: three times the watch. */
const CERTAINLY_DEAD_MILLIS = 15_000;
/** Each failed attempt means that somebody else took the lock meanwhile, so the next look normally ends it. */
const ATTEMPTS_MAX = 20;

export async function acquireDataDirLock(directory: string, signal?: AbortSignal): Promise<DataDirLock> {
  const holder = await describeOurselves(directory);
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    throwIfAborted(signal);
    const highest = Math.max(0, ...(await listNumbers(directory)));
    const current = highest === 0 ? null : await readHolder(lockPath(directory, highest));
    if (current !== null && (await holdsLock(current, { directory, number: highest, holder, signal }))) {
      throw alreadyRunning(directory, current, holder);
    }
    const lock = await takeNumber(directory, highest + 1, holder);
    if (lock !== null) {
      return lock;
    }
  }
  throw new EmbeddedPostgresError(
    'already_running',
    `Other servers keep taking the data dir ${directory}. Give each server a data dir of its own.`,
  );
}

async function describeOurselves(directory: string): Promise<LockHolder> {
  const [identity, pidSpace, status] = await Promise.all([
    identifyProcess(process.pid),
    identifyPidSpace(),
    stat(directory),
  ]);
  if (identity === null) {
    throw new EmbeddedPostgresError(
      'start_failed',
      'This process cannot find itself in the process table (no /proc and no ps?), so it cannot guard its data dir. ' +
        'Mount /proc, or set DATABASE_URL to a Postgres that already runs.',
    );
  }
  return { pid: process.pid, startedAt: identity.startedAt, pidSpace, directory, inode: status.ino };
}

async function holdsLock(
  current: LockHolder,
  view: {
    readonly directory: string;
    readonly number: number;
    readonly holder: LockHolder;
    readonly signal: AbortSignal | undefined;
  },
): Promise<boolean> {
  const isOfThisDirectory =
    current.directory === view.holder.directory || current.inode === view.holder.inode;
  if (!isOfThisDirectory) {
    // The file came along with a copy of the directory.
    return false;
  }
  if (current.pidSpace === view.holder.pidSpace) {
    return isAlive(current.pid, current.startedAt);
  }
  return isBeating(lockPath(view.directory, view.number), view.signal);
}

/** Compares times of the file system only: the clocks of two machines, or a faked one, have no say. */
async function isBeating(path: string, signal: AbortSignal | undefined): Promise<boolean> {
  const seen = await readWriteTime(path);
  const probe = await writeUnfinishedFile(path, '');
  const now = await readWriteTime(probe);
  await rm(probe, { force: true });
  if (seen === null || now === null || now - seen > CERTAINLY_DEAD_MILLIS) {
    return false;
  }
  for (let waited = 0; waited < WATCH_MILLIS; waited += WATCH_INTERVAL_MILLIS) {
    throwIfAborted(signal);
    await delay(WATCH_INTERVAL_MILLIS);
    if ((await readWriteTime(path)) !== seen) {
      // Somebody wrote: a beat, or the release. The next look at the file tells which.
      return (await readHolder(path)) !== null;
    }
  }
  return false;
}

async function takeNumber(
  directory: string,
  number: number,
  holder: LockHolder,
): Promise<DataDirLock | null> {
  const path = lockPath(directory, number);
  const unfinished = await writeUnfinishedFile(path, `${JSON.stringify({ state: 'held', ...holder })}\n`);
  try {
    await link(unfinished, path);
  } catch (error) {
    if (hasErrorCode(error, 'EEXIST')) {
      return null;
    }
    throw error;
  } finally {
    await rm(unfinished, { force: true });
  }
  const numbers = await listNumbers(directory);
  if (Math.max(...numbers) > number) {
    // Others took and passed this number while we looked at the one before it.
    await rm(path, { force: true });
    return null;
  }
  const older = numbers.filter((other) => other < number);
  await Promise.all(older.map((other) => rm(lockPath(directory, other), { force: true })));
  return holdLock(path);
}

async function holdLock(path: string): Promise<DataDirLock> {
  const handle = await open(path, 'r+');
  const endBytes = (await handle.stat()).size;
  const timer = setInterval(() => {
    // The same byte at the same place: only the file's time changes.
    handle.write('\n', endBytes - 1).catch(() => undefined);
  }, BEAT_MILLIS);
  timer.unref();
  let released: Promise<void> | null = null;
  return {
    release: () => {
      released ??= releaseLock(path, handle, timer);
      return released;
    },
  };
}

async function releaseLock(path: string, handle: FileHandle, timer: NodeJS.Timeout): Promise<void> {
  clearInterval(timer);
  await handle.close();
  // A data dir that was deleted under a running server needs no release.
  await writeDurableFile(path, `${JSON.stringify({ state: 'released' })}\n`).catch((error: unknown) => {
    if (!hasErrorCode(error, 'ENOENT')) {
      throw error;
    }
  });
}

async function listNumbers(directory: string): Promise<number[]> {
  const names = await readdir(directory);
  return names.flatMap((name) => {
    const digits = NAME_PATTERN.exec(name)?.[1];
    return digits === undefined ? [] : [Number.parseInt(digits, 10)];
  });
}

/** Null for a released lock, for one that is gone, and for one whose contents a power cut took. */
async function readHolder(path: string): Promise<LockHolder | null> {
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    return isHeld(value) ? value : null;
  } catch (error) {
    if (error instanceof SyntaxError || hasErrorCode(error, 'ENOENT')) {
      return null;
    }
    throw error;
  }
}

function isHeld(value: unknown): value is LockHolder {
  return (
    typeof value === 'object' &&
    value !== null &&
    'pid' in value &&
    typeof value.pid === 'number' &&
    'startedAt' in value &&
    typeof value.startedAt === 'string' &&
    'pidSpace' in value &&
    typeof value.pidSpace === 'string' &&
    'directory' in value &&
    'inode' in value
  );
}

/** Null when the file is gone. */
async function readWriteTime(path: string): Promise<number | null> {
  try {
    return (await stat(path)).mtimeMs;
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT')) {
      return null;
    }
    throw error;
  }
}

function lockPath(directory: string, number: number): string {
  return join(directory, `postgres.lock.${number}`);
}

function alreadyRunning(
  directory: string,
  current: LockHolder,
  ourselves: LockHolder,
): EmbeddedPostgresError {
  const where = current.pidSpace === ourselves.pidSpace ? '' : ' in another container or on another machine';
  return new EmbeddedPostgresError(
    'already_running',
    `Another Lanekeeper server (pid ${current.pid}${where}) already runs its database in ${directory}. Stop that one ` +
      'first, or give this one a data dir of its own. Several servers can share one database through DATABASE_URL.',
  );
}
