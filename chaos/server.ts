/**
 * One of the real servers, in a process of its own between two proxies: what it serves comes through one, its database through the other.
 * Both keep their ports, so that nobody has to be told when the server is another process.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { waitUntil } from './deadline.ts';
import type { FakeClock } from './fake-clock.ts';
import { TcpProxy } from './tcp-proxy.ts';

export interface ServerOptions {
  readonly number: number;
  /** dist/server/main.js, or a copy of it with a bug. */
  readonly program: string;
  readonly databaseUrl: string;
  readonly adminKey: string;
  readonly dataDir: string;
  /** null: its clock is the machine's. */
  readonly clock: FakeClock | null;
  /** It ended by itself: it never should. */
  readonly onUnexpectedEnd: (detail: string) => void;
}

/** Starts while others are being killed, and while Postgres may be away. */
const READY_WITHIN_MS = 60_000;
/** What runs servers starts one again that did not come up: here, because its database was cut off just then. */
const START_AGAIN_MS = 500;
/** The server gives itself 5 s. */
const STOP_WITHIN_MS = 8000;
/** Of a server and the one that replaces it. */
const PLACES = 2;
/** Ends the server when we are gone, even by kill -9: the channel to us then closes. */
const ORPHAN_GUARD = `data:text/javascript,process.on('disconnect',()=>process.exit(1))`;

export class Server {
  readonly name: string;
  readonly front: TcpProxy;
  readonly back: TcpProxy;
  readonly #options: ServerOptions;
  readonly #log: number;
  #child: ChildProcess | null = null;
  /** Those that end because we want it. */
  readonly #dismissed = new WeakSet<ChildProcess>();
  /** Two processes that overlap note their addresses in different places. */
  #starts = 0;
  /** Nothing starts any more: a fault that was under way when the run ended would otherwise revive it. */
  #isClosed = false;

  private constructor(options: ServerOptions, front: TcpProxy, back: TcpProxy) {
    this.#options = options;
    this.name = `server-${options.number}`;
    this.front = front;
    this.back = back;
    mkdirSync(options.dataDir, { recursive: true });
    this.#log = openSync(join(options.dataDir, 'server.log'), 'a');
  }

  static async start(options: ServerOptions): Promise<Server> {
    const server = new Server(options, await TcpProxy.open(), await TcpProxy.open());
    server.back.target = Number(new URL(options.databaseUrl).port);
    try {
      await server.revive();
      return server;
    } catch (error) {
      await server.close();
      throw error;
    }
  }

  /** As its clients know it. */
  get url(): string {
    return `http://127.0.0.1:${this.front.port}`;
  }

  get clock(): FakeClock | null {
    return this.#options.clock;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** Ends it by the given signal; by force when it takes too long. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    await this.#dismiss(child, signal);
    this.#child = null;
    this.front.target = null;
  }

  /** Until it is ready, however often its start fails meanwhile. */
  async revive(): Promise<void> {
    const started = await this.#startUntilReady();
    if (started === null) return;
    this.#child = started.child;
    this.front.target = started.port;
  }

  /**
   * By one that is ready before this one is asked to stop, as a rolling restart does it: new connections go to the new one, and those that
   * there are stay with the old one until it has drained. `onSwitched` is called in between.
   */
  async replace(onSwitched: () => void): Promise<void> {
    const old = this.#child;
    const started = await this.#startUntilReady();
    if (started === null) return;
    this.#child = started.child;
    this.front.target = started.port;
    onSwitched();
    if (old !== null) await this.#dismiss(old, 'SIGTERM');
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.signal('SIGCONT');
    await this.end('SIGTERM');
    await this.front.close();
    await this.back.close();
  }

  /** At once, as far as one can: for the end of this process. */
  kill(): void {
    this.#isClosed = true;
    const child = this.#child;
    if (child === null) return;
    this.#dismissed.add(child);
    child.kill('SIGKILL');
    this.clock?.forget(child.pid);
  }

  async #dismiss(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    this.#dismissed.add(child);
    if (hasEnded(child)) return;
    const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS);
    await exited;
    clearTimeout(timer);
  }

  /** null: nothing is to start any more. */
  async #startUntilReady(): Promise<Started | null> {
    const deadline = performance.now() + READY_WITHIN_MS;
    while (!this.#isClosed && performance.now() < deadline) {
      const started = await this.#start(deadline);
      if (started !== null) return started;
      await delay(START_AGAIN_MS);
    }
    if (this.#isClosed) return null;
    throw new Error(`${this.name} did not become ready: ${this.#logTail()}`);
  }

  async #start(deadline: number): Promise<Started | null> {
    this.#starts += 1;
    const place = join(this.#options.dataDir, `place-${this.#starts % PLACES}`);
    const child = this.#spawn(place);
    let port: number | null = null;
    child.once('exit', (code, signal) => {
      this.clock?.forget(child.pid);
      if (port !== null && !this.#dismissed.has(child))
        this.#options.onUnexpectedEnd(`${this.name} ended with ${signal ?? code}: ${this.#logTail()}`);
    });
    await waitUntil(() => {
      if (hasEnded(child) || this.#isClosed) return true;
      port = readPort(place, child.pid);
      return port !== null;
    }, deadline - performance.now());
    if (port !== null && !this.#isClosed) return { child, port };
    await this.#dismiss(child, 'SIGKILL');
    return null;
  }

  #spawn(place: string): ChildProcess {
    const { databaseUrl, adminKey, program, clock } = this.#options;
    const url = new URL(databaseUrl);
    url.port = String(this.back.port);
    return spawn(process.execPath, ['--import', ORPHAN_GUARD, program, 'serve'], {
      stdio: ['ignore', this.#log, this.#log, 'ipc'],
      env: {
        PATH: process.env['PATH'],
        PORT: '0',
        DATABASE_URL: url.href,
        LANEKEEPER_DATA_DIR: place,
        LANEKEEPER_ADMIN_KEY: adminKey,
        LANEKEEPER_LOG_LEVEL: 'warn',
        ...clock?.environment,
      },
    });
  }

  #logTail(): string {
    try {
      return readFileSync(join(this.#options.dataDir, 'server.log'), 'utf8').slice(-1500);
    } catch {
      return 'there is no log';
    }
  }
}

interface Started {
  readonly child: ChildProcess;
  readonly port: number;
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

/** The server notes its address when it is ready; what an earlier process noted names another pid. */
function readPort(place: string, pid: number | undefined): number | null {
  const text = readFileSync(join(place, 'server.json'), 'utf8');
  const noted = JSON.parse(text) as { readonly url: string; readonly pid: number };
  return noted.pid === pid ? Number(new URL(noted.url).port) : null;
}
