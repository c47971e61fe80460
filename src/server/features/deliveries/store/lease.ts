/**
 * Giving deliveries out. Whoever gives out of a board comes one after another, for some milliseconds: so that of one session no two are out
 * at once, whoever asks, and the order of a subscription holds. A lock per session would have to be taken before it is known which are due.
 */
import type { Runner, Tx } from '../../../db/client.ts';
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

/** Due, or given out and not heard of again; nothing of its subscription is before it; and nothing of its session is out. */
const IS_FREE = (sql: Runner, boardId: number) => sql`
  NOT EXISTS (
    SELECT FROM deliveries before WHERE before.board_id = ${boardId} AND before.subscription_id = d.subscription_id AND before.seq < d.seq
      AND before.status IN ('pending', 'synthesizing', 'leased'))
  AND NOT EXISTS (
    SELECT FROM deliveries out WHERE out.board_id = ${boardId} AND out.session_key = d.session_key AND out.status = 'leased'
      AND out.lease_expires_at > clock_timestamp() AND out.id <> d.id)`;

/** In a statement after the lock: it sees what the one before has given out. Oldest due first, one of each session. */
export async function leaseDeliveries(tx: Tx, boardId: number, ask: LeaseAsk): Promise<DeliveryRow[]> {
  const { owner, platforms, isWebhook } = ask;
  return tx<DeliveryRow[]>`
    /* deliveries.lease */
    WITH due AS MATERIALIZED (
      SELECT d.id, d.due_at, d.session_key, d.seq FROM (
        SELECT * FROM deliveries WHERE board_id = ${boardId} AND status = 'pending' AND due_at <= clock_timestamp()
        UNION ALL
        SELECT * FROM deliveries WHERE board_id = ${boardId} AND status = 'leased' AND lease_expires_at <= clock_timestamp()
      ) AS d
      WHERE d.is_webhook = ${isWebhook} ${isWebhook ? tx`` : tx`AND d.owner IS NOT DISTINCT FROM ${owner}::text`}
        ${platforms === null ? tx`` : tx`AND d.platform = ANY (${platforms as string[]}::text[])`}
        AND ${IS_FREE(tx, boardId)}
    ),
    picked AS MATERIALIZED (
      SELECT first.id FROM (SELECT DISTINCT ON (session_key) id, due_at FROM due ORDER BY session_key, due_at, seq, id) AS first
      ORDER BY first.due_at, first.id LIMIT ${ask.max}
    )
    UPDATE deliveries d SET status = 'leased', lease_id = gen_random_uuid(), attempt = d.attempt + 1,
      lease_expires_at = clock_timestamp() + make_interval(secs => ${ask.leaseSeconds})
    FROM picked WHERE d.board_id = ${boardId} AND d.id = picked.id
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
    FROM unnest(${texts.map(({ id }) => id)}::uuid[], ${texts.map(({ text }) => text)}::text[]) AS told (id, text)
    WHERE d.board_id = ${boardId} AND d.id = told.id`;
}

/** The client had gone: nothing happened. */
export async function giveBackLeases(
  sql: Runner,
  boardId: number,
  leases: readonly { readonly id: Uuid; readonly lease_id: string | null }[],
): Promise<void> {
  await sql`
    /* deliveries.give_back */
    UPDATE deliveries d SET status = 'pending', lease_id = NULL, lease_expires_at = NULL, attempt = d.attempt - 1
    FROM unnest(${leases.map(({ id }) => id)}::uuid[], ${leases.map(({ lease_id: leaseId }) => leaseId)}::uuid[]) AS given (id, lease_id)
    WHERE d.board_id = ${boardId} AND d.id = given.id AND d.status = 'leased' AND d.lease_id = given.lease_id`;
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
    JOIN deliveries d ON d.board_id = ${boardId} AND d.id = given.id AND d.status = 'leased' AND d.lease_id = given.lease_id`;
}

export interface DueTarget {
  readonly owner: string | null;
  readonly platform: string;
}

/** Whom there is something for, however it stands with their sessions. */
export async function listDueTargets(sql: Runner, boardId: number, rowsMax: number): Promise<DueTarget[]> {
  return sql<DueTarget[]>`
    /* deliveries.list_due_targets */
    SELECT DISTINCT owner, platform FROM (
      SELECT owner, platform FROM deliveries
      WHERE board_id = ${boardId} AND status = 'pending' AND NOT is_webhook AND due_at <= clock_timestamp() ORDER BY due_at LIMIT ${rowsMax}
    ) AS due`;
}

/** Milliseconds until something falls due, or a lease ends; null: nothing is to come. */
export async function findNextDueMs(sql: Runner, boardId: number): Promise<number | null> {
  const [row] = await sql<{ ms: number | null }[]>`
    /* deliveries.find_next_due */
    SELECT (extract(epoch FROM least(
      (SELECT min(due_at) FROM deliveries WHERE board_id = ${boardId} AND status = 'pending' AND due_at > clock_timestamp()),
      (SELECT min(lease_expires_at) FROM deliveries WHERE board_id = ${boardId} AND status = 'leased')
    ) - clock_timestamp()) * 1000)::float8 AS ms`;
  return row?.ms ?? null;
}
