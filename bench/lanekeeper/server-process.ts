/** The real server in a process of its own, as `npm start` would run it, on a database of the benchmark's. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pauseMs } from '../window.ts';

export interface ServerProcess {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

export interface ServerOptions {
  readonly databaseUrl: string;
  readonly adminKey: string;
  readonly dataDir: string;
  /** Flags for Node itself, such as --cpu-prof. */
  readonly nodeFlags: readonly string[];
}

const MAIN = fileURLToPath(new URL('../../dist/server/main.js', import.meta.url));
/** The first start migrates the schema, which takes under a second. */
const START_DEADLINE_MS = 30_000;
/** The server gives itself 5 s. */
const STOP_DEADLINE_MS = 8000;
const LOOK_MS = 20;

export async function startServerProcess(options: ServerOptions): Promise<ServerProcess> {
  await mkdir(options.dataDir, { recursive: true });
  const log = await open(join(options.dataDir, 'server.log'), 'a');
  const child = spawn(process.execPath, [...(await readStartFlags()), ...options.nodeFlags, MAIN, 'serve'], {
    stdio: ['ignore', log.fd, log.fd],
    env: {
      PATH: process.env['PATH'],
      PORT: '0',
      DATABASE_URL: options.databaseUrl,
      LANEKEEPER_DATA_DIR: options.dataDir,
      LANEKEEPER_ADMIN_KEY: options.adminKey,
    },
  });
  await log.close();
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE_MS);
    await exited;
    clearTimeout(timer);
  };
  try {
    return { url: await waitForUrl(child, options.dataDir), pid: child.pid ?? 0, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The server notes its address in server.json when it is ready, and takes it back when it stops. */
async function waitForUrl(child: ChildProcess, dataDir: string): Promise<string> {
  const deadline = performance.now() + START_DEADLINE_MS;
  while (performance.now() < deadline && child.exitCode === null) {
    const text = await readFile(join(dataDir, 'server.json'), 'utf8').catch(() => '');
    if (text !== '') {
      const noted = JSON.parse(text) as { url: string; pid: number };
      if (noted.pid === child.pid) return noted.url;
    }
    await pauseMs(LOOK_MS);
  }
  const log = await readFile(join(dataDir, 'server.log'), 'utf8').catch(() => '');
  throw new Error(`the server did not become ready:\n${log.slice(-2000)}`);
}

/** Node's flags as `npm start` has them. */
async function readStartFlags(): Promise<string[]> {
  const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8');
  const { scripts } = JSON.parse(text) as { scripts: { start: string } };
  return scripts.start.split(' ').filter((word) => word.startsWith('--'));
}
