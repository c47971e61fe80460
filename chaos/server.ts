/**
 * One of the real servers, in a process of its own between two proxies: what it serves comes through one, its database through the other.
 * Both keep their ports, so that nobody has to be told when the server is another process.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { waitUntil } from './deadline.ts';
import { TcpProxy } from './tcp-proxy.ts';

export interface ServerOptions {
  readonly number: number;
  /** dist/server/main.js, or a copy of it with a bug. */
  readonly program: string;
  readonly databaseUrl: string;
  readonly adminKey: string;
  readonly dataDir: string;
  /** It ended by itself: it never should. */
  readonly onUnexpectedEnd: (detail: string) => void;
}

/** Starts while others are being killed, and while Postgres may be away. */
const READY_WITHIN_MS = 60_000;
/** What runs servers starts one again that did not come up: here, because its database was cut off just then. */
const START_AGAIN_MS = 500;
/** The server gives itself 5 s. */
const STOP_WITHIN_MS = 8000;
/** Ends the server when we are gone, even by kill -9: the channel to us then closes. */
const ORPHAN_GUARD = `data:text/javascript,process.on('disconnect',()=>process.exit(1))`;

export class Server {
  readonly name: string;
  readonly front: TcpProxy;
  readonly back: TcpProxy;
  readonly #options: ServerOptions;
  readonly #log: number;
  #child: ChildProcess | null = null;
  #isEndExpected = false;
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

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** Ends it by the given signal; by force when it takes too long. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    this.#isEndExpected = true;
    const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS);
    await exited;
    clearTimeout(timer);
    this.#child = null;
    this.front.target = null;
  }

  /** Until it is ready, however often its start fails meanwhile. */
  async revive(): Promise<void> {
    this.#isEndExpected = false;
    const deadline = performance.now() + READY_WITHIN_MS;
    while (!this.#isClosed && !this.#isEndExpected && performance.now() < deadline) {
      if (await this.#start(deadline)) return;
      await delay(START_AGAIN_MS);
    }
    if (!this.#isClosed && !this.#isEndExpected)
      throw new Error(`${this.name} did not become ready: ${this.#logTail()}`);
  }

  async #start(deadline: number): Promise<boolean> {
    const child = this.#spawn();
    const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
    let isReady = false;
    this.#child = child;
    child.once('exit', (code, signal) => {
      if (isReady && !this.#isEndExpected)
        this.#options.onUnexpectedEnd(`${this.name} ended with ${signal ?? code}: ${this.#logTail()}`);
    });
    await waitUntil(() => {
      if (hasEnded()) return true;
      isReady = this.#readPort(child.pid);
      return isReady;
    }, deadline - performance.now());
    return isReady;
  }

  #spawn(): ChildProcess {
    const { databaseUrl, dataDir, adminKey, program } = this.#options;
    const url = new URL(databaseUrl);
    url.port = String(this.back.port);
    return spawn(process.execPath, ['--import', ORPHAN_GUARD, program, 'serve'], {
      stdio: ['ignore', this.#log, this.#log, 'ipc'],
      env: {
        PATH: process.env['PATH'],
        PORT: '0',
        DATABASE_URL: url.href,
        LANEKEEPER_DATA_DIR: dataDir,
        LANEKEEPER_ADMIN_KEY: adminKey,
        LANEKEEPER_LOG_LEVEL: 'warn',
      },
    });
  }

  /** The server notes its address when it is ready; what an earlier process noted names another pid. */
  #readPort(pid: number | undefined): boolean {
    const text = readFileSync(join(this.#options.dataDir, 'server.json'), 'utf8');
    const noted = JSON.parse(text) as { readonly url: string; readonly pid: number };
    if (noted.pid !== pid) return false;
    this.front.target = Number(new URL(noted.url).port);
    return true;
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
    this.#isEndExpected = true;
    this.#child?.kill('SIGKILL');
  }

  #logTail(): string {
    try {
      return readFileSync(join(this.#options.dataDir, 'server.log'), 'utf8').slice(-1500);
    } catch {
      return 'there is no log';
    }
  }
}
