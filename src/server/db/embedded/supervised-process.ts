/**
 * Runs a database program so that it cannot outlive this process, not even after kill -9.
 *
 * A small shell stands between us and the program. One end of a socket pair (the lifeline) is in our hands only; when
 * it closes, because we closed it or because we died, the shell's guard shuts the program down and escalates. The pair
 * runs in a session of its own, so that a Ctrl-C in the terminal reaches the server but not the database under it.
 * The alternative, a second Node process as the watchdog, costs 40 MB resident; PR_SET_PDEATHSIG exists on Linux only
 * and is cleared by the change of account.
 */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { Socket } from 'node:net';
import { constants } from 'node:os';

import type { RunAs } from './account.ts';
import { spawnIdentity } from './account.ts';

export interface ProcessExit {
  readonly code: number | null;
  readonly signal: string | null;
}

export interface SupervisedProcess {
  /** The program's own pid, not the shell's; null when the shell ended before it could say. */
  readonly pid: Promise<number | null>;
  readonly exited: Promise<ProcessExit>;
  /** Starts the orderly end: interrupt, then quit, then kill, in STOP_WITHIN_MILLIS; when nothing came of it, kill() at last. */
  stop(): void;
  /** Ends the shell and its guard, which may be stopped, and a program that has no group of its own. Its children are not asked. */
  kill(): void;
  /** Standard input and output of the program; null unless asked for with `piped`. */
  readonly child: ChildProcess;
}

export interface SupervisedProcessOptions {
  readonly file: string;
  readonly arguments: readonly string[];
  readonly runAs: RunAs;
  /** A file descriptor that takes the output, or 'pipe' for input and output through `child`. */
  readonly output: number | 'pipe';
}

/**
 * 2.5 s of fast shutdown, then 0.5 s of immediate shutdown, which waits for nothing, then kill. A second of room is left below the promised
 * 4 s: the guard counts its naps, and on a busy machine they take longer than they should.
 */
export const STOP_WITHIN_MILLIS = 3_000;
/** The guard cannot take longer than this, unless it is stopped or the machine stands still. */
const STOP_AT_LAST_MILLIS = 2 * STOP_WITHIN_MILLIS;

/**
 * The guard polls in tenths of a second because POSIX sh cannot wait for two things at once. TERM and the others are
 * ignored by shell and guard: a service manager that signals the whole group must not take the guard away before the
 * database. The program sets its own handlers, so the ignored state that it inherits has no effect on it.
 *
 * A stopped backend acts on nothing but SIGKILL, so the children are killed too. First of all the program is stopped: it then
 * neither makes nor buries children, and the list of them is whole. It is killed last of all: with its end the shell kills the guard,
 * and when it was the first, the guard was at times gone before it had reached the children, which then lived on.
 */
const SUPERVISOR_SCRIPT = `
unset LANEKEEPER_SUPERVISOR
trap '' HUP INT TERM QUIT
exec 4<&0 </dev/null
"$@" <&4 3<&- 4<&- &
child=$!
exec 4<&- >/dev/null 2>&1
echo "$child" >&3
(
  while read -r ignored <&3; do :; done
  kill -INT "$child"
  tenths=0
  while [ "$tenths" -lt 30 ]; do
    sleep 0.1
    kill -0 "$child" || exit 0
    tenths=$((tenths + 1))
    [ "$tenths" -ne 25 ] || kill -QUIT "$child"
  done
  kill -STOP "$child"
  kill -KILL $(cat "/proc/$child/task/$child/children") "$child"
) &
guard=$!
exec 3<&-
wait "$child"
code=$?
kill -KILL "$guard"
wait "$guard"
exit "$code"
`;

/** Nothing of our own environment: it may hold secrets, and PG* variables would steer the database programs. */
const PROGRAM_ENVIRONMENT = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC', HOME: '/' };

export function runSupervised(options: SupervisedProcessOptions): SupervisedProcess {
  const input = options.output === 'pipe' ? 'pipe' : 'ignore';
  const child = spawn(
    '/bin/sh',
    ['-c', 'eval "$LANEKEEPER_SUPERVISOR"', 'lanekeeper-supervisor', options.file, ...options.arguments],
    {
      ...spawnIdentity(options.runAs),
      cwd: '/',
      detached: true,
      // The script travels in the environment to keep the process list readable.
      env: { ...PROGRAM_ENVIRONMENT, LANEKEEPER_SUPERVISOR: SUPERVISOR_SCRIPT },
      stdio: [input, options.output, options.output, 'pipe'],
    },
  );
  const lifeline = findLifeline(child);
  // A lifeline that breaks is the news that the shell has ended; the exit event tells it with more detail.
  lifeline?.on('error', () => undefined);
  const exited = new Promise<ProcessExit>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(toProcessExit(code, signal)));
  });
  let hasExited = false;
  const kill = (): void => {
    if (!hasExited) killGroup(child.pid);
  };
  let atLast: NodeJS.Timeout | undefined;
  const note = (): void => {
    hasExited = true;
    clearTimeout(atLast);
  };
  // Whoever awaits it gets the failure; nobody awaiting it must not end this process.
  exited.then(note, note);
  return {
    child,
    exited,
    pid: readPid(lifeline, exited),
    stop: () => {
      lifeline?.destroy();
      if (!hasExited) atLast ??= setTimeout(kill, STOP_AT_LAST_MILLIS).unref();
    },
    kill,
  };
}

/** The shell leads a group of its own, since it is spawned detached. Only while it lives: later the number may be somebody else's. */
function killGroup(leader: number | undefined): void {
  if (leader === undefined) return;
  try {
    process.kill(-leader, 'SIGKILL');
  } catch {
    // Nobody is left of it.
  }
}

/** Lets this process end although the database runs: the lifeline then closes and the guard does the rest. */
export function detachFromEventLoop(supervised: SupervisedProcess): void {
  supervised.child.unref();
  findLifeline(supervised.child)?.unref();
}

/** The types of Node know the first three streams only; a fourth 'pipe' is a local socket that both sides may use. */
function findLifeline(child: ChildProcess): Socket | null {
  const stream: unknown = child.stdio[3];
  return stream instanceof Socket ? stream : null;
}

function readPid(lifeline: Socket | null, exited: Promise<ProcessExit>): Promise<number | null> {
  const told = new Promise<number | null>((resolve) => {
    let text = '';
    lifeline?.on('data', (chunk: Buffer) => {
      text += chunk.toString('ascii');
      if (text.includes('\n')) {
        resolve(Number.parseInt(text, 10));
      }
    });
  });
  return Promise.race([told, exited.then(() => null).catch(() => null)]);
}

/** The shell reports a program that died by a signal as 128 plus the signal's number. */
function toProcessExit(code: number | null, signal: string | null): ProcessExit {
  if (code === null || code <= 128) {
    return { code, signal };
  }
  const name = Object.entries(constants.signals).find(([, value]) => value === code - 128)?.[0];
  return name === undefined ? { code, signal: null } : { code: null, signal: name };
}
