/**
 * A process that may outlive the dispatcher that started it: its input and output are files, and a shell waits for it
 * in its place, leads its group, and writes down its pid and how it ended. So the next dispatcher can go on with it as
 * if it had started it, and learn the exit code of what is no child of its own. A second Node process in the shell's
 * place was rejected: it costs forty times the memory.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { Writable } from 'node:stream';
import { GroupStop } from '../worker/group-stop.ts';
import { hasArgument, startTimeOf } from '../worker/process-table.ts';
import type { Argv, ProcessEnd, RunningProcess } from '../worker/running-process.ts';
import { type FollowerListener, OutputFollower } from './output-follower.ts';
import type { RunDirectory } from './run-directory.ts';

/**
 * $0 is the directory of the run. Nothing happens before a line comes through descriptor 3, and nothing at all when whoever would have sent it
 * is dead: then nobody would end the command. Its pid first, and only where no adopter has barred the start (noclobber creates or
 * fails). Signals to the group are for the command; a caught one, unlike an ignored one, is the default again in it.
 * What shells say of their own ("Terminated") is none of its output: hence the subshell. Others may read neither note,
 * and the command has the umask that it would have anywhere: hence two more.
 */
const SCRIPT = `
read -r go <&3 || exit 125
set -C
(umask 077; echo "$$" > "$0/pid") || exit 125
set +C
trap : HUP INT TERM
exec 3>&2 2>/dev/null
(exec "$@" 2>&3 3>&-)
code=$?
(umask 077; echo "$code" > "$0/exit")
exit "$code"
`;

/** Adopted processes are looked at; a pid costs nothing to ask for. */
const LOOK_MS = 250;
/** Whether the pid still is that process, which a zombie is not, every 5 s: on macOS it costs a process to ask. */
const IDENTITY_LOOKS = 20;

export interface KeptRequest {
  readonly directory: RunDirectory;
  readonly argv: Argv;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly listener: FollowerListener;
  /** Called before the command is let go: who ends it should we be killed knows of it by then. */
  readonly onPid: (pid: number) => void;
}

interface Exit {
  readonly exitCode: number | null;
  readonly signal: string | null;
}

export class KeptProcess implements RunningProcess {
  readonly pid: number | undefined;
  readonly ended: Promise<ProcessEnd>;
  readonly gone: Promise<void>;
  readonly #stopping: GroupStop;
  #hasExited = false;

  /** `exit`: null when nobody knows how it ended. */
  private constructor(
    pid: number | undefined,
    exit: Promise<Exit | Error | null>,
    output: OutputFollower | null,
  ) {
    this.pid = pid;
    this.#stopping = new GroupStop(pid);
    this.ended = exit.then(async (how) => {
      this.#hasExited = true;
      // Its task is about to be given back: what is left of it may still be at work on that.
      if (how === null) await this.#stopping.clear();
      const tails = output?.close() ?? { stdout: '', stderr: '' };
      if (how === null) return { kind: 'vanished' };
      return how instanceof Error
        ? { kind: 'not_started', error: how }
        : { kind: 'exited', ...how, ...tails };
    });
    this.gone = this.ended.then(() => this.#stopping.clear());
  }

  /** Throws what the file system says. */
  static start(request: KeptRequest): KeptProcess {
    const { directory, argv, cwd, env, listener, onPid } = request;
    const stdio: number[] = [];
    let output: OutputFollower | undefined;
    try {
      stdio.push(openSync(directory.file('task.json'), 'r'));
      for (const name of ['stdout', 'stderr'] as const)
        stdio.push(openSync(directory.file(name), 'a', 0o600));
      // What can go wrong goes wrong before there is a process: one that runs is never said not to have started.
      output = new OutputFollower(directory, listener);
      const child = spawn('/bin/sh', ['-c', SCRIPT, directory.path, ...argv], {
        cwd,
        env,
        stdio: [...stdio, 'pipe'],
        detached: true,
      });
      letGo(child, onPid);
      return new KeptProcess(child.pid, exitOf(child), output);
    } catch (error) {
      output?.close();
      throw error;
    } finally {
      for (const descriptor of stdio) closeSync(descriptor);
    }
  }

  /** What an earlier dispatcher has left: it runs, it has ended meanwhile, or it has never begun. Never throws. */
  static adopt(directory: RunDirectory, listener: FollowerListener): KeptProcess {
    const output = followLeftOutput(directory, listener);
    const pid = directory.bar() ? undefined : directory.readPid();
    const isRunning = pid !== undefined && hasArgument(pid, directory.path);
    if (isRunning) return new KeptProcess(pid, exitOfAdopted(pid, directory), output);
    // Its group may have outlived it. That keeps its pid from being anybody else's, but not over a boot or in another container.
    const isLeaderGone = pid !== undefined && directory.isOfThisPidSpace && startTimeOf(pid) === null;
    return new KeptProcess(isLeaderGone ? pid : undefined, Promise.resolve(exitIn(directory)), output);
  }

  get hasExited(): boolean {
    return this.#hasExited;
  }

  stop(): void {
    this.#stopping.stop();
  }

  kill(): void {
    this.#stopping.kill();
  }
}

function letGo(child: ChildProcess, onPid: KeptRequest['onPid']): void {
  const gate = child.stdio[3];
  if (!(gate instanceof Writable)) return;
  // It may have been ended before.
  gate.on('error', () => undefined);
  try {
    if (child.pid !== undefined) onPid(child.pid);
  } catch (error) {
    gate.destroy();
    throw error;
  }
  gate.end('\n');
}

async function exitOf(child: ChildProcess): Promise<Exit | Error> {
  const error = await new Promise<Error | null>((resolve) => {
    // Every one of them: an error that nobody listens for would end the dispatcher.
    child.on('error', resolve);
    child.once('exit', () => resolve(null));
  });
  if (error !== null && child.pid === undefined) return error;
  return { exitCode: child.exitCode, signal: child.signalCode };
}

/** null: it cannot be read, and the process goes on unheard. */
function followLeftOutput(directory: RunDirectory, listener: FollowerListener): OutputFollower | null {
  try {
    for (const name of ['stdout', 'stderr'] as const) closeSync(openSync(directory.file(name), 'a', 0o600));
    return new OutputFollower(directory, listener);
  } catch (error) {
    listener.onTrouble(
      `its output cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    );
    return null;
  }
}

async function exitOfAdopted(pid: number, directory: RunDirectory): Promise<Exit | null> {
  for (let look = 1; directory.readExitCode() === undefined && isThere(pid); look += 1) {
    if (look % IDENTITY_LOOKS === 0 && !hasArgument(pid, directory.path)) break;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  return exitIn(directory);
}

/** null: there is no note that can be read. It was killed with its shell, its directory was swept away, or the disk is full. */
function exitIn(directory: RunDirectory): Exit | null {
  const exitCode = directory.readExitCode();
  return exitCode === undefined ? null : { exitCode, signal: null };
}

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
