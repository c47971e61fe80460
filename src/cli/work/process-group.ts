/**
 * One command in a process group of its own: started without a shell, fed through stdin, heard through pipes. It
 * lives no longer than the worker that started it, so nothing of it needs to be found again.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { OutputStream } from '../../client/worker/output-relay.ts';
import { within } from '../../client/worker/waiting.ts';
import { GroupStop, HAS_GROUPS } from '../worker/group-stop.ts';
import { OutputTail } from '../worker/output-tail.ts';
import type { Argv, OnOutput, ProcessEnd, RunningProcess } from '../worker/running-process.ts';

export interface ProcessRequest {
  readonly argv: Argv;
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
  /** Of stdout and of stderr each. */
  readonly tailBytesMax: number;
  readonly onOutput?: OnOutput | undefined;
}

/** How long output may still arrive after the command itself has exited; a guess: pipes of the dead drain in microseconds. */
const LATE_OUTPUT_MS = 1_000;

export class ProcessGroup implements RunningProcess {
  readonly ended: Promise<ProcessEnd>;
  readonly gone: Promise<void>;
  readonly #child: ChildProcess;
  readonly #stopping: GroupStop;
  readonly #stdout: OutputTail;
  readonly #stderr: OutputTail;

  private constructor(child: ChildProcess, request: ProcessRequest) {
    this.#child = child;
    this.#stopping = new GroupStop(child.pid, (signal) => child.kill(signal));
    this.#stdout = this.#collect('stdout', request);
    this.#stderr = this.#collect('stderr', request);
    feed(child, request.stdin);
    this.ended = this.#waitForEnd();
    this.gone = this.ended.then(() => this.#clearUp());
  }

  static start(request: ProcessRequest): ProcessGroup {
    const [command, ...rest] = request.argv;
    const child = spawn(command, rest, {
      env: request.env,
      stdio: ['pipe', 'pipe', 'pipe'],
      // Makes it the leader of a new session, and so of a group that has its pid.
      detached: HAS_GROUPS,
      windowsHide: true,
    });
    return new ProcessGroup(child, request);
  }

  /** undefined when the command could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  get hasExited(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  stop(): void {
    this.#stopping.stop();
  }

  kill(): void {
    this.#stopping.kill();
  }

  #collect(name: OutputStream, { tailBytesMax, onOutput }: ProcessRequest): OutputTail {
    const tail = new OutputTail(tailBytesMax);
    this.#child[name]?.on('data', (chunk: Buffer) => {
      tail.push(chunk);
      onOutput?.(name, chunk);
    });
    return tail;
  }

  async #waitForEnd(): Promise<ProcessEnd> {
    const child = this.#child;
    // Listened for from the start: 'close' may come in the same tick as 'exit'.
    const closed = new Promise((resolve) => child.once('close', resolve));
    const startError = await new Promise<Error | null>((resolve) => {
      child.once('error', resolve);
      child.once('exit', () => resolve(null));
    });
    if (startError !== null && child.pid === undefined) return { kind: 'not_started', error: startError };
    // 'exit' comes when the command is dead, 'close' when all that it wrote has been read. A background process
    // that inherited the pipes would hold 'close' back for as long as it lives.
    await within(closed, LATE_OUTPUT_MS);
    return {
      kind: 'exited',
      exitCode: child.exitCode,
      signal: child.signalCode,
      stdout: this.#stdout.text(),
      stderr: this.#stderr.text(),
    };
  }

  async #clearUp(): Promise<void> {
    await this.#stopping.clear();
    this.#child.stdout?.destroy();
    this.#child.stderr?.destroy();
  }
}

function feed(child: ChildProcess, text: string): void {
  // A command that does not read its stdin closes it under our hands (EPIPE): its right.
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(text);
}
