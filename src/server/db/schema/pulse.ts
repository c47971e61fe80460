/** One row in all: when some server last knew that it and the database were both there. */
import { sql } from 'drizzle-orm';
import { check, pgTable, smallint, timestamp } from 'drizzle-orm/pg-core';

export const pulse = pgTable(
  'pulse',
  {
    id: smallint('id').primaryKey().default(1),
    /** A gap up to now is an outage: nobody could have renewed a lease in it. */
    beatAt: timestamp('beat_at', { withTimezone: true }).notNull(),
  },
  (table) => [check('pulse_single_check', sql`${table.id} = 1`)],
);
