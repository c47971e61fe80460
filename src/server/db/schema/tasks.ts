/** Tasks, split in two: the narrow row that a claim touches, and the details that it only reads. */
import { sql } from 'drizzle-orm';
import {
  boolean,
  check,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  smallint,
  text,
  timestamp,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core';

const at = (name: string) => timestamp(name, { withTimezone: true });

export const tasks = pgTable(
  'tasks',
  {
    boardId: integer('board_id').notNull(),
    id: uuid('id').notNull(),
    lane: text('lane'),
    status: text('status').notNull(),
    priority: integer('priority').notNull(),
    version: integer('version').notNull(),
    attempt: integer('attempt').notNull(),
    unmetParents: integer('unmet_parents').notNull(),
    consecutiveFailures: smallint('consecutive_failures').notNull(),
    /** Runs in a row that ended as a protocol violation: their own streak, not a failure count. */
    protocolViolations: smallint('protocol_violations').notNull(),
    maxFailures: smallint('max_failures').notNull(),
    maxRuntimeSeconds: integer('max_runtime_seconds'),
    noProgressSeconds: integer('no_progress_seconds'),
    runAt: at('run_at'),
    blockedKind: text('blocked_kind'),
    blockedReason: text('blocked_reason'),
    statusSince: at('status_since').notNull(),
    createdAt: at('created_at').notNull(),
    updatedAt: at('updated_at').notNull(),
  },
  (table) => [
    primaryKey({ name: 'tasks_pkey', columns: [table.boardId, table.id] }),
    /**
     * The only index a claim reads, and it holds nothing that cannot be claimed. Nulls first as in a plain ORDER BY … DESC, although
     * there are none: with another order of nulls the index would not serve the claim's order, and the whole backlog be sorted.
     */
    index('tasks_ready_index')
      .on(table.boardId, table.lane, table.priority.desc().nullsFirst(), table.id)
      .where(sql`status = 'ready'`),
    index('tasks_scheduled_index').on(table.runAt, table.boardId).where(sql`status = 'scheduled'`),
    /** Lists by a rare status; ready has its own index, running its own table, and done is what most tasks are. */
    index('tasks_status_index')
      .on(table.boardId, table.status, table.id)
      .where(sql`status IN ('triage', 'todo', 'scheduled', 'blocked', 'review', 'cancelled', 'archived')`),
    check(
      'tasks_status_check',
      sql`${table.status} IN ('triage', 'todo', 'scheduled', 'ready', 'running', 'blocked', 'review', 'done', 'cancelled', 'archived')`,
    ),
    check('tasks_scheduled_check', sql`${table.status} <> 'scheduled' OR ${table.runAt} IS NOT NULL`),
    check(
      'tasks_blocked_check',
      sql`${table.status} = 'blocked' OR (${table.blockedKind} IS NULL AND ${table.blockedReason} IS NULL)`,
    ),
    check(
      'tasks_blocked_kind_check',
      sql`${table.blockedKind} IN ('needs_input', 'dependency', 'capability', 'transient', 'gave_up', 'operator')`,
    ),
    check('tasks_ready_check', sql`${table.status} <> 'ready' OR ${table.unmetParents} = 0`),
    check(
      'tasks_running_check',
      sql`${table.status} <> 'running' OR (${table.lane} IS NOT NULL AND ${table.attempt} >= 1)`,
    ),
    check('tasks_max_failures_check', sql`${table.maxFailures} >= 1`),
  ],
);

export const taskDetails = pgTable(
  'task_details',
  {
    boardId: integer('board_id').notNull(),
    taskId: uuid('task_id').notNull(),
    title: text('title').notNull(),
    body: text('body'),
    payload: jsonb('payload'),
    labels: jsonb('labels').notNull().default({}),
    backoff: jsonb('backoff'),
    tenant: text('tenant'),
    externalRef: text('external_ref'),
    idempotencyKey: text('idempotency_key'),
    /** False once the task is archived: the key is then free again. */
    isIdempotencyKeyHeld: boolean('is_idempotency_key_held').notNull().default(true),
    traceparent: text('traceparent'),
    commentCount: integer('comment_count').notNull().default(0),
    /** Steering messages it ever got: a claim need not look for unread ones where there are none. */
    messageCount: integer('message_count').notNull().default(0),
    createdByType: text('created_by_type').notNull(),
    createdById: text('created_by_id').notNull(),
    /** The run under whose claim token it was created: at most 100 each. */
    createdByRun: uuid('created_by_run'),
  },
  (table) => [
    primaryKey({ name: 'task_details_pkey', columns: [table.boardId, table.taskId] }),
    uniqueIndex('task_details_idempotency_key')
      .on(table.boardId, table.idempotencyKey)
      .where(sql`idempotency_key IS NOT NULL AND is_idempotency_key_held`),
    uniqueIndex('task_details_external_ref_key')
      .on(table.boardId, table.externalRef)
      .where(sql`external_ref IS NOT NULL`),
    index('task_details_created_by_run_index')
      .on(table.boardId, table.createdByRun)
      .where(sql`created_by_run IS NOT NULL`),
    check('task_details_created_by_type_check', sql`${table.createdByType} IN ('key', 'claim', 'system')`),
  ],
);

export const comments = pgTable(
  'comments',
  {
    boardId: integer('board_id').notNull(),
    taskId: uuid('task_id').notNull(),
    id: uuid('id').notNull(),
    body: text('body').notNull(),
    authorType: text('author_type').notNull(),
    authorId: text('author_id').notNull(),
    at: at('at').notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ name: 'comments_pkey', columns: [table.boardId, table.taskId, table.id] }),
    check('comments_author_type_check', sql`${table.authorType} IN ('key', 'claim', 'system')`),
  ],
);
