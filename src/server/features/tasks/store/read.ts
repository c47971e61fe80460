/** Tasks as they are read: the hot row, its details, the live claim, and the last run. */

import type { BlockKind, Outcome, TaskStatus } from '../../../../contract/statuses.ts';
import type { JsonParameter as Json, Runner } from '../../../db/client.ts';
import type { Uuid } from '../../../kernel/ids.ts';

export interface TaskHotRow {
  readonly id: Uuid;
  readonly lane: string | null;
  readonly status: TaskStatus;
  readonly priority: number;
  readonly version: number;
  readonly attempt: number;
  readonly consecutive_failures: number;
  readonly max_failures: number;
  readonly max_runtime_seconds: number | null;
  readonly no_progress_seconds: number | null;
  readonly run_at: string | null;
  readonly unmet_parents: number;
  /** The lane that may claim it from review. */
  readonly reviewer: string | null;
  readonly blocked_kind: BlockKind | null;
  readonly blocked_reason: string | null;
  readonly status_since: string;
  readonly created_at: string;
  readonly updated_at: string;
}

export interface TaskDetailRow {
  readonly title: string;
  readonly body: string | null;
  readonly payload: Json;
  readonly labels: Record<string, string>;
  readonly backoff: { base_seconds?: number; factor?: number; cap_seconds?: number } | null;
  readonly tenant: string | null;
  readonly external_ref: string | null;
  readonly idempotency_key: string | null;
  readonly traceparent: string | null;
  readonly comment_count: number;
  readonly message_count: number;
  readonly parent_count: number;
  readonly created_by_type: 'key' | 'claim' | 'system';
  readonly created_by_id: string;
  readonly delegation_id: Uuid | null;
  readonly origin: Record<string, string | null> | null;
}

/** The same by position, as taskDetailColumns has them. */
export type TaskDetailValues = readonly [
  title: TaskDetailRow['title'],
  body: TaskDetailRow['body'],
  payload: TaskDetailRow['payload'],
  labels: TaskDetailRow['labels'],
  backoff: TaskDetailRow['backoff'],
  tenant: TaskDetailRow['tenant'],
  external_ref: TaskDetailRow['external_ref'],
  idempotency_key: TaskDetailRow['idempotency_key'],
  traceparent: TaskDetailRow['traceparent'],
  comment_count: TaskDetailRow['comment_count'],
  created_by_type: TaskDetailRow['created_by_type'],
  created_by_id: TaskDetailRow['created_by_id'],
  message_count: TaskDetailRow['message_count'],
  parent_count: TaskDetailRow['parent_count'],
  delegation_id: TaskDetailRow['delegation_id'],
  origin: TaskDetailRow['origin'],
];

export interface TaskClaimRow {
  readonly run_id: Uuid;
  readonly claim_lane: string;
  readonly worker: string;
  readonly claim_attempt: number;
  readonly claimed_at: string;
  readonly lease_expires_at: string;
  readonly is_cancel_requested: boolean;
  /** Absent where the claim has just been made. */
  readonly claim_progress?: number;
}

export interface TaskRunRow {
  readonly outcome: Outcome | null;
  readonly summary: string | null;
  readonly result: Json;
  readonly metadata: Record<string, Json> | null;
  readonly ended_at: string | null;
}

export type TaskRow = TaskHotRow &
  TaskDetailRow & { [K in keyof TaskClaimRow]: TaskClaimRow[K] | null } & TaskRunRow;

const TASK_HOT_COLUMNS = (sql: Runner) => sql`
  t.id, t.lane, t.status, t.priority, t.version, t.attempt, t.consecutive_failures, t.max_failures, t.max_runtime_seconds,
  t.no_progress_seconds, t.run_at, t.unmet_parents, t.reviewer, t.blocked_kind, t.blocked_reason, t.status_since, t.created_at, t.updated_at`;

export const taskDetailColumns = (sql: Runner) => sql`
  d.title, d.body, d.payload, d.labels, d.backoff, d.tenant, d.external_ref, d.idempotency_key, d.traceparent, d.comment_count,
  d.created_by_type, d.created_by_id, d.message_count, d.parent_count, d.delegation_id, d.origin`;

export const taskColumns = (sql: Runner) => sql`
  ${TASK_HOT_COLUMNS(sql)}, ${taskDetailColumns(sql)},
  c.run_id, c.lane AS claim_lane, c.worker, c.attempt AS claim_attempt, c.claimed_at, c.lease_expires_at, c.is_cancel_requested,
  c.progress AS claim_progress,
  r.outcome, r.summary, r.result, r.metadata, r.ended_at`;

const TASK_TABLES = (sql: Runner) => sql`
  tasks t
  JOIN task_details d ON d.board_id = t.board_id AND d.task_id = t.id
  LEFT JOIN claims c ON c.board_id = t.board_id AND c.task_id = t.id
  LEFT JOIN runs r ON r.board_id = t.board_id AND r.task_id = t.id AND r.attempt = coalesce(t.result_attempt, t.attempt)`;

export async function findTask(sql: Runner, boardId: number, id: Uuid): Promise<TaskRow | null> {
  const [row] = await sql<TaskRow[]>`
    /* tasks.find */ SELECT ${taskColumns(sql)} FROM ${TASK_TABLES(sql)} WHERE t.board_id = ${boardId} AND t.id = ${id}`;
  return row ?? null;
}

