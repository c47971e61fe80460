/** The parties by name, and how each is started for one measurement. Only one of them works at any time. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Bench } from './bench.ts';
import type { DriverTarget } from './driver.ts';
import { DriverProcess, type DriverProgram } from './driver-process.ts';
import { startServerProcess } from './lanekeeper/server-process.ts';
import { findRedisServer, startRedisServer } from './redis-server.ts';

export type PartyName = 'lanekeeper' | 'raw client' | 'graphile-worker' | 'pg-boss' | 'bullmq';

export interface PartyOptions {
  /** Ours only. Default: one. */
  readonly servers?: number;
  /** Default: the party's own. */
  readonly database?: string;
}

export interface Party {
  readonly driver: DriverProcess;
  /** Whose processor time is worth a look, by name. */
  readonly pids: Readonly<Record<string, readonly number[]>>;
  close(): Promise<void>;
}

/** A process that is ended with the party. */
interface Started {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

const BENCH_DIR = fileURLToPath(new URL('.', import.meta.url));
const DRIVERS = {
  lanekeeper: new URL('lanekeeper/driver.ts', import.meta.url),
  'raw client': new URL('lanekeeper/raw-client.ts', import.meta.url),
  'graphile-worker': new URL('peers/graphile-worker.ts', import.meta.url),
  'pg-boss': new URL('peers/pg-boss.ts', import.meta.url),
  bullmq: new URL('peers/bullmq.ts', import.meta.url),
} as const;

/** Why this party cannot take part here, or null. */
export function missingFor(name: PartyName): string | null {
  if (name === 'bullmq' && findRedisServer() === null)
    return 'redis-server is not on the PATH (Debian: apt-get install redis-server)';
  return null;
}

export async function openParty(
  name: PartyName,
  bench: Bench,
  { servers = 1, database = name }: PartyOptions = {},
): Promise<Party> {
  switch (name) {
    case 'lanekeeper':
      return openLanekeeper(await bench.databaseUrlFor(database), { count: servers, name: database }, bench);
    case 'bullmq': {
      const redis = await startRedisServer(join(bench.scratchDir, 'redis'));
      return openWith([redis], { file: DRIVERS[name], execPath: findPeersNode() }, bench, {});
    }
    case 'raw client':
      return openOnDatabase({ file: DRIVERS[name] }, database, bench);
    case 'graphile-worker':
    case 'pg-boss':
      return openOnDatabase({ file: DRIVERS[name], execPath: findPeersNode() }, database, bench);
  }
}

async function openOnDatabase(program: DriverProgram, database: string, bench: Bench): Promise<Party> {
  const target = { urls: [await bench.databaseUrlFor(database)], adminKey: '' };
  const driver = await DriverProcess.open(program, target, bench.signal);
  return {
    driver,
    pids: { client: [driver.pid], postgres: [bench.postmasterPid] },
    close: () => driver.close(),
  };
}

async function openLanekeeper(
  databaseUrl: string,
  { count, name }: { readonly count: number; readonly name: string },
  bench: Bench,
): Promise<Party> {
  const { adminKey, options } = bench;
  const servers: Started[] = [];
  try {
    for (let number = 0; number < count; number += 1)
      servers.push(
        await startServerProcess({
          databaseUrl,
          adminKey,
          dataDir: join(bench.scratchDir, `server-${name}-${number}`),
          nodeFlags:
            options.profileDir === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.profileDir}`],
        }),
      );
  } catch (error) {
    await stopAll(servers);
    throw error;
  }
  return openWith(servers, { file: DRIVERS.lanekeeper }, bench, { postgres: [bench.postmasterPid] });
}

/** A driver on what was started for it; the one ends with the other. */
async function openWith(
  servers: readonly Started[],
  program: DriverProgram,
  { adminKey, signal }: Bench,
  pids: Party['pids'],
): Promise<Party> {
  const target: DriverTarget = { urls: servers.map(({ url }) => url), adminKey };
  try {
    const driver = await DriverProcess.open(program, target, signal);
    return {
      driver,
      pids: { client: [driver.pid], server: servers.map(({ pid }) => pid), ...pids },
      close: async () => {
        try {
          await driver.close();
        } finally {
          await stopAll(servers);
        }
      },
    };
  } catch (error) {
    await stopAll(servers);
    throw error;
  }
}

async function stopAll(started: readonly Started[]): Promise<void> {
  await Promise.all(started.map((one) => one.stop()));
}

/** The peers need Node 22.18 or newer, which also runs their drivers' types away without a build. */
export function findPeersNode(): string {
  const modules = join(BENCH_DIR, 'node_modules');
  const installed = join(modules, 'node', 'bin', 'node');
  if (existsSync(installed)) return installed;
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (existsSync(modules) && (major > 22 || (major === 22 && minor >= 18))) return process.execPath;
  throw new Error(
    'The peers or the Node that they need are not installed: run `npm ci` in bench, with install scripts allowed.',
  );
}
