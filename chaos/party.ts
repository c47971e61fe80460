/** One process of the load: started, signalled, killed and started again under a name that says which life it is in. */
import { type ChildProcess, fork } from 'node:child_process';
import { setPriority } from 'node:os';
import type { FakeClock } from './fake-clock.ts';
import type { AtMs } from './history.ts';
import { nowMs } from './recorder.ts';
import type { PartyConfig, PartyMessage, PartyOrder } from './workload/party-channel.ts';

export interface PartyOptions {
  readonly program: string;
  /** Such as "worker-3"; the process calls itself worker-3.1 and, after its first death, worker-3.2. */
  readonly name: string;
  readonly config: Omit<PartyConfig, 'process'>;
  /** Of the scheduler: above 0 for what may wait when a server needs the processor to come back. */
  readonly niceness?: number;
  /** Default: its clock is the machine's. */
  readonly clock?: FakeClock;
  readonly onTrouble: (detail: string) => void;
}

/** Most of what is given is worked on for longer. */
const NEW_MS = 100;

export class Party {
  readonly name: string;
  readonly #options: PartyOptions;
  #child: ChildProcess | null = null;
  #exited: Promise<void> = Promise.resolve();
  #life = 0;
  #isEndExpected = false;
  #hasJoined = false;
  #held = 0;
  #givenAt: AtMs = 0;
  #seq = 0;
  #isClosed = false;

  constructor(options: PartyOptions) {
    this.name = options.name;
    this.#options = options;
    this.start();
  }

  /** As its history has it. */
  get process(): string {
    return `${this.name}.${this.#life}`;
  }

  /** Its first life, at least, has begun. */
  get hasJoined(): boolean {
    return this.#hasJoined;
  }

  get clock(): FakeClock | null {
    return this.#options.clock ?? null;
  }

  /** It was given something, and has not said yet what became of it. */
  get isHolding(): boolean {
    return this.#held > 0;
  }

  /** It holds something that it was given a moment ago: the system is well enough to give, and there is more to come of it. */
  get hasNewWork(): boolean {
    return this.isHolding && nowMs() - this.#givenAt < NEW_MS;
  }

  /** Of a watcher: how far it had come when it was last asked. */
  get seq(): number {
    return this.#seq;
  }

  start(): void {
    if (this.#isClosed) return;
    const { program, config, niceness, onTrouble } = this.#options;
    this.#life += 1;
    this.#held = 0;
    this.#isEndExpected = false;
    const child = fork(program, {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      execArgv: [],
      env: { ...process.env, ...this.clock?.environment },
    });
    this.#child = child;
    this.#exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        this.clock?.forget(child.pid);
        if (!this.#isEndExpected && code !== 0) onTrouble(`${this.process} ended with ${signal ?? code}`);
        resolve();
      });
    });
    // A channel to a process that has just died.
    child.on('error', (error) => {
      if (!this.#isEndExpected) onTrouble(`${this.process}: ${error.message}`);
    });
    child.on('message', (message: PartyMessage) => {
      if (message.told === 'joined') this.#hasJoined = true;
      else if (message.told === 'holding') {
        if (message.count > this.#held) this.#givenAt = nowMs();
        this.#held = message.count;
      } else this.#seq = message.seq;
    });
    if (niceness !== undefined && child.pid !== undefined) setPriority(child.pid, niceness);
    child.send({ ...config, process: this.process } satisfies PartyConfig);
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child?.kill(signal);
  }

  /** For ever: it is not started again, whoever asks. */
  close(): Promise<void> {
    this.#isClosed = true;
    return this.kill();
  }

  async kill(): Promise<void> {
    this.#isEndExpected = true;
    this.#child?.kill('SIGKILL');
    // Now and not at its exit: we may be gone before.
    this.clock?.forget(this.#child?.pid);
    await this.#exited;
  }

  order(order: PartyOrder): void {
    const child = this.#child;
    if (child?.connected) child.send(order, () => undefined);
  }

  /** Resolves when it has ended by itself, or was ended at the deadline; answers whether it ended by itself. */
  async ended(deadlineMs: number): Promise<boolean> {
    let isForced = false;
    const timer = setTimeout(() => {
      isForced = true;
      void this.kill();
    }, deadlineMs);
    await this.#exited;
    clearTimeout(timer);
    return !isForced;
  }
}
