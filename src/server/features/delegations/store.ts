/** Delegations as they are made, read and counted. How they are decided stands with the tasks (join/): it is part of a child's end. */
import type { DelegationResult } from '../../../contract/delegations.ts';
import { type DelegationStatus, FINISHED_STATUSES, type TaskStatus } from '../../../contract/statuses.ts';
import type { Runner, Tx } from '../../db/client.ts';
import { columnOf } from '../../db/column.ts';
import type { Uuid } from '../../kernel/ids.ts';
import type { ActorRef } from '../../kernel/principal.ts';

export interface NewChild {
  readonly taskId: Uuid;
  readonly goal: string | null;
  readonly context: string | null;
  readonly toolsets: readonly string[] | null;
  readonly model: string | null;
}

export interface NewDelegation {
  readonly id: Uuid;
  readonly goal: string | null;
  readonly context: string | null;
  readonly origin: Readonly<Record<string, string>> | null;
  readonly join: 'all' | 'any';
  readonly onBlocked: 'end' | 'wait';
  readonly onDecided: 'cancel' | 'leave';
  readonly capacityKey: string | null;
  readonly depth: number;
  readonly deadlineSeconds: number | null;
  readonly actor: ActorRef;
  readonly createdByTask: Uuid | null;
}

/**
 * Whoever delegates with this key comes one after another, until commit: the count that follows is exact. Taken before anything else, so
 * that nobody who holds a row waits for it.
 */
export async function lockCapacity(tx: Tx, boardId: number, key: string): Promise<void> {
  await tx`
    /* delegations.lock_capacity */
    SELECT pg_advisory_xact_lock(hashtextextended(${`delegation_capacity ${key}`}, ${boardId}))`;
}

/** In a statement of its own, after the lock: its snapshot has whoever held it before. */
export async function countRunning(tx: Tx, boardId: number, key: string): Promise<number> {
  const [row] = await tx<{ count: number }[]>`
    /* delegations.count_running */
    SELECT count(*)::int AS count FROM delegations WHERE board_id = ${boardId} AND capacity_key = ${key} AND status = 'running'`;
  return row?.count ?? 0;
}

export async function insertDelegation(
  tx: Tx,
  boardId: number,
  delegation: NewDelegation,
  children: readonly NewChild[],
): Promise<void> {
  const { origin } = delegation;
  await tx`
    /* delegations.insert */
    INSERT INTO delegations (board_id, id, status, goal, context, origin, session_id, join_mode, on_blocked, on_decided, capacity_key, depth,
      child_count, deadline_at, created_by_type, created_by_id, created_by_task)
    VALUES (${boardId}, ${delegation.id}, 'running', ${delegation.goal}, ${delegation.context}, ${origin === null ? null : tx.json(origin)},
      ${origin?.['session_id'] || null}, ${delegation.join}, ${delegation.onBlocked}, ${delegation.onDecided}, ${delegation.capacityKey},
      ${delegation.depth}, ${children.length},
      clock_timestamp() + make_interval(secs => ${delegation.deadlineSeconds}::double precision), ${delegation.actor.type},
      ${delegation.actor.id}, ${delegation.createdByTask})`;
  const toolsets = columnOf(children, ({ toolsets }) =>
    toolsets === null ? null : JSON.stringify(toolsets),
  );
  await tx`
    /* delegations.insert_tasks */
    INSERT INTO delegation_tasks (board_id, delegation_id, place, task_id, goal, context, toolsets, model)
    SELECT ${boardId}, ${delegation.id}, ordinality - 1, task_id, goal, context, toolsets::jsonb, model FROM unnest(
      ${columnOf(children, ({ taskId }) => taskId)}::uuid[], ${columnOf(children, ({ goal }) => goal)}::text[],
      ${columnOf(children, ({ context }) => context)}::text[], ${toolsets}::text[], ${columnOf(children, ({ model }) => model)}::text[]
    ) WITH ORDINALITY AS child (task_id, goal, context, toolsets, model, ordinality)`;
}

export interface DelegationRow {
  readonly id: Uuid;
  readonly status: DelegationStatus;
  readonly goal: string | null;
  readonly context: string | null;
  readonly origin: Record<string, string> | null;
  readonly join_mode: 'all' | 'any';
  readonly on_blocked: 'end' | 'wait';
  readonly on_decided: 'cancel' | 'leave';
  readonly capacity_key: string | null;
  readonly depth: number;
  readonly deadline_at: string | null;
  /** Null too where they were not asked for. */
  readonly results: DelegationResult[] | null;
  readonly reason: string | null;
  readonly created_by_type: 'key' | 'claim' | 'system';
  readonly created_by_id: string;
  readonly created_by_task: Uuid | null;
  readonly created_at: string;
  readonly completed_at: string | null;
  readonly tasks: Uuid[];
}

