/**
 * What every test of the embedded Postgres needs: a checkout, data dirs and servers of its own, and all of it gone
 * afterwards, also when the test failed halfway.
 */
import { chown, mkdir, readdir, realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import postgres from 'postgres';

import type { RunAs } from '../../../../src/server/db/embedded/account.ts';
import { chooseAccount, describeAccount } from '../../../../src/server/db/embedded/account.ts';
import { copyReadyCluster } from '../../../fixtures/ready-cluster.ts';
import type { Checkout } from './checkout.ts';
import { makeCheckout, makeSharedDirectory } from './checkout.ts';
import { listDatabaseProcesses, waitUntilNoProcess } from './database-processes.ts';
import type { ServerOptions } from './running-server.ts';
import { RunningServer } from './running-server.ts';

export interface Identity {
  readonly label: string;
  readonly runAs: RunAs;
}

/** As root: root, and a plain user that root becomes. As a plain user: that one only. */
export async function listIdentities(): Promise<readonly Identity[]> {
  const plain = await chooseAccount();
  if (plain === null) {
    return [{ label: 'a plain user', runAs: null }];
  }
  return [
    { label: 'root', runAs: null },
    { label: `a plain user (${describeAccount(plain)})`, runAs: plain },
  ];
}

/** One line instead of a silent pass, for guarantees that only root needs. */
export function sayLeftOut(guarantee: string): void {
  process.stderr.write(`left out, because only root can try it: ${guarantee}\n`);
}

export class TestBench {
  readonly directory: string;
  readonly checkout: Checkout;
  readonly #servers: RunningServer[] = [];
  #count = 0;

  static async make(label: string): Promise<TestBench> {
    const directory = await makeSharedDirectory(label);
    return new TestBench(directory, await makeCheckout(join(directory, 'checkout'), await chooseAccount()));
  }

  private constructor(directory: string, checkout: Checkout) {
    this.directory = directory;
    this.checkout = checkout;
  }

  /** Where root may keep things in tests, instead of /var/lib. */
  get systemDirectory(): string {
    return join(this.directory, 'system');
  }

  /** A fresh directory owned by whoever runs the server. */
  async makeDirectory(owner: RunAs, mode = 0o755): Promise<string> {
    this.#count += 1;
    const directory = join(this.directory, `directory-${this.#count}`);
    await mkdir(directory, { mode });
    if (owner !== null) {
      await chown(directory, owner.uid, owner.gid);
    }
    return directory;
  }

  async makeDataDir(owner: RunAs): Promise<string> {
    return join(await this.makeDirectory(owner), 'data');
  }

  /** With a database in it that a server of the owner's has made: for what is not about the first start, which takes half a second of a core. */
  async makeReadyDataDir(owner: RunAs): Promise<string> {
    const dataDir = await this.makeDataDir(owner);
    await mkdir(dataDir);
    await copyReadyCluster(dataDir);
    if (owner !== null) {
      // The cluster is the database account's already, which is this one.
      const own = (await readdir(dataDir)).filter((name) => name !== 'postgres');
      for (const path of ['', ...own]) await chown(join(dataDir, path), owner.uid, owner.gid);
    }
    return dataDir;
  }

  start(
    options: Partial<ServerOptions> & { readonly dataDir: string; readonly runAs: RunAs },
  ): RunningServer {
    const server = new RunningServer({
      checkout: this.checkout,
      systemDirectories: [this.systemDirectory],
      ...options,
    });
    this.#servers.push(server);
    return server;
  }

  /** Ends every server and every process on every cluster below, then removes the directory. */
  async clear(): Promise<void> {
    for (const server of this.#servers) {
      server.process.kill('SIGKILL');
      await server.ended();
    }
    for (const clusterDir of await this.#listClusters()) {
      for (const { pid } of await listDatabaseProcesses(clusterDir)) {
        killIfThere(pid);
      }
      await waitUntilNoProcess(clusterDir, 10_000);
    }
    await rm(this.directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }

  async #listClusters(): Promise<string[]> {
    const entries = await readdir(await realpath(this.directory), { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.name === 'postmaster.pid' || entry.name === 'PG_VERSION')
      .map((entry) => entry.parentPath)
      .filter((path) => !path.includes('/base/'));
  }
}

/** As long as a server may take to say anything. A test that hangs should say where. */
const QUERY_DEADLINE_MILLIS = 30_000;

/** One query on a connection of its own. */
export async function query(url: string, text: string): Promise<readonly Record<string, unknown>[]> {
  // Without fetch_types: that query of the driver's own is rejected with nobody listening when Postgres is killed.
  const sql = postgres(url, { max: 1, connect_timeout: 5, fetch_types: false });
  const patience = new AbortController();
  try {
    const rows = await Promise.race([
      sql.unsafe(text),
      delay(QUERY_DEADLINE_MILLIS, null, { signal: patience.signal }),
    ]);
    if (rows === null) {
      throw new UnansweredQuery(text);
    }
    return rows;
  } finally {
    patience.abort();
    await sql.end({ timeout: 1 });
  }
}

/** Occupies a process of the database until that is gone, which the client must see. */
export async function sleepInDatabase(url: string): Promise<void> {
  await query(url, 'SELECT pg_sleep(600)').catch((error: unknown) => {
    if (error instanceof UnansweredQuery) throw error;
  });
}

class UnansweredQuery extends Error {
  constructor(text: string) {
    super(`neither an answer nor an error within ${QUERY_DEADLINE_MILLIS} ms: ${text}`);
  }
}

export function killIfThere(pid: number, signal: NodeJS.Signals = 'SIGKILL'): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended by itself.
  }
}
