/** Delegations and their children. What a child is and does stands with the tasks; here stands what it is to the delegation. */
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

export const delegations = pgTable(
  'delegations',
  {
    boardId: integer('board_id').notNull(),
    id: uuid('id').notNull(),
    status: text('status').notNull(),
    goal: text('goal'),
    context: text('context'),
    origin: jsonb('origin'),
    /** The origin's session, by which its delegations are listed and stopped. */
    sessionId: text('session_id'),
    joinMode: text('join_mode').notNull(),
    onBlocked: text('on_blocked').notNull(),
    onDecided: text('on_decided').notNull(),
    /** Null: nothing limits how many run at once. */
    capacityKey: text('capacity_key'),
    depth: smallint('depth').notNull(),
    childCount: integer('child_count').notNull(),
    deadlineAt: at('deadline_at'),
    /** Of all children in task order, once it is decided. */
    results: jsonb('results'),
    reason: text('reason'),
    /** Decided, and children that have not ended are still to be cancelled. */
    hasLeftovers: boolean('has_leftovers').notNull().default(false),
    createdByType: text('created_by_type').notNull(),
    createdById: text('created_by_id').notNull(),
    /** The task under whose claim it was created: whichever run of it is current collects it. */
    createdByTask: uuid('created_by_task'),
    createdAt: at('created_at').notNull().defaultNow(),
    completedAt: at('completed_at'),
  },
  (table) => [
    primaryKey({ name: 'delegations_pkey', columns: [table.boardId, table.id] }),
    /** What capacity is counted by. */
    index('delegations_capacity_index')
      .on(table.boardId, table.capacityKey)
      .where(sql`status = 'running' AND capacity_key IS NOT NULL`),
    index('delegations_session_index')
      .on(table.boardId, table.sessionId, table.id)
      .where(sql`session_id IS NOT NULL`),
    index('delegations_created_by_task_index')
      .on(table.boardId, table.createdByTask, table.id)
      .where(sql`created_by_task IS NOT NULL`),
    index('delegations_deadline_index')
      .on(table.deadlineAt, table.boardId)
      .where(sql`status = 'running' AND deadline_at IS NOT NULL`),
    index('delegations_running_index').on(table.boardId, table.id).where(sql`status = 'running'`),
    index('delegations_leftovers_index').on(table.boardId, table.id).where(sql`has_leftovers`),
    index('delegations_status_index').on(table.boardId, table.status, table.id),
    check(
      'delegations_status_check',
      sql`${table.status} IN ('running', 'completed', 'partial', 'failed', 'cancelled')`,
    ),
    check('delegations_join_mode_check', sql`${table.joinMode} IN ('all', 'any')`),
    check('delegations_on_blocked_check', sql`${table.onBlocked} IN ('end', 'wait')`),
    check('delegations_on_decided_check', sql`${table.onDecided} IN ('cancel', 'leave')`),
    check(
      'delegations_completed_check',
      sql`(${table.status} = 'running') = (${table.completedAt} IS NULL) AND (${table.status} = 'running') = (${table.results} IS NULL)`,
    ),
    check('delegations_created_by_type_check', sql`${table.createdByType} IN ('key', 'claim', 'system')`),
  ],
);

export const delegationTasks = pgTable(
  'delegation_tasks',
  {
    boardId: integer('board_id').notNull(),
    delegationId: uuid('delegation_id').notNull(),
    /** Its index among the tasks, from 0. */
    place: smallint('place').notNull(),
    taskId: uuid('task_id').notNull(),
    goal: text('goal'),
    context: text('context'),
    toolsets: jsonb('toolsets'),
    model: text('model'),
  },
  (table) => [
    primaryKey({ name: 'delegation_tasks_pkey', columns: [table.boardId, table.delegationId, table.place] }),
    /** A task is a child of one delegation at most; its end finds it here. */
    uniqueIndex('delegation_tasks_task_key').on(table.boardId, table.taskId),
  ],
);
