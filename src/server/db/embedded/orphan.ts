/**
 * Ends what an earlier server left behind: a Postgres on our cluster whose server is gone, and the file that names it.
 * Only called while we hold the lock, so no living server owns it. A process is signalled only after it was seen to be
 * a Postgres on exactly this cluster; a pid from a file alone may by now belong to anybody.
 */
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

import type { RunAs } from './account.ts';
import { EmbeddedPostgresError, throwIfAborted } from './embedded-postgres-error.ts';
import { readPostmasterFile, removePostmasterFile } from './postmaster-file.ts';
import { identifyProcess, isAlive, isPostmasterOf } from './process-identity.ts';
import { runCommand } from './run-command.ts';

/** Fast shutdown, immediate shutdown, kill; the waits are those of the supervisor, plus time for the kernel. */
const STEPS = [
  { signal: 'SIGINT', waitMillis: 2_500 },
  { signal: 'SIGQUIT', waitMillis: 500 },
  { signal: 'SIGKILL', waitMillis: 3_000 },
] as const;
const POLL_MILLIS = 20;
const LIST_BY_WORKING_DIRECTORY =
  'for p in /proc/[0-9]*; do [ "$p/cwd" -ef "$1" ] && echo "$p"; done; exit 0';

/** Returns the pid of the Postgres that was stopped, or null when none was left. */
export async function stopOrphan(clusterDir: string, signal?: AbortSignal): Promise<number | null> {
  const file = await readPostmasterFile(clusterDir);
  if (file === null) {
    return null;
  }
  if (await isPostmasterOf(file.pid, clusterDir)) {
    if (await stopPostmaster(file.pid, clusterDir, { signal })) return file.pid;
    throw new EmbeddedPostgresError(
      'start_failed',
      `A Postgres of an earlier start (pid ${file.pid}) still runs on ${clusterDir} and cannot be ended. End it, then start again.`,
    );
  }
  if ((await identifyProcess(file.pid)) !== null) {
    // The pid belongs to somebody else now, or to a zombie. Postgres only asks whether the pid exists, and would refuse
    // to start. Its second check, the shared memory of the cluster, still stands.
    await removePostmasterFile(clusterDir);
  }
  return null;
}

/** Ends a Postgres that is known to be on this cluster, whatever state it is in, and says whether it is gone. Urgent is: with the kill at once. */
export async function stopPostmaster(
  pid: number,
  clusterDir: string,
  options: { readonly signal?: AbortSignal | undefined; readonly isUrgent?: boolean } = {},
): Promise<boolean> {
  const identity = await identifyProcess(pid);
  if (identity === null || !(await isPostmasterOf(pid, clusterDir))) {
    return true;
  }
  const steps = options.isUrgent === true ? STEPS.slice(-1) : STEPS;
  for (const step of steps) {
    throwIfAborted(options.signal);
    if (step.signal === 'SIGKILL') {
      await killChildren(pid);
    }
    sendSignal(pid, step.signal);
    if (await waitForEnd(pid, identity.startedAt, step.waitMillis)) {
      return true;
    }
  }
  return false;
}

/**
 * Ends server processes of this cluster whose main process was killed: they hold its shared memory, and one that is
 * busy or stopped does not notice. Found by their working directory, which is the cluster; asked as their own account,
 * since even root may not see it in a container. Linux only: elsewhere the caller's wait has to do.
 */
export async function killStrayBackends(clusterDir: string, runAs: RunAs): Promise<number> {
  const result = await runCommand(runAs, '/bin/sh', '-c', LIST_BY_WORKING_DIRECTORY, 'sh', clusterDir);
  if (result.kind === 'failed') {
    return 0;
  }
  let killed = 0;
  for (const path of result.output.split('\n')) {
    const pid = Number.parseInt(path.replace('/proc/', ''), 10);
    const title = pid > 0 ? await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '') : '';
    if (title.startsWith('postgres: ')) {
      sendSignal(pid, 'SIGKILL');
      killed += 1;
    }
  }
  return killed;
}

/** Stopped, it neither makes nor buries children meanwhile, and the list of them is whole. */
async function killChildren(pid: number): Promise<void> {
  sendSignal(pid, 'SIGSTOP');
  for (const child of await listChildren(pid)) {
    sendSignal(child, 'SIGKILL');
  }
}

async function listChildren(pid: number): Promise<number[]> {
  const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
  const lists = await Promise.all(
    threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/children`, 'ascii').catch(() => '')),
  );
  return lists
    .join(' ')
    .split(' ')
    .map((text) => Number.parseInt(text, 10))
    .filter((child) => child > 0);
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Gone already, or not ours to signal: the wait that follows tells which.
  }
}

async function waitForEnd(pid: number, startedAt: string, waitMillis: number): Promise<boolean> {
  for (let waited = 0; waited < waitMillis; waited += POLL_MILLIS) {
    if (!(await isAlive(pid, startedAt))) {
      return true;
    }
    await delay(POLL_MILLIS);
  }
  return false;
}
