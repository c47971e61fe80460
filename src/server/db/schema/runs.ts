/** Live claims, and the record of every attempt. No foreign keys: they would pile up MultiXacts on the hot rows. */
import { sql } from 'drizzle-orm';
import {
  boolean,
  check,
  doublePrecision,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core';

const at = (name: string) => timestamp(name, { withTimezone: true });

/**
 * Exactly one row per running task, deleted when the run ends. Nothing that a heartbeat changes is indexed, so heartbeats are
 * HOT updates; the reaper scans this small table instead.
 */
export const claims = pgTable(
  'claims',
  {
    boardId: integer('board_id').notNull(),
    taskId: uuid('task_id').notNull(),
    runId: uuid('run_id').notNull(),
    attempt: integer('attempt').notNull(),
    lane: text('lane').notNull(),
    worker: text('worker').notNull(),
    /** Where a crashed run's task goes back to. */
    claimedFrom: text('claimed_from').notNull(),
    claimedAt: at('claimed_at').notNull(),
    leaseSeconds: integer('lease_seconds').notNull(),
    leaseExpiresAt: at('lease_expires_at').notNull(),
    /** The attempt's own limit on run time; null: none. */
    runtimeExpiresAt: at('runtime_expires_at'),
    noProgressSeconds: integer('no_progress_seconds'),
    lastHeartbeatAt: at('last_heartbeat_at'),
    lastProgressAt: at('last_progress_at').notNull(),
    progress: doublePrecision('progress'),
    /** When the log last got a heartbeat of this run; null: never yet. */
    heartbeatLoggedAt: at('heartbeat_logged_at'),
    isCancelRequested: boolean('is_cancel_requested').notNull().default(false),
    cancelDeadlineAt: at('cancel_deadline_at'),
    cancelReason: text('cancel_reason'),
    /** The holder asked for it: when its socket closes, the claim is taken at once instead of at the end of its lease. */
    isCrashOnDisconnect: boolean('is_crash_on_disconnect').notNull().default(false),
    /** A takeover left the claim to expire: it blocks the task for that long, and its holder may no longer write. */
    isSuperseded: boolean('is_superseded').notNull().default(false),
    /** Steering messages wait for the holder, so that a heartbeat need not look for them. */
    hasMessages: boolean('has_messages').notNull().default(false),
  },
  (table) => [
    primaryKey({ name: 'claims_pkey', columns: [table.boardId, table.taskId] }),
    // For counts by lane, which say `lane <> ''`. Without that condition a planner that believes the table to be small takes this
    // index for look-ups by task, and goes through all live claims for each.
    index('claims_lane_index').on(table.boardId, table.lane).where(sql`lane <> ''`),
    /** Claims whose holders are to be told something: hardly any, looked for twice a second. No heartbeat changes what it says. */
    index('claims_told_index')
      .on(table.boardId, table.taskId)
      .where(sql`is_cancel_requested OR has_messages`),
    check('claims_claimed_from_check', sql`${table.claimedFrom} IN ('ready', 'review')`),
    check('claims_cancel_check', sql`${table.isCancelRequested} = (${table.cancelDeadlineAt} IS NOT NULL)`),
  ],
);

export const runs = pgTable(
  'runs',
  {
    boardId: integer('board_id').notNull(),
    taskId: uuid('task_id').notNull(),
    attempt: integer('attempt').notNull(),
    id: uuid('id').notNull(),
    lane: text('lane'),
    worker: text('worker'),
    outcome: text('outcome'),
    startedAt: at('started_at').notNull(),
    endedAt: at('ended_at'),
    endedByType: text('ended_by_type'),
    endedById: text('ended_by_id'),
    /** Verb and hash of the body of the end, so that a repeated one is answered again. */
    endFingerprint: text('end_fingerprint'),
    summary: text('summary'),
    result: jsonb('result'),
    metadata: jsonb('metadata'),
    error: text('error'),
    checkpoint: jsonb('checkpoint'),
    evidence: jsonb('evidence'),
  },
  (table) => [
    primaryKey({ name: 'runs_pkey', columns: [table.boardId, table.taskId, table.attempt] }),
    // Partial in name only: a look-up by task, which says nothing of the id, cannot be planned on it.
    uniqueIndex('runs_id_key').on(table.boardId, table.id).where(sql`id IS NOT NULL`),
    check(
      'runs_outcome_check',
      sql`${table.outcome} IN ('completed', 'changes_requested', 'blocked', 'released', 'failed', 'crashed', 'timed_out', 'reclaimed', 'cancelled')`,
    ),
    check('runs_ended_check', sql`(${table.outcome} IS NULL) = (${table.endedAt} IS NULL)`),
    check('runs_ended_by_type_check', sql`${table.endedByType} IN ('key', 'claim', 'system')`),
  ],
);
