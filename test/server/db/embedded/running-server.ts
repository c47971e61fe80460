/**
 * Runs the database child as a given account and listens to what it says.
 */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';

import type { RunAs } from '../../../../src/server/db/embedded/account.ts';
import { spawnIdentity } from '../../../../src/server/db/embedded/account.ts';
import type { Checkout } from './checkout.ts';

export interface ServerEvent {
  readonly event: string;
  readonly [field: string]: unknown;
}

export interface ReadyEvent {
  readonly url: string;
  readonly version: string;
  readonly clusterDir: string;
  readonly notice: string | null;
  readonly account: string | null;
  readonly millis: number;
}

export interface FailedEvent {
  readonly code: string | null;
  readonly message: string;
}

export interface ServerOptions {
  readonly checkout: Checkout;
  readonly runAs: RunAs;
  readonly dataDir: string;
  readonly systemDirectories?: readonly string[];
  readonly settings?: Readonly<Record<string, string>>;
}

/** A first start takes 1 s here; CI machines are slower, and a test that hangs should say where. */
const EVENT_DEADLINE_MILLIS = 30_000;
const QUICK = { fsync: 'off', shared_buffers: '16MB' };

export class RunningServer {
  readonly process: ChildProcess;
  readonly #events: ServerEvent[] = [];
  readonly #waiting = new Set<() => void>();
  #errors = '';

  constructor(options: ServerOptions) {
    const { checkout, runAs, dataDir, systemDirectories } = options;
    const argument = JSON.stringify({ dataDir, systemDirectories, settings: options.settings ?? QUICK });
    this.process = spawn(checkout.node, [checkout.program, argument], {
      ...spawnIdentity(runAs),
      cwd: '/',
      // A process group of its own, as a terminal gives to what it starts.
      detached: true,
      env: { PATH: '/usr/local/bin:/usr/bin:/bin', HOME: '/' },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.process.stdin?.on('error', () => undefined);
    this.process.stderr?.on('data', (chunk: Buffer) => {
      this.#errors += chunk.toString('utf8');
    });
    if (this.process.stdout !== null) {
      const lines = createInterface({ input: this.process.stdout });
      lines.on('line', (line) => this.#take(JSON.parse(line) as ServerEvent));
      lines.on('close', () => this.#take({ event: 'output ended' }));
    }
  }

  get pid(): number {
    if (this.process.pid === undefined) {
      throw new Error('the server process did not start');
    }
    return this.process.pid;
  }

  get logLines(): string[] {
    return this.#events.filter(({ event }) => event === 'log').map(({ line }) => String(line));
  }

  async ready(): Promise<ReadyEvent> {
    return (await this.next('ready')) as unknown as ReadyEvent;
  }

  async failed(): Promise<FailedEvent> {
    return (await this.next('failed')) as unknown as FailedEvent;
  }

  /** The first event of that kind, past or to come. */
  async next(kind: string): Promise<ServerEvent> {
    const deadline = performance.now() + EVENT_DEADLINE_MILLIS;
    for (;;) {
      const found = this.#events.find(({ event }) => event === kind);
      if (found !== undefined) {
        return found;
      }
      const isOver = this.#events.some(({ event }) => event === 'output ended');
      if (isOver || performance.now() > deadline) {
        throw new Error(`no "${kind}" from the server, but ${JSON.stringify(this.#events)} ${this.#errors}`);
      }
      await this.#change(deadline - performance.now());
    }
  }

  /** How its start ended, whichever way. */
  async outcome(): Promise<'ready' | 'failed'> {
    return Promise.any([
      this.ready().then(() => 'ready' as const),
      this.failed().then(() => 'failed' as const),
    ]);
  }

  async stop(): Promise<ServerEvent> {
    this.process.stdin?.write('stop\n');
    const stopped = await this.next('stopped');
    await this.ended();
    return stopped;
  }

  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.ended();
  }

  async ended(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) {
      return;
    }
    const patience = new AbortController();
    const isOver = await Promise.race([
      once(this.process, 'exit').then(() => true),
      delay(EVENT_DEADLINE_MILLIS, false, { signal: patience.signal }),
    ]);
    patience.abort();
    if (!isOver) {
      throw new Error(`the server did not end, but ${JSON.stringify(this.#events)} ${this.#errors}`);
    }
  }

  #take(event: ServerEvent): void {
    this.#events.push(event);
    for (const wake of this.#waiting) {
      wake();
    }
  }

  #change(millis: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, Math.max(0, millis));
      this.#waiting.add(wake);
    });
  }
}
