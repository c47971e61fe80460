/** What retention is watched by: how much there is, how old, and how far behind the pruning is. */
import type { RetentionKind } from '../../../../contract/retention.ts';
import type { Sql } from '../../../db/client.ts';

export interface RetentionGauges {
  readonly lagSeconds: Readonly<Partial<Record<RetentionKind, number>>>;
  readonly oldestSeconds: Readonly<Partial<Record<RetentionKind, number>>>;
  readonly tableBytes: Readonly<Record<string, number>>;
}

/** Tables that grow with the work; the others are small. */
export const GROWING_TABLES = [
  'tasks',
  'task_details',
  'claims',
  'runs',
  'events',
  'links',
  'comments',
  'messages',
  'outputs',
  'output_lines',
  'delegations',
  'delegation_tasks',
  'subscriptions',
  'deliveries',
  'session_messages',
  'board_minutes',
  'operation_items',
  'idempotency_keys',
  'audit_entries',
] as const;

/** How long the longest of each kind has been due. */
async function readLag(sql: Sql): Promise<RetentionGauges['lagSeconds']> {
  const rows = await sql<{ kind: RetentionKind; seconds: number }[]>`
    /* retention.lag */
    SELECT kind, extract(epoch FROM clock_timestamp() - min(least(behind_since, due_at)))::float8 AS seconds
    FROM retention WHERE due_at <= now() OR behind_since IS NOT NULL GROUP BY kind`;
  return Object.fromEntries(rows.map(({ kind, seconds }) => [kind, Math.max(0, seconds)]));
}

/** Of each kind, of all boards: one look at an index per board and kind. What is kept in the order of tasks is told by the oldest task's. */
async function readOldest(sql: Sql): Promise<RetentionGauges['oldestSeconds']> {
  const rows = await sql<{ kind: RetentionKind; seconds: number | null }[]>`
    /* retention.oldest */
    SELECT oldest.kind, extract(epoch FROM clock_timestamp() - min(oldest.at))::float8 AS seconds
    FROM board_seq s CROSS JOIN LATERAL (
      (SELECT 'events' AS kind, at FROM events WHERE board_id = s.board_id AND seq > s.pruned_seq ORDER BY seq LIMIT 1)
      UNION ALL (SELECT 'finished_tasks', created_at FROM tasks WHERE board_id = s.board_id ORDER BY id LIMIT 1)
      UNION ALL (SELECT 'runs', started_at FROM runs WHERE board_id = s.board_id ORDER BY task_id, attempt LIMIT 1)
      UNION ALL (SELECT 'output', updated_at FROM outputs WHERE board_id = s.board_id ORDER BY updated_at LIMIT 1)
      UNION ALL (SELECT 'deliveries', created_at FROM deliveries WHERE board_id = s.board_id ORDER BY id LIMIT 1)
      UNION ALL (SELECT 'messages', at FROM session_messages WHERE board_id = s.board_id ORDER BY at LIMIT 1)
    ) AS oldest
    GROUP BY oldest.kind`;
  return Object.fromEntries(rows.map(({ kind, seconds }) => [kind, seconds ?? 0]));
}

/** With indexes and what is stored aside; of a table in parts, of all of them. */
async function readTableBytes(sql: Sql): Promise<RetentionGauges['tableBytes']> {
  const rows = await sql<{ name: string; bytes: number }[]>`
    /* retention.table_bytes */
    SELECT wanted.name, coalesce(
      (SELECT sum(pg_total_relation_size(part.relid)) FROM pg_partition_tree(to_regclass(wanted.name)) AS part),
      pg_total_relation_size(to_regclass(wanted.name)), 0
    )::float8 AS bytes
    FROM unnest(${[...GROWING_TABLES]}::text[]) AS wanted (name)`;
  return Object.fromEntries(rows.map(({ name, bytes }) => [name, bytes]));
}

export async function readRetentionGauges(sql: Sql): Promise<RetentionGauges> {
  return {
    lagSeconds: await readLag(sql),
    oldestSeconds: await readOldest(sql),
    tableBytes: await readTableBytes(sql),
  };
}
