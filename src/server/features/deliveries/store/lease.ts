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
  readonly isWebhook: boolean;
  readonly max: number;
  readonly leaseSeconds: number;
}

/**
 * Of a delivery `d`: nothing of its subscription is before it, and nothing of its session is out. OFFSET 0 keeps both look-ups of one row from
 * becoming a join of all.
 */
const IS_FREE = (sql: Runner, boardId: number) => sql`
  NOT EXISTS (
    SELECT FROM deliveries before WHERE before.board_id = ${boardId} AND before.subscription_id = d.subscription_id AND before.seq < d.seq
      AND before.status IN ('pending', 'synthesizing', 'leased') OFFSET 0)
  AND NOT EXISTS (
    SELECT FROM deliveries out WHERE out.board_id = ${boardId} AND out.session_key = d.session_key AND out.status = 'leased'
      AND out.lease_expires_at > statement_timestamp() AND out.id <> d.id OFFSET 0)`;

/** Of a delivery `d`, as the index of what gateways wait for has it. What is nobody's has no name. */
const WAITS_FOR = (sql: Runner, boardId: number, owner: PendingQuery) => sql`
  d.board_id = ${boardId} AND d.status = 'pending' AND NOT d.is_webhook AND coalesce(d.owner, '') = ${owner}`;

/** Given out, and not heard of again. What has become silent meanwhile is not told again. */
const HAS_LAPSED = (sql: Runner, boardId: number) => sql`
  d.board_id = ${boardId} AND d.status = 'leased' AND d.lease_expires_at <= statement_timestamp() AND d.mode <> 'silent'`;

const nameOf = (owner: string | null): string => owner ?? '';

/** Looked at for each one that is wanted: of one session only the first counts, and the rest waits for it from then on. */
const CANDIDATES_PER_ROW = 10;

/**
 * What may be given out, as rows of id, due_at, session_key and seq; of each platform the first ones, so that what waits behind them costs
 * nothing. The platforms are found one by one where they are not named: a step into the index for each.
 */
function candidatesOf(
  sql: Runner,
  boardId: number,
  { owner, platforms, isWebhook, max }: LeaseAsk,
): { readonly named: PendingQuery; readonly rows: PendingQuery } {
  const columns = sql`d.id, d.due_at, d.session_key, d.seq`;
  const first = sql`d.due_at <= statement_timestamp() AND ${IS_FREE(sql, boardId)} ORDER BY d.due_at, d.id LIMIT ${max * CANDIDATES_PER_ROW}`;
  if (isWebhook) {
    const rows = sql`
      (SELECT ${columns} FROM deliveries d WHERE d.board_id = ${boardId} AND d.status = 'pending' AND d.is_webhook AND ${first})
      UNION ALL
      SELECT ${columns} FROM deliveries d WHERE ${HAS_LAPSED(sql, boardId)} AND d.is_webhook AND ${IS_FREE(sql, boardId)}`;
    return { named: sql``, rows };
  }
  const waits = WAITS_FOR(sql, boardId, sql`${nameOf(owner)}`);
  // From before the first of them, so that every step has a place in the index to begin at.
  const known = sql`
    served (platform) AS (
      SELECT ''
      UNION ALL
      SELECT next.platform FROM served CROSS JOIN LATERAL (
        SELECT d.platform FROM deliveries d WHERE ${waits} AND d.platform > served.platform ORDER BY d.platform, d.due_at, d.id LIMIT 1
      ) AS next
    ),`;
  const given = sql`served (platform) AS (SELECT DISTINCT platform FROM unnest(${platforms as string[]}::text[]) AS platform),`;
  const isServed = platforms === null ? sql`` : sql`AND d.platform = ANY (${platforms as string[]}::text[])`;
  const rows = sql`
    SELECT waiting.* FROM served CROSS JOIN LATERAL (
      SELECT ${columns} FROM deliveries d WHERE ${waits} AND d.platform = served.platform AND ${first}
    ) AS waiting
    UNION ALL
    SELECT ${columns} FROM deliveries d
    WHERE ${HAS_LAPSED(sql, boardId)} AND NOT d.is_webhook AND coalesce(d.owner, '') = ${nameOf(owner)} ${isServed} AND ${IS_FREE(sql, boardId)}`;
  return { named: platforms === null ? known : given, rows };
}

