/** Lanes and the workers that were seen on them. */
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

export const lanes = pgTable(
  'lanes',
  {
    boardId: integer('board_id').notNull(),
    name: text('name').notNull(),
    kind: text('kind').notNull(),
    claimMode: text('claim_mode').notNull(),
    allowedStatusMutations: text('allowed_status_mutations').notNull(),
    maxConcurrentClaims: integer('max_concurrent_claims'),
    leaseSeconds: integer('lease_seconds').notNull(),
    noProgressSeconds: integer('no_progress_seconds'),
    maxRuntimeSeconds: integer('max_runtime_seconds'),
    isPaused: boolean('is_paused').notNull().default(false),
    isDraining: boolean('is_draining').notNull().default(false),
    /** As the log last said it: lane.online and lane.offline are written at the edges only, by whoever changes this. */
    isOnline: boolean('is_online').notNull().default(false),
    /** Tasks were sent to it for review: claims look there first. A hint; a lane without work looks there too. */
    isReviewer: boolean('is_reviewer').notNull().default(false),
    epoch: integer('epoch').notNull().default(1),
    labels: jsonb('labels').notNull().default({}),
    description: text('description'),
    spawn: jsonb('spawn'),
    version: integer('version').notNull().default(1),
    createdAt: at('created_at').notNull().defaultNow(),
    updatedAt: at('updated_at').notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ name: 'lanes_pkey', columns: [table.boardId, table.name] }),
    /** What sweeps look for on all boards: of a hundred thousand lanes most are neither. */
    index('lanes_online_index').on(table.boardId, table.name).where(sql`is_online`),
    index('lanes_draining_index').on(table.boardId, table.name).where(sql`is_draining`),
    check('lanes_name_check', sql`${table.name} ~ '^[a-z0-9][a-z0-9._-]{0,63}$'`),
    check('lanes_kind_check', sql`${table.kind} IN ('persistent', 'spawn', 'human')`),
    check('lanes_claim_mode_check', sql`${table.claimMode} IN ('pull-or-watch', 'pull', 'watch', 'push')`),
    check(
      'lanes_allowed_status_mutations_check',
      sql`${table.allowedStatusMutations} IN ('own-claimed-only', 'none')`,
    ),
    check('lanes_lease_seconds_check', sql`${table.leaseSeconds} BETWEEN 1 AND 86400`),
    check('lanes_max_concurrent_claims_check', sql`${table.maxConcurrentClaims} >= 1`),
  ],
);

/**
 * Sightings are written in coalesced batches by the servers that saw the worker, for people and for the edges of presence; which socket
 * is the worker's is written by each hello.
 */
export const workers = pgTable(
  'workers',
  {
    boardId: integer('board_id').notNull(),
    lane: text('lane').notNull(),
    worker: text('worker').notNull(),
    version: text('version'),
    lastSeenAt: at('last_seen_at').notNull(),
    /** The newest socket that said hello as this worker; an older one is closed. */
    socketId: uuid('socket_id'),
    socketOpenedAt: at('socket_opened_at'),
    /** When that socket closed, or null while it is open as far as anyone knows. */
    socketClosedAt: at('socket_closed_at'),
  },
  (table) => [
    primaryKey({ name: 'workers_pkey', columns: [table.boardId, table.lane, table.worker] }),
    /** Every server looks twice a second who has said hello just now. No sighting changes what it says. */
    index('workers_opened_index').on(table.boardId, table.socketOpenedAt),
  ],
);
