/** Steering messages: what people and orchestrators tell the holder of a task while it works. */
import { sql } from 'drizzle-orm';
import { check, integer, pgTable, primaryKey, text, timestamp, uuid } from 'drizzle-orm/pg-core';

const at = (name: string) => timestamp(name, { withTimezone: true });

export const messages = pgTable(
  'messages',
  {
    boardId: integer('board_id').notNull(),
    taskId: uuid('task_id').notNull(),
    id: uuid('id').notNull(),
    text: text('text').notNull(),
    authorType: text('author_type').notNull(),
    authorId: text('author_id').notNull(),
    at: at('at').notNull().defaultNow(),
    /** The run that has been told; null: nobody yet. */
    runId: uuid('run_id'),
    deliveredAt: at('delivered_at'),
    acknowledgedAt: at('acknowledged_at'),
    /** The task ended before anyone acknowledged it, or had ended when it came. */
    missedAt: at('missed_at'),
  },
  (table) => [
    primaryKey({ name: 'messages_pkey', columns: [table.boardId, table.taskId, table.id] }),
    check('messages_author_type_check', sql`${table.authorType} IN ('key', 'claim', 'system')`),
    check('messages_state_check', sql`${table.acknowledgedAt} IS NULL OR ${table.missedAt} IS NULL`),
  ],
);
