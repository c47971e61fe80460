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
  /** The party's own database, made at the first call. */
  databaseUrlFor(party: string): Promise<string>;
  /** Before every measurement, so that none pays for the dirty pages of the one before it. */
  checkpoint(): Promise<void>;
  /** Progress, for people. */
  report(line: string): void;
  close(): Promise<void>;
}

/** Root's own temporary directories are closed to the account that runs Postgres; it must be able to pass. */
const PASSABLE_MODE = 0o711;

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
  return {
    options,
    signal,
    postgresVersion: embedded.version,
    postmasterPid: Number.parseInt(await readFile(join(embedded.clusterDir, 'postmaster.pid'), 'utf8'), 10),
    adminKey: randomBytes(24).toString('hex'),
    scratchDir,
    databaseUrlFor: async (party) => {
      const name = `bench_${party.replaceAll('-', '_')}`;
      if (!databases.has(name)) await admin`CREATE DATABASE ${admin(name)}`;
      databases.add(name);
      const url = new URL(embedded.url);
      url.pathname = `/${name}`;
      return url.href;
    },
    checkpoint: async () => {
      await admin`CHECKPOINT`;
    },
    report: (line) => void process.stderr.write(`${line}\n`),
    close: async () => {
      try {
        await admin.end({ timeout: 1 });
        await embedded.stop();
      } finally {
        await removeScratch();
      }
    },
  };
}
