/** How much room a capped lane has: its row locked, and then its live claims counted, in the transaction that claims. */
import type { Runner, Tx } from '../../../db/client.ts';

/** Locks capped lanes, so that nobody else counts or claims there until the end of the transaction. */
export async function lockLanes(tx: Tx, boardId: number, lanes: readonly string[]): Promise<void> {
  await tx`
    /* claims.lock_lanes */
    SELECT FROM (SELECT name FROM unnest(${lanes as string[]}::text[]) AS wanted (name) ORDER BY name) AS wanted
    CROSS JOIN LATERAL (SELECT FROM lanes WHERE board_id = ${boardId} AND name = wanted.name FOR NO KEY UPDATE) AS locked`;
}

/** Live claims of these lanes. Run after the lock, as a statement of its own: it then sees everything that was committed before. */
export async function countLaneClaims(
  sql: Runner,
  boardId: number,
  lanes: readonly string[],
): Promise<Map<string, number>> {
  const rows = await sql<{ lane: string; count: number }[]>`
    /* claims.count_lane_claims */
    SELECT wanted.lane, claimed.count FROM unnest(${lanes as string[]}::text[]) AS wanted (lane)
    CROSS JOIN LATERAL (
      SELECT count(*)::int AS count FROM claims WHERE board_id = ${boardId} AND lane = wanted.lane AND lane <> ''
    ) AS claimed`;
  return new Map(rows.map((row) => [row.lane, row.count]));
}
