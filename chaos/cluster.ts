/** One Postgres of the run's own, that can be killed and started again where it was. */
import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import postgres from 'postgres';
import { startEmbeddedPostgres } from '../src/server/db/embedded/embedded-postgres.ts';

export const SETTINGS = {
  // What is killed is processes: the kernel keeps what they have written, and a slow disk would only make the run slower.
  fsync: 'off',
  // 34 connections at most of each server, those that a kill left behind, and ours.
  max_connections: '200',
  restart_after_crash: 'on',
};
/** Of our own few connections, which go straight to it. */
const OWN_CONNECTIONS_MAX = 3;

/** A Postgres that runs, and can be opened again where it was. */
export interface PostgresNode {
  readonly url: string;
  readonly clusterDir: string;
  /** Resolves when it ended without stop(). */
  readonly exited: Promise<unknown>;
  stop(): Promise<void>;
  reopen(): Promise<PostgresNode>;
}

export class Cluster {
  #node: PostgresNode;
  #sql: postgres.Sql;
  /** While it is being crashed and started again. */
  #comingBack: Promise<void> | null = null;

  constructor(node: PostgresNode) {
    this.#node = node;
    this.#sql = connectTo(node);
  }

  static async start(dataDir: string): Promise<Cluster> {
    await mkdir(dataDir, { recursive: true, mode: 0o711 });
    return new Cluster(await openEmbedded(dataDir));
  }

  get url(): string {
    return this.#node.url;
  }

  get sql(): postgres.Sql {
    return this.#sql;
  }

  get node(): PostgresNode {
    return this.#node;
  }

  /** From now on it is another one. */
  async moveTo(node: PostgresNode): Promise<void> {
    const before = this.#sql;
    this.#node = node;
    this.#sql = connectTo(node);
    await before.end({ timeout: 0 }).catch(() => undefined);
  }

  /** SIGKILL: as if it had crashed. SIGQUIT: immediate shutdown, as pg_ctl -m immediate. Resolves when it runs again. */
  async crash(signal: 'SIGKILL' | 'SIGQUIT'): Promise<void> {
    if (this.#comingBack !== null) return;
    this.#comingBack = this.#crash(signal);
    try {
      await this.#comingBack;
    } finally {
      this.#comingBack = null;
    }
  }

  async #crash(signal: 'SIGKILL' | 'SIGQUIT'): Promise<void> {
    const { url } = this.#node;
    process.kill(postmasterOf(this.#node), signal);
    await this.#node.exited;
    this.#node = await this.#node.reopen();
    if (this.#node.url !== url) throw new Error('Postgres came back somewhere else');
  }

  async version(): Promise<string> {
    const [row] = await this.sql<{ server_version: string }[]>`SHOW server_version`;
    return row?.server_version ?? 'unknown';
  }

  /** SIGKILL to one of the servers' sessions: Postgres then resets all of them, and recovers. Answers false when there is none. */
  async killBackend(choice: number): Promise<boolean> {
    const pids = await this.#sessions();
    const pid = pids[choice % Math.max(pids.length, 1)];
    if (pid === undefined) return false;
    process.kill(pid, 'SIGKILL');
    return true;
  }

  async terminateBackend(choice: number): Promise<boolean> {
    const pids = await this.#sessions();
    const pid = pids[choice % Math.max(pids.length, 1)];
    if (pid === undefined) return false;
    await this.sql`SELECT pg_terminate_backend(${pid})`;
    return true;
  }

  /** Those of all servers. Answers how many there were. */
  async terminateListeners(): Promise<number> {
    const rows = await this.sql`
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND pid <> pg_backend_pid() AND query ILIKE 'listen%'`;
    return rows.length;
  }

  async stop(): Promise<void> {
    await this.#comingBack?.catch(() => undefined);
    await this.#sql.end({ timeout: 1 }).catch(() => undefined);
    await this.#node.stop();
  }

  async #sessions(): Promise<number[]> {
    const rows = await this.sql<{ pid: number }[]>`
      SELECT pid FROM pg_stat_activity
      WHERE datname = current_database() AND backend_type = 'client backend' AND application_name = 'lanekeeper' ORDER BY pid`;
    return rows.map(({ pid }) => pid);
  }
}

export function postmasterOf({ clusterDir }: PostgresNode): number {
  return Number.parseInt(readFileSync(join(clusterDir, 'postmaster.pid'), 'utf8'), 10);
}

async function openEmbedded(dataDir: string): Promise<PostgresNode> {
  const running = await startEmbeddedPostgres({ dataDir, log: () => undefined, settings: SETTINGS });
  return { ...running, reopen: () => openEmbedded(dataDir) };
}

function connectTo({ url }: PostgresNode): postgres.Sql {
  return postgres(url, {
    max: OWN_CONNECTIONS_MAX,
    connect_timeout: 5,
    idle_timeout: 5,
    onnotice: () => undefined,
  });
}
