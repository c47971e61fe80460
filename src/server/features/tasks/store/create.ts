/** Creates tasks: one statement for any number of them, with their events and the counter row. */
import type { BlockKind, TaskStatus } from '../../../../contract/statuses.ts';
import type { Runner } from '../../../db/client.ts';
import { columnOf } from '../../../db/column.ts';
import { countMove, type LogChange, type NewEvent, type StatusCounts } from '../../../db/event-log.ts';
import { formatId, type Uuid } from '../../../kernel/ids.ts';
import type { ActorRef } from '../../../kernel/principal.ts';
import type { TaskHotRow } from './read.ts';

export interface NewTask {
  readonly id: Uuid;
  readonly title: string;
  readonly body: string | null;
  readonly status: TaskStatus;
  readonly lane: string | null;
  readonly priority: number;
  readonly payload: unknown;
  readonly labels: Readonly<Record<string, string>>;
  readonly backoff: Readonly<Record<string, unknown>> | null;
  readonly tenant: string | null;
  readonly external_ref: string | null;
  readonly idempotency_key: string | null;
  readonly traceparent: string | null;
  readonly max_failures: number;
  readonly max_runtime_seconds: number | null;
  readonly no_progress_seconds: number | null;
  readonly run_at: string | null;
  /** Of its parents, those that are not done. */
  readonly unmet_parents: number;
  readonly blocked_kind: BlockKind | null;
  readonly actor: ActorRef;
  readonly created_by_run: Uuid | null;
  readonly delegation_id: Uuid | null;
  readonly delegation_depth: number;
  /** A delegation or somebody subscribed hangs on it from the start. */
  readonly is_followed: boolean;
  readonly is_system: boolean;
  readonly origin: Readonly<Record<string, string>> | null;
  /** Linked once the tasks are there. */
  readonly parents: readonly Uuid[];
}

/** What the database decides; the rest of the row is as it was asked for. */
type MadeRow = Pick<TaskHotRow, 'id' | 'run_at' | 'created_at'>;

/**
 * The first steps of a creation: rows of the tasks whose idempotency_key and external_ref are free, in the given order.
 *
 * Keys are inserted in key order, so that two batches with keys in common wait for each other one way only. The columns travel as
 * arrays: taking 23 of them out of JSON was 14 of 37 µs a task.
 */
