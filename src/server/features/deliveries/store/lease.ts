/**
 * Giving deliveries out. Whoever gives out of a board comes one after another, for some milliseconds: so that of one session no two are out
 * at once, whoever asks, and the order of a subscription holds. A lock per session would have to be taken before it is known which are due.
 */
import type { PendingQuery, Runner, Tx } from '../../../db/client.ts';
import type { Uuid } from '../../../kernel/ids.ts';
import {
  CANDIDATES_PER_SESSION,
  freeOf,
  HAS_LAPSED,
  IS_FREE,
  NEAR_ROWS_MAX,
  nameOf,
  platformsOf,
  WAITS_FOR,
} from './free.ts';
import { type DeliveryRow, deliveryColumns } from './row.ts';

export async function lockGivingOut(tx: Tx, boardId: number): Promise<void> {
  await tx`
    /* deliveries.lock_giving_out */ SELECT pg_advisory_xact_lock(hashtextextended('deliveries', ${boardId}))`;
}

export interface LeaseAsk {
  /** Null: what is nobody's. */
  readonly owner: string | null;
  /** Null: any. */
  readonly platforms: readonly string[] | null;
  /** Those, whosever they are; null: what gateways deliver. */
  readonly webhooks: HostRooms | null;
  readonly max: number;
  readonly leaseSeconds: number;
}

interface HostRooms {
  /** Of a host that has none of its own here. */
  readonly usual: number;
  readonly rooms: ReadonlyMap<string, number>;
}

interface Candidates {
  /** Of a WITH RECURSIVE; it ends with a comma. */
  readonly named: PendingQuery;
  /** Rows of id, due_at, session_key, seq, and of the place in which they share room. */
  readonly rows: PendingQuery;
}

/**
 * Of each platform by itself, so that what waits in one is in no other's way. They are not given as an array: of that the planner sees how long it
 * is, finds each plan of its own better than one that it may keep, and plans anew in every call, for longer than the statement takes.
 */
function gatewayCandidates(sql: Runner, boardId: number, { owner, platforms, max }: LeaseAsk): Candidates {
  const waits = WAITS_FOR(sql, boardId, sql`${nameOf(owner)}`);
  const known =
    platforms === null
      ? platformsOf(sql, waits)
      : sql`SELECT DISTINCT jsonb_array_elements_text(${JSON.stringify(platforms)}::text::jsonb)`;
  const isServed = platforms === null ? sql`` : sql`AND d.platform = ANY (${platforms as string[]}::text[])`;
  const isThere = sql`${waits} AND d.platform = served.name`;
  const bounds = { sessions: max, nearRowsMax: Math.max(NEAR_ROWS_MAX, max * CANDIDATES_PER_SESSION) };
  return {
    named: sql`known (name) AS (${known}), served AS (SELECT name, ${max}::int AS room FROM known),`,
    rows: sql`
      SELECT free.*, served.name, served.room FROM served CROSS JOIN LATERAL (${freeOf(sql, boardId, isThere, bounds)}) AS free
      UNION ALL
      SELECT d.id, d.due_at, d.session_key, d.seq, d.platform, ${max}::int FROM deliveries d
      WHERE ${HAS_LAPSED(sql, boardId)} AND NOT d.is_webhook AND coalesce(d.owner, '') = ${nameOf(owner)} ${isServed} AND ${IS_FREE(sql, boardId)}`,
  };
}

/** Of each host by itself, as far as it has room: what waits for one that has none is not even looked at. */
function webhookCandidates(sql: Runner, boardId: number, { usual, rooms }: HostRooms): Candidates {
  const isThere = sql`d.board_id = ${boardId} AND d.status = 'pending' AND d.is_webhook AND d.webhook_host = served.name`;
  const bounds = { sessions: usual, nearRowsMax: NEAR_ROWS_MAX };
  return {
    named: sql`
      known (name) AS (
        SELECT ''
        UNION ALL
        SELECT next.webhook_host FROM known CROSS JOIN LATERAL (
          SELECT d.webhook_host FROM deliveries d
          WHERE d.board_id = ${boardId} AND d.status = 'pending' AND d.is_webhook AND d.webhook_host > known.name
          ORDER BY d.webhook_host, d.due_at, d.id LIMIT 1
        ) AS next
      ),
      busy AS (
        SELECT * FROM unnest(${[...rooms.keys()]}::text[], ${[...rooms.values()]}::int[]) AS busy (name, room)
      ),
      served AS (
        SELECT known.name, coalesce(busy.room, ${usual}::int) AS room FROM known LEFT JOIN busy ON busy.name = known.name
        WHERE coalesce(busy.room, ${usual}::int) > 0
      ),`,
    rows: sql`
      SELECT free.*, served.name, served.room FROM served CROSS JOIN LATERAL (${freeOf(sql, boardId, isThere, bounds)}) AS free
      UNION ALL
      SELECT d.id, d.due_at, d.session_key, d.seq, d.webhook_host, coalesce(busy.room, ${usual}::int)
      FROM deliveries d LEFT JOIN busy ON busy.name = d.webhook_host
      WHERE ${HAS_LAPSED(sql, boardId)} AND d.is_webhook AND ${IS_FREE(sql, boardId)}`,
  };
}

