/** Tasks as they are searched: by filter, page by page, and all that is not finished. */
import type { TaskStatus } from '../../../../contract/statuses.ts';
import type { TASK_ORDERS } from '../../../../contract/tasks.ts';
import type { Runner } from '../../../db/client.ts';
import type { Uuid } from '../../../kernel/ids.ts';
import { detailsOfTask, partsOfTask, type TaskRow, taskColumns, wantedTask } from './read.ts';

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
    ${wanted === null ? sql`tasks t` : sql`(${wanted}) AS wanted ${wantedTask(sql, boardId)}`}
    ${isAboutWords ? detailsOfTask(sql, boardId) : sql``}`;
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
    SELECT ${taskColumns(sql)} FROM (
      SELECT t.* FROM ${searchedTables(sql, boardId, filter)}
      WHERE t.board_id = ${boardId} ${filterOf(sql, boardId, rest)} ${after === null ? sql`` : sql`AND ${from}`}
      ORDER BY ${by} LIMIT ${rowsMax}
    ) AS t ${partsOfTask(sql, boardId)}
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
        SELECT ${taskColumns(sql)}, ${TASK_BYTES(sql)} AS bytes FROM (
          SELECT t.* FROM tasks t
          WHERE t.board_id = ${boardId} AND NOT t.is_system AND t.status NOT IN ('done', 'cancelled', 'archived')
          ORDER BY t.id LIMIT ${most.rows}::int + 1
        ) AS t ${partsOfTask(sql, boardId)}
      ) AS measured
    ) AS counted
    WHERE bytes_before < ${most.bytes} ORDER BY id LIMIT ${most.rows}`;
  return { rows, isCut: rows.length < (rows[0]?.found ?? 0) };
}
