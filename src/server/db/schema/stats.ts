/** What happened on a board minute by minute, added up from its log in the background: charts read this, never the log. */
import { bigint, integer, jsonb, pgTable, primaryKey, timestamp } from 'drizzle-orm/pg-core';

/** Up to which event a board's log has been added up. */
export const statsProgress = pgTable(
  'stats_progress',
  {
    boardId: integer('board_id').notNull(),
    seq: bigint('seq', { mode: 'number' }).notNull().default(0),
  },
  (table) => [primaryKey({ name: 'stats_progress_pkey', columns: [table.boardId] })],
);

export const boardMinutes = pgTable(
  'board_minutes',
  {
    boardId: integer('board_id').notNull(),
    /** The beginning of the minute. */
    minute: timestamp('minute', { withTimezone: true }).notNull(),
    created: integer('created').notNull().default(0),
    claims: integer('claims').notNull().default(0),
    /** Ended runs by outcome. */
    ends: jsonb('ends').notNull().default({}),
    /** How many by step of a logarithmic scale (see the feature): from ready to claim, and from claim to end. */
    waits: jsonb('waits').notNull().default({}),
    runs: jsonb('runs').notNull().default({}),
    /** Tasks by status when the minute was last added to. */
    depth: jsonb('depth').notNull().default({}),
    /** Claims and completed runs by lane, [claims, completed], of at most 200 lanes; the rest is summed under ''. */
    lanes: jsonb('lanes').notNull().default({}),
  },
  (table) => [primaryKey({ name: 'board_minutes_pkey', columns: [table.boardId, table.minute] })],
);
