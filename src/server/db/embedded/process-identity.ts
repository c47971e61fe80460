/**
 * Says whether a process of an earlier start is still the same process. A pid alone proves nothing, since pids are
 * reused, in containers within seconds; pid plus start time does. Linux is read from /proc, because slim images have no
 * `ps`; everything else, macOS in fact, is asked through `ps`.
 */
import { execFile } from 'node:child_process';
import { readFile, readlink } from 'node:fs/promises';
import { basename } from 'node:path';
import { promisify } from 'node:util';

export interface ProcessIdentity {
  /** Opaque; differs for two processes that had the same pid one after the other. */
  readonly startedAt: string;
  readonly isZombie: boolean;
}

const execFileAsync = promisify(execFile);
const PS_TIMEOUT_MILLIS = 5_000;
/** Position of the start time (field 22 of proc_pid_stat(5)) counted from the state (field 3). */
const STAT_START_TIME = 19;

/** Null when no such process exists. A zombie counts as existing; it holds nothing any more. */
export async function identifyProcess(pid: number): Promise<ProcessIdentity | null> {
  if (process.platform === 'linux') {
    const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => null);
    return stat === null ? null : parseStat(stat);
  }
  const fields = await askPs(pid, 'stat=,lstart=');
  const [state, ...startedAt] = fields?.split(/\s+/) ?? [];
  return state === undefined ? null : { startedAt: startedAt.join(' '), isZombie: state.startsWith('Z') };
}

export async function isAlive(pid: number, startedAt: string): Promise<boolean> {
  const identity = await identifyProcess(pid);
  return identity !== null && !identity.isZombie && identity.startedAt === startedAt;
}

/**
 * Where pids have the meaning they have for us: this boot of this machine, and in containers this pid namespace. A lock
 * from elsewhere on a shared volume cannot be judged by its pid.
 */
export async function identifyPidSpace(): Promise<string> {
  if (process.platform !== 'linux') {
    return process.platform;
  }
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'ascii').catch(() => 'unknown');
  const namespace = await readlink('/proc/self/ns/pid').catch(() => 'unknown');
  return `${boot.trim()} ${namespace}`;
}

/** True only for a live main process of Postgres that was started on exactly this cluster. */
export async function isPostmasterOf(pid: number, clusterDir: string): Promise<boolean> {
  const identity = await identifyProcess(pid);
  if (identity === null || identity.isZombie) {
    return false;
  }
  if (process.platform === 'linux') {
    const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    const [program, ...rest] = commandLine.split('\0');
    return basename(program ?? '') === 'postgres' && rest[rest.indexOf('-D') + 1] === clusterDir;
  }
  const commandLine = await askPs(pid, 'command=');
  return commandLine?.includes(`/postgres -D ${clusterDir} -c `) ?? false;
}

async function askPs(pid: number, columns: string): Promise<string | null> {
  try {
    const options = { timeout: PS_TIMEOUT_MILLIS, env: { PATH: '/bin:/usr/bin', LC_ALL: 'C', TZ: 'UTC' } };
    const { stdout } = await execFileAsync('ps', ['-ww', '-o', columns, '-p', String(pid)], options);
    return stdout.trim();
  } catch {
    // `ps` fails for a pid that does not exist.
    return null;
  }
}

function parseStat(stat: string): ProcessIdentity | null {
  // The program's name stands in parentheses and may itself contain any character.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const startedAt = fields[STAT_START_TIME];
  return startedAt === undefined ? null : { startedAt, isZombie: fields[0] === 'Z' };
}
