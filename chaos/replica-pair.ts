/**
 * A primary and a synchronous standby: every commit that is acknowledged is on both. When the primary dies, all of it at once, as a machine
 * does, the standby is promoted, and a new one is made of it. Until that has caught up, there is nobody to fail over to, and commits wait
 * for nobody.
 *
 * The addresses of the servers' databases do not change: the proxies before them are pointed at whoever is primary, as a virtual address is.
 */
import { rm } from 'node:fs/promises';
import postgres from 'postgres';
import { Cluster, type PostgresNode, postmasterOf, SETTINGS } from './cluster.ts';
import { waitUntil } from './deadline.ts';
import { DebianNodes, type DebianPostgres } from './debian-postgres.ts';
import { killWhole } from './kill-whole.ts';

const PAIR_SETTINGS = {
  ...SETTINGS,
  // Otherwise a standby waits 5 s before it asks a primary again that was away.
  wal_retrieve_retry_interval: '100ms',
};
/** A copy of some megabytes, and what was written meanwhile, on a machine that is busy. */
const IN_SYNC_WITHIN_MS = 30_000;
const PROMOTED_WITHIN_SECONDS = 30;

export class ReplicaPair {
  readonly cluster: Cluster;
  readonly #nodes: DebianNodes;
  #standby: PostgresNode;

  private constructor(nodes: DebianNodes, cluster: Cluster, standby: PostgresNode) {
    this.#nodes = nodes;
    this.cluster = cluster;
    this.#standby = standby;
  }

  static async start(directory: string, postgres: DebianPostgres): Promise<ReplicaPair> {
    const nodes = await DebianNodes.in(directory, postgres, PAIR_SETTINGS);
    const cluster = new Cluster(await nodes.makePrimary());
    try {
      const pair = new ReplicaPair(nodes, cluster, await nodes.makeStandby(cluster.node));
      await pair.#waitForStandby();
      return pair;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  /**
   * `onDeath` is called when the primary is about to be killed, `onPromoted` with the port of the next one. Resolves when that has a standby
   * of its own.
   */
  async failOver(onDeath: () => void, onPromoted: (port: number) => void): Promise<void> {
    if (!(await waitUntil(() => this.#isInSync(), IN_SYNC_WITHIN_MS)))
      throw new Error('there is no standby that has everything');
    const dead = this.cluster.node;
    onDeath();
    killWhole(postmasterOf(dead));
    await promote(this.#standby);
    await this.cluster.moveTo(this.#standby);
    onPromoted(Number(new URL(this.cluster.url).port));
    await dead.exited;
    await rm(dead.clusterDir, { recursive: true, force: true, maxRetries: 3 });
    this.#standby = await this.#nodes.makeStandby(this.cluster.node);
    await this.#waitForStandby();
  }

  async stop(): Promise<void> {
    await this.#standby.stop();
    await this.cluster.stop();
  }

  /** From now on nothing is acknowledged that it has not. The setting is not copied to it: promoted, it would wait for somebody. */
  async #waitForStandby(): Promise<void> {
    await this.cluster.sql`ALTER SYSTEM SET synchronous_standby_names = '*'`;
    await this.cluster.sql`SELECT pg_reload_conf()`;
    if (!(await waitUntil(() => this.#isInSync(), IN_SYNC_WITHIN_MS)))
      throw new Error('the standby did not come into step');
  }

  async #isInSync(): Promise<boolean> {
    const rows = await this.cluster.sql`
      SELECT FROM pg_stat_replication WHERE sync_state = 'sync' AND state = 'streaming'`;
    return rows.length === 1;
  }
}

async function promote({ url }: PostgresNode): Promise<void> {
  const sql = postgres(url, { max: 1, connect_timeout: 5, onnotice: () => undefined });
  try {
    const [row] = await sql<{ isPromoted: boolean }[]>`
      SELECT pg_promote(true, ${PROMOTED_WITHIN_SECONDS}) AS "isPromoted"`;
    if (row?.isPromoted !== true) throw new Error('the standby was not promoted in time');
  } finally {
    await sql.end({ timeout: 1 });
  }
}
