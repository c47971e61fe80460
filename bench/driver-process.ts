/** The benchmark's side of a driver: starts its process, calls it, and ends it for certain. */
import { type ChildProcess, fork } from 'node:child_process';
import type { DriverAnswer, DriverCall, DriverMethod, DriverTarget, InputOf, ResultOf } from './driver.ts';

export interface DriverProgram {
  readonly file: URL;
  /** Another Node than ours; then without our loader. */
  readonly execPath?: string;
}

/** Above the longest call but churn, whose own length is added: filling a backlog on a slow disk. */
const CALL_DEADLINE_MS = 180_000;
const EXIT_DEADLINE_MS = 3000;

export class DriverProcess {
  readonly #child: ChildProcess;
  readonly #calls = new Map<number, (answer: DriverAnswer) => void>();
  readonly #exited: Promise<void>;
  #lastId = 0;

  private constructor(program: DriverProgram, signal: AbortSignal) {
    this.#child = fork(program.file, {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      ...(program.execPath === undefined ? {} : { execPath: program.execPath, execArgv: [] }),
    });
    this.#child.on('message', (answer) => {
      const known = answer as DriverAnswer;
      this.#calls.get(known.id)?.(known);
    });
    const stop = (): void => this.#failCalls('the benchmark was stopped');
    signal.addEventListener('abort', stop);
    this.#exited = new Promise((resolve) => {
      this.#child.once('exit', (code, signalName) => {
        signal.removeEventListener('abort', stop);
        this.#failCalls(`the driver ended: ${signalName ?? code}`);
        resolve();
      });
    });
  }

  /** @param signal ends what is under way, so that nobody waits for the rest of a long measurement */
  static async open(
    program: DriverProgram,
    target: DriverTarget,
    signal: AbortSignal,
  ): Promise<DriverProcess> {
    const driver = new DriverProcess(program, signal);
    try {
      await driver.#send('open', target, CALL_DEADLINE_MS);
      return driver;
    } catch (error) {
      await driver.#end();
      throw error;
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** @param extraMs how much longer than other calls this one may take */
  async call<M extends DriverMethod>(method: M, input: InputOf<M>, extraMs = 0): Promise<ResultOf<M>> {
    return (await this.#send(method, input, CALL_DEADLINE_MS + extraMs)) as ResultOf<M>;
  }

  async close(): Promise<void> {
    try {
      if (this.#child.connected) await this.call('close', null);
    } finally {
      await this.#end();
    }
  }

  #failCalls(message: string): void {
    for (const [id, settle] of this.#calls) settle({ id, ok: false, message });
  }

  async #send(method: DriverCall['method'], input: unknown, deadlineMs: number): Promise<unknown> {
    this.#lastId += 1;
    const call: DriverCall = { id: this.#lastId, method, input };
    let timer: NodeJS.Timeout | undefined;
    try {
      const answer = await new Promise<DriverAnswer>((resolve) => {
        this.#calls.set(call.id, resolve);
        const fail = (message: string): void => resolve({ id: call.id, ok: false, message });
        timer = setTimeout(() => fail(`no answer within ${deadlineMs} ms`), deadlineMs);
        this.#child.send(call, (error) => {
          if (error !== null) fail(error.message);
        });
      });
      if (!answer.ok) throw new Error(`${call.method} failed: ${answer.message}`);
      return answer.value;
    } finally {
      clearTimeout(timer);
      this.#calls.delete(call.id);
    }
  }

  async #end(): Promise<void> {
    if (this.#child.connected) this.#child.disconnect();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), EXIT_DEADLINE_MS);
    await this.#exited;
    clearTimeout(timer);
  }
}
