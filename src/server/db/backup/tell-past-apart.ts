/**
 * What has to be done once to a database that went back to an earlier moment, before a server uses it: what clients still hold of the time
 * that was taken back must not pass for what is.
 *
 * - Each board's log gets a new incarnation, which its cursors carry. The old one stays known up to where the log ends now, so cursors
 *   of before go on, and later ones are `cursor_expired`, although their numbers will be given out again.
 * - Signing keys sign no more, and what they signed after the moment is refused; the next start makes a new one. What they signed
 *   before stays good: a worker that has worked on all the time may still hand in what it has.
 * - The audit log goes on at a number beyond all that were given out in that time, with an entry that says so.
 * - Sign-in codes are forgotten: one that was used in that time would be good again.
 *
 * The rest tells itself apart. The ids of runs, tasks and deliveries are random and never given out twice. The pulse lies as far back as
 * the database, so the first server gives live claims that time, and at most a lease from now. The alternative, a new number of the board,
 * would break every address and every cursor.
 */
import type { AuditAction } from '../../../contract/audit.ts';
import { begin } from '../begin.ts';
import type { Sql, Tx } from '../client.ts';

const RESTORED: AuditAction = 'database.restored';

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
          coalesce(${moment}::timestamptz, (SELECT beat_at FROM pulse), 'epoch'))
        RETURNING tokens_until
      )
      SELECT to_char(max(tokens_until) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS tokens_until
      FROM closed WHERE tokens_until > 'epoch'`;
    await tx`/* restored.forget_codes */ DELETE FROM sign_in_codes`;
    await tellAudit(tx, moment);
    return { boards: boards.count, tokensUntil: keys?.tokens_until ?? null };
  });
}

/**
 * Numbers go on from the milliseconds since 1970: no log gives out a thousand a second for long, so that is beyond all of the time that
 * was taken back, and of every restore before, of the same backup too. Who has a number from between can be told so.
 */
async function tellAudit(tx: Tx, moment: string | null): Promise<void> {
  await tx`
    /* restored.audit */
    WITH past AS (SELECT coalesce(max(seq), 0) AS seq FROM audit_seq),
    next AS (
      INSERT INTO audit_seq AS last (id, seq) VALUES (1, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint)
      ON CONFLICT (id) DO UPDATE SET seq = greatest(last.seq + 1, excluded.seq)
      RETURNING seq, clock_timestamp() AS at
    )
    INSERT INTO audit_entries (seq, at, action, actor_type, actor_id, outcome, data)
    SELECT next.seq, next.at, ${RESTORED}::text, 'system', 'restore', 'done', jsonb_build_object('last_seq', past.seq, 'moment',
      to_char(coalesce(${moment}::timestamptz, (SELECT beat_at FROM pulse)) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
    FROM next, past`;
}

/** Connections of servers to the database of this one: they would go on with what they remember of the time that was taken back. */
export async function countServerConnections(sql: Sql): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    /* restored.server_connections */
    SELECT count(*)::int AS count FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'lanekeeper' AND pid <> pg_backend_pid()`;
  return row?.count ?? 0;
}
