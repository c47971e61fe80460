/**
 * Which deliveries may be given out: pieces of SQL about a delivery `d`. Whoever gives out and whoever asks whether anything could be given
 * out say it with the same pieces, because what only one of them found free would be asked for without end.
 */
import type { PendingQuery, Runner } from '../../../db/client.ts';

/**
 * Nothing of its subscription is before it. OFFSET 0 keeps the look-up of one row from becoming a join of all, here and below; the order has it
 * made by its index, where a database that has not been analyzed would read the table until it finds one.
 */
const IS_FIRST = (sql: Runner, boardId: number) => sql`
  NOT EXISTS (
    SELECT FROM deliveries before WHERE before.board_id = ${boardId} AND before.subscription_id = d.subscription_id AND before.seq < d.seq
      AND before.finished_at IS NULL
    ORDER BY before.seq OFFSET 0 LIMIT 1)`;

/** Nothing of the session is out, but for `d` itself. */
const IS_IDLE = (sql: Runner, boardId: number, sessionKey: PendingQuery, isOther: PendingQuery) => sql`
  NOT EXISTS (
    SELECT FROM deliveries out WHERE out.board_id = ${boardId} AND out.session_key = ${sessionKey} AND out.status = 'leased'
      AND out.lease_expires_at > statement_timestamp() ${isOther} OFFSET 0)`;

/** Of a delivery `d` that is due: it may be given out. */
export const IS_FREE = (sql: Runner, boardId: number) => sql`
  ${IS_FIRST(sql, boardId)} AND ${IS_IDLE(sql, boardId, sql`d.session_key`, sql`AND out.id <> d.id`)}`;

/** Of a delivery `d`, as the index of what gateways wait for has it. What is nobody's has no name. */
export const WAITS_FOR = (sql: Runner, boardId: number, owner: PendingQuery) => sql`
  d.board_id = ${boardId} AND d.status = 'pending' AND NOT d.is_webhook AND coalesce(d.owner, '') = ${owner}`;

/** Given out, and not heard of again. What has become silent meanwhile is not told again. */
export const HAS_LAPSED = (sql: Runner, boardId: number) => sql`
  d.board_id = ${boardId} AND d.status = 'leased' AND d.lease_expires_at <= statement_timestamp() AND d.mode <> 'silent'`;

export const nameOf = (owner: string | null): string => owner ?? '';

/** The oldest that are due are looked at one by one, some 5 µs each: on most boards that is all there is. */
export const NEAR_ROWS_MAX = 200;
/** Looked at for each session that is wanted: of one session only the first counts, and the rest waits for it from then on. */
export const CANDIDATES_PER_SESSION = 10;
/** Where more are due and those did not do: sessions in a look, some 10 µs each. Above what is out, or pauses, at once. */
const SESSIONS_MAX = 500;
/** Of each such session: the first is not free only while one before it of its subscription pauses. */
const SESSION_ROWS_MAX = 20;

/**
 * What may be given out of one place, a condition on `d` that an index begins with: rows of id, due_at, session_key and seq. However much is
 * piled up there, the work is bounded: behind the oldest, which may all be of a session that has one out, the sessions are gone through by
 * an index, of each the first. Without, ten thousand of a busy session cost each look of everybody 10 ms.
 */
export const freeOf = (
  sql: Runner,
  boardId: number,
  isThere: PendingQuery,
  { sessions, nearRowsMax }: { readonly sessions: number; readonly nearRowsMax: number },
) => sql`
  WITH RECURSIVE near AS MATERIALIZED (
    SELECT d.id, d.due_at, d.session_key, d.seq FROM (
      SELECT * FROM deliveries d WHERE ${isThere} AND d.due_at <= statement_timestamp() ORDER BY d.due_at, d.id LIMIT ${nearRowsMax}
    ) AS d WHERE ${IS_FREE(sql, boardId)} LIMIT ${sessions * CANDIDATES_PER_SESSION}
  ),
  session (key, number) AS (
    SELECT '', 0 WHERE (SELECT count(DISTINCT session_key) FROM near) < ${sessions} AND EXISTS (
      SELECT FROM deliveries d WHERE ${isThere} AND d.due_at <= statement_timestamp() ORDER BY d.due_at, d.id OFFSET ${nearRowsMax} LIMIT 1)
    UNION ALL
    SELECT next.session_key, session.number + 1 FROM session CROSS JOIN LATERAL (
      SELECT d.session_key FROM deliveries d WHERE ${isThere} AND d.session_key > session.key
      ORDER BY d.session_key, d.due_at, d.id LIMIT 1
    ) AS next
    WHERE session.number < ${SESSIONS_MAX}
  )
  SELECT * FROM near
  UNION ALL
  SELECT head.* FROM (
    SELECT key FROM session WHERE number > 0 AND ${IS_IDLE(sql, boardId, sql`session.key`, sql``)}
  ) AS idle
  CROSS JOIN LATERAL (
    SELECT d.id, d.due_at, d.session_key, d.seq FROM (
      SELECT * FROM deliveries d WHERE ${isThere} AND d.session_key = idle.key AND d.due_at <= statement_timestamp()
      ORDER BY d.due_at, d.id LIMIT ${SESSION_ROWS_MAX}
    ) AS d WHERE ${IS_FIRST(sql, boardId)} ORDER BY d.due_at, d.id LIMIT 1
  ) AS head`;

/** The platforms of an owner that have something pending, one by one: a step into the index for each, from before the first. */
export const platformsOf = (sql: Runner, waits: PendingQuery) => sql`
  SELECT ''
  UNION ALL
  SELECT next.platform FROM known CROSS JOIN LATERAL (
    SELECT d.platform FROM deliveries d WHERE ${waits} AND d.platform > known.name ORDER BY d.platform, d.due_at, d.id LIMIT 1
  ) AS next`;
