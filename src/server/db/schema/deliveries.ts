/** Subscriptions, the outbox of what is to be told to them, and what was told to each session. */
import { sql } from 'drizzle-orm';
import {
  bigint,
  boolean,
  check,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core';

const at = (name: string) => timestamp(name, { withTimezone: true });

export const subscriptions = pgTable(
  'subscriptions',
  {
    boardId: integer('board_id').notNull(),
    id: uuid('id').notNull(),
    /** The task or the delegation: ids of both are one kind of number. */
    subjectId: uuid('subject_id').notNull(),
    isDelegation: boolean('is_delegation').notNull(),
    platform: text('platform').notNull(),
    /** What was left out is an empty string, or two of the same target would both have room. */
    chatId: text('chat_id').notNull().default(''),
    threadId: text('thread_id').notNull().default(''),
    userId: text('user_id'),
    mode: text('mode').notNull(),
    wake: boolean('wake').notNull(),
    /** Of events; null: those that tell an outcome. */
    kinds: text('kinds').array(),
    origin: jsonb('origin').notNull().default({}),
    owner: text('owner'),
    webhookUrl: text('webhook_url'),
    /** Sealed with the server's secret where there is one. The older one signs beside it until its time is over. */
    webhookSecret: text('webhook_secret'),
    webhookOldSecret: text('webhook_old_secret'),
    webhookOldUntil: at('webhook_old_until'),
    /** Events up to here are none of its business: where the log was when it was made. What it was told since stands with the deliveries. */
    cursorSeq: bigint('cursor_seq', { mode: 'number' }).notNull(),
    createdByType: text('created_by_type').notNull(),
    createdById: text('created_by_id').notNull(),
    createdAt: at('created_at').notNull().defaultNow(),
    updatedAt: at('updated_at').notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ name: 'subscriptions_pkey', columns: [table.boardId, table.id] }),
    uniqueIndex('subscriptions_target_key').on(
      table.boardId,
      table.subjectId,
      table.platform,
      table.chatId,
      table.threadId,
    ),
    check('subscriptions_mode_check', sql`${table.mode} IN ('direct', 'synthesize', 'silent')`),
    check('subscriptions_created_by_type_check', sql`${table.createdByType} IN ('key', 'claim', 'system')`),
  ],
);

