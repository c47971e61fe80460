/**
 * What on a board waits for a person. Reads the small indexes of rare statuses, the live claims and the list of stranded tasks: never the
 * backlog, never what is done. Of each kind no more rows than asked for, those of the oldest tasks.
 */
import type { LaneKind } from '../../../../contract/lanes.ts';
import type { BlockKind, TaskStatus } from '../../../../contract/statuses.ts';
import type { Runner } from '../../../db/client.ts';
import type { Uuid } from '../../../kernel/ids.ts';

export interface HaltedTask {
  readonly id: Uuid;
  readonly status: 'blocked' | 'triage' | 'review';
  readonly since: string;
  readonly blocked_kind: BlockKind | null;
  readonly reviewer: string | null;
  /** Under review by a lane, and not yet for too long. */
  readonly is_in_time: boolean;
}

/** The statuses are said in the statement, not given to it: a plan for any status could not use the index of the rare ones. */
export async function listHaltedTasks(
  sql: Runner,
  boardId: number,
  reviewSeconds: number,
  perStatusMax: number,
): Promise<HaltedTask[]> {
  const columns = sql`id, status, status_since, blocked_kind, reviewer`;
  return sql<HaltedTask[]>`
    /* attention.halted */
    SELECT id, status, status_since AS since, blocked_kind, reviewer,
      status = 'review' AND reviewer IS NOT NULL
        AND status_since > clock_timestamp() - make_interval(secs => ${reviewSeconds}) AS is_in_time
    FROM (
      (SELECT ${columns} FROM tasks WHERE board_id = ${boardId} AND status = 'blocked' AND NOT is_system ORDER BY id LIMIT ${perStatusMax})
      UNION ALL
      (SELECT ${columns} FROM tasks WHERE board_id = ${boardId} AND status = 'triage' AND NOT is_system ORDER BY id LIMIT ${perStatusMax})
      UNION ALL
      (SELECT ${columns} FROM tasks WHERE board_id = ${boardId} AND status = 'review' AND NOT is_system ORDER BY id LIMIT ${perStatusMax})
    ) AS halted`;
}

export interface StrandedTask {
  readonly id: Uuid;
  readonly since: string;
}

/** Marks whose task has moved on since are not told; the sweep removes them. */
export async function listStrandedTasks(
  sql: Runner,
  boardId: number,
  rowsMax: number,
): Promise<StrandedTask[]> {
  return sql<StrandedTask[]>`
    /* attention.stranded */
    SELECT marked.task_id AS id, marked.ready_since AS since
    FROM (
      SELECT task_id, ready_since FROM stranded_tasks WHERE board_id = ${boardId} ORDER BY task_id LIMIT ${rowsMax}
    ) AS marked
    CROSS JOIN LATERAL (
      SELECT status, status_since FROM tasks WHERE board_id = ${boardId} AND id = marked.task_id OFFSET 0
    ) AS task
    WHERE task.status = 'ready' AND task.status_since = marked.ready_since`;
}

/** Of a lease: what is left of it when it is about to lapse, and how long nothing was heard then. */
const LEASE_LEFT_SHARE = 0.2;
const SILENT_SHARE = 2 / 3;

export interface LapsingLease {
  readonly id: Uuid;
  readonly lane: string;
  readonly worker: string;
  /** The last that was heard of the holder. */
  readonly since: string;
  readonly lease_expires_at: string;
}

/** A claim that a takeover left to expire does so on purpose. */
export async function listLapsingLeases(
  sql: Runner,
  boardId: number,
  rowsMax: number,
): Promise<LapsingLease[]> {
  return sql<LapsingLease[]>`
    /* attention.lapsing */
    SELECT task_id AS id, lane, worker, coalesce(last_heartbeat_at, claimed_at) AS since, lease_expires_at
    FROM claims
    WHERE board_id = ${boardId} AND NOT is_superseded
      AND lease_expires_at - clock_timestamp() < make_interval(secs => lease_seconds * ${LEASE_LEFT_SHARE}::float8)
      AND clock_timestamp() - coalesce(last_heartbeat_at, claimed_at) > make_interval(secs => lease_seconds * ${SILENT_SHARE}::float8)
    ORDER BY lease_expires_at LIMIT ${rowsMax}`;
}

export interface NamedTask {
  readonly id: Uuid;
  readonly title: string;
  readonly status: TaskStatus;
  readonly lane: string | null;
  readonly priority: number;
  readonly version: number;
  readonly blocked_reason: string | null;
  /** Null: it has no lane, or one that is not registered. */
  readonly lane_kind: LaneKind | null;
}

/** By what people know them. Only of those that are shown: reasons are long. */
export async function nameTasks(sql: Runner, boardId: number, ids: readonly Uuid[]): Promise<NamedTask[]> {
  return sql<NamedTask[]>`
    /* attention.names */
    SELECT task.*, detail.title, (
      SELECT kind FROM lanes WHERE board_id = ${boardId} AND name = task.lane
    ) AS lane_kind
    FROM unnest(${ids as Uuid[]}::uuid[]) AS wanted (id)
    CROSS JOIN LATERAL (
      SELECT id, status, lane, priority, version, blocked_reason FROM tasks
      WHERE board_id = ${boardId} AND id = wanted.id AND NOT is_system OFFSET 0
    ) AS task
    CROSS JOIN LATERAL (
      SELECT title FROM task_details WHERE board_id = ${boardId} AND task_id = wanted.id OFFSET 0
    ) AS detail`;
}
