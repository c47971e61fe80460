/** The parties by name, and how each is started for one measurement. Only one of them runs at any time. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Bench } from './bench.ts';
import { DriverProcess } from './driver-process.ts';
import { type ServerProcess, startServerProcess } from './lanekeeper/server-process.ts';

export type PartyName = 'lanekeeper' | 'graphile-worker' | 'pg-boss';

export interface Party {
  readonly driver: DriverProcess;
  /** Whose processor time is worth a look, by name. */
  readonly pids: Readonly<Record<string, number>>;
  close(): Promise<void>;
}

const PEERS_DIR = fileURLToPath(new URL('peers/', import.meta.url));
const OUR_DRIVER = new URL('lanekeeper/driver.ts', import.meta.url);
const PEER_DRIVERS = {
  'graphile-worker': new URL('peers/graphile-worker.ts', import.meta.url),
  'pg-boss': new URL('peers/pg-boss.ts', import.meta.url),
} as const;

export async function openParty(name: PartyName, bench: Bench): Promise<Party> {
  const databaseUrl = await bench.databaseUrlFor(name);
  if (name === 'lanekeeper') return openLanekeeper(databaseUrl, bench);
  const driver = await DriverProcess.open(
    { file: PEER_DRIVERS[name], execPath: findPeersNode() },
    { url: databaseUrl, adminKey: '' },
  );
  return {
    driver,
    pids: { client: driver.pid, postgres: bench.postmasterPid },
    close: () => driver.close(),
  };
}

async function openLanekeeper(databaseUrl: string, bench: Bench): Promise<Party> {
  const { adminKey, options } = bench;
  const server = await startServerProcess({
    databaseUrl,
    adminKey,
    dataDir: join(bench.scratchDir, 'server'),
    nodeFlags: options.profileDir === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.profileDir}`],
  });
  try {
    const driver = await DriverProcess.open({ file: OUR_DRIVER }, { url: server.url, adminKey });
    return {
      driver,
      pids: { client: driver.pid, server: server.pid, postgres: bench.postmasterPid },
      close: () => closeBoth(driver, server),
    };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

async function closeBoth(driver: DriverProcess, server: ServerProcess): Promise<void> {
  try {
    await driver.close();
  } finally {
    await server.stop();
  }
}

/** The peers need Node 22.18 or newer, which also runs their drivers' types away without a build. */
export function findPeersNode(): string {
  const installed = join(PEERS_DIR, 'node_modules', 'node', 'bin', 'node');
  if (existsSync(installed)) return installed;
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (existsSync(join(PEERS_DIR, 'node_modules')) && (major > 22 || (major === 22 && minor >= 18)))
    return process.execPath;
  throw new Error(
    'The peers or the Node that they need are not installed: run `npm ci` in bench/peers, with install scripts allowed.',
  );
}
