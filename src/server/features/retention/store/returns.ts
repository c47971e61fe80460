/** Pruning what is no part of tasks and log: output, deliveries, what sessions were told. Each has an index by the time that counts. */
import type { Tx } from '../../../db/client.ts';
import type { Pruned, PruneTurn } from '../portion.ts';

interface PrunedRow {
  readonly pruned: number;
  readonly oldest_at: string | null;
}

function prunedOf(row: PrunedRow | undefined, { rowsMax }: PruneTurn): Pruned {
  const pruned = row?.pruned ?? 0;
  return { pruned, isCut: pruned === rowsMax, oldestAt: row?.oldest_at ?? null };
}

/** Of tasks that nobody holds: a holder's next line is numbered after those before it. What somebody has locked is just growing. */
export async function pruneOutput(tx: Tx, boardId: number, turn: PruneTurn): Promise<Pruned> {
  const [row] = await tx<PrunedRow[]>`
    /* retention.prune_output */
    WITH page AS MATERIALIZED (
      SELECT o.board_id, o.task_id FROM outputs o
      WHERE o.board_id = ${boardId} AND o.updated_at < ${turn.horizon}::timestamptz
        AND NOT EXISTS (SELECT FROM claims c WHERE c.board_id = ${boardId} AND c.task_id = o.task_id)
      ORDER BY o.updated_at LIMIT ${turn.rowsMax} FOR UPDATE OF o SKIP LOCKED
    ),
    lines AS (
      DELETE FROM output_lines line USING page WHERE line.board_id = ANY (ARRAY[page.board_id]) AND line.task_id = page.task_id
    ),
    gone AS (
      DELETE FROM outputs head USING page WHERE head.board_id = ANY (ARRAY[page.board_id]) AND head.task_id = page.task_id RETURNING 1
    )
    SELECT (SELECT count(*)::int FROM gone) AS pruned, (
      SELECT updated_at FROM outputs WHERE board_id = ${boardId} AND updated_at >= ${turn.horizon}::timestamptz ORDER BY updated_at LIMIT 1
    ) AS oldest_at`;
  return prunedOf(row, turn);
}

/**
 * The cursor of a subscription is read from what it was told: it stands with the subscription from then on. One that somebody is changing has
 * its cursor locked, and waits itself for what we have locked here: it is left to a later turn, and that comes as soon as after any other.
 */
export async function pruneDeliveries(tx: Tx, boardId: number, turn: PruneTurn): Promise<Pruned> {
  const [row] = await tx<(PrunedRow & { readonly seen: number; readonly is_busy: boolean })[]>`
    /* retention.prune_deliveries */
    WITH page AS MATERIALIZED (
      SELECT board_id, id, subscription_id, seq, status FROM deliveries
      WHERE board_id = ${boardId} AND finished_at IS NOT NULL AND finished_at < ${turn.horizon}::timestamptz AND synthesis_due_at IS NULL
      ORDER BY finished_at LIMIT ${turn.rowsMax} FOR UPDATE SKIP LOCKED
    ),
    told AS MATERIALIZED (
      SELECT ${boardId}::int AS board_id, subscription_id, max(seq) AS seq FROM page WHERE status = 'acked' GROUP BY subscription_id
    ),
    held AS MATERIALIZED (
      SELECT told.*, s.cursor_seq FROM told
      CROSS JOIN LATERAL (
        SELECT cursor_seq FROM subscriptions WHERE board_id = ${boardId} AND id = told.subscription_id FOR NO KEY UPDATE SKIP LOCKED
      ) AS s
    ),
    busy AS MATERIALIZED (
      SELECT told.subscription_id FROM told
      WHERE EXISTS (SELECT FROM subscriptions WHERE board_id = ${boardId} AND id = told.subscription_id)
        AND NOT EXISTS (SELECT FROM held WHERE held.subscription_id = told.subscription_id)
    ),
    moved AS (
      UPDATE subscriptions s SET cursor_seq = held.seq FROM held
      WHERE s.board_id = ANY (ARRAY[held.board_id]) AND s.id = held.subscription_id AND held.cursor_seq < held.seq
    ),
    gone AS (
      DELETE FROM deliveries d USING page
      WHERE d.board_id = ANY (ARRAY[page.board_id]) AND d.id = page.id AND page.subscription_id NOT IN (SELECT subscription_id FROM busy)
      RETURNING 1
    )
    SELECT (SELECT count(*)::int FROM gone) AS pruned, (SELECT count(*)::int FROM page) AS seen, EXISTS (SELECT FROM busy) AS is_busy, (
      SELECT finished_at FROM deliveries
      WHERE board_id = ${boardId} AND finished_at IS NOT NULL AND finished_at >= ${turn.horizon}::timestamptz ORDER BY finished_at LIMIT 1
    ) AS oldest_at`;
  const pruned = row?.pruned ?? 0;
  const oldestAt = row?.is_busy ? turn.horizon : (row?.oldest_at ?? null);
  return { pruned, isCut: pruned > 0 && row?.seen === turn.rowsMax, oldestAt };
}

export async function pruneMessages(tx: Tx, boardId: number, turn: PruneTurn): Promise<Pruned> {
  const [row] = await tx<PrunedRow[]>`
    /* retention.prune_messages */
    WITH page AS MATERIALIZED (
      SELECT board_id, session_id, at, delivery_id FROM session_messages
      WHERE board_id = ${boardId} AND at < ${turn.horizon}::timestamptz ORDER BY at LIMIT ${turn.rowsMax} FOR UPDATE SKIP LOCKED
    ),
    gone AS (
      DELETE FROM session_messages m USING page
      WHERE m.board_id = ANY (ARRAY[page.board_id]) AND m.session_id = page.session_id AND m.at = page.at AND m.delivery_id = page.delivery_id
      RETURNING 1
    )
    SELECT (SELECT count(*)::int FROM gone) AS pruned, (
      SELECT at FROM session_messages WHERE board_id = ${boardId} AND at >= ${turn.horizon}::timestamptz ORDER BY at LIMIT 1
    ) AS oldest_at`;
  return prunedOf(row, turn);
}