/**
 * In a statement after the lock: it sees what the one before has given out. Oldest due first, one of each session. Whoever changes the
 * subscription meanwhile is waited for, and what is nobody else's by then, and of no other session or host, is given out. That is asked
 * within a CASE, or a database that has not been analyzed goes through all that is pending to ask it.
 */
export async function leaseDeliveries(tx: Tx, boardId: number, ask: LeaseAsk): Promise<DeliveryRow[]> {
  const { webhooks } = ask;
  const { named, rows } =
    webhooks === null ? gatewayCandidates(tx, boardId, ask) : webhookCandidates(tx, boardId, webhooks);
  const isStillTheirs =
    webhooks === null
      ? tx`NOT d.is_webhook AND coalesce(d.owner, '') = ${nameOf(ask.owner)}`
      : tx`d.is_webhook AND d.webhook_host = picked.name`;
  return tx<DeliveryRow[]>`
    /* deliveries.lease */
    WITH RECURSIVE ${named}
    hushed AS (
      UPDATE deliveries SET status = 'acked', lease_id = NULL, lease_expires_at = NULL, finished_at = clock_timestamp()
      WHERE board_id = ${boardId} AND status = 'leased' AND mode = 'silent' AND lease_expires_at <= statement_timestamp()
    ),
    due AS MATERIALIZED (${rows}),
    picked AS MATERIALIZED (
      SELECT ${boardId}::int AS board_id, oldest.* FROM (
        SELECT ranked.id, ranked.session_key, ranked.name FROM (
          SELECT first.*, row_number() OVER (PARTITION BY name ORDER BY due_at, id) AS number
          FROM (SELECT DISTINCT ON (session_key) * FROM due ORDER BY session_key, due_at, seq, id) AS first
        ) AS ranked
        WHERE ranked.number <= ranked.room ORDER BY ranked.due_at, ranked.id LIMIT ${ask.max}
      ) AS oldest
      -- As whoever erases them locks them.
      ORDER BY oldest.id
    )
    UPDATE deliveries d SET status = 'leased', lease_id = gen_random_uuid(), attempt = d.attempt + 1,
      lease_expires_at = clock_timestamp() + make_interval(secs => ${ask.leaseSeconds})
    FROM picked
    WHERE d.board_id = ANY (ARRAY[picked.board_id]) AND d.id = picked.id AND CASE WHEN d.mode <> 'silent' AND d.session_key = picked.session_key AND ${isStillTheirs}
      AND (d.status = 'pending' OR (d.status = 'leased' AND d.lease_expires_at <= statement_timestamp())) THEN true ELSE false END
    RETURNING ${deliveryColumns(tx)}`;
}

/** What is told stays the same from the first time on. */
export async function keepTexts(
  tx: Tx,
  boardId: number,
  texts: readonly { readonly id: Uuid; readonly text: string }[],
): Promise<void> {
  await tx`
    /* deliveries.keep_texts */
    UPDATE deliveries d SET text = told.text
    FROM (
      SELECT ${boardId}::int AS board_id, id, text
      FROM unnest(${texts.map(({ id }) => id)}::uuid[], ${texts.map(({ text }) => text)}::text[]) AS told (id, text)
    ) AS told
    WHERE d.board_id = ANY (ARRAY[told.board_id]) AND d.id = told.id`;
}

/** The client had gone: nothing happened. */
export async function giveBackLeases(
  sql: Runner,
  boardId: number,
  leases: readonly { readonly id: Uuid; readonly lease_id: string | null }[],
): Promise<void> {
  await sql`
    /* deliveries.give_back */
    UPDATE deliveries d SET status = CASE WHEN d.mode = 'silent' THEN 'acked' ELSE 'pending' END, lease_id = NULL, lease_expires_at = NULL,
      attempt = d.attempt - 1, finished_at = CASE WHEN d.mode = 'silent' THEN clock_timestamp() END
    FROM (
      SELECT ${boardId}::int AS board_id, id, lease_id
      FROM unnest(${leases.map(({ id }) => id)}::uuid[], ${leases.map(({ lease_id: leaseId }) => leaseId)}::uuid[]) AS given (id, lease_id)
    ) AS given
    WHERE d.board_id = ANY (ARRAY[given.board_id]) AND d.id = given.id AND d.status = 'leased' AND d.lease_id = given.lease_id`;
}

/** Those of the leases that still hold. */
export async function findLeased(
  sql: Runner,
  boardId: number,
  leases: readonly { readonly id: Uuid; readonly leaseId: string }[],
): Promise<DeliveryRow[]> {
  return sql<DeliveryRow[]>`
    /* deliveries.find_leased */
    SELECT ${deliveryColumns(sql)}
    FROM unnest(${leases.map(({ id }) => id)}::uuid[], ${leases.map(({ leaseId }) => leaseId)}::uuid[]) AS given (id, lease_id)
    CROSS JOIN LATERAL (
      SELECT * FROM deliveries WHERE board_id = ${boardId} AND id = given.id AND status = 'leased' AND lease_id = given.lease_id OFFSET 0
    ) AS d`;
}
