/** Delegations as the end of a child sees them: which one waits for it, what its other children are, and what becomes of it. */
import type { DelegationResult } from '../../../../contract/delegations.ts';
import type { DelegationStatus, Outcome, TaskStatus } from '../../../../contract/statuses.ts';
import type { JsonParameter as Json, PendingQuery, Runner, Tx } from '../../../db/client.ts';
import type { Uuid } from '../../../kernel/ids.ts';

/** Of the tasks that one depends on, or that depend on one: far more than any plan; beyond it nothing is found to be unreachable. */
const KIN_ROWS_MAX = 10_000;

export interface JoinRow {
  readonly id: Uuid;
  readonly join_mode: 'all' | 'any';
  readonly on_blocked: 'end' | 'wait';
  readonly on_decided: 'cancel' | 'leave';
  readonly is_overdue: boolean;
}

/** What a delegation hears of: members that ended, and members that can no longer begin because something before them was cancelled. */
export async function findConcernedDelegations(
  tx: Tx,
  boardId: number,
  endedIds: readonly Uuid[],
  cutIds: readonly Uuid[],
): Promise<Uuid[]> {
  const rows = await tx<{ delegation_id: Uuid }[]>`
    /* joins.find_concerned */
    WITH RECURSIVE down (id) AS (
      SELECT unnest(${cutIds as Uuid[]}::uuid[])
      UNION
      SELECT child.id FROM down CROSS JOIN LATERAL (
        SELECT t.id FROM links l CROSS JOIN LATERAL (
          SELECT id FROM tasks WHERE board_id = ${boardId} AND id = l.child_id AND status = 'todo' OFFSET 0
        ) AS t
        WHERE l.board_id = ${boardId} AND l.parent_id = down.id AND NOT l.is_met OFFSET 0
      ) AS child
    )
    SELECT DISTINCT member.delegation_id
    FROM (SELECT unnest(${endedIds as Uuid[]}::uuid[]) AS id UNION ALL (SELECT id FROM down LIMIT ${KIN_ROWS_MAX})) AS concerned
    CROSS JOIN LATERAL (
      SELECT delegation_id FROM delegation_tasks WHERE board_id = ${boardId} AND task_id = concerned.id OFFSET 0
    ) AS member`;
  return rows.map((row) => row.delegation_id);
}

/** Those of them that are not decided, in the order of all delegations. */
export async function lockRunningDelegations(
  tx: Tx,
  boardId: number,
  ids: readonly Uuid[],
): Promise<JoinRow[]> {
  return tx<JoinRow[]>`
    /* joins.lock */
    SELECT d.* FROM (SELECT DISTINCT id FROM unnest(${ids as Uuid[]}::uuid[]) AS id ORDER BY id) AS wanted
    CROSS JOIN LATERAL (
      SELECT id, join_mode, on_blocked, on_decided, coalesce(deadline_at <= clock_timestamp(), false) AS is_overdue
      FROM delegations WHERE board_id = ${boardId} AND id = wanted.id AND status = 'running' FOR UPDATE
    ) AS d`;
}

export interface ChildRow {
  readonly delegation_id: Uuid;
  readonly place: number;
  readonly task_id: Uuid;
  /** Null: it was deleted. */
  readonly status: TaskStatus | null;
  readonly archived_from: TaskStatus | null;
  readonly attempt: number;
  readonly is_unreachable: boolean;
}

/** Of a task in todo: something that it waits for, near or far, was cancelled. */
const IS_UNREACHABLE = (sql: Runner, boardId: PendingQuery, taskId: PendingQuery) => sql`
  EXISTS (
    WITH RECURSIVE up (id) AS (
      SELECT parent_id FROM links WHERE board_id = ${boardId} AND child_id = ${taskId} AND NOT is_met
      UNION
      SELECT l.parent_id FROM up
      CROSS JOIN LATERAL (SELECT FROM tasks WHERE board_id = ${boardId} AND id = up.id AND status = 'todo' OFFSET 0) AS waiting
      CROSS JOIN LATERAL (
        SELECT parent_id FROM links WHERE board_id = ${boardId} AND child_id = up.id AND NOT is_met OFFSET 0
      ) AS l
    )
    SELECT FROM (SELECT id FROM up LIMIT ${KIN_ROWS_MAX}) AS near
    CROSS JOIN LATERAL (SELECT status, archived_from FROM tasks WHERE board_id = ${boardId} AND id = near.id OFFSET 0) AS p
    WHERE p.status = 'cancelled' OR (p.status = 'archived' AND p.archived_from IS DISTINCT FROM 'done')
  )`;

/** All children in task order. Under the locks of their delegations: whoever ended one before us has committed. */
export async function listChildren(tx: Tx, boardId: number, ids: readonly Uuid[]): Promise<ChildRow[]> {
  return tx<ChildRow[]>`
    /* joins.list_children */
    SELECT member.delegation_id, member.place, member.task_id, t.status, t.archived_from, coalesce(t.attempt, 0) AS attempt,
      CASE WHEN t.status = 'todo' THEN ${IS_UNREACHABLE(tx, tx`${boardId}`, tx`member.task_id`)} ELSE false END AS is_unreachable
    FROM unnest(${ids as Uuid[]}::uuid[]) AS wanted (id)
    CROSS JOIN LATERAL (
      SELECT delegation_id, place, task_id FROM delegation_tasks WHERE board_id = ${boardId} AND delegation_id = wanted.id OFFSET 0
    ) AS member
    LEFT JOIN LATERAL (
      SELECT status, archived_from, attempt FROM tasks WHERE board_id = ${boardId} AND id = member.task_id OFFSET 0
    ) AS t ON true
    ORDER BY member.delegation_id, member.place`;
}

