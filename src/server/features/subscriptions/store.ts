/**
 * Subscriptions. They are made and changed under the lock of their subject, whose row says that it is followed: what moves it has locked
 * it before, and so sees them, or they are behind its event (db/outbox.ts).
 */
import type { DeliveryMode, ToldKind } from '../../../contract/statuses.ts';
import type { Runner, Tx } from '../../db/client.ts';
import { columnOf } from '../../db/column.ts';
import { present } from '../../kernel/assert.ts';
import type { Uuid } from '../../kernel/ids.ts';
import type { ActorRef } from '../../kernel/principal.ts';

export interface Subject {
  readonly id: Uuid;
  readonly isDelegation: boolean;
}

export interface Target {
  readonly platform: string;
  /** Empty where there is none, like the thread. */
  readonly chatId: string;
  readonly threadId: string;
}

/** Tasks are written anew as they are locked: a claim that was decided on the row before is decided again. False: one is missing. */
export async function followTasks(tx: Tx, boardId: number, ids: readonly Uuid[]): Promise<boolean> {
  const rows = await tx`
    /* subscriptions.follow_tasks */
    WITH locked AS MATERIALIZED (
      SELECT task.ctid AS place FROM (SELECT DISTINCT id FROM unnest(${ids as Uuid[]}::uuid[]) AS id ORDER BY id) AS wanted
      CROSS JOIN LATERAL (SELECT ctid FROM tasks WHERE board_id = ${boardId} AND id = wanted.id FOR NO KEY UPDATE) AS task
    )
    UPDATE tasks SET is_followed = true WHERE board_id = ${boardId} AND ctid = ANY (ARRAY(SELECT place FROM locked)) RETURNING 1`;
  return rows.length === new Set(ids).size;
}

/** False: there is none. */
export async function lockDelegation(tx: Tx, boardId: number, id: Uuid): Promise<boolean> {
  const rows = await tx`
    /* subscriptions.lock_delegation */ SELECT FROM delegations WHERE board_id = ${boardId} AND id = ${id} FOR UPDATE`;
  return rows.length > 0;
}

export interface SubscriptionRow {
  readonly id: Uuid;
  readonly subject_id: Uuid;
  readonly is_delegation: boolean;
  readonly platform: string;
  readonly chat_id: string;
  readonly thread_id: string;
  readonly user_id: string | null;
  readonly mode: DeliveryMode;
  readonly wake: boolean;
  readonly kinds: ToldKind[] | null;
  readonly origin: Record<string, string>;
  readonly owner: string | null;
  readonly webhook_url: string | null;
  readonly webhook_secret: string | null;
  readonly cursor_seq: number;
  readonly created_by_type: 'key' | 'claim' | 'system';
  readonly created_by_id: string;
  readonly created_at: string;
  readonly updated_at: string;
}

/** What was told, or passed over in silence, moves the cursor: the deliveries say how far. */
const COLUMNS = (sql: Runner) => sql`
  s.id, s.subject_id, s.is_delegation, s.platform, s.chat_id, s.thread_id, s.user_id, s.mode, s.wake, to_json(s.kinds) AS kinds, s.origin,
  s.owner, s.webhook_url, s.webhook_secret, s.created_by_type, s.created_by_id, s.created_at, s.updated_at,
  greatest(s.cursor_seq, (
    SELECT max(d.seq) FROM deliveries d WHERE d.board_id = s.board_id AND d.subscription_id = s.id AND d.status = 'acked'
  )) AS cursor_seq`;

export async function findSubscription(
  sql: Runner,
  boardId: number,
  id: Uuid,
): Promise<SubscriptionRow | null> {
  const [row] = await sql<SubscriptionRow[]>`
    /* subscriptions.find */ SELECT ${COLUMNS(sql)} FROM subscriptions s WHERE s.board_id = ${boardId} AND s.id = ${id}`;
  return row ?? null;
}

