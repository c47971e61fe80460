/** Tasks as they are read: the hot row, its details, the live claim, and the last run. */

import type { BlockKind, Outcome, TaskStatus } from '../../../../contract/statuses.ts';
import type { TASK_ORDERS } from '../../../../contract/tasks.ts';
import type { JsonParameter as Json, Runner } from '../../../db/client.ts';
import { type ExcerptCaps, excerptColumn } from '../../../db/excerpt.ts';
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

const TASK_COLUMNS = (sql: Runner) => sql`
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
    /* tasks.find */ SELECT ${TASK_COLUMNS(sql)} FROM ${TASK_TABLES(sql)} WHERE t.board_id = ${boardId} AND t.id = ${id}`;
  return row ?? null;
}

/** One look-up for each id of `wanted`, fenced by OFFSET 0: joined plainly, a plan that was made while the tables were empty reads all of the board. */
const WANTED_TASK = (sql: Runner, boardId: number) => sql`
  CROSS JOIN LATERAL (SELECT * FROM tasks WHERE board_id = ${boardId} AND id = wanted.id OFFSET 0) AS t`;

const DETAILS_OF_TASK = (sql: Runner, boardId: number) => sql`
  CROSS JOIN LATERAL (SELECT * FROM task_details WHERE board_id = ${boardId} AND task_id = t.id OFFSET 0) AS d`;

/** What is shown of each `t`, fenced likewise. */
const PARTS_OF_TASK = (sql: Runner, boardId: number) => sql`
  ${DETAILS_OF_TASK(sql, boardId)}
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
    SELECT ${TASK_COLUMNS(sql)} FROM unnest(${ids as Uuid[]}::uuid[]) AS wanted (id)
    ${WANTED_TASK(sql, boardId)} ${PARTS_OF_TASK(sql, boardId)}`;
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

export interface TaskFilter {
  readonly statuses: readonly TaskStatus[] | null;
  /** null stands for tasks without a lane. */
  readonly lanes: readonly (string | null)[] | null;
  readonly labels: Readonly<Record<string, string>> | null;
  readonly tenants: readonly string[] | null;
  readonly titlePart: string | null;
  /** Only what waits, or waited, for this task. */
  readonly parentId: Uuid | null;
  /** Only its children. */
  readonly delegationId: Uuid | null;
  /** Only what this session has asked for. */
  readonly sessionId: string | null;
}

export interface PagePosition {
  readonly id: Uuid;
  readonly priority: number;
}

type TaskOrder = (typeof TASK_ORDERS)[number];

/** The children of a task, a thousand at most, are looked up by their ids: as a semi-join the planner may go through all of the board for them. */
function filterOf(sql: Runner, boardId: number, filter: TaskFilter) {
  const { statuses, lanes, labels, tenants, titlePart, parentId, delegationId, sessionId } = filter;
  const named = lanes?.filter((lane): lane is string => lane !== null) ?? null;
  const title = titlePart === null ? null : `%${titlePart.replaceAll(/[\\%_]/g, '\\$&')}%`;
  return sql`
    AND NOT t.is_system
    ${statuses === null ? sql`AND t.status <> 'archived'` : sql`AND t.status = ANY(${statuses as TaskStatus[]}::text[])`}
    ${named === null ? sql`` : sql`AND (t.lane = ANY(${named}::text[]) OR (${lanes?.includes(null) ?? false} AND t.lane IS NULL))`}
    ${labels === null ? sql`` : sql`AND d.labels @> ${sql.json(labels)}`}
    ${tenants === null ? sql`` : sql`AND d.tenant = ANY(${tenants as string[]}::text[])`}
    ${title === null ? sql`` : sql`AND d.title ILIKE ${title}`}
    ${parentId === null ? sql`` : sql`AND t.id = ANY (ARRAY(SELECT l.child_id FROM links l WHERE l.board_id = ${boardId} AND l.parent_id = ${parentId}))`}
    ${delegationId === null ? sql`` : sql`AND d.delegation_id = ${delegationId}`}
    ${sessionId === null ? sql`` : sql`AND d.origin_session = ${sessionId}`}`;
}