const makingRows = (sql: Runner, boardId: number, tasks: readonly NewTask[]) => sql`
    item AS MATERIALIZED (
      SELECT item.*, clock_timestamp() AS now FROM unnest(
        ${columnOf(tasks, (task) => task.id)}::uuid[], ${columnOf(tasks, (task) => task.title)}::text[],
        ${columnOf(tasks, (task) => task.body)}::text[], ${columnOf(tasks, (task) => task.status)}::text[],
        ${columnOf(tasks, (task) => task.lane)}::text[], ${columnOf(tasks, (task) => task.priority)}::int[],
        ${columnOf(tasks, (task) => jsonOrNull(task.payload))}::text[], ${columnOf(tasks, (task) => jsonOrNull(task.labels))}::text[],
        ${columnOf(tasks, (task) => jsonOrNull(task.backoff))}::text[], ${columnOf(tasks, (task) => task.tenant)}::text[],
        ${columnOf(tasks, (task) => task.external_ref)}::text[], ${columnOf(tasks, (task) => task.idempotency_key)}::text[],
        ${columnOf(tasks, (task) => task.traceparent)}::text[], ${columnOf(tasks, (task) => task.max_failures)}::int[],
        ${columnOf(tasks, (task) => task.max_runtime_seconds)}::int[], ${columnOf(tasks, (task) => task.no_progress_seconds)}::int[],
        ${columnOf(tasks, (task) => task.run_at)}::text[], ${columnOf(tasks, (task) => task.blocked_kind)}::text[],
        ${columnOf(tasks, (task) => task.actor.type)}::text[], ${columnOf(tasks, (task) => task.actor.id)}::text[],
        ${columnOf(tasks, (task) => task.created_by_run)}::uuid[], ${columnOf(tasks, (task) => task.unmet_parents)}::int[],
        ${columnOf(tasks, (task) => task.delegation_id)}::uuid[], ${columnOf(tasks, (task) => task.delegation_depth)}::int[],
        ${columnOf(tasks, (task) => String(task.is_followed))}::text[], ${columnOf(tasks, (task) => String(task.is_system))}::text[],
        ${columnOf(tasks, (task) => jsonOrNull(task.origin))}::text[], ${columnOf(tasks, (task) => JSON.stringify(eventDataOf(task)))}::text[]
      ) WITH ORDINALITY AS item (id, title, body, status, lane, priority, payload, labels, backoff, tenant, external_ref, idempotency_key,
        traceparent, max_failures, max_runtime_seconds, no_progress_seconds, run_at, blocked_kind, actor_type, actor_id, created_by_run, unmet_parents,
        delegation_id, delegation_depth, is_followed, is_system, origin, data, ordinal)
    ),
    detail AS (
      INSERT INTO task_details (board_id, task_id, title, body, payload, labels, backoff, tenant, external_ref, idempotency_key,
        traceparent, created_by_type, created_by_id, created_by_run, delegation_id, delegation_depth, origin, origin_session)
      SELECT ${boardId}, id, title, body, payload::jsonb, labels::jsonb, backoff::jsonb, tenant, external_ref, idempotency_key, traceparent,
        actor_type, actor_id, created_by_run, delegation_id, delegation_depth, origin::jsonb, nullif(origin::jsonb ->> 'session_id', '')
      FROM item ORDER BY idempotency_key NULLS FIRST, external_ref NULLS FIRST, ordinal
      ON CONFLICT DO NOTHING
      RETURNING task_id
    ),
    -- All of them, most of the time: then nobody need look.
    kept AS MATERIALIZED (
      SELECT item.* FROM item WHERE (SELECT count(*) FROM detail) = ${tasks.length} OR id = ANY (ARRAY(SELECT task_id FROM detail))
    ),
    made AS (
      INSERT INTO tasks AS t (board_id, id, lane, status, priority, version, attempt, unmet_parents, consecutive_failures,
        protocol_violations, max_failures, max_runtime_seconds, no_progress_seconds, run_at, blocked_kind, is_followed, is_system, status_since,
        created_at, updated_at)
      SELECT ${boardId}, id, lane, status, priority, 1, 0, unmet_parents, 0, 0, max_failures, max_runtime_seconds, no_progress_seconds,
        run_at::timestamptz, blocked_kind, is_followed::boolean, is_system::boolean, now, now, now
      FROM kept
      RETURNING t.id, t.status, t.run_at, t.created_at
    )`;

/**
 * Makes tasks and logs it, in one statement. Returns the rows that were made; what is missing collided with an existing task, and the caller
 * finds out with which. The counter row is a scalar subselect: without a row (the board is gone) the events lack a seq, which rolls
 * everything back.
 */
export async function insertTasks(
  sql: Runner,
  boardId: number,
  tasks: readonly NewTask[],
): Promise<TaskHotRow[]> {
  const rows = await sql<MadeRow[]>`
    /* tasks.create */
    WITH ${makingRows(sql, boardId, tasks)},
    total AS MATERIALIZED (
      SELECT count(*) AS made, count(*) FILTER (WHERE status = 'ready') AS ready, count(*) FILTER (WHERE status = 'scheduled') AS scheduled,
        count(*) FILTER (WHERE status = 'triage') AS triage, count(*) FILTER (WHERE status = 'blocked') AS blocked,
        count(*) FILTER (WHERE status = 'todo') AS todo
      FROM made
    ),
    bumped AS (
      UPDATE board_seq SET seq = seq + total.made, ready = board_seq.ready + total.ready, scheduled = board_seq.scheduled + total.scheduled,
        triage = board_seq.triage + total.triage, blocked = board_seq.blocked + total.blocked, todo = board_seq.todo + total.todo
      FROM total WHERE board_id = ${boardId} AND total.made > 0
      RETURNING seq, clock_timestamp() AS at
    ),
    written AS (
      INSERT INTO events (board_id, seq, kind, at, task_id, lane, task_version, actor_type, actor_id, data)
      SELECT ${boardId}, (SELECT seq FROM bumped) - (SELECT made FROM total) + row_number() OVER (ORDER BY ordinal), 'task.created',
        coalesce((SELECT at FROM bumped), now), id, lane, 1, actor_type, actor_id, data::jsonb
      FROM kept
    )
    SELECT id, run_at, created_at FROM made`;
  return hotRowsOf(tasks, rows);
}

