/** Pruning earlier attempts. They are found by going through all runs in the order of their tasks: no index of runs by time, which every claim would pay for. */
import type { Tx } from '../../../db/client.ts';
import type { Uuid } from '../../../kernel/ids.ts';
import type { Walked, WalkTurn } from '../portion.ts';
import { IS_TO_BE_TOLD } from './finished.ts';

/**
 * The latest run of a task says what has become of it, and the one under review is its result. What is still to be told of is told from them all.
 * Most runs are the only ones of their task: seen by the next one on the way, which spares looking for the task.
 */
export async function pruneRuns(tx: Tx, boardId: number, turn: WalkTurn): Promise<Walked> {
  const [row] = await tx<{ seen: number; pruned: number; last_id: Uuid | null; last_attempt: number }[]>`
    /* retention.prune_runs */
    WITH page AS MATERIALIZED (
      SELECT task_id, attempt, ended_at, lead(task_id) OVER (ORDER BY task_id, attempt) AS next_task_id FROM (
        SELECT task_id, attempt, ended_at FROM runs
        WHERE board_id = ${boardId} AND (task_id, attempt) > (${turn.place}::uuid, ${turn.placeAttempt}::int) AND task_id < ${turn.endId}::uuid
        ORDER BY task_id, attempt LIMIT ${turn.rowsMax}
      ) AS run
    ),
    due AS MATERIALIZED (
      SELECT ${boardId}::int AS board_id, page.task_id, page.attempt FROM page
      CROSS JOIN LATERAL (
        SELECT id, attempt, result_attempt, is_followed FROM tasks WHERE board_id = ${boardId} AND id = page.task_id OFFSET 0
      ) AS t
      WHERE page.ended_at < ${turn.horizon}::timestamptz AND (page.next_task_id = page.task_id OR page.next_task_id IS NULL)
        AND page.attempt < t.attempt AND page.attempt IS DISTINCT FROM t.result_attempt
        AND NOT ${IS_TO_BE_TOLD(tx, boardId)}
    ),
    gone AS (
      DELETE FROM runs r USING due
      WHERE r.board_id = ANY (ARRAY[due.board_id]) AND r.task_id = due.task_id AND r.attempt = due.attempt RETURNING 1
    ),
    last AS (SELECT task_id, attempt FROM page ORDER BY task_id DESC, attempt DESC LIMIT 1)
    SELECT (SELECT count(*)::int FROM page) AS seen, (SELECT count(*)::int FROM gone) AS pruned, (SELECT task_id FROM last) AS last_id,
      coalesce((SELECT attempt FROM last), 0) AS last_attempt`;
  const { seen = 0, pruned = 0, last_id: place = null, last_attempt: placeAttempt = 0 } = row ?? {};
  return { pruned, left: seen - pruned, isCut: seen === turn.rowsMax, place, placeAttempt, oldestAt: null };
}
