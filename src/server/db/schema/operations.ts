/** Operations on many tasks at once, and what has become of each of them: whichever server is there goes on with them. */
import { sql } from 'drizzle-orm';
import {
  boolean,
  check,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uuid,
} from 'drizzle-orm/pg-core';

const at = (name: string) => timestamp(name, { withTimezone: true });

export const operations = pgTable(
  'operations',
  {
    boardId: integer('board_id').notNull(),
    id: uuid('id').notNull(),
    /** The verb of tasks that is done to each. */
    action: text('action').notNull(),
    /** What the verb is given. */
    parameters: jsonb('parameters').notNull().default({}),
    isDryRun: boolean('is_dry_run').notNull().default(false),
    status: text('status').notNull(),
    total: integer('total').notNull(),
    succeeded: integer('succeeded').notNull().default(0),
    failed: integer('failed').notNull().default(0),
    actorType: text('actor_type').notNull(),
    actorId: text('actor_id').notNull(),
    createdAt: at('created_at').notNull().defaultNow(),
    finishedAt: at('finished_at'),
    /** Why it was ended before all of it was done; null: it was not. */
    stopReason: text('stop_reason'),
    /** Who has asked for that; null: nobody, it may not go on. */
    stoppedByType: text('stopped_by_type'),
    stoppedById: text('stopped_by_id'),
  },
  (table) => [
    primaryKey({ name: 'operations_pkey', columns: [table.boardId, table.id] }),
    index('operations_running_index').on(table.boardId, table.id).where(sql`status = 'running'`),
    /** In this order they are forgotten. */
    index('operations_finished_index').on(table.finishedAt).where(sql`finished_at IS NOT NULL`),
    check('operations_status_check', sql`${table.status} IN ('running', 'done', 'stopped')`),
    check('operations_finished_check', sql`(${table.status} = 'running') = (${table.finishedAt} IS NULL)`),
    check('operations_stopped_check', sql`(${table.status} = 'stopped') = (${table.stopReason} IS NOT NULL)`),
    check('operations_actor_type_check', sql`${table.actorType} IN ('key', 'claim', 'system')`),
    check('operations_stopped_by_check', sql`${table.stoppedByType} IN ('key', 'claim', 'system')`),
  ],
);

export const operationItems = pgTable(
  'operation_items',
  {
    boardId: integer('board_id').notNull(),
    operationId: uuid('operation_id').notNull(),
    place: integer('place').notNull(),
    taskId: uuid('task_id').notNull(),
    isDone: boolean('is_done').notNull().default(false),
    /** Why it failed: the problem's code. */
    code: text('code'),
  },
  (table) => [
    primaryKey({ name: 'operation_items_pkey', columns: [table.boardId, table.operationId, table.place] }),
  ],
);