export interface TaskPage {
  readonly filter: TaskFilter;
  readonly order: TaskOrder;
  readonly after: PagePosition | null;
  readonly rowsMax: number;
}

/** The tasks of a filter that has an index of its own: a hundred children, a thousand that wait, or what a session has asked for. Null: it has none. */
function wantedOf(sql: Runner, boardId: number, { parentId, delegationId, sessionId }: TaskFilter) {
  if (delegationId !== null)
    return sql`SELECT task_id AS id FROM task_details WHERE board_id = ${boardId} AND delegation_id = ${delegationId} OFFSET 0`;
  if (parentId !== null)
    return sql`SELECT child_id AS id FROM links WHERE board_id = ${boardId} AND parent_id = ${parentId} OFFSET 0`;
  if (sessionId !== null)
    return sql`SELECT task_id AS id FROM task_details WHERE board_id = ${boardId} AND origin_session = ${sessionId} OFFSET 0`;
  return null;
}

/** Where a filter looks for tasks: only one that reads what they say looks it up for each, and never the other way around. */
function searchedTables(sql: Runner, boardId: number, filter: TaskFilter) {
  const { labels, tenants, titlePart, delegationId, sessionId } = filter;
  const isAboutWords = [labels, tenants, titlePart, delegationId, sessionId].some((each) => each !== null);
  const wanted = wantedOf(sql, boardId, filter);
  return sql`
    ${wanted === null ? sql`tasks t` : sql`(${wanted}) AS wanted ${WANTED_TASK(sql, boardId)}`}
    ${isAboutWords ? DETAILS_OF_TASK(sql, boardId) : sql``}`;
}

/** One page in key order, after `after`. The page is found first: joined before, tables without statistics were read board by board, 5 s for 3,000 tasks. */
export async function listTasks(
  sql: Runner,
  boardId: number,
  { filter, order, after, rowsMax }: TaskPage,
): Promise<TaskRow[]> {
  const rest = filter.delegationId === null ? { ...filter, parentId: null } : filter;
  const { from, by } = {
    created: { from: sql`t.id > ${after?.id ?? null}::uuid`, by: sql`t.id` },
    '-created': { from: sql`t.id < ${after?.id ?? null}::uuid`, by: sql`t.id DESC` },
    priority: {
      from: sql`(t.priority < ${after?.priority ?? 0} OR (t.priority = ${after?.priority ?? 0} AND t.id > ${after?.id ?? null}::uuid))`,
      by: sql`t.priority DESC, t.id`,
    },
  }[order];
  return sql<TaskRow[]>`
    /* tasks.list */
    SELECT ${TASK_COLUMNS(sql)} FROM (
      SELECT t.* FROM ${searchedTables(sql, boardId, filter)}
      WHERE t.board_id = ${boardId} ${filterOf(sql, boardId, rest)} ${after === null ? sql`` : sql`AND ${from}`}
      ORDER BY ${by} LIMIT ${rowsMax}
    ) AS t ${PARTS_OF_TASK(sql, boardId)}
    ORDER BY ${by}`;
}

/** All that match, oldest first, without what they say. */
export async function listTaskIds(
  sql: Runner,
  boardId: number,
  filter: TaskFilter,
  rowsMax: number,
): Promise<Uuid[]> {
  const rows = await sql<{ id: Uuid }[]>`
    /* tasks.list_ids */
    SELECT t.id FROM ${searchedTables(sql, boardId, filter)}
    WHERE t.board_id = ${boardId} ${filterOf(sql, boardId, filter)} ORDER BY t.id LIMIT ${rowsMax}`;
  return rows.map((row) => row.id);
}

/** About what a task takes as JSON beside its texts and documents. */
const TASK_FRAME_BYTES = 1000;

