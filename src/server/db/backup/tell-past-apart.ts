/**
 * What has to be done once to a database that went back to an earlier moment, before a server uses it: what clients still hold of the time
 * that was taken back must not pass for what is.
 *
 * - Each board's log gets a new incarnation, which its cursors carry. The old one stays known up to where the log ends now, so cursors
 *   of before go on, and later ones are `cursor_expired`, although their numbers will be given out again.
 * - Signing keys sign no more, and what they signed after the moment is refused; the next start makes a new one. What they signed
 *   before stays good: a worker that has worked on all the time may still hand in what it has.
 *
 * The rest tells itself apart. The ids of runs, tasks and deliveries are random and never given out twice. The pulse lies as far back as
 * the database, so the first server gives live claims that time, and at most a lease from now. The alternative, a new number of the board,
 * would break every address and every cursor.
 */
import { begin } from '../begin.ts';
import type { Sql } from '../client.ts';

export interface PastToldApart {
  readonly boards: number;
  /** Null: there were no keys, or nothing says when they signed last. */
  readonly tokensUntil: string | null;
}

/**
 * @param moment what the database went back to, or a little before; null: the last beat of a server in it, which is at most a second before
 */
export function tellPastApart(sql: Sql, moment: string | null): Promise<PastToldApart> {
  return begin(sql, '', async (tx) => {
    await tx`
      /* restored.keep_incarnations */
      INSERT INTO past_incarnations (board_id, incarnation, last_seq)
      SELECT b.id, b.log_incarnation, s.seq FROM boards b JOIN board_seq s ON s.board_id = b.id
      ON CONFLICT (board_id, incarnation) DO NOTHING`;
    // Eight characters, as the form of a cursor has room for.
    const boards = await tx`
      /* restored.new_incarnations */
      UPDATE boards SET log_incarnation = left(replace(gen_random_uuid()::text, '-', ''), 8)`;
    const [keys] = await tx<{ tokens_until: string | null }[]>`
      /* restored.close_signing_keys */
      WITH closed AS (
        UPDATE signing_keys SET tokens_until = least(tokens_until,
          coalesce(${moment}::timestamptz, (SELECT beat_at FROM pulse), '-infinity'))
        RETURNING tokens_until
      )
      SELECT to_char(max(tokens_until) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS tokens_until
      FROM closed WHERE isfinite(tokens_until)`;
    return { boards: boards.count, tokensUntil: keys?.tokens_until ?? null };
  });
}

/** Connections of servers to the database of this one: they would go on with what they remember of the time that was taken back. */
export async function countServerConnections(sql: Sql): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    /* restored.server_connections */
    SELECT count(*)::int AS count FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'lanekeeper' AND pid <> pg_backend_pid()`;
  return row?.count ?? 0;
}
