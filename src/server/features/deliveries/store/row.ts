/** A delivery as it is stored, and how it is found. */
import type { DeliveryMode, DeliveryStatus, EventKind } from '../../../../contract/statuses.ts';
import type { Runner, Tx } from '../../../db/client.ts';
import type { Uuid } from '../../../kernel/ids.ts';

export interface DeliveryRow {
  readonly id: Uuid;
  readonly subscription_id: Uuid;
  readonly seq: number;
  readonly kind: EventKind;
  readonly task_id: Uuid | null;
  readonly delegation_id: Uuid | null;
  readonly mode: DeliveryMode;
  readonly wake: boolean;
  readonly status: DeliveryStatus;
  readonly owner: string | null;
  readonly platform: string;
  readonly session_id: string | null;
  readonly is_webhook: boolean;
  readonly webhook_host: string | null;
  readonly due_at: string;
  readonly lease_id: string | null;
  readonly lease_expires_at: string | null;
  readonly attempt: number;
  readonly failures: number;
  readonly last_error: string | null;
  readonly message_id: string | null;
  readonly text: string | null;
  readonly is_fallback: boolean;
  readonly created_at: string;
  readonly finished_at: string | null;
}

export const deliveryColumns = (sql: Runner) => sql`
  d.id, d.subscription_id, d.seq, d.kind, d.task_id, d.delegation_id, d.mode, d.wake, d.status, d.owner, d.platform, d.session_id, d.is_webhook,
  d.webhook_host, d.due_at, d.lease_id, d.lease_expires_at, d.attempt, d.failures, d.last_error, d.message_id, d.text, d.is_fallback, d.created_at, d.finished_at`;

export async function findDelivery(sql: Runner, boardId: number, id: Uuid): Promise<DeliveryRow | null> {
  const [row] = await sql<DeliveryRow[]>`
    /* deliveries.find */ SELECT ${deliveryColumns(sql)} FROM deliveries d WHERE d.board_id = ${boardId} AND d.id = ${id}`;
  return row ?? null;
}

/** For the rest of the transaction nobody else decides about it. */
export async function lockDelivery(sql: Runner, boardId: number, id: Uuid): Promise<DeliveryRow | null> {
  const [row] = await sql<DeliveryRow[]>`
    /* deliveries.lock */
    SELECT ${deliveryColumns(sql)} FROM deliveries d WHERE d.board_id = ${boardId} AND d.id = ${id} FOR NO KEY UPDATE`;
  return row ?? null;
}

/** Before the delivery itself: whoever ends a subscription has it before its deliveries too. False: it is gone. */
export async function holdSubscriptionOf(tx: Tx, boardId: number, id: Uuid): Promise<boolean> {
  const rows = await tx`
    /* deliveries.hold_subscription */
    SELECT FROM subscriptions
    WHERE board_id = ${boardId} AND id = (SELECT subscription_id FROM deliveries WHERE board_id = ${boardId} AND id = ${id}) FOR KEY SHARE`;
  return rows.length > 0;
}

export interface DeliveryFilter {
  readonly statuses: readonly DeliveryStatus[] | null;
  readonly subscriptionId: Uuid | null;
  /** Null: whosever they are. */
  readonly owner: string | null;
}

/** Newest first. */
export async function listDeliveries(
  sql: Runner,
  boardId: number,
  filter: DeliveryFilter,
  page: { readonly beforeId: Uuid | null; readonly rowsMax: number },
): Promise<DeliveryRow[]> {
  const { statuses, subscriptionId, owner } = filter;
  return sql<DeliveryRow[]>`
    /* deliveries.list */
    SELECT ${deliveryColumns(sql)} FROM deliveries d
    WHERE d.board_id = ${boardId} ${page.beforeId === null ? sql`` : sql`AND d.id < ${page.beforeId}`}
      ${statuses === null ? sql`` : sql`AND d.status = ANY (${statuses as DeliveryStatus[]}::text[])`}
      ${subscriptionId === null ? sql`` : sql`AND d.subscription_id = ${subscriptionId}`}
      ${owner === null ? sql`` : sql`AND d.owner = ${owner}`}
    ORDER BY d.id DESC LIMIT ${page.rowsMax}`;
}

export interface SessionMessageRow {
  readonly delivery_id: Uuid;
  readonly at: string;
  /** The same in microseconds: the text that the wire shows has only milliseconds, and would not tell two apart. */
  readonly at_us: number;
  readonly text: string;
  readonly task_id: Uuid | null;
  readonly delegation_id: Uuid | null;
  readonly platform: string;
  readonly chat_id: string;
  readonly thread_id: string;
  readonly message_id: string | null;
}

export interface MessagePosition {
  /** Microseconds since 1970. */
  readonly us: string;
  readonly id: Uuid;
}

export interface MessageFilter {
  readonly sessionId: string;
  /** Null: whoever has sent them. */
  readonly owner: string | null;
}

/** In the order of their acks. */
export async function listSessionMessages(
  sql: Runner,
  boardId: number,
  { sessionId, owner }: MessageFilter,
  page: { readonly after: MessagePosition | null; readonly rowsMax: number },
): Promise<SessionMessageRow[]> {
  const { after } = page;
  return sql<SessionMessageRow[]>`
    /* deliveries.list_session_messages */
    SELECT delivery_id, at, (extract(epoch FROM at) * 1000000)::bigint AS at_us, text, task_id, delegation_id, platform, chat_id, thread_id, message_id FROM session_messages
    WHERE board_id = ${boardId} AND session_id = ${sessionId}
      ${owner === null ? sql`` : sql`AND EXISTS (SELECT FROM deliveries d WHERE d.board_id = ${boardId} AND d.id = delivery_id AND d.owner = ${owner})`}
      ${after === null ? sql`` : sql`AND (at, delivery_id) > ('epoch'::timestamptz + ${after.us}::bigint * interval '1 microsecond', ${after.id}::uuid)`}
    ORDER BY at, delivery_id LIMIT ${page.rowsMax}`;
}