/** Only documents that are stored compressed have to be unpacked to be measured; of a text the length is known without it. */
const TASK_BYTES = (sql: Runner) => sql`
  ${TASK_FRAME_BYTES}::int + coalesce(octet_length(d.body), 0) + coalesce(octet_length(r.summary), 0)
  + coalesce(CASE WHEN pg_column_compression(d.payload) IS NULL THEN pg_column_size(d.payload) ELSE octet_length(d.payload::text) END, 0)
  + coalesce(CASE WHEN pg_column_compression(r.result) IS NULL THEN pg_column_size(r.result) ELSE octet_length(r.result::text) END, 0)
  + coalesce(CASE WHEN pg_column_compression(r.metadata) IS NULL THEN pg_column_size(r.metadata) ELSE octet_length(r.metadata::text) END, 0)`;

interface UnfinishedTasks {
  readonly rows: TaskRow[];
  /** There are more than these, which are the oldest. */
  readonly isCut: boolean;
}

/** Everything that is not finished, oldest first, as far as the rows and the bytes go. */
export async function listUnfinishedTasks(
  sql: Runner,
  boardId: number,
  most: { readonly rows: number; readonly bytes: number },
): Promise<UnfinishedTasks> {
  const rows = await sql<(TaskRow & { readonly found: number })[]>`
    /* tasks.list_unfinished */
    SELECT * FROM (
      SELECT measured.*, sum(bytes) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING) - bytes AS bytes_before, count(*) OVER ()::int AS found
      FROM (
        SELECT ${TASK_COLUMNS(sql)}, ${TASK_BYTES(sql)} AS bytes FROM (
          SELECT t.* FROM tasks t
          WHERE t.board_id = ${boardId} AND NOT t.is_system AND t.status NOT IN ('done', 'cancelled', 'archived')
          ORDER BY t.id LIMIT ${most.rows}::int + 1
        ) AS t ${PARTS_OF_TASK(sql, boardId)}
      ) AS measured
    ) AS counted
    WHERE bytes_before < ${most.bytes} ORDER BY id LIMIT ${most.rows}`;
  return { rows, isCut: rows.length < (rows[0]?.found ?? 0) };
}

export interface CommentRow {
  readonly id: Uuid;
  readonly task_id: Uuid;
  readonly body: string;
  readonly author_type: 'key' | 'claim' | 'system';
  readonly author_id: string;
  readonly at: string;
}

export async function listComments(
  sql: Runner,
  boardId: number,
  taskId: Uuid,
  afterId: Uuid | null,
  rowsMax: number,
): Promise<CommentRow[]> {
  return sql<CommentRow[]>`
    /* tasks.list_comments */
    SELECT id, task_id, body, author_type, author_id, at FROM comments
    WHERE board_id = ${boardId} AND task_id = ${taskId} AND (${afterId}::uuid IS NULL OR id > ${afterId}::uuid) ORDER BY id LIMIT ${rowsMax}`;
}

export interface ToldCommentRow extends CommentRow {
  /** How many comments the task has, counted no further than one beyond those that may be read. */
  readonly found: number;
}

/** The newest comments of several tasks, each task's oldest first, for handoffs. A body longer than its cap is so by a character. */
export async function listNewestComments(
  sql: Runner,
  boardId: number,
  taskIds: readonly Uuid[],
  caps: ExcerptCaps,
): Promise<ToldCommentRow[]> {
  return sql<ToldCommentRow[]>`
    /* tasks.list_newest_comments */
    SELECT comment.id, comment.task_id, comment.body, comment.author_type, comment.author_id, comment.at, comment.found
    FROM unnest(${taskIds as Uuid[]}::uuid[]) AS task (id)
    CROSS JOIN LATERAL (
      SELECT newest.*, count(*) OVER ()::int AS found, row_number() OVER (ORDER BY newest.id DESC) AS place,
        sum(octet_length(newest.body)) OVER (ORDER BY newest.id DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bytes_before
      FROM (
        SELECT id, task_id, ${excerptColumn(sql, sql`body`, caps)} AS body, author_type, author_id, at FROM comments
        WHERE board_id = ${boardId} AND task_id = task.id ORDER BY id DESC LIMIT ${caps.rows + 1}
      ) AS newest
    ) AS comment
    WHERE comment.place <= ${caps.rows} AND coalesce(comment.bytes_before, 0) < ${caps.bytes}
    ORDER BY comment.task_id, comment.id`;
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
