/** Tasks, split in two: the narrow row that a claim touches, and the details that it only reads. */
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
    /** Some task waits, or waited, for this one: its completion has to look for them. */
    hasChildren: boolean('has_children').notNull().default(false),
    /** A delegation or somebody subscribed hangs on it: its end is decided under locks. */
    isFollowed: boolean('is_followed').notNull().default(false),
    /** The server's own, like the making of a reply: no list shows it. */
    isSystem: boolean('is_system').notNull().default(false),
    /** Of the work under review: the attempt whose result it is. Not null: claims, retries and unblocking lead back to review. */
    resultAttempt: integer('result_attempt'),
    /** The lane that may claim the task from review; null: people decide. */
    reviewer: text('reviewer'),
    /** Whose work is reviewed: never by the same worker, and sent back to this lane. */
    implementerLane: text('implementer_lane'),
    implementerWorker: text('implementer_worker'),
    /** How often in a row a worker has blocked it with the same kind, and with which; an untyped block counts as a kind. */
    blockStreak: smallint('block_streak').notNull().default(0),
    streakKind: text('streak_kind'),
    /** The status it was archived in: a parent that was done goes on to count. */
    archivedFrom: text('archived_from'),
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
    /** What reviewers claim, in the claim's order. */
    index('tasks_review_index')
      .on(table.boardId, table.reviewer, table.priority.desc().nullsFirst(), table.id)
      .where(sql`status = 'review' AND reviewer IS NOT NULL`),
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
    check('tasks_unmet_parents_check', sql`${table.unmetParents} >= 0`),
    check('tasks_todo_check', sql`${table.status} <> 'todo' OR ${table.unmetParents} > 0`),
    check('tasks_review_check', sql`${table.status} <> 'review' OR ${table.resultAttempt} IS NOT NULL`),
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
    /** Tasks it was ever made to wait for: a claim need not look for their results where there are none. */
    parentCount: integer('parent_count').notNull().default(0),
    createdByType: text('created_by_type').notNull(),
    createdById: text('created_by_id').notNull(),
    /** The run under whose claim token it was created: at most 100 each. */
    createdByRun: uuid('created_by_run'),
    /** Where it was asked for, and that session, by which tasks are listed. */
    origin: jsonb('origin'),
    originSession: text('origin_session'),
    delegationId: uuid('delegation_id'),
    /** How deep in delegations: 0 outside of any. What a run creates is as deep as its own task. */
    delegationDepth: smallint('delegation_depth').notNull().default(0),
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
    index('task_details_delegation_index')
      .on(table.boardId, table.delegationId, table.taskId)
      .where(sql`delegation_id IS NOT NULL`),
    index('task_details_origin_session_index')
      .on(table.boardId, table.originSession, table.taskId)
      .where(sql`origin_session IS NOT NULL`),
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

/** A child waits for its parents. Pruned parents leave their links: what was met once stays met. */
export const links = pgTable(
  'links',
  {
    boardId: integer('board_id').notNull(),
    childId: uuid('child_id').notNull(),
    parentId: uuid('parent_id').notNull(),
    /** The parent was done and has not been reopened since. A child's unmet_parents counts the links where this is false. */
    isMet: boolean('is_met').notNull(),
    createdAt: at('created_at').notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ name: 'links_pkey', columns: [table.boardId, table.childId, table.parentId] }),
    index('links_parent_index').on(table.boardId, table.parentId, table.childId),
    check('links_self_check', sql`${table.childId} <> ${table.parentId}`),
  ],
);

/** Ready tasks that nobody has claimed for too long, as the log said it. A task that has moved since is in here no more to any purpose. */
export const strandedTasks = pgTable(
  'stranded_tasks',
  {
    boardId: integer('board_id').notNull(),
    taskId: uuid('task_id').notNull(),
    /** Of the wait that is meant: the task's status_since then. */
    readySince: at('ready_since').notNull(),
    at: at('at').notNull().defaultNow(),
  },
  (table) => [primaryKey({ name: 'stranded_tasks_pkey', columns: [table.boardId, table.taskId] })],
);

/** How far the log has been searched for tasks that became ready and are stranded by now. */
export const strandedMarks = pgTable(
  'stranded_marks',
  { boardId: integer('board_id').notNull(), seq: bigint('seq', { mode: 'number' }).notNull() },
  (table) => [primaryKey({ name: 'stranded_marks_pkey', columns: [table.boardId] })],
);
