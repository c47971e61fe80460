/** When some server last knew that it and the database were both there; and what is still owed for a time when that was not so. */
import { sql } from 'drizzle-orm';
import { check, integer, pgTable, primaryKey, smallint, timestamp, uuid } from 'drizzle-orm/pg-core';

/** One row in all. */
export const pulse = pgTable(
  'pulse',
  {
    id: smallint('id').primaryKey().default(1),
    /** A gap up to now is an outage: nobody could have renewed a lease in it. */
    beatAt: timestamp('beat_at', { withTimezone: true }).notNull(),
  },
  (table) => [check('pulse_single_check', sql`${table.id} = 1`)],
);

/**
 * Claims that somebody had locked when the time of an outage was given back: nobody judges them before they have had it too. Hardly
 * ever any, and gone within seconds.
 */
export const amnesties = pgTable(
  'amnesties',
  {
    boardId: integer('board_id').notNull(),
    taskId: uuid('task_id').notNull(),
    attempt: integer('attempt').notNull(),
    beganAt: timestamp('began_at', { withTimezone: true }).notNull(),
    endedAt: timestamp('ended_at', { withTimezone: true }).notNull(),
  },
  (table) => [
    primaryKey({
      name: 'amnesties_pkey',
      columns: [table.boardId, table.taskId, table.attempt, table.beganAt],
    }),
  ],
);
