/**
 * Whether a process of an earlier time is still the same one. A pid alone proves nothing, since pids are reused, in
 * containers within seconds. Linux is read from /proc, because slim images have no `ps`; macOS is asked through `ps`.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** A guess: `ps` answers in milliseconds. */
const PS_TIMEOUT_MS = 5_000;
/** Of the start time (field 22 of proc_pid_stat(5)), counted from the state (field 3). */
const STAT_START_TIME = 19;

/** Opaque; differs for two processes that had the same pid one after the other. null: there is no such process. */
export function startTimeOf(pid: number): string | null {
  if (process.platform !== 'linux') return askPs(pid, 'lstart=');
  const stat = read(`/proc/${pid}/stat`);
  if (stat === null) return null;
  // The program's name stands in parentheses and may itself contain any character.
  const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // A zombie holds nothing any more.
  return state === 'Z' ? null : (fields[STAT_START_TIME - 1] ?? null);
}

/** Whether the process was started with this word among its arguments. */
export function hasArgument(pid: number, word: string): boolean {
  if (process.platform !== 'linux') return askPs(pid, 'command=')?.includes(word) ?? false;
  // A zombie has no arguments left.
  return read(`/proc/${pid}/cmdline`)?.split('\0').includes(word) ?? false;
}

/** Where pids mean what they mean to us: this boot of this machine, and in containers this pid namespace. */
export function pidSpace(): string {
  if (process.platform !== 'linux') return hostname();
  const boot = read('/proc/sys/kernel/random/boot_id')?.trim() ?? hostname();
  try {
    return `${boot} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return boot;
  }
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return null; // Gone.
  }
}

function askPs(pid: number, column: string): string | null {
  try {
    const env = { PATH: '/bin:/usr/bin', LC_ALL: 'C', TZ: 'UTC' };
    const options = {
      timeout: PS_TIMEOUT_MS,
      env,
      encoding: 'utf8' as const,
      stdio: ['ignore', 'pipe', 'ignore'] as ['ignore', 'pipe', 'ignore'],
    };
    return execFileSync('ps', ['-ww', '-o', column, '-p', String(pid)], options).trim() || null;
  } catch {
    return null; // `ps` fails for a pid that does not exist.
  }
}
