/**
 * What every scenario runs on: one Postgres that is thrown away, with its defaults and fsync on, and a database for each party.
 * Everything started here ends in `close`.
 */
import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../src/server/db/embedded/embedded-postgres.ts';
import type { BenchOptions } from './options.ts';

export interface Bench {
  readonly options: BenchOptions;
  readonly signal: AbortSignal;
  readonly postgresVersion: string;
  readonly postmasterPid: number;
  readonly adminKey: string;
  readonly scratchDir: string;
  /** The database of this name, made at the first call. Each party has its own. */
  databaseUrlFor(name: string): Promise<string>;
  /** For what only the database knows, and for filling it; ended with the benchmark. */
  sqlFor(name: string): Promise<postgres.Sql>;
  dropDatabase(name: string): Promise<void>;
  /** Before every measurement, so that none pays for the dirty pages of the one before it. */
  checkpoint(): Promise<void>;
  /** Progress, for people. */
  report(line: string): void;
  close(): Promise<void>;
}

/** Root's own temporary directories are closed to the account that runs Postgres; it must be able to pass. */
const PASSABLE_MODE = 0o711;

/** One for each half of a bulk fill. */
const CONNECTIONS_MAX = 2;

function databaseNameOf(name: string): string {
  return `bench_${name.replaceAll(/[^a-z0-9]/g, '_')}`;
}

export async function openBench(options: BenchOptions, signal: AbortSignal): Promise<Bench> {
  const scratchDir = await mkdtemp(join(tmpdir(), 'lanekeeper-bench-'));
  await chmod(scratchDir, PASSABLE_MODE);
  const removeScratch = (): Promise<void> => rm(scratchDir, { recursive: true, force: true });
  let embedded: EmbeddedPostgres;
  try {
    embedded = await startEmbeddedPostgres({
      dataDir: join(scratchDir, 'postgres'),
      log: () => undefined,
      signal,
    });
  } catch (error) {
    await removeScratch();
    throw error;
  }
  const admin = postgres(embedded.url, { max: 1, onnotice: () => undefined });
  const databases = new Set<string>();
  const connections = new Map<string, postgres.Sql>();
  const databaseUrlFor = async (name: string): Promise<string> => {
    const full = databaseNameOf(name);
    if (!databases.has(full)) await admin`CREATE DATABASE ${admin(full)}`;
    databases.add(full);
    const url = new URL(embedded.url);
    url.pathname = `/${full}`;
    return url.href;
  };
  return {
    options,
    signal,
    postgresVersion: embedded.version,
    postmasterPid: Number.parseInt(await readFile(join(embedded.clusterDir, 'postmaster.pid'), 'utf8'), 10),
    adminKey: randomBytes(24).toString('hex'),
    scratchDir,
    databaseUrlFor,
    sqlFor: async (name) => {
      const known = connections.get(name);
      if (known !== undefined) return known;
      const sql = postgres(await databaseUrlFor(name), { max: CONNECTIONS_MAX, onnotice: () => undefined });
      connections.set(name, sql);
      return sql;
    },
    dropDatabase: async (name) => {
      await connections.get(name)?.end({ timeout: 1 });
      connections.delete(name);
      const full = databaseNameOf(name);
      if (databases.delete(full)) await admin`DROP DATABASE ${admin(full)} WITH (FORCE)`;
    },
    checkpoint: async () => {
      await admin`CHECKPOINT`;
    },
    report: (line) => void process.stderr.write(`${line}\n`),
    close: async () => {
      try {
        await Promise.all([admin, ...connections.values()].map((sql) => sql.end({ timeout: 1 })));
        await embedded.stop();
      } finally {
        await removeScratch();
      }
    },
  };
}
