/** Who did what to the installation and its boards. Global like keys: it outlives boards, and knows deeds that are of none. */
import { sql } from 'drizzle-orm';
import {
  bigint,
  check,
  index,
  integer,
  jsonb,
  pgTable,
  smallint,
  text,
  timestamp,
} from 'drizzle-orm/pg-core';

/** One row in all: the number of the newest entry. It is taken in the statement that writes entries, so numbers are dense and in commit order; only a restore jumps. */
export const auditSeq = pgTable(
  'audit_seq',
  {
    id: smallint('id').primaryKey().default(1),
    seq: bigint('seq', { mode: 'number' }).notNull(),
  },
  (table) => [check('audit_seq_single_check', sql`${table.id} = 1`)],
);

/** Written once, never changed; deleted from its old end only. */
export const auditEntries = pgTable(
  'audit_entries',
  {
    seq: bigint('seq', { mode: 'number' }).primaryKey(),
    at: timestamp('at', { withTimezone: true }).notNull(),
    action: text('action').notNull(),
    actorType: text('actor_type').notNull(),
    actorId: text('actor_id'),
    actorName: text('actor_name'),
    /** null: of no board. By number, too: a name may be another board's by now. */
    boardId: integer('about_board_id'),
    board: text('board'),
    subject: text('subject'),
    outcome: text('outcome').notNull(),
    code: text('code'),
    count: integer('count').notNull().default(1),
    address: text('address'),
    requestId: text('request_id'),
    data: jsonb('data').notNull().default({}),
  },
  (table) => [
    index('audit_entries_board_index').on(table.boardId, table.seq),
    index('audit_entries_at_index').on(table.at),
    check(
      'audit_entries_actor_type_check',
      sql`${table.actorType} IN ('key', 'claim', 'system', 'anonymous')`,
    ),
    check('audit_entries_outcome_check', sql`${table.outcome} IN ('done', 'refused')`),
  ],
);
