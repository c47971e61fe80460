/** One Postgres of the run's own, that can be killed and started again where it was. */
import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import postgres from 'postgres';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../src/server/db/embedded/embedded-postgres.ts';

const SETTINGS = {
  // What is killed is processes: the kernel keeps what they have written, and a slow disk would only make the run slower.
  fsync: 'off',
  // 20 connections of each server, those that a kill left behind, and ours.
  max_connections: '200',
  restart_after_crash: 'on',
};
/** Of our own few connections, which go straight to it. */
const OWN_CONNECTIONS_MAX = 3;

export class Cluster {
  readonly url: string;
  readonly sql: postgres.Sql;
  readonly #dataDir: string;
  #running: EmbeddedPostgres;
  /** While it is being crashed and started again. */
  #comingBack: Promise<void> | null = null;

  private constructor(dataDir: string, running: EmbeddedPostgres) {
    this.#dataDir = dataDir;
    this.#running = running;
    this.url = running.url;
    this.sql = postgres(running.url, {
      max: OWN_CONNECTIONS_MAX,
      connect_timeout: 5,
      idle_timeout: 5,
      onnotice: () => undefined,
    });
  }

  static async start(dataDir: string): Promise<Cluster> {
    await mkdir(dataDir, { recursive: true, mode: 0o711 });
    return new Cluster(dataDir, await open(dataDir));
  }

  get port(): number {
    return Number(new URL(this.url).port);
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
    process.kill(this.#pid(), signal);
    await this.#running.exited;
    this.#running = await open(this.#dataDir);
    if (this.#running.url !== this.url) throw new Error('Postgres came back somewhere else');
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
    await this.sql.end({ timeout: 1 }).catch(() => undefined);
    await this.#running.stop();
  }

  async #sessions(): Promise<number[]> {
    const rows = await this.sql<{ pid: number }[]>`
      SELECT pid FROM pg_stat_activity
      WHERE datname = current_database() AND backend_type = 'client backend' AND application_name = 'lanekeeper' ORDER BY pid`;
    return rows.map(({ pid }) => pid);
  }

  #pid(): number {
    return Number.parseInt(readFileSync(join(this.#running.clusterDir, 'postmaster.pid'), 'utf8'), 10);
  }
}

function open(dataDir: string): Promise<EmbeddedPostgres> {
  return startEmbeddedPostgres({ dataDir, log: () => undefined, settings: SETTINGS });
}