export const deliveries = pgTable(
  'deliveries',
  {
    boardId: integer('board_id').notNull(),
    /** Its last 32 bits are the board's number, as a run's are. */
    id: uuid('id').notNull(),
    subscriptionId: uuid('subscription_id').notNull(),
    /** The event that it tells about. */
    seq: bigint('seq', { mode: 'number' }).notNull(),
    kind: text('kind').notNull(),
    taskId: uuid('task_id'),
    delegationId: uuid('delegation_id'),
    mode: text('mode').notNull(),
    wake: boolean('wake').notNull(),
    status: text('status').notNull(),
    owner: text('owner'),
    platform: text('platform').notNull(),
    /** The origin's session, or else the target itself: one at a time is given out of each. */
    sessionKey: text('session_key').notNull(),
    sessionId: text('session_id'),
    /** The server delivers it itself. */
    isWebhook: boolean('is_webhook').notNull(),
    /** Each host of webhooks has room by itself; null: the server does not deliver it. */
    webhookHost: text('webhook_host'),
    dueAt: at('due_at').notNull(),
    leaseId: uuid('lease_id'),
    leaseExpiresAt: at('lease_expires_at'),
    attempt: integer('attempt').notNull().default(0),
    failures: integer('failures').notNull().default(0),
    lastError: text('last_error'),
    messageId: text('message_id'),
    /** Made by the synthesizer, or what was sent; null: made of the event when it is given out. */
    text: text('text'),
    isFallback: boolean('is_fallback').notNull().default(false),
    /** What makes a reply of it, or has: it has the words of what it is made of, and is erased with that. */
    synthesisTaskId: uuid('synthesis_task_id'),
    /** Until then a reply may be made of it; once nobody waits for the reply any more, when to look whether its task has ended. Null: it has. */
    synthesisDueAt: at('synthesis_due_at'),
    createdAt: at('created_at').notNull().defaultNow(),
    finishedAt: at('finished_at'),
  },
  (table) => [
    primaryKey({ name: 'deliveries_pkey', columns: [table.boardId, table.id] }),
    /** One per subscription and event, whatever happens. */
    uniqueIndex('deliveries_event_key').on(table.boardId, table.subscriptionId, table.seq),
    /**
     * The order of a subscription: what is still to come of it. Not by its status: then it is there for whatever asks for what is pending, and a
     * database that has not been analyzed goes through all of a board by it.
     */
    index('deliveries_order_index')
      .on(table.boardId, table.subscriptionId, table.seq)
      .where(sql`finished_at IS NULL`),
    /** What gateways wait for: each owner's and platform's by itself, so that what nobody fetches is in nobody's way. */
    index('deliveries_pending_index')
      .on(table.boardId, sql`(coalesce(owner, ''))`, table.platform, table.dueAt, table.id)
      .where(sql`status = 'pending' AND NOT is_webhook`),
    /** The same, session by session: what waits behind many of a session that has one out is found by this. */
    index('deliveries_session_index')
      .on(table.boardId, sql`(coalesce(owner, ''))`, table.platform, table.sessionKey, table.dueAt, table.id)
      .where(sql`status = 'pending' AND NOT is_webhook`),
    /** What the server delivers itself: of each host by itself. */
    index('deliveries_webhook_index')
      .on(table.boardId, table.webhookHost, table.dueAt, table.id)
      .where(sql`status = 'pending' AND is_webhook`),
    index('deliveries_webhook_session_index')
      .on(table.boardId, table.webhookHost, table.sessionKey, table.dueAt, table.id)
      .where(sql`status = 'pending' AND is_webhook`),
    index('deliveries_leased_index').on(table.boardId, table.sessionKey).where(sql`status = 'leased'`),
    index('deliveries_synthesis_index')
      .on(table.boardId, table.sessionKey, table.seq)
      .where(sql`synthesis_due_at IS NOT NULL`),
    /** The oldest event that is still to be told; those that are over, in the order in which they are pruned. */
    index('deliveries_open_index').on(table.boardId, table.seq).where(sql`finished_at IS NULL`),
    index('deliveries_finished_index')
      .on(table.boardId, table.finishedAt)
      .where(sql`finished_at IS NOT NULL`),
    index('deliveries_status_index').on(table.boardId, table.status, table.id),
    index('deliveries_task_index').on(table.boardId, table.taskId).where(sql`task_id IS NOT NULL`),
    index('deliveries_delegation_index')
      .on(table.boardId, table.delegationId)
      .where(sql`delegation_id IS NOT NULL`),
    check(
      'deliveries_status_check',
      sql`${table.status} IN ('pending', 'synthesizing', 'leased', 'acked', 'dead')`,
    ),
    check('deliveries_mode_check', sql`${table.mode} IN ('direct', 'synthesize', 'silent')`),
    check(
      'deliveries_lease_check',
      sql`(${table.status} = 'leased') <= (${table.leaseId} IS NOT NULL AND ${table.leaseExpiresAt} IS NOT NULL)`,
    ),
    check(
      'deliveries_synthesis_check',
      sql`${table.status} <> 'synthesizing' OR ${table.synthesisDueAt} IS NOT NULL`,
    ),
    check('deliveries_webhook_check', sql`${table.isWebhook} = (${table.webhookHost} IS NOT NULL)`),
    check(
      'deliveries_finished_check',
      sql`(${table.status} IN ('acked', 'dead')) = (${table.finishedAt} IS NOT NULL)`,
    ),
  ],
);

/** What a session was told: written with the ack. */
export const sessionMessages = pgTable(
  'session_messages',
  {
    boardId: integer('board_id').notNull(),
    sessionId: text('session_id').notNull(),
    at: at('at').notNull(),
    deliveryId: uuid('delivery_id').notNull(),
    taskId: uuid('task_id'),
    delegationId: uuid('delegation_id'),
    platform: text('platform').notNull(),
    chatId: text('chat_id').notNull(),
    threadId: text('thread_id').notNull(),
    messageId: text('message_id'),
    text: text('text').notNull(),
  },
  (table) => [
    primaryKey({
      name: 'session_messages_pkey',
      columns: [table.boardId, table.sessionId, table.at, table.deliveryId],
    }),
    /** In this order they are pruned. */
    index('session_messages_at_index').on(table.boardId, table.at),
    /** Erasing finds what was told of a task. */
    index('session_messages_task_index').on(table.boardId, table.taskId).where(sql`task_id IS NOT NULL`),
    index('session_messages_delegation_index')
      .on(table.boardId, table.delegationId)
      .where(sql`delegation_id IS NOT NULL`),
  ],
);
