/**
 * Giving deliveries out. Whoever gives out of a board comes one after another, for some milliseconds: so that of one session no two are out
 * at once, whoever asks, and the order of a subscription holds. A lock per session would have to be taken before it is known which are due.
 */
import type { PendingQuery, Runner, Tx } from '../../../db/client.ts';
import { present } from '../../../kernel/assert.ts';
import type { Uuid } from '../../../kernel/ids.ts';
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
const IS_FREE = (sql: Runner, boardId: number) => sql`
  ${IS_FIRST(sql, boardId)} AND ${IS_IDLE(sql, boardId, sql`d.session_key`, sql`AND out.id <> d.id`)}`;

/** Of a delivery `d`, as the index of what gateways wait for has it. What is nobody's has no name. */
const WAITS_FOR = (sql: Runner, boardId: number, owner: PendingQuery) => sql`
  d.board_id = ${boardId} AND d.status = 'pending' AND NOT d.is_webhook AND coalesce(d.owner, '') = ${owner}`;

/** Given out, and not heard of again. What has become silent meanwhile is not told again. */
const HAS_LAPSED = (sql: Runner, boardId: number) => sql`
  d.board_id = ${boardId} AND d.status = 'leased' AND d.lease_expires_at <= statement_timestamp() AND d.mode <> 'silent'`;

const nameOf = (owner: string | null): string => owner ?? '';

/** The oldest that are due are looked at one by one, some 5 µs each: on most boards that is all there is. */
const NEAR_ROWS_MAX = 200;
/** Looked at for each session that is wanted: of one session only the first counts, and the rest waits for it from then on. */
const CANDIDATES_PER_SESSION = 10;
/** Where more are due and those did not do: sessions in a look, some 10 µs each. Above what is out, or pauses, at once. */
const SESSIONS_MAX = 500;
/** Of each such session: the first is not free only while one before it of its subscription pauses. */
const SESSION_ROWS_MAX = 20;

/**
 * What may be given out of one place, a condition on `d` that an index begins with: rows of id, due_at, session_key and seq. However much is
 * piled up there, the work is bounded: behind the oldest, which may all be of a session that has one out, the sessions are gone through by
 * an index, of each the first. Without, ten thousand of a busy session cost each look of everybody 10 ms.
 */
const freeOf = (
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
const platformsOf = (sql: Runner, waits: PendingQuery) => sql`
  SELECT ''
  UNION ALL
  SELECT next.platform FROM known CROSS JOIN LATERAL (
    SELECT d.platform FROM deliveries d WHERE ${waits} AND d.platform > known.name ORDER BY d.platform, d.due_at, d.id LIMIT 1
  ) AS next`;

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
 * subscription meanwhile is waited for, and what is nobody else's by then is given out. That is asked within a CASE, or a database that has not
 * been analyzed goes through all that is pending to ask it.
 */
export async function leaseDeliveries(tx: Tx, boardId: number, ask: LeaseAsk): Promise<DeliveryRow[]> {
  const { webhooks } = ask;
  const { named, rows } =
    webhooks === null ? gatewayCandidates(tx, boardId, ask) : webhookCandidates(tx, boardId, webhooks);
  const isStillTheirs =
    webhooks === null
      ? tx`NOT d.is_webhook AND coalesce(d.owner, '') = ${nameOf(ask.owner)}`
      : tx`d.is_webhook`;
  return tx<DeliveryRow[]>`
    /* deliveries.lease */
    WITH RECURSIVE ${named}
    hushed AS (
      UPDATE deliveries SET status = 'acked', lease_id = NULL, lease_expires_at = NULL, finished_at = clock_timestamp()
      WHERE board_id = ${boardId} AND status = 'leased' AND mode = 'silent' AND lease_expires_at <= statement_timestamp()
    ),
    due AS MATERIALIZED (${rows}),
    picked AS MATERIALIZED (
      SELECT ${boardId}::int AS board_id, ranked.id FROM (
        SELECT first.*, row_number() OVER (PARTITION BY name ORDER BY due_at, id) AS number
        FROM (SELECT DISTINCT ON (session_key) * FROM due ORDER BY session_key, due_at, seq, id) AS first
      ) AS ranked
      WHERE ranked.number <= ranked.room ORDER BY ranked.due_at, ranked.id LIMIT ${ask.max}
    )
    UPDATE deliveries d SET status = 'leased', lease_id = gen_random_uuid(), attempt = d.attempt + 1,
      lease_expires_at = clock_timestamp() + make_interval(secs => ${ask.leaseSeconds})
    FROM picked
    WHERE d.board_id = ANY (ARRAY[picked.board_id]) AND d.id = picked.id AND CASE WHEN d.mode <> 'silent' AND ${isStillTheirs}
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
