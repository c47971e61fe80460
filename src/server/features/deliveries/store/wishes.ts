/** For which of those that wait for deliveries there is something to be given out. */
import type { Runner } from '../../../db/client.ts';
import { present } from '../../../kernel/assert.ts';
import { freeOf, HAS_LAPSED, IS_FREE, NEAR_ROWS_MAX, nameOf, platformsOf, WAITS_FOR } from './free.ts';

/** Who waits for what. */
export interface DeliveryWish {
  readonly owner: string | null;
  /** Null: any. */
  readonly platforms: readonly string[] | null;
}

interface DueWishes {
  /** Places of the wishes for which something may be given out now. */
  readonly due: readonly number[];
  /** Milliseconds until something falls due, or a lease ends; null: nothing is to come. */
  readonly next_ms: number | null;
}

/** Exactly what a lease would give: what is due and not free wakes nobody, or they would ask for ever and get nothing. */
export async function findDueWishes(
  sql: Runner,
  boardId: number,
  wishes: readonly DeliveryWish[],
): Promise<DueWishes> {
  const rows = wishes.flatMap(({ owner, platforms }, place) =>
    (platforms ?? [null]).map((platform) => ({ place, owner: nameOf(owner), platform })),
  );
  const waits = WAITS_FOR(sql, boardId, sql`wanted.owner`);
  const isThere = sql`${waits} AND d.platform = wanted.platform`;
  const [found] = await sql<DueWishes[]>`
    /* deliveries.find_due_wishes */
    WITH asked AS (
      SELECT * FROM unnest(
        ${rows.map(({ place }) => place)}::int[], ${rows.map(({ owner }) => owner)}::text[], ${rows.map(({ platform }) => platform)}::text[]
      ) AS asked (place, owner, platform)
    ),
    wanted AS MATERIALIZED (
      SELECT * FROM asked WHERE platform IS NOT NULL
      UNION ALL
      SELECT wanted.place, wanted.owner, served.name FROM asked AS wanted CROSS JOIN LATERAL (
        WITH RECURSIVE known (name) AS (${platformsOf(sql, waits)}) SELECT name FROM known WHERE name <> ''
      ) AS served
      WHERE wanted.platform IS NULL
    )
    SELECT to_json(ARRAY(
      SELECT wanted.place FROM wanted CROSS JOIN LATERAL (
        SELECT FROM (${freeOf(sql, boardId, isThere, { sessions: 1, nearRowsMax: NEAR_ROWS_MAX })}) AS free LIMIT 1
      ) AS found
      UNION
      SELECT asked.place FROM asked CROSS JOIN LATERAL (
        SELECT FROM deliveries d WHERE ${HAS_LAPSED(sql, boardId)} AND NOT d.is_webhook AND coalesce(d.owner, '') = asked.owner
          AND d.platform = coalesce(asked.platform, d.platform) AND ${IS_FREE(sql, boardId)} LIMIT 1
      ) AS found
    )) AS due, (extract(epoch FROM least(
      (SELECT min(coming.due_at) FROM wanted CROSS JOIN LATERAL (
          SELECT d.due_at FROM deliveries d WHERE ${isThere} AND d.due_at > statement_timestamp() ORDER BY d.due_at, d.id LIMIT 1
        ) AS coming),
      (SELECT min(lease_expires_at) FROM deliveries
        WHERE board_id = ${boardId} AND status = 'leased' AND lease_expires_at > statement_timestamp())
    ) - clock_timestamp()) * 1000)::float8 AS next_ms`;
  return present(found, 'it is one row');
}