export async function findSubscriptions(
  sql: Runner,
  boardId: number,
  ids: readonly Uuid[],
): Promise<Map<Uuid, SubscriptionRow>> {
  const rows = await sql<SubscriptionRow[]>`
    /* subscriptions.find_many */
    SELECT ${COLUMNS(sql)} FROM unnest(${ids as Uuid[]}::uuid[]) AS wanted (id)
    CROSS JOIN LATERAL (SELECT * FROM subscriptions WHERE board_id = ${boardId} AND id = wanted.id OFFSET 0) AS s`;
  return new Map(rows.map((row) => [row.id, row]));
}

/** Under the lock of the subject. */
export async function findByTarget(
  tx: Tx,
  boardId: number,
  subjectId: Uuid,
  { platform, chatId, threadId }: Target,
): Promise<SubscriptionRow | null> {
  const [row] = await tx<SubscriptionRow[]>`
    /* subscriptions.find_by_target */
    SELECT ${COLUMNS(tx)} FROM subscriptions s
    WHERE s.board_id = ${boardId} AND s.subject_id = ${subjectId} AND s.platform = ${platform} AND s.chat_id = ${chatId}
      AND s.thread_id = ${threadId}`;
  return row ?? null;
}

/** What a subscription says beside its key. */
export interface SubscriptionManner {
  readonly userId: string | null;
  readonly mode: DeliveryMode;
  readonly wake: boolean;
  readonly kinds: readonly ToldKind[] | null;
  readonly origin: Readonly<Record<string, string>>;
  readonly owner: string | null;
  readonly webhook: { readonly url: string; readonly sealedSecret: string } | null;
}

export interface NewSubscription extends SubscriptionManner {
  readonly id: Uuid;
  readonly subject: Subject;
  readonly target: Target;
  readonly actor: ActorRef;
}

/** One statement for any number of them. Their kinds travel as text, because an array of arrays cannot have some that are longer. */
export async function insertSubscriptions(
  tx: Tx,
  boardId: number,
  all: readonly NewSubscription[],
): Promise<void> {
  const column = <T>(read: (made: NewSubscription) => T): T[] => columnOf(all, read);
  await tx`
    /* subscriptions.insert */
    INSERT INTO subscriptions (board_id, id, subject_id, is_delegation, platform, chat_id, thread_id, user_id, mode, wake, kinds, origin, owner,
      webhook_url, webhook_secret, cursor_seq, created_by_type, created_by_id)
    SELECT ${boardId}, made.id, made.subject_id, made.is_delegation::boolean, made.platform, made.chat_id, made.thread_id, made.user_id, made.mode,
      made.wake::boolean, CASE WHEN made.kinds IS NOT NULL THEN ARRAY(SELECT jsonb_array_elements_text(made.kinds::jsonb)) END,
      made.origin::jsonb, made.owner, made.webhook_url, made.webhook_secret, counter.seq, made.actor_type, made.actor_id
    FROM unnest(
      ${column(({ id }) => id)}::uuid[], ${column(({ subject }) => subject.id)}::uuid[],
      ${column(({ subject }) => String(subject.isDelegation))}::text[], ${column(({ target }) => target.platform)}::text[],
      ${column(({ target }) => target.chatId)}::text[], ${column(({ target }) => target.threadId)}::text[],
      ${column(({ userId }) => userId)}::text[], ${column(({ mode }) => mode)}::text[], ${column(({ wake }) => String(wake))}::text[],
      ${column(({ kinds }) => (kinds === null ? null : JSON.stringify(kinds)))}::text[],
      ${column(({ origin }) => JSON.stringify(origin))}::text[], ${column(({ owner }) => owner)}::text[],
      ${column(({ webhook }) => webhook?.url ?? null)}::text[], ${column(({ webhook }) => webhook?.sealedSecret ?? null)}::text[],
      ${column(({ actor }) => actor.type)}::text[], ${column(({ actor }) => actor.id)}::text[]
    ) AS made (id, subject_id, is_delegation, platform, chat_id, thread_id, user_id, mode, wake, kinds, origin, owner, webhook_url,
      webhook_secret, actor_type, actor_id)
    CROSS JOIN (SELECT seq FROM board_seq WHERE board_id = ${boardId}) AS counter`;
}

