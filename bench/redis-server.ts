/** A Redis of the benchmark's own, in a process that is gone afterwards: its defaults (snapshots, no append-only file), loopback. */
import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { pauseMs } from './window.ts';

export interface RedisServer {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

const HOST = '127.0.0.1';
const PROGRAM = 'redis-server';
/** It starts in some 20 ms on an empty directory. */
const START_DEADLINE_MS = 5000;
const LOOK_MS = 10;

/** Where Debian and others put it, or null. */
export function findRedisServer(): string | null {
  const directories = (process.env['PATH'] ?? '').split(delimiter).filter((directory) => directory !== '');
  const programs = directories.map((directory) => join(directory, PROGRAM));
  return programs.find(isExecutable) ?? null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export async function startRedisServer(dataDir: string): Promise<RedisServer> {
  const program = findRedisServer();
  if (program === null) throw new Error(`${PROGRAM} is not on the PATH`);
  // A snapshot of an earlier one would be loaded.
  await rm(dataDir, { recursive: true, force: true });
  await mkdir(dataDir, { recursive: true });
  const port = await findFreePort();
  const child = spawn(
    program,
    ['--port', String(port), '--bind', HOST, '--dir', dataDir, '--appendonly', 'no'],
    {
      stdio: 'ignore',
    },
  );
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  const stop = async (): Promise<void> => {
    // Nothing of it is worth a last snapshot.
    child.kill('SIGKILL');
    await exited;
  };
  const deadline = performance.now() + START_DEADLINE_MS;
  while (performance.now() < deadline && child.exitCode === null) {
    if (await isListening(port)) return { url: `redis://${HOST}:${port}`, pid: child.pid ?? 0, stop };
    await pauseMs(LOOK_MS);
  }
  await stop();
  throw new Error(`${PROGRAM} did not become ready`);
}

function findFreePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, HOST, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: HOST, port });
    const settle = (is: boolean) => (): void => {
      socket.destroy();
      resolve(is);
    };
    socket.once('connect', settle(true));
    socket.once('error', settle(false));
  });
}