/** The same without the log, and so without the counter row: for those that are linked first. The caller writes `creationOf` them last. */
export async function insertTaskRows(
  sql: Runner,
  boardId: number,
  tasks: readonly NewTask[],
): Promise<TaskHotRow[]> {
  const rows = await sql<MadeRow[]>`
    /* tasks.create_rows */
    WITH ${makingRows(sql, boardId, tasks)}
    SELECT id, run_at, created_at FROM made`;
  return hotRowsOf(tasks, rows);
}

/** What the log is told of tasks that were made. */
export function creationOf(tasks: readonly NewTask[]): LogChange {
  const counts: StatusCounts = {};
  const events = tasks.map((task): NewEvent => {
    countMove(counts, null, task.status);
    const { id, lane, actor } = task;
    return { kind: 'task.created', taskId: id, lane, taskVersion: 1, actor, data: eventDataOf(task) };
  });
  return { events, counts };
}

function hotRowsOf(tasks: readonly NewTask[], rows: readonly MadeRow[]): TaskHotRow[] {
  const made = new Map(rows.map((row) => [row.id, row]));
  return tasks.flatMap((task) => {
    const row = made.get(task.id);
    return row === undefined ? [] : [hotRowOf(task, row)];
  });
}

function jsonOrNull(value: unknown): string | null {
  return value === null || value === undefined ? null : JSON.stringify(value);
}

function eventDataOf(task: NewTask): Record<string, unknown> {
  return {
    status_before: null,
    status_after: task.status,
    title: task.title,
    lane: task.lane,
    priority: task.priority,
    labels: task.labels,
    tenant: task.tenant,
    external_ref: task.external_ref,
    run_at: task.run_at,
    max_failures: task.max_failures,
    ...(task.traceparent === null ? {} : { traceparent: task.traceparent }),
    ...(task.parents.length === 0 ? {} : { parents: task.parents.map((id) => formatId('task', id)) }),
  };
}

function hotRowOf(task: NewTask, { run_at, created_at }: MadeRow): TaskHotRow {
  return {
    id: task.id,
    lane: task.lane,
    status: task.status,
    priority: task.priority,
    version: 1,
    attempt: 0,
    consecutive_failures: 0,
    max_failures: task.max_failures,
    max_runtime_seconds: task.max_runtime_seconds,
    no_progress_seconds: task.no_progress_seconds,
    run_at,
    unmet_parents: task.unmet_parents,
    reviewer: null,
    blocked_kind: task.blocked_kind,
    blocked_reason: null,
    status_since: created_at,
    created_at,
    updated_at: created_at,
  };
}

/** Tasks made under this run's token so far. */
export async function countTasksOfRun(sql: Runner, boardId: number, runId: Uuid): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    /* tasks.count_of_run */ SELECT count(*)::int AS count FROM task_details WHERE board_id = ${boardId} AND created_by_run = ${runId}`;
  return row?.count ?? 0;
}

/** Locks the claim of a run, whatever its attempt, against ending: what is done under its token is done while it holds. False: it does not. */
export async function lockClaimOfRun(
  sql: Runner,
  boardId: number,
  taskId: Uuid,
  runId: Uuid,
): Promise<boolean> {
  const rows = await sql`
    /* tasks.lock_claim_of_run */
    SELECT FROM claims WHERE board_id = ${boardId} AND task_id = ${taskId} AND run_id = ${runId} AND NOT is_superseded FOR NO KEY UPDATE`;
  return rows.length > 0;
}

/** How deep in delegations a task is; what its runs make is as deep, and what they delegate one more. */
export async function findDelegationDepth(sql: Runner, boardId: number, taskId: Uuid): Promise<number> {
  const [row] = await sql<{ delegation_depth: number }[]>`
    /* tasks.find_delegation_depth */
    SELECT delegation_depth FROM task_details WHERE board_id = ${boardId} AND task_id = ${taskId}`;
  return row?.delegation_depth ?? 0;
}
