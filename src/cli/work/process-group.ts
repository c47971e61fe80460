/**
 * One command in a process group of its own: started without a shell, fed through stdin, stopped as a whole.
 * Knows nothing of tasks, so that everything that runs commands for tasks can share it. A plain `child.kill()`
 * was not enough: it leaves behind whatever the command itself has started.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { OutputTail } from './output-tail.ts';
import { within } from './waiting.ts';

export type Argv = readonly [command: string, ...rest: string[]];
export type OutputStream = 'stdout' | 'stderr';

export interface ProcessRequest {
  readonly argv: Argv;
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
  /** Of stdout and of stderr each. */
  readonly tailBytesMax: number;
  readonly onOutput?: ((stream: OutputStream, chunk: Uint8Array) => void) | undefined;
}

export type ProcessEnd =
  /** stdout and stderr are the tails. Exactly one of exitCode and signal is not null. */
  | {
      readonly kind: 'exited';
      readonly exitCode: number | null;
      readonly signal: string | null;
      readonly stdout: string;
      readonly stderr: string;
    }
  | { readonly kind: 'not_started'; readonly error: Error };

/** Between TERM and KILL: the wire's promise to commands (docs: five seconds to clean up). */
const KILL_AFTER_MS = 5_000;

/** How long output may still arrive after the command itself has exited; a guess: pipes of the dead drain in microseconds. */
const LATE_OUTPUT_MS = 1_000;

/** How often a group that was told to end is looked at; ten times a second is free and feels immediate. */
const POLL_MS = 100;

const HAS_GROUPS = process.platform !== 'win32';

export class ProcessGroup {
  /** Resolves when the command has exited, never rejects. What it left running is stopped in the background. */
  readonly ended: Promise<ProcessEnd>;
  /** Resolves when no process of the group is left. */
  readonly gone: Promise<void>;
  readonly #child: ChildProcess;
  readonly #stdout: OutputTail;
  readonly #stderr: OutputTail;
  #isStopping = false;
  #isGone = false;

  private constructor(child: ChildProcess, request: ProcessRequest) {
    this.#child = child;
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

  /** The command itself is dead, though `ended` may still wait for its last output. */
  get hasExited(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** TERM to the whole group, KILL after five seconds. Harmless when repeated or too late. */
  stop(): void {
    if (this.#isStopping || this.#isGone) return;
    this.#isStopping = true;
    this.#signal('SIGTERM');
    const timer = setTimeout(() => this.kill(), KILL_AFTER_MS);
    void this.gone.then(() => clearTimeout(timer));
  }

  /** KILL to the whole group, now. */
  kill(): void {
    if (!this.#isGone) this.#signal('SIGKILL');
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
    if (this.#isAlive()) this.stop();
    while (this.#isAlive()) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    this.#isGone = true;
    this.#child.stdout?.destroy();
    this.#child.stderr?.destroy();
  }

  /** Bounded although it asks nobody: stop() has set the KILL that ends every process. */
  #isAlive(): boolean {
    return HAS_GROUPS && this.#signal(0);
  }

  #signal(signal: NodeJS.Signals | 0): boolean {
    const { pid } = this.#child;
    if (pid === undefined) return false;
    try {
      return HAS_GROUPS ? process.kill(-pid, signal) : this.#child.kill(signal);
    } catch (error) {
      // ESRCH: nobody is left. EPERM: only processes that have become another user's, which we cannot end.
      if (error instanceof Error && 'code' in error) return false;
      throw error;
    }
  }
}

function feed(child: ChildProcess, text: string): void {
  // A command that does not read its stdin closes it under our hands (EPIPE): its right.
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(text);
}
