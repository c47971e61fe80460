/** Boards, and the counter row that every transition of a board ends with. */
import { sql } from 'drizzle-orm';
import {
  bigint,
  check,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  unique,
} from 'drizzle-orm/pg-core';

const at = (name: string) => timestamp(name, { withTimezone: true });

export const boards = pgTable(
  'boards',
  {
    id: integer('id').generatedAlwaysAsIdentity().primaryKey(),
    name: text('name').notNull(),
    title: text('title'),
    description: text('description'),
    settings: jsonb('settings').notNull().default({}),
    /** Changes when a restore replaces the log: cursors of the old log are then told apart. */
    logIncarnation: text('log_incarnation').notNull(),
    version: integer('version').notNull().default(1),
    createdAt: at('created_at').notNull().defaultNow(),
    updatedAt: at('updated_at').notNull().defaultNow(),
  },
  (table) => [
    unique('boards_name_key').on(table.name),
    check('boards_name_check', sql`${table.name} ~ '^[a-z0-9][a-z0-9._-]{0,63}$'`),
  ],
);

/**
 * Logs that a restore went back in, and how far each is part of the log that there is: cursors up to there go on being good, later ones
 * are of a time that was taken back. One row for each restore and board.
 */
export const pastIncarnations = pgTable(
  'past_incarnations',
  {
    boardId: integer('board_id').notNull(),
    incarnation: text('incarnation').notNull(),
    lastSeq: bigint('last_seq', { mode: 'number' }).notNull(),
    replacedAt: at('replaced_at').notNull().defaultNow(),
  },
  (table) => [primaryKey({ name: 'past_incarnations_pkey', columns: [table.boardId, table.incarnation] })],
);

/**
 * One narrow row per board, updated as the last step of every transaction that writes an event: it hands out dense sequence
 * numbers in commit order, counts tasks by status (so that no one ever counts a million rows), and carries the version of the
 * board's and lanes' configuration that a claim was decided on.
 */
export const boardSeq = pgTable(
  'board_seq',
  {
    boardId: integer('board_id').notNull(),
    seq: bigint('seq', { mode: 'number' }).notNull().default(0),
    /** Sequence number of the newest pruned event: older cursors are expired. */
    prunedSeq: bigint('pruned_seq', { mode: 'number' }).notNull().default(0),
    configVersion: integer('config_version').notNull().default(1),
    triage: bigint('triage', { mode: 'number' }).notNull().default(0),
    todo: bigint('todo', { mode: 'number' }).notNull().default(0),
    scheduled: bigint('scheduled', { mode: 'number' }).notNull().default(0),
    ready: bigint('ready', { mode: 'number' }).notNull().default(0),
    running: bigint('running', { mode: 'number' }).notNull().default(0),
    blocked: bigint('blocked', { mode: 'number' }).notNull().default(0),
    review: bigint('review', { mode: 'number' }).notNull().default(0),
    done: bigint('done', { mode: 'number' }).notNull().default(0),
    cancelled: bigint('cancelled', { mode: 'number' }).notNull().default(0),
    archived: bigint('archived', { mode: 'number' }).notNull().default(0),
  },
  (table) => [primaryKey({ name: 'board_seq_pkey', columns: [table.boardId] })],
);
