/** What health and metrics read. */
import type { Runner } from '../../db/client.ts';

/** Milliseconds since 1970 by the database's clock. */
export async function readDatabaseMs(sql: Runner): Promise<number> {
  const [row] = await sql<
    { ms: number }[]
  >`/* system.clock */ SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS ms`;
  return row?.ms ?? Number.NaN;
}

export async function readServerVersion(sql: Runner): Promise<string> {
  const [row] = await sql<
    { version: string }[]
  >`/* system.version */ SELECT current_setting('server_version') AS version`;
  return row?.version ?? 'unknown';
}

export async function countAppliedMigrations(sql: Runner): Promise<number> {
  const [row] = await sql<
    { count: number }[]
  >`/* system.migrations */ SELECT count(DISTINCT created_at)::int AS count FROM drizzle.__drizzle_migrations`;
  return row?.count ?? 0;
}

export interface Gauges {
  readonly statuses: Readonly<Record<string, number>>;
  readonly delegations: Readonly<Record<string, number>>;
  readonly oldestDueDeliverySeconds: number;
  readonly liveClaims: number;
  readonly oldestTransactionSeconds: number;
  readonly uncountedEvents: number;
}

/** Exact counts without counting tasks: every board's counter row has them. */
export async function readGauges(sql: Runner): Promise<Gauges> {
  const [counts] = await sql<Record<string, number>[]>`
    /* system.counts */
    SELECT coalesce(sum(triage), 0)::float8 AS triage, coalesce(sum(todo), 0)::float8 AS todo, coalesce(sum(scheduled), 0)::float8 AS scheduled,
      coalesce(sum(ready), 0)::float8 AS ready, coalesce(sum(running), 0)::float8 AS running, coalesce(sum(blocked), 0)::float8 AS blocked,
      coalesce(sum(review), 0)::float8 AS review, coalesce(sum(done), 0)::float8 AS done, coalesce(sum(cancelled), 0)::float8 AS cancelled,
      coalesce(sum(archived), 0)::float8 AS archived
    FROM board_seq`;
  const [ages] = await sql<{ live_claims: number; oldest_transaction: number | null }[]>`
    /* system.ages */
    SELECT (SELECT count(*)::int FROM claims) AS live_claims,
      (SELECT extract(epoch FROM clock_timestamp() - min(xact_start))::float8 FROM pg_stat_activity
        WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()) AS oldest_transaction`;
  const delegations = await sql<{ status: string; count: number }[]>`
    /* system.delegations */ SELECT status, count(*)::int AS count FROM delegations GROUP BY status`;
  const [outbox] = await sql<{ oldest_due: number | null }[]>`
    /* system.outbox */
    SELECT extract(epoch FROM clock_timestamp() - min(due_at))::float8 AS oldest_due FROM (
      SELECT min(due_at) AS due_at FROM deliveries WHERE status = 'pending' AND NOT is_webhook
      UNION ALL
      SELECT min(due_at) FROM deliveries WHERE status = 'pending' AND is_webhook
    ) AS oldest
    WHERE due_at <= clock_timestamp()`;
  const [statistics] = await sql<{ behind: number }[]>`
    /* system.statistics */
    SELECT coalesce(sum(s.seq - p.seq), 0)::float8 AS behind FROM board_seq s JOIN stats_progress p ON p.board_id = s.board_id`;
  return {
    statuses: counts ?? {},
    delegations: Object.fromEntries(delegations.map(({ status, count }) => [status, count])),
    oldestDueDeliverySeconds: outbox?.oldest_due ?? 0,
    liveClaims: ages?.live_claims ?? 0,
    oldestTransactionSeconds: ages?.oldest_transaction ?? 0,
    uncountedEvents: statistics?.behind ?? 0,
  };
}

/** Queues that are looked at: a lane's ready tasks of one priority. Each is one look at an index; 5,000 take some 50 ms. */
const QUEUES_MAX = 5000;

/**
 * For how long the task has been ready that is first of its lane and priority for longest, in seconds. Paused boards and lanes, and lanes of
 * people, do not count: there it is meant to wait.
 */
export async function readOldestReadySeconds(sql: Runner): Promise<number> {
  const [row] = await sql<{ seconds: number | null }[]>`
    /* system.oldest_ready */
    WITH RECURSIVE queue AS (
      (SELECT board_id, lane, priority, status_since FROM tasks WHERE status = 'ready' ORDER BY board_id, lane, priority DESC, id LIMIT 1)
      UNION ALL
      SELECT next.* FROM queue CROSS JOIN LATERAL (
        (SELECT board_id, lane, priority, status_since FROM tasks
          WHERE status = 'ready' AND board_id = queue.board_id AND lane = queue.lane AND priority < queue.priority ORDER BY priority DESC, id LIMIT 1)
        UNION ALL
        (SELECT board_id, lane, priority, status_since FROM tasks
          WHERE status = 'ready' AND board_id = queue.board_id AND lane > queue.lane ORDER BY lane, priority DESC, id LIMIT 1)
        UNION ALL
        (SELECT board_id, lane, priority, status_since FROM tasks
          WHERE status = 'ready' AND board_id > queue.board_id ORDER BY board_id, lane, priority DESC, id LIMIT 1)
        LIMIT 1
      ) AS next
    )
    SELECT extract(epoch FROM clock_timestamp() - min(first.status_since))::float8 AS seconds
    FROM (SELECT * FROM queue LIMIT ${QUEUES_MAX}) AS first
    JOIN boards b ON b.id = first.board_id
    LEFT JOIN lanes l ON l.board_id = first.board_id AND l.name = first.lane
    WHERE NOT coalesce(l.is_paused, false) AND l.kind IS DISTINCT FROM 'human' AND b.settings->>'paused' IS DISTINCT FROM 'true'`;
  return row?.seconds ?? 0;
}