/**
 * In a statement after the lock: it sees what the one before has given out. Oldest due first, one of each session. Whoever changes the
 * subscription meanwhile is waited for, and what is nobody else's by then is given out.
 */
export async function leaseDeliveries(tx: Tx, boardId: number, ask: LeaseAsk): Promise<DeliveryRow[]> {
  const { named, rows } = candidatesOf(tx, boardId, ask);
  const isStillTheirs = ask.isWebhook
    ? tx`d.is_webhook`
    : tx`NOT d.is_webhook AND coalesce(d.owner, '') = ${nameOf(ask.owner)}`;
  return tx<DeliveryRow[]>`
    /* deliveries.lease */
    WITH RECURSIVE ${named}
    hushed AS (
      UPDATE deliveries SET status = 'acked', lease_id = NULL, lease_expires_at = NULL, finished_at = clock_timestamp()
      WHERE board_id = ${boardId} AND status = 'leased' AND mode = 'silent' AND lease_expires_at <= statement_timestamp()
    ),
    due AS MATERIALIZED (${rows}),
    picked AS MATERIALIZED (
      SELECT ${boardId}::int AS board_id, first.id
      FROM (SELECT DISTINCT ON (session_key) id, due_at FROM due ORDER BY session_key, due_at, seq, id) AS first
      ORDER BY first.due_at, first.id LIMIT ${ask.max}
    )
    UPDATE deliveries d SET status = 'leased', lease_id = gen_random_uuid(), attempt = d.attempt + 1,
      lease_expires_at = clock_timestamp() + make_interval(secs => ${ask.leaseSeconds})
    FROM picked
    WHERE d.board_id = ANY (ARRAY[picked.board_id]) AND d.id = picked.id AND d.mode <> 'silent' AND ${isStillTheirs}
      AND (d.status = 'pending' OR (d.status = 'leased' AND d.lease_expires_at <= statement_timestamp()))
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
  const owners = [...new Set(rows.map(({ owner }) => owner))];
  const waits = sql`${WAITS_FOR(sql, boardId, sql`wanted.owner`)} AND d.due_at <= statement_timestamp() AND ${IS_FREE(sql, boardId)}`;
  const [found] = await sql<DueWishes[]>`
    /* deliveries.find_due_wishes */
    SELECT to_json(ARRAY(
      SELECT DISTINCT wanted.place
      FROM unnest(
        ${rows.map(({ place }) => place)}::int[], ${rows.map(({ owner }) => owner)}::text[], ${rows.map(({ platform }) => platform)}::text[]
      ) AS wanted (place, owner, platform)
      CROSS JOIN LATERAL (
        (SELECT 1 FROM deliveries d WHERE wanted.platform IS NOT NULL AND ${waits} AND d.platform = wanted.platform LIMIT 1)
        UNION ALL
        (SELECT 1 FROM deliveries d WHERE wanted.platform IS NULL AND ${waits} LIMIT 1)
        UNION ALL
        (SELECT 1 FROM deliveries d WHERE ${HAS_LAPSED(sql, boardId)} AND NOT d.is_webhook AND coalesce(d.owner, '') = wanted.owner
          AND d.platform = coalesce(wanted.platform, d.platform) AND ${IS_FREE(sql, boardId)} LIMIT 1)
        LIMIT 1
      ) AS found
    )) AS due, (extract(epoch FROM least(
      (SELECT min(coming.due_at) FROM unnest(${owners}::text[]) AS wanted (owner)
        CROSS JOIN LATERAL (
          SELECT min(d.due_at) AS due_at FROM deliveries d WHERE ${WAITS_FOR(sql, boardId, sql`wanted.owner`)} AND d.due_at > statement_timestamp()
        ) AS coming),
      (SELECT min(lease_expires_at) FROM deliveries
        WHERE board_id = ${boardId} AND status = 'leased' AND lease_expires_at > statement_timestamp())
    ) - clock_timestamp()) * 1000)::float8 AS next_ms`;
  return present(found, 'it is one row');
}
