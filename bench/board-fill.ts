/**
 * Makes boards and lanes past the API, which would take minutes for a hundred thousand lanes: rows as it would have written them, the log
 * left out. Must be kept in step with src/server/db/schema.
 */
import type postgres from 'postgres';

interface BoardsFill {
  readonly boards: number;
  readonly lanesPerBoard: number;
}

/** `board-0`, `board-1`, …, each with `lane-0`, `lane-1`, …. Those that are there stay as they are. */
export async function makeBoards(sql: postgres.Sql, { boards, lanesPerBoard }: BoardsFill): Promise<void> {
  await sql`
    WITH made AS (
      INSERT INTO boards (name, log_incarnation)
      SELECT 'board-' || number, left(md5(number::text), 8) FROM generate_series(0, ${boards - 1}::int) AS number
      ON CONFLICT (name) DO NOTHING RETURNING id
    ),
    counted AS (INSERT INTO board_seq (board_id) SELECT id FROM made)
    INSERT INTO lanes (board_id, name, kind, claim_mode, allowed_status_mutations, lease_seconds)
    SELECT id, 'lane-' || lane, 'persistent', 'pull-or-watch', 'own-claimed-only', 900
    FROM made CROSS JOIN generate_series(0, ${lanesPerBoard - 1}::int) AS lane`;
  await sql`VACUUM (ANALYZE) boards, board_seq, lanes`;
}
