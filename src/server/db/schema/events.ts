/** The log: append-only, dense per board, in commit order. */
import { sql } from 'drizzle-orm';
import {
  bigint,
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

export const events = pgTable(
  'events',
  {
    boardId: integer('board_id').notNull(),
    seq: bigint('seq', { mode: 'number' }).notNull(),
    kind: text('kind').notNull(),
    at: timestamp('at', { withTimezone: true }).notNull(),
    taskId: uuid('task_id'),
    runId: uuid('run_id'),
    lane: text('lane'),
    worker: text('worker'),
    attempt: integer('attempt'),
    taskVersion: integer('task_version'),
    delegationId: uuid('delegation_id'),
    actorType: text('actor_type').notNull(),
    actorId: text('actor_id').notNull(),
    data: jsonb('data').notNull(),
  },
  (table) => [
    primaryKey({ name: 'events_pkey', columns: [table.boardId, table.seq] }),
    index('events_task_index').on(table.boardId, table.taskId, table.seq).where(sql`task_id IS NOT NULL`),
    index('events_delegation_index')
      .on(table.boardId, table.delegationId, table.seq)
      .where(sql`delegation_id IS NOT NULL`),
    check('events_actor_type_check', sql`${table.actorType} IN ('key', 'claim', 'system')`),
  ],
);
