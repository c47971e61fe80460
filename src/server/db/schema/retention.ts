/** What boards have set to be pruned, and when each is looked at next. */
import { sql } from 'drizzle-orm';
import {
  bigint,
  check,
  index,
  integer,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uuid,
} from 'drizzle-orm/pg-core';

const at = (name: string) => timestamp(name, { withTimezone: true });

/** One row per board and kind that is not kept for ever; locked by whoever prunes it. */
export const retention = pgTable(
  'retention',
  {
    boardId: integer('board_id').notNull(),
    kind: text('kind').notNull(),
    keptSeconds: integer('kept_seconds').notNull(),
    dueAt: at('due_at').notNull(),
    /** Since when there has been more to prune than was come to; null: nothing is left behind. */
    behindSince: at('behind_since'),
    /** Of what is gone through in the order of its ids: the last that was looked at, and of runs the attempt. Null: begins anew. */
    place: uuid('place'),
    placeAttempt: integer('place_attempt').notNull().default(0),
    /** Rows that were looked at and left since it began anew: a long way round is not gone at once again. */
    leftRows: bigint('left_rows', { mode: 'number' }).notNull().default(0),
  },
  (table) => [
    primaryKey({ name: 'retention_pkey', columns: [table.boardId, table.kind] }),
    /** The only thing that is looked at every moment: boards with nothing due cost nothing. */
    index('retention_due_index').on(table.dueAt),
    check(
      'retention_kind_check',
      sql`${table.kind} IN ('events', 'finished_tasks', 'runs', 'output', 'deliveries', 'messages')`,
    ),
    check('retention_kept_seconds_check', sql`${table.keptSeconds} >= 1`),
  ],
);