const COLUMNS = (sql: Runner, boardId: number) => sql`
  d.id, d.status, d.goal, d.context, d.origin, d.join_mode, d.on_blocked, d.on_decided, d.capacity_key, d.depth, d.deadline_at, d.reason,
  d.created_by_type, d.created_by_id, d.created_by_task, d.created_at, d.completed_at,
  to_json(ARRAY(SELECT task_id FROM delegation_tasks WHERE board_id = ${boardId} AND delegation_id = d.id ORDER BY place)) AS tasks`;

export async function findDelegation(sql: Runner, boardId: number, id: Uuid): Promise<DelegationRow | null> {
  const [row] = await sql<DelegationRow[]>`
    /* delegations.find */
    SELECT ${COLUMNS(sql, boardId)}, d.results FROM delegations d WHERE d.board_id = ${boardId} AND d.id = ${id}`;
  return row ?? null;
}

export interface DelegationFilter {
  readonly statuses: readonly DelegationStatus[] | null;
  readonly sessionId: string | null;
  /** Only those made under claims of this task. */
  readonly createdByTask: Uuid | null;
}

/** Newest first, without their results. */
export async function listDelegations(
  sql: Runner,
  boardId: number,
  { statuses, sessionId, createdByTask }: DelegationFilter,
  page: { readonly beforeId: Uuid | null; readonly rowsMax: number },
): Promise<DelegationRow[]> {
  return sql<DelegationRow[]>`
    /* delegations.list */
    SELECT ${COLUMNS(sql, boardId)}, NULL AS results FROM delegations d
    WHERE d.board_id = ${boardId} ${page.beforeId === null ? sql`` : sql`AND d.id < ${page.beforeId}`}
      ${statuses === null ? sql`` : sql`AND d.status = ANY (${statuses as DelegationStatus[]}::text[])`}
      ${sessionId === null ? sql`` : sql`AND d.session_id = ${sessionId}`}
      ${createdByTask === null ? sql`` : sql`AND d.created_by_task = ${createdByTask}`}
    ORDER BY d.id DESC LIMIT ${page.rowsMax}`;
}

export async function isRunning(sql: Runner, boardId: number, id: Uuid): Promise<boolean> {
  const rows = await sql`
    /* delegations.is_running */
    SELECT FROM delegations WHERE board_id = ${boardId} AND id = ${id} AND status = 'running'`;
  return rows.length > 0;
}

/** Of the claim on a task. Under its lock: it stays so until commit. */
export async function isCancelRequested(tx: Tx, boardId: number, taskId: Uuid): Promise<boolean> {
  const rows = await tx`
    /* delegations.is_cancel_requested */
    SELECT FROM claims WHERE board_id = ${boardId} AND task_id = ${taskId} AND is_cancel_requested`;
  return rows.length > 0;
}

/** Of a session, oldest first. */
export async function listRunningOfSession(
  sql: Runner,
  boardId: number,
  sessionId: string,
  rowsMax: number,
): Promise<Uuid[]> {
  const rows = await sql<{ id: Uuid }[]>`
    /* delegations.list_running_of_session */
    SELECT id FROM delegations WHERE board_id = ${boardId} AND session_id = ${sessionId} AND status = 'running' ORDER BY id LIMIT ${rowsMax}`;
  return rows.map((row) => row.id);
}

export async function listTaskIds(sql: Runner, boardId: number, id: Uuid): Promise<Uuid[]> {
  const rows = await sql<{ task_id: Uuid }[]>`
    /* delegations.list_tasks */
    SELECT task_id FROM delegation_tasks WHERE board_id = ${boardId} AND delegation_id = ${id} ORDER BY place`;
  return rows.map((row) => row.task_id);
}

/** Of a `member` that has not ended. */
const OPEN_TASK = (sql: Runner, boardId: number) => sql`(
  SELECT FROM tasks WHERE board_id = ${boardId} AND id = member.task_id AND status <> ALL (${FINISHED_STATUSES as TaskStatus[]}::text[]) OFFSET 0)`;

/** Members of a decided one that somebody may still begin or finish, but those whose holders have been asked to stop. */
export async function listLeftTaskIds(sql: Runner, boardId: number, id: Uuid): Promise<Uuid[]> {
  const rows = await sql<{ task_id: Uuid }[]>`
    /* delegations.list_left_tasks */
    SELECT member.task_id FROM (
      SELECT place, task_id FROM delegation_tasks WHERE board_id = ${boardId} AND delegation_id = ${id} OFFSET 0
    ) AS member
    CROSS JOIN LATERAL ${OPEN_TASK(sql, boardId)} AS open
    WHERE NOT EXISTS (SELECT FROM claims WHERE board_id = ${boardId} AND task_id = member.task_id AND is_cancel_requested OFFSET 0)
    ORDER BY member.place`;
  return rows.map((row) => row.task_id);
}

