/** What is still under way on a board, as its tables say. */
import type postgres from 'postgres';

/** Of a lane: the others are people's. */
export async function countTasks(
  sql: postgres.Sql,
  boardName: string,
  statuses: readonly string[],
): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    SELECT count(*)::int FROM tasks t JOIN boards b ON b.id = t.board_id
    WHERE b.name = ${boardName} AND t.status = ANY(${statuses as string[]}) AND t.lane IS NOT NULL`;
  return row?.count ?? 0;
}

/** What is still to be decided or told without anybody asking; what pauses after a failure is not. */
export async function countReturning(sql: postgres.Sql, boardName: string): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    WITH board AS (SELECT id FROM boards WHERE name = ${boardName})
    SELECT ((
      SELECT count(*) FROM delegations
      WHERE board_id = (TABLE board) AND ((status = 'running' AND deadline_at IS NOT NULL) OR has_leftovers)
    ) + (
      SELECT count(*) FROM deliveries d
      WHERE board_id = (TABLE board) AND (status IN ('synthesizing', 'leased') OR (status = 'pending' AND due_at <= clock_timestamp() AND NOT EXISTS (
        SELECT FROM deliveries before WHERE before.board_id = d.board_id AND before.subscription_id = d.subscription_id
          AND before.seq < d.seq AND before.status = 'pending')))
    ))::int AS count`;
  return row?.count ?? 0;
}
