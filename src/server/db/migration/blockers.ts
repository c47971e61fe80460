/** Who stands before a migration: asked of Postgres beside it, because whoever waits for a lock cannot look around. */
import { pause } from '../../kernel/lifecycle.ts';
import type { Sql } from '../client.ts';

/** A few looks within the lock timeout of a second. */
const LOOK_INTERVAL_MS = 300;

interface Blocker {
  readonly pid: number;
  /** Of the session, or what kind of process of Postgres it is. Never what it runs: statements hold people's data. */
  readonly name: string;
  /** Since its transaction began; null where Postgres does not tell. */
  readonly seconds: number | null;
}

export interface Blockage {
  /** null: it waits for a transaction to end, not for a table. */
  readonly relation: string | null;
  readonly blockers: readonly Blocker[];
}

interface BlockerRow extends Blocker {
  readonly relation: string | null;
}

/** Runs `work`, and keeps what its tagged statement waited for last. */
export async function watchingBlockers<T>(
  sql: Sql,
  tag: string,
  { work, onBlocked }: { work: () => Promise<T>; onBlocked: (blockage: Blockage) => void },
): Promise<T> {
  const over = new AbortController();
  const watching = watchBlockers(sql, tag, over.signal, onBlocked);
  try {
    return await work();
  } finally {
    over.abort();
    await watching;
  }
}

async function watchBlockers(
  sql: Sql,
  tag: string,
  signal: AbortSignal,
  onBlocked: (blockage: Blockage) => void,
): Promise<void> {
  for (;;) {
    await pause(LOOK_INTERVAL_MS, signal);
    if (signal.aborted) return;
    // Not seeing who it is must not keep the migration from trying.
    const rows = await readBlockers(sql, tag).catch(() => []);
    const [first] = rows;
    if (first !== undefined) onBlocked({ relation: first.relation, blockers: rows });
  }
}

function readBlockers(sql: Sql, tag: string): Promise<BlockerRow[]> {
  return sql<BlockerRow[]>`
    /* migrate.blockers */
    SELECT l.relation::regclass::text AS relation, b.pid,
      coalesce(nullif(a.application_name, ''), a.backend_type, 'unknown') AS name,
      extract(epoch FROM clock_timestamp() - a.xact_start)::int AS seconds
    FROM pg_catalog.pg_stat_activity m
    JOIN pg_catalog.pg_locks l ON l.pid = m.pid AND NOT l.granted
    CROSS JOIN LATERAL unnest(pg_catalog.pg_blocking_pids(m.pid)) AS b (pid)
    LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = b.pid
    WHERE m.datname = current_database() AND starts_with(m.query, ${tag})`;
}

/** For people: `"tasks", held by process 41 (pg_dump, in a transaction for 812 s)`. */
export function describeBlockage({ relation, blockers }: Blockage): string {
  const who = blockers.map(({ pid, name, seconds }) => {
    const since = seconds === null ? '' : `, in a transaction for ${seconds} s`;
    return pid === 0 ? 'a prepared transaction' : `process ${pid} (${name}${since})`;
  });
  const what = relation === null ? 'the end of a transaction' : `"${relation}"`;
  return `${what}, held by ${[...new Set(who)].join(' and ')}`;
}
