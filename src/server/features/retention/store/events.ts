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
  const [row] = await tx<{ upto: number | null; pruned: number; oldest_at: string | null }[]>`
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
    page AS (
      SELECT seq, at, at < ${turn.horizon}::timestamptz
        AND (seq <= mark.read_seq OR at < clock_timestamp() - make_interval(days => ${UNREAD_KEPT_DAYS})) AS is_due
      FROM mark CROSS JOIN LATERAL (
        SELECT seq, at FROM events WHERE board_id = ${boardId} AND seq > mark.pruned_seq ORDER BY seq LIMIT ${turn.rowsMax}
      ) AS event
    ),
    due AS MATERIALIZED (
      SELECT coalesce(min(seq) FILTER (WHERE NOT is_due) - 1, max(seq)) AS last_seq, min(at) FILTER (WHERE NOT is_due) AS kept_at FROM page
    ),
    gone AS (
      DELETE FROM events WHERE board_id = ${boardId} AND seq > (SELECT pruned_seq FROM mark) AND seq <= (SELECT last_seq FROM due) RETURNING seq
    )
    SELECT max(gone.seq) AS upto, count(gone.seq)::int AS pruned, (SELECT kept_at FROM due) AS oldest_at FROM gone`;
  const { pruned = 0, upto: prunedSeq = null, oldest_at: oldestAt = null } = row ?? {};
  return { pruned, prunedSeq, isCut: pruned === turn.rowsMax, oldestAt };
}

/** False: the board is gone. */
export async function movePrunedSeq(tx: Tx, boardId: number, seq: number): Promise<boolean> {
  const { count } = await tx`
    /* retention.move_mark */ UPDATE board_seq SET pruned_seq = ${seq} WHERE board_id = ${boardId}`;
  return count > 0;
}
