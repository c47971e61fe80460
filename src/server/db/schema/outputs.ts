/** What workers print: per task a ring of its last lines, and a header that numbers them. No part of the log. */
import {
  bigint,
  index,
  integer,
  pgTable,
  primaryKey,
  smallint,
  text,
  timestamp,
  uuid,
} from 'drizzle-orm/pg-core';

const at = (name: string) => timestamp(name, { withTimezone: true });

export const outputs = pgTable(
  'outputs',
  {
    boardId: integer('board_id').notNull(),
    taskId: uuid('task_id').notNull(),
    /** Lines ever appended: the number of the newest one. Its row is locked by each append, so numbers are dense and in commit order. */
    lineCount: bigint('line_count', { mode: 'number' }).notNull(),
    updatedAt: at('updated_at').notNull(),
  },
  (table) => [
    primaryKey({ name: 'outputs_pkey', columns: [table.boardId, table.taskId] }),
    /** Servers whose watchers ask for output look here for what has grown. */
    index('outputs_updated_index').on(table.boardId, table.updatedAt),
  ],
);

export const outputLines = pgTable(
  'output_lines',
  {
    boardId: integer('board_id').notNull(),
    taskId: uuid('task_id').notNull(),
    /** Number of the line modulo the size of the ring: a new line takes the place of the oldest. */
    slot: smallint('slot').notNull(),
    number: bigint('number', { mode: 'number' }).notNull(),
    runId: uuid('run_id').notNull(),
    at: at('at').notNull(),
    text: text('text').notNull(),
  },
  (table) => [primaryKey({ name: 'output_lines_pkey', columns: [table.boardId, table.taskId, table.slot] })],
);