/** Boards that have delegations whose deadline has passed. Of more than there is room for any, not the same each time. */
export async function listBoardsWithOverdue(
  sql: Runner,
  exceptIds: readonly number[],
  boardsMax: number,
): Promise<number[]> {
  const rows = await sql<{ board_id: number }[]>`
    /* delegations.list_boards_with_overdue */
    SELECT board_id FROM delegations
    WHERE status = 'running' AND deadline_at <= clock_timestamp() AND board_id <> ALL (${exceptIds as number[]}::int[])
    GROUP BY board_id ORDER BY random() LIMIT ${boardsMax}`;
  return rows.map((row) => row.board_id);
}

/** Those of `lastIds` behind all others. */
export async function listOverdue(
  sql: Runner,
  boardId: number,
  lastIds: readonly Uuid[],
  rowsMax: number,
): Promise<Uuid[]> {
  const isLast = lastIds.length === 0 ? sql`` : sql`id = ANY (${lastIds as Uuid[]}::uuid[]),`;
  const rows = await sql<{ id: Uuid }[]>`
    /* delegations.list_overdue */
    SELECT id FROM delegations WHERE board_id = ${boardId} AND status = 'running' AND deadline_at <= clock_timestamp()
    ORDER BY ${isLast} deadline_at, id LIMIT ${rowsMax}`;
  return rows.map((row) => row.id);
}

/** Boards with decided delegations whose other children are to be cancelled. Of more than there is room for any, not the same each time. */
export async function listBoardsWithLeftovers(
  sql: Runner,
  exceptIds: readonly number[],
  boardsMax: number,
): Promise<number[]> {
  const rows = await sql<{ board_id: number }[]>`
    /* delegations.list_boards_with_leftovers */
    SELECT board_id FROM delegations WHERE has_leftovers AND board_id <> ALL (${exceptIds as number[]}::int[])
    GROUP BY board_id ORDER BY random() LIMIT ${boardsMax}`;
  return rows.map((row) => row.board_id);
}

/** The next one after `afterId`, in the order of all. */
export async function findLeftover(
  sql: Runner,
  boardId: number,
  afterId: Uuid | null,
): Promise<{ readonly id: Uuid; readonly reason: string | null } | null> {
  const [row] = await sql<{ id: Uuid; reason: string | null }[]>`
    /* delegations.find_leftover */
    SELECT id, reason FROM delegations WHERE board_id = ${boardId} AND has_leftovers
      ${afterId === null ? sql`` : sql`AND id > ${afterId}`} ORDER BY id LIMIT 1`;
  return row ?? null;
}

/** Delegations that a child of this one has made, and that run. */
const RUNNING_WITHIN = (sql: Runner, boardId: number, id: Uuid) => sql`(
  SELECT nested.id FROM (
    SELECT task_id FROM delegation_tasks WHERE board_id = ${boardId} AND delegation_id = ${id} OFFSET 0
  ) AS member
  CROSS JOIN LATERAL (
    SELECT id FROM delegations WHERE board_id = ${boardId} AND created_by_task = member.task_id AND status = 'running' LIMIT 1
  ) AS nested
  LIMIT 1)`;

/** One that a child of this delegation has handed on, and that runs. */
export async function findRunningWithin(sql: Runner, boardId: number, id: Uuid): Promise<Uuid | null> {
  const [row] = await sql<{ id: Uuid | null }[]>`
    /* delegations.find_running_within */ SELECT ${RUNNING_WITHIN(sql, boardId, id)} AS id`;
  return row?.id ?? null;
}

/** In the transaction that decides it: there is something left to be done about its children. */
export async function markLeftovers(tx: Tx, boardId: number, id: Uuid): Promise<void> {
  await tx`/* delegations.mark_leftovers */ UPDATE delegations SET has_leftovers = true WHERE board_id = ${boardId} AND id = ${id}`;
}

/**
 * When nothing is: every child has ended, and nothing runs that one has handed on. Both as of one moment: that no child is held is not
 * enough, its holder may have handed it over for review since its cancel was requested, where it would be begun again.
 */
export async function clearLeftovers(sql: Runner, boardId: number, id: Uuid): Promise<void> {
  await sql`
    /* delegations.clear_leftovers */
    UPDATE delegations SET has_leftovers = false WHERE board_id = ${boardId} AND id = ${id} AND has_leftovers AND NOT EXISTS (
      SELECT FROM (
        SELECT task_id FROM delegation_tasks WHERE board_id = ${boardId} AND delegation_id = ${id} OFFSET 0
      ) AS member
      CROSS JOIN LATERAL ${OPEN_TASK(sql, boardId)} AS open)
      AND NOT EXISTS ${RUNNING_WITHIN(sql, boardId, id)}`;
}