/** A place among the running delegations of all boards. */
export interface DelegationPlace {
  readonly board_id: number;
  readonly id: Uuid;
}

/** The next `rowsMax` that run, in the order of all; stuck: a child of theirs waits in vain. */
export async function listRunningFrom(
  sql: Runner,
  after: DelegationPlace | null,
  rowsMax: number,
): Promise<(DelegationPlace & { readonly is_stuck: boolean })[]> {
  const isBehind = after === null ? sql`` : sql`AND (board_id, id) > (${after.board_id}, ${after.id}::uuid)`;
  return sql`
    /* joins.list_running */
    SELECT d.board_id, d.id, EXISTS (
      SELECT FROM (SELECT task_id FROM delegation_tasks WHERE board_id = d.board_id AND delegation_id = d.id OFFSET 0) AS member
      CROSS JOIN LATERAL (SELECT FROM tasks WHERE board_id = d.board_id AND id = member.task_id AND status = 'todo' OFFSET 0) AS t
      WHERE ${IS_UNREACHABLE(sql, sql`d.board_id`, sql`member.task_id`)}
    ) AS is_stuck
    FROM (
      SELECT board_id, id FROM delegations WHERE status = 'running' ${isBehind} ORDER BY board_id, id LIMIT ${rowsMax}
    ) AS d
    ORDER BY d.board_id, d.id`;
}

export interface ChildReportRow {
  readonly place: number;
  readonly task_id: Uuid;
  readonly goal: string | null;
  readonly context: string | null;
  readonly toolsets: string[] | null;
  readonly model: string | null;
  readonly title: string | null;
  readonly lane: string | null;
  readonly blocked_reason: string | null;
  readonly outcome: Outcome | null;
  readonly summary: string | null;
  readonly result: Json;
  readonly is_result_cut: boolean;
  readonly metadata: Record<string, Json> | null;
  readonly is_metadata_cut: boolean;
  readonly error: string | null;
  readonly output: string | null;
  readonly started_at: string | null;
  readonly ended_at: string | null;
  readonly duration_seconds: number | null;
}

/** What each child of one delegation has to show. Documents larger than `documentBytesMax` stay where they are. */
export async function listChildReports(
  tx: Tx,
  boardId: number,
  id: Uuid,
  { documentBytesMax, outputCharactersMax }: { documentBytesMax: number; outputCharactersMax: number },
): Promise<ChildReportRow[]> {
  return tx<ChildReportRow[]>`
    /* joins.list_reports */
    SELECT member.*, d.title, t.lane, t.blocked_reason, r.outcome, r.summary,
      CASE WHEN r.result_bytes <= ${documentBytesMax} THEN r.result END AS result, coalesce(r.result_bytes > ${documentBytesMax}, false) AS is_result_cut,
      CASE WHEN r.metadata_bytes <= ${documentBytesMax} THEN r.metadata END AS metadata,
      coalesce(r.metadata_bytes > ${documentBytesMax}, false) AS is_metadata_cut,
      r.error, output.text AS output, r.started_at, r.ended_at,
      round(extract(epoch FROM coalesce(r.ended_at, clock_timestamp()) - r.started_at)::numeric, 3)::float8 AS duration_seconds
    FROM (
      SELECT place, task_id, goal, context, toolsets, model FROM delegation_tasks WHERE board_id = ${boardId} AND delegation_id = ${id} OFFSET 0
    ) AS member
    LEFT JOIN LATERAL (SELECT title FROM task_details WHERE board_id = ${boardId} AND task_id = member.task_id OFFSET 0) AS d ON true
    LEFT JOIN LATERAL (
      SELECT lane, blocked_reason, attempt, result_attempt FROM tasks WHERE board_id = ${boardId} AND id = member.task_id OFFSET 0
    ) AS t ON true
    LEFT JOIN LATERAL (
      SELECT id, outcome, summary, result, octet_length(result::text) AS result_bytes, metadata, octet_length(metadata::text) AS metadata_bytes,
        error, started_at, ended_at
      FROM runs WHERE board_id = ${boardId} AND task_id = member.task_id AND attempt = coalesce(t.result_attempt, t.attempt) OFFSET 0
    ) AS r ON true
    LEFT JOIN LATERAL (
      SELECT right(string_agg(text, E'\\n' ORDER BY number), ${outputCharactersMax}::int) AS text FROM output_lines
      WHERE board_id = ${boardId} AND task_id = member.task_id AND run_id = r.id
    ) AS output ON true
    ORDER BY member.place`;
}

/** Once and never again: a decided delegation is not running. */
export async function decideDelegation(
  tx: Tx,
  boardId: number,
  decision: {
    readonly id: Uuid;
    readonly status: DelegationStatus;
    readonly reason: string | null;
    readonly results: readonly DelegationResult[];
    readonly hasLeftovers: boolean;
  },
): Promise<void> {
  await tx`
    /* joins.decide */
    UPDATE delegations SET status = ${decision.status}, reason = ${decision.reason}, results = ${tx.json(decision.results as unknown as Json)},
      has_leftovers = ${decision.hasLeftovers}, completed_at = clock_timestamp()
    WHERE board_id = ${boardId} AND id = ${decision.id} AND status = 'running'`;
}