/** How long the older secret of a webhook signs beside the newer. */
const OLD_SECRET_HOURS = 24;

/**
 * Of the subscription alone: what it has not delivered yet is changed behind it (undelivered.ts).
 * @returns A place in the log: all that was told up to there is seen by the statements behind this one.
 */
export async function updateSubscription(
  tx: Tx,
  boardId: number,
  id: Uuid,
  manner: SubscriptionManner,
): Promise<number> {
  const { webhook } = manner;
  const [row] = await tx<{ seq: number }[]>`
    /* subscriptions.update */
    UPDATE subscriptions s SET user_id = ${manner.userId}, mode = ${manner.mode}, wake = ${manner.wake},
      kinds = ${manner.kinds as ToldKind[] | null}::text[], origin = ${tx.json(manner.origin)}, owner = ${manner.owner},
      webhook_url = ${webhook?.url ?? null}, webhook_secret = ${webhook?.sealedSecret ?? null},
      webhook_old_secret = CASE WHEN s.webhook_secret IS DISTINCT FROM ${webhook?.sealedSecret ?? null} THEN s.webhook_secret
        ELSE s.webhook_old_secret END,
      webhook_old_until = CASE WHEN s.webhook_secret IS DISTINCT FROM ${webhook?.sealedSecret ?? null}
        THEN clock_timestamp() + make_interval(hours => ${OLD_SECRET_HOURS}) ELSE s.webhook_old_until END,
      updated_at = clock_timestamp()
    WHERE s.board_id = ${boardId} AND s.id = ${id}
    RETURNING (SELECT seq FROM board_seq WHERE board_id = ${boardId}) AS seq`;
  return present(row, 'it is there while its subject is locked').seq;
}

/** @returns As updateSubscription; null: there is none. */
export async function deleteSubscriptionRow(tx: Tx, boardId: number, id: Uuid): Promise<number | null> {
  const [row] = await tx<{ seq: number }[]>`
    /* subscriptions.delete */
    DELETE FROM subscriptions WHERE board_id = ${boardId} AND id = ${id} RETURNING (SELECT seq FROM board_seq WHERE board_id = ${boardId}) AS seq`;
  return row?.seq ?? null;
}

interface SubscriptionFilter {
  /** Null: of any. */
  readonly subjectId: Uuid | null;
  /** Null: whoever tells it. */
  readonly owner: string | null;
}

/** Newest first. */
export async function listSubscriptions(
  sql: Runner,
  boardId: number,
  { subjectId, owner }: SubscriptionFilter,
  page: { readonly beforeId: Uuid | null; readonly rowsMax: number },
): Promise<SubscriptionRow[]> {
  return sql<SubscriptionRow[]>`
    /* subscriptions.list */
    SELECT ${COLUMNS(sql)} FROM subscriptions s
    WHERE s.board_id = ${boardId} ${subjectId === null ? sql`` : sql`AND s.subject_id = ${subjectId}`}
      ${owner === null ? sql`` : sql`AND coalesce(s.owner, (SELECT settings ->> 'default_owner' FROM boards WHERE id = ${boardId})) = ${owner}`}
      ${page.beforeId === null ? sql`` : sql`AND s.id < ${page.beforeId}`}
    ORDER BY s.id DESC LIMIT ${page.rowsMax}`;
}

/** Of the task itself: what a worker creates beside it is told to the same. */
export async function listOfTask(tx: Tx, boardId: number, taskId: Uuid): Promise<SubscriptionRow[]> {
  return tx<SubscriptionRow[]>`
    /* subscriptions.list_of_task */
    SELECT ${COLUMNS(tx)} FROM subscriptions s
    WHERE s.board_id = ${boardId} AND s.subject_id = ${taskId} AND s.webhook_url IS NULL ORDER BY s.id`;
}
