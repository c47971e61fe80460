/** Boards with a past, written without a server, and pruners that a test moves by hand. */

import type postgres from 'postgres';
import { onTestFinished } from 'vitest';
import type { RetentionKind } from '../../../../src/contract/retention.ts';
import { type Database, openDatabase } from '../../../../src/server/db/client.ts';
import type { Wake } from '../../../../src/server/db/wake.ts';
import { Pruner } from '../../../../src/server/features/retention/service.ts';
import { IdSource } from '../../../../src/server/kernel/ids.ts';
import { type TestDatabase, useTestDatabase } from '../../../fixtures/database.ts';

export const NEVER = new AbortController().signal;
const HOUR_MS = 3_600_000;

export interface Site {
  readonly database: TestDatabase;
  readonly sql: postgres.Sql;
  /** Each with connections of its own, like a server. */
  pruner(rowsMax?: number): {
    readonly pruner: Pruner;
    readonly pruned: Partial<Record<RetentionKind, number>>;
  };
  readonly opened: Database;
}

const SILENT = { ring: () => undefined } as unknown as Wake;

export async function useSite(): Promise<Site> {
  const database = await useTestDatabase();
  const open = (): Database => {
    const opened = openDatabase({ url: database.url });
    onTestFinished(() => opened.close());
    return opened;
  };
  return {
    database,
    sql: database.sql,
    opened: open(),
    pruner: (rowsMax) => {
      const pruned: Partial<Record<RetentionKind, number>> = {};
      const pruner = new Pruner({
        sql: open().cold,
        wake: SILENT,
        onPruned: (kind, rows) => {
          pruned[kind] = (pruned[kind] ?? 0) + rows;
        },
        ...(rowsMax === undefined ? {} : { rowsMax }),
      });
      return { pruner, pruned };
    },
  };
}

export interface Past {
  /** One event of each, an hour old. */
  readonly old?: number;
  /** Of this moment. */
  readonly young?: number;
}

/** A board whose log has old events and then young ones; everybody who reads it from behind has read it. */
export async function boardWithLog(
  sql: postgres.Sql,
  name: string,
  { old = 0, young = 0 }: Past,
): Promise<number> {
  const [board] = await sql<{ id: number }[]>`
    INSERT INTO boards (name, log_incarnation) VALUES (${name}, 'abcdefgh') RETURNING id`;
  const id = board?.id ?? 0;
  await sql`INSERT INTO board_seq (board_id, seq) VALUES (${id}, ${old + young})`;
  await sql`
    INSERT INTO events (board_id, seq, kind, at, actor_type, actor_id, data)
    SELECT ${id}, seq, 'board.updated', now() - CASE WHEN seq <= ${old} THEN interval '1 hour' ELSE interval '0' END, 'system', 'test', '{}'
    FROM generate_series(1, ${old + young}) AS seq`;
  await sql`INSERT INTO stats_progress (board_id, seq) VALUES (${id}, ${old + young})`;
  await sql`INSERT INTO stranded_marks (board_id, seq) VALUES (${id}, ${old + young})`;
  return id;
}

/** Done tasks that were made and ended an hour ago, with a run each. Their ids, oldest first. */
export async function addDone(sql: postgres.Sql, boardId: number, count: number): Promise<string[]> {
  const ids = new IdSource({ now: () => Date.now() - HOUR_MS });
  const made = Array.from({ length: count }, () => String(ids.next()));
  await sql`
    INSERT INTO tasks (board_id, id, lane, status, priority, version, attempt, unmet_parents, consecutive_failures, protocol_violations,
      max_failures, status_since, created_at, updated_at)
    SELECT ${boardId}, id, 'work', 'done', 0, 3, 1, 0, 0, 0, 2, now() - interval '1 hour', now() - interval '1 hour', now() - interval '1 hour'
    FROM unnest(${made}::uuid[]) AS id`;
  await sql`
    INSERT INTO task_details (board_id, task_id, title, created_by_type, created_by_id)
    SELECT ${boardId}, id, 'a task', 'system', 'test' FROM unnest(${made}::uuid[]) AS id`;
  await sql`
    INSERT INTO runs (board_id, task_id, attempt, id, lane, worker, outcome, started_at, ended_at)
    SELECT ${boardId}, id, 1, gen_random_uuid(), 'work', 'w', 'completed', now() - interval '1 hour', now() - interval '1 hour'
    FROM unnest(${made}::uuid[]) AS id`;
  await sql`UPDATE board_seq SET done = done + ${count} WHERE board_id = ${boardId}`;
  return made;
}

/** As the setting does. */
export async function keep(
  sql: postgres.Sql,
  boardId: number,
  kind: RetentionKind,
  seconds: number,
): Promise<void> {
  await sql`
    INSERT INTO retention (board_id, kind, kept_seconds, due_at) VALUES (${boardId}, ${kind}, ${seconds}, now())
    ON CONFLICT (board_id, kind) DO UPDATE SET kept_seconds = excluded.kept_seconds, due_at = now()`;
}

export interface LogState {
  readonly pruned: number;
  readonly first: number | null;
  readonly last: number | null;
}

export async function logOf(sql: postgres.Sql, boardId: number): Promise<LogState> {
  const [row] = await sql<LogState[]>`
    SELECT s.pruned_seq::int AS pruned, min(e.seq)::int AS first, max(e.seq)::int AS last
    FROM board_seq s LEFT JOIN events e ON e.board_id = s.board_id WHERE s.board_id = ${boardId} GROUP BY s.pruned_seq`;
  if (row === undefined) throw new Error('the board has no counter row');
  return row;
}

export async function countTasks(sql: postgres.Sql, boardId: number): Promise<number> {
  const [row] = await sql<
    { count: number }[]
  >`SELECT count(*)::int AS count FROM tasks WHERE board_id = ${boardId}`;
  return row?.count ?? -1;
}
