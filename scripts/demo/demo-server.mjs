// A server of the demo's own: a process with an empty data dir, which goes when the demo ends. Never an existing board: the demo fills it
// with things that nobody asked for.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { DIST } from '../ensure-built.mjs';

const PORT_DEFAULT = 7420;
/** Beside a server of one's own, and a few demos. */
const PORTS_TRIED = 20;
/** A first start makes a database, which takes seconds; on a busy machine many. */
const READY_MS = 90_000;
const LOOK_INTERVAL_MS = 50;
/** Then it is killed. It has nothing that is to outlive it. */
const STOP_MS = 10_000;

/** @typedef {{ url: string, adminKey: string, adminKeyFile: string, stop: () => Promise<void> }} DemoServer */

/**
 * @param {{ port: number | null }} options null: 7420, or the next that is free; 0: any
 * @returns {Promise<DemoServer>}
 */
export async function startDemoServer({ port }) {
  const dataDir = await mkdtemp(join(tmpdir(), 'lanekeeper-demo-'));
  // The database's account may pass through, so the cluster stays inside, and goes with it.
  await chmod(dataDir, 0o711);
  // None of the caller's settings: a DATABASE_URL would be somebody's own database.
  const child = spawn(process.execPath, [join(DIST, 'server/main.js'), 'serve'], {
    cwd: dataDir,
    env: {
      PATH: process.env['PATH'],
      HOME: dataDir,
      PORT: String(port ?? (await findFreePort())),
      LANEKEEPER_DATA_DIR: dataDir,
      LANEKEEPER_LOG_LEVEL: 'error',
    },
    stdio: ['ignore', 'ignore', 'inherit'],
    // A Ctrl-C of the terminal is for the demo, which has workers to end first.
    detached: true,
  });
  const exited = once(child, 'exit');
  const stop = async () => {
    child.kill('SIGTERM');
    const late = new AbortController();
    const patience = delay(STOP_MS, undefined, { signal: late.signal })
      .then(() => child.kill('SIGKILL'))
      .catch(() => undefined);
    if (child.exitCode === null && child.signalCode === null) await exited;
    late.abort();
    await patience;
    await rm(dataDir, { recursive: true, force: true, maxRetries: 3 });
  };
  try {
    const url = await untilReady(dataDir, child);
    const adminKeyFile = join(dataDir, 'admin-key');
    return { url, adminKey: (await readFile(adminKeyFile, 'utf8')).trim(), adminKeyFile, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * The server announces itself in its data dir once it listens.
 * @param {string} dataDir
 * @param {import('node:child_process').ChildProcess} child
 * @returns {Promise<string>}
 */
async function untilReady(dataDir, child) {
  const deadline = performance.now() + READY_MS;
  while (performance.now() < deadline && child.exitCode === null) {
    const announced = await readFile(join(dataDir, 'server.json'), 'utf8').catch(() => null);
    if (announced !== null) return JSON.parse(announced).url;
    await delay(LOOK_INTERVAL_MS);
  }
  throw new Error('The server of the demo did not start.');
}

/** @returns {Promise<number>} */
async function findFreePort() {
  for (let port = PORT_DEFAULT; port < PORT_DEFAULT + PORTS_TRIED; port += 1) {
    if (await isFree(port)) return port;
  }
  return 0;
}

/**
 * @param {number} port
 * @returns {Promise<boolean>}
 */
function isFree(port) {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}
