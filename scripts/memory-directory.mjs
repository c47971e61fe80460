// A directory in memory for what the tests throw away: clusters, data dirs, reports. On a disk that is slow to sync, much of the suite's
// time is waiting for files that nobody will read. Where memory is short, may not be written or may not run programs, there is none, and
// the caller stays with the usual temporary directory.
// A directory carries the pid of its owner in its name, so whatever a killed run has left there is found and removed by the next one.

import {
  accessSync,
  chmodSync,
  constants,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SHARED_MEMORY = '/dev/shm';
const PREFIX = 'lanekeeper-';
const OWN_NAME = /^lanekeeper-(\d+)-[A-Za-z0-9]{6}$/;
const MIB = 1024 * 1024;
/** The suite has about 1 GB there at once; a container's usual 64 MB are far below. */
const FREE_BYTES_MIN = 4096 * MIB;
/** What is written there is taken from the memory of the tests themselves: five workers of up to 0.8 GB, and their servers. */
const AVAILABLE_BYTES_MIN = 8192 * MIB;

/** @typedef {{ directory: string, mounts: string, memory: string, freeBytesMin: number }} Surroundings where to look; others in tests only */

/** @type {Surroundings} */
const SURROUNDINGS = {
  directory: SHARED_MEMORY,
  mounts: '/proc/mounts',
  memory: '/proc/meminfo',
  freeBytesMin: FREE_BYTES_MIN,
};

/**
 * Removes what dead owners left, then makes a directory for `ownerPid`.
 * @param {number} ownerPid
 * @param {Surroundings} [surroundings]
 * @returns {string | null} null where there is no memory to spare
 */
export function makeMemoryDirectory(ownerPid, surroundings = SURROUNDINGS) {
  const { directory } = surroundings;
  try {
    removeLeftovers(directory);
    if (!isSuitable(surroundings)) return null;
    const made = mkdtempSync(join(directory, `${PREFIX}${ownerPid}-`));
    // The account that runs Postgres passes through; nobody else may list.
    chmodSync(made, 0o711);
    return made;
  } catch {
    // No such directory on this system, or one that is not ours to use.
    return null;
  }
}

/**
 * What cannot be removed now, for a process of a stopped run still writes there, is left to the next run.
 * @param {string} path that makeMemoryDirectory has made; anything else is refused
 */
export function removeMemoryDirectory(path) {
  if (!OWN_NAME.test(basename(path))) throw new Error(`${path} is no directory of a test run`);
  try {
    rmSync(path, { recursive: true, force: true, maxRetries: 5 });
  } catch (error) {
    console.error(`${path} is left to the next run: ${/** @type {Error} */ (error).message}`);
  }
}

/** @param {string} directory */
function removeLeftovers(directory) {
  for (const name of readdirSync(directory)) {
    const pid = OWN_NAME.exec(name)?.[1];
    if (pid === undefined || isAlive(Number(pid))) continue;
    const path = join(directory, name);
    // Others' are theirs, and a link is nothing that we make.
    const status = lstatSync(path);
    if (status.isDirectory() && status.uid === process.getuid?.()) removeMemoryDirectory(path);
  }
}

/** @param {number} pid */
function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: there is one, of another account.
    return /** @type {NodeJS.ErrnoException} */ (error).code !== 'ESRCH';
  }
}

/** @param {Surroundings} surroundings */
function isSuitable({ directory, mounts, memory, freeBytesMin }) {
  accessSync(directory, constants.W_OK | constants.X_OK);
  const { bavail, bsize } = statfsSync(directory);
  if (bavail * bsize < freeBytesMin) return false;
  const mount = readFileSync(mounts, 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .find(([, place]) => place === directory);
  // Tests start programs that they have written there. Containers often forbid that.
  if (mount?.[2] !== 'tmpfs' || mount[3]?.split(',').includes('noexec')) return false;
  const available = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync(memory, 'utf8'))?.[1];
  return Number(available ?? 0) * 1024 >= AVAILABLE_BYTES_MIN;
}

// `node scripts/memory-directory.mjs PID`, for shells: prints the directory, or nothing where there is none.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const made = makeMemoryDirectory(Number(process.argv[2]));
  if (made !== null) console.log(made);
}
