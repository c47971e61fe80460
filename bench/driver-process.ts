/** The benchmark's side of a driver: starts its process, calls it, and ends it for certain. */
import { type ChildProcess, fork } from 'node:child_process';
import type {
  CycleInput,
  CycleResult,
  Driver,
  DriverAnswer,
  DriverCall,
  DriverTarget,
  LatencyInput,
} from './driver.ts';

export interface DriverProgram {
  readonly file: URL;
  /** Another Node than ours; then without our loader. */
  readonly execPath?: string;
}

/** Above the longest call there is: filling a backlog on a slow disk. */
const CALL_DEADLINE_MS = 180_000;
const EXIT_DEADLINE_MS = 3000;

export class DriverProcess implements Driver {
  readonly #child: ChildProcess;
  readonly #calls = new Map<number, (answer: DriverAnswer) => void>();
  readonly #exited: Promise<void>;
  #lastId = 0;

  private constructor(program: DriverProgram) {
    this.#child = fork(program.file, {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      ...(program.execPath === undefined ? {} : { execPath: program.execPath, execArgv: [] }),
    });
    this.#child.on('message', (answer) => {
      const known = answer as DriverAnswer;
      this.#calls.get(known.id)?.(known);
    });
    this.#exited = new Promise((resolve) => {
      this.#child.once('exit', (code, signal) => {
        for (const [id, settle] of this.#calls)
          settle({ id, ok: false, message: `the driver ended: ${signal ?? code}` });
        resolve();
      });
    });
  }

  static async open(program: DriverProgram, target: DriverTarget): Promise<DriverProcess> {
    const driver = new DriverProcess(program);
    try {
      await driver.#call({ id: driver.#nextId(), method: 'open', input: target });
      return driver;
    } catch (error) {
      await driver.#end();
      throw error;
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async fill(pieces: number): Promise<void> {
    await this.#call({ id: this.#nextId(), method: 'fill', input: pieces });
  }

  async runCycles(input: CycleInput): Promise<CycleResult> {
    return (await this.#call({ id: this.#nextId(), method: 'runCycles', input })) as CycleResult;
  }

  async sampleLatency(input: LatencyInput): Promise<number[]> {
    return (await this.#call({ id: this.#nextId(), method: 'sampleLatency', input })) as number[];
  }

  async close(): Promise<void> {
    try {
      if (this.#child.connected) await this.#call({ id: this.#nextId(), method: 'close', input: null });
    } finally {
      await this.#end();
    }
  }

  #nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  async #call(call: DriverCall): Promise<unknown> {
    let timer: NodeJS.Timeout | undefined;
    try {
      const answer = await new Promise<DriverAnswer>((resolve) => {
        this.#calls.set(call.id, resolve);
        const fail = (message: string): void => resolve({ id: call.id, ok: false, message });
        timer = setTimeout(() => fail(`no answer within ${CALL_DEADLINE_MS} ms`), CALL_DEADLINE_MS);
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