/** One look-up for each id of `wanted`, fenced by OFFSET 0: joined plainly, a plan that was made while the tables were empty reads all of the board. */
export const wantedTask = (sql: Runner, boardId: number) => sql`
  CROSS JOIN LATERAL (SELECT * FROM tasks WHERE board_id = ${boardId} AND id = wanted.id OFFSET 0) AS t`;

export const detailsOfTask = (sql: Runner, boardId: number) => sql`
  CROSS JOIN LATERAL (SELECT * FROM task_details WHERE board_id = ${boardId} AND task_id = t.id OFFSET 0) AS d`;

/** What is shown of each `t`, fenced likewise. */
export const partsOfTask = (sql: Runner, boardId: number) => sql`
  ${detailsOfTask(sql, boardId)}
  LEFT JOIN LATERAL (SELECT * FROM claims WHERE board_id = ${boardId} AND task_id = t.id OFFSET 0) AS c ON true
  LEFT JOIN LATERAL (
    SELECT * FROM runs WHERE board_id = ${boardId} AND task_id = t.id AND attempt = coalesce(t.result_attempt, t.attempt) OFFSET 0
  ) AS r ON true`;

/** Of those that have one. */
export async function findTraceparents(
  sql: Runner,
  boardId: number,
  ids: readonly Uuid[],
): Promise<Map<Uuid, string>> {
  const rows = await sql<{ task_id: Uuid; traceparent: string }[]>`
    /* tasks.find_traceparents */
    SELECT d.task_id, d.traceparent FROM unnest(${ids as Uuid[]}::uuid[]) AS wanted (id)
    CROSS JOIN LATERAL (SELECT * FROM task_details WHERE board_id = ${boardId} AND task_id = wanted.id OFFSET 0) AS d
    WHERE d.traceparent IS NOT NULL`;
  return new Map(rows.map((row) => [row.task_id, row.traceparent]));
}

export async function findTasks(sql: Runner, boardId: number, ids: readonly Uuid[]): Promise<TaskRow[]> {
  return sql<TaskRow[]>`
    /* tasks.find_many */
    SELECT ${taskColumns(sql)} FROM unnest(${ids as Uuid[]}::uuid[]) AS wanted (id)
    ${wantedTask(sql, boardId)} ${partsOfTask(sql, boardId)}`;
}

export async function findIdByExternalRef(
  sql: Runner,
  boardId: number,
  externalRef: string,
): Promise<Uuid | null> {
  const [row] = await sql<{ task_id: Uuid }[]>`
    /* tasks.find_by_external_ref */ SELECT task_id FROM task_details WHERE board_id = ${boardId} AND external_ref = ${externalRef}`;
  return row?.task_id ?? null;
}

interface ReferencedTask {
  readonly id: Uuid;
  readonly external_ref: string;
  readonly status: TaskStatus;
  readonly archived_from: TaskStatus | null;
}

/** Those of the tasks that there are, as they are at the moment: nothing is locked. */
export async function findByExternalRefs(
  sql: Runner,
  boardId: number,
  refs: readonly string[],
): Promise<ReferencedTask[]> {
  return sql<ReferencedTask[]>`
    /* tasks.find_by_external_refs */
    SELECT task.id, wanted.ref AS external_ref, task.status, task.archived_from
    FROM unnest(${refs as string[]}::text[]) AS wanted (ref)
    CROSS JOIN LATERAL (
      SELECT task_id FROM task_details WHERE board_id = ${boardId} AND external_ref = wanted.ref OFFSET 0
    ) AS detail
    CROSS JOIN LATERAL (
      SELECT id, status, archived_from FROM tasks WHERE board_id = ${boardId} AND id = detail.task_id OFFSET 0
    ) AS task`;
}

/** Ids of the tasks that hold these idempotency keys. */
export async function findIdsByIdempotencyKey(
  sql: Runner,
  boardId: number,
  keys: readonly string[],
): Promise<Map<string, Uuid>> {
  const rows = await sql<{ task_id: Uuid; idempotency_key: string }[]>`
    /* tasks.find_by_idempotency_key */
    SELECT found.task_id, found.idempotency_key FROM unnest(${keys as string[]}::text[]) AS wanted (key)
    CROSS JOIN LATERAL (
      SELECT task_id, idempotency_key FROM task_details
      WHERE board_id = ${boardId} AND idempotency_key = wanted.key AND is_idempotency_key_held OFFSET 0
    ) AS found`;
  return new Map(rows.map((row) => [row.idempotency_key, row.task_id]));
}

/** As far as anybody has committed it: read without a lock. What is finished stays as it is. */
export async function isAnyUnderReview(sql: Runner, boardId: number, ids: readonly Uuid[]): Promise<boolean> {
  const rows = await sql`
    /* tasks.is_any_under_review */
    SELECT FROM unnest(${ids as Uuid[]}::uuid[]) AS wanted (id)
    CROSS JOIN LATERAL (
      SELECT FROM tasks WHERE board_id = ${boardId} AND id = wanted.id AND result_attempt IS NOT NULL
        AND status NOT IN ('done', 'cancelled', 'archived') OFFSET 0
    ) AS task
    LIMIT 1`;
  return rows.length > 0;
}
