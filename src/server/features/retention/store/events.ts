/**
 * Pruning the log from its beginning. Rows and mark go together, so whoever reads the log finds either all events after a position, or by the mark
 * that some are gone. Nothing is pruned before those who read the log from behind have read it (statistics, the search for stranded tasks, what
 * is still to be delivered), but nobody of them keeps it for ever.
 */
import type { Tx } from '../../../db/client.ts';
import type { Pruned, PruneTurn } from '../portion.ts';

/** Longer than anything that reads the log is ever down: statistics are kept for so long, too. */
const UNREAD_KEPT_DAYS = 8;

export interface PrunedEvents extends Pruned {
  /** To be moved to; null: nothing was pruned. */
  readonly prunedSeq: number | null;
}

/** Everything but the mark, which is the last that is locked. */
export async function pruneEvents(tx: Tx, boardId: number, turn: PruneTurn): Promise<PrunedEvents> {
  const [row] = await tx<{ upto: number | null; pruned: number; seen: number; oldest_at: string | null }[]>`
    /* retention.prune_events */
    WITH mark AS MATERIALIZED (
      SELECT pruned_seq, least(
        seq,
        coalesce((SELECT p.seq FROM stats_progress p WHERE p.board_id = ${boardId}), pruned_seq),
        coalesce((SELECT m.seq FROM stranded_marks m WHERE m.board_id = ${boardId}), pruned_seq),
        coalesce(
          (SELECT d.seq FROM deliveries d WHERE d.board_id = ${boardId} AND d.finished_at IS NULL ORDER BY d.seq LIMIT 1) - 1, seq
        )
      ) AS read_seq
      FROM board_seq WHERE board_id = ${boardId}
    ),
    page AS MATERIALIZED (
      SELECT event.seq, event.at, event.seq <= mark.read_seq OR event.at < clock_timestamp() - make_interval(days => ${UNREAD_KEPT_DAYS}) AS is_free
      FROM mark CROSS JOIN LATERAL (
        SELECT seq, at FROM events WHERE board_id = ${boardId} AND seq > mark.pruned_seq ORDER BY seq LIMIT ${turn.rowsMax}::int + 1
      ) AS event
    ),
    due AS MATERIALIZED (
      SELECT max(seq) AS upto, count(*)::int AS pruned FROM (
        SELECT seq, bool_and(at < ${turn.horizon}::timestamptz AND is_free) OVER upward AS is_due, row_number() OVER upward AS number
        FROM page WINDOW upward AS (ORDER BY seq ROWS UNBOUNDED PRECEDING)
      ) AS event
      WHERE is_due AND number <= ${turn.rowsMax}
    ),
    gone AS (
      DELETE FROM events WHERE board_id = ${boardId} AND seq > (SELECT pruned_seq FROM mark) AND seq <= (SELECT upto FROM due) RETURNING 1
    )
    SELECT due.upto, due.pruned, (SELECT count(*)::int FROM page) AS seen, (SELECT count(*) FROM gone) AS gone,
      (SELECT page.at FROM page WHERE page.seq > coalesce(due.upto, 0) ORDER BY page.seq LIMIT 1) AS oldest_at
    FROM due`;
  const pruned = row?.pruned ?? 0;
  return {
    pruned,
    prunedSeq: row?.upto ?? null,
    isCut: pruned === turn.rowsMax && (row?.seen ?? 0) > pruned,
    oldestAt: row?.oldest_at ?? null,
  };
}

/** False: the board is gone. */
export async function movePrunedSeq(tx: Tx, boardId: number, seq: number): Promise<boolean> {
  const { count } = await tx`
    /* retention.move_mark */ UPDATE board_seq SET pruned_seq = ${seq} WHERE board_id = ${boardId}`;
  return count > 0;
}
