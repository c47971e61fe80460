/** Links between tasks: a child waits for its parents. Whoever changes one holds the locks of both ends, in the order of all tasks. */
import type { JsonParameter, Runner, Tx } from '../../../db/client.ts';
import { documentColumn, type ExcerptCaps, excerptColumn } from '../../../db/excerpt.ts';
import type { Uuid } from '../../../kernel/ids.ts';
import { type LockedTask, lockedColumns } from './change.ts';

/** A task of a family: one that is to end or to be linked, its parents, its children. */
export interface FamilyMember extends LockedTask {
  /** Its run_at has not come. */
  readonly is_early: boolean;
}

/** Locks tasks in the order of all tasks, whatever they are to each other. What is not there is left out. */
export async function lockTasks(tx: Tx, boardId: number, ids: readonly Uuid[]): Promise<FamilyMember[]> {
  return tx<FamilyMember[]>`
    /* tasks.lock_many */
    SELECT task.* FROM (SELECT DISTINCT id FROM unnest(${ids as Uuid[]}::uuid[]) AS id ORDER BY id) AS wanted
    CROSS JOIN LATERAL (
      SELECT ${lockedColumns(tx)}, coalesce(t.run_at > clock_timestamp(), false) AS is_early
      FROM tasks t WHERE t.board_id = ${boardId} AND t.id = wanted.id FOR NO KEY UPDATE
    ) AS task`;
}

/** Tasks that wait, or waited, for any of these. Read without a lock: to know what is to be locked. */
export async function listChildIds(
  sql: Runner,
  boardId: number,
  parentIds: readonly Uuid[],
): Promise<Uuid[]> {
  const rows = await sql<{ child_id: Uuid }[]>`
    /* tasks.list_child_ids */
    SELECT DISTINCT child.child_id FROM unnest(${parentIds as Uuid[]}::uuid[]) AS parent (id)
    CROSS JOIN LATERAL (SELECT child_id FROM links WHERE board_id = ${boardId} AND parent_id = parent.id OFFSET 0) AS child`;
  return rows.map((row) => row.child_id);
}

export interface Link {
  readonly parentId: Uuid;
  readonly childId: Uuid;
}

/**
 * Says of all links to these parents whether they are met; returns those that changed. Under the parents' locks, which whoever adds a link
 * has to take as well: none is overlooked.
 */
export async function setLinksMet(
  tx: Tx,
  boardId: number,
  parentIds: readonly Uuid[],
  isMet: boolean,
): Promise<Link[]> {
  return tx<Link[]>`
    /* tasks.set_links_met */
    WITH parent AS MATERIALIZED (SELECT ${boardId}::int AS board_id, id FROM unnest(${parentIds as Uuid[]}::uuid[]) AS id)
    UPDATE links l SET is_met = ${isMet} FROM parent
    WHERE l.board_id = ANY (ARRAY[parent.board_id]) AND l.parent_id = parent.id AND l.is_met <> ${isMet}
    RETURNING l.parent_id AS "parentId", l.child_id AS "childId"`;
}

/** Changes what a task waits for while its status stays: no event, so no new version. Under its lock. */
export async function addUnmetParents(
  tx: Tx,
  boardId: number,
  changes: ReadonlyMap<Uuid, number>,
): Promise<void> {
  if (changes.size === 0) return;
  await tx`
    /* tasks.add_unmet_parents */
    WITH change AS MATERIALIZED (
      SELECT ${boardId}::int AS board_id, id, by FROM unnest(${[...changes.keys()]}::uuid[], ${[...changes.values()]}::int[]) AS change (id, by)
    )
    UPDATE tasks t SET unmet_parents = t.unmet_parents + change.by FROM change
    WHERE t.board_id = ANY (ARRAY[change.board_id]) AND t.id = change.id`;
}

export interface NewLink extends Link {
  readonly isMet: boolean;
}

/** Those that were not there before; the counts of parents and the marks of the parents go with them. Under the locks of both ends. */
export async function insertLinks(tx: Tx, boardId: number, links: readonly NewLink[]): Promise<Link[]> {
  if (links.length === 0) return [];
  return tx<Link[]>`
    /* tasks.insert_links */
    WITH made AS (
      INSERT INTO links (board_id, child_id, parent_id, is_met)
      SELECT ${boardId}, child_id, parent_id, is_met FROM unnest(
        ${links.map((link) => link.childId)}::uuid[], ${links.map((link) => link.parentId)}::uuid[],
        ${links.map((link) => String(link.isMet))}::text[]::boolean[]
      ) AS link (child_id, parent_id, is_met)
      ON CONFLICT DO NOTHING RETURNING child_id, parent_id
    ),
    marked AS (
      UPDATE tasks t SET has_children = true FROM (SELECT DISTINCT ${boardId}::int AS board_id, parent_id FROM made) AS parent
      WHERE t.board_id = ANY (ARRAY[parent.board_id]) AND t.id = parent.parent_id AND NOT t.has_children
    ),
    counted AS (
      UPDATE task_details d SET parent_count = d.parent_count + child.links
      FROM (SELECT ${boardId}::int AS board_id, child_id, count(*)::int AS links FROM made GROUP BY child_id) AS child
      WHERE d.board_id = ANY (ARRAY[child.board_id]) AND d.task_id = child.child_id
    )
    SELECT parent_id AS "parentId", child_id AS "childId" FROM made`;
}

/** Null: there was none. The count of parents stays: it says that there may be some. */
export async function deleteLink(tx: Tx, boardId: number, link: Link): Promise<{ isMet: boolean } | null> {
  const [row] = await tx<{ isMet: boolean }[]>`
    /* tasks.delete_link */
    DELETE FROM links WHERE board_id = ${boardId} AND child_id = ${link.childId} AND parent_id = ${link.parentId} RETURNING is_met AS "isMet"`;
  return row ?? null;
}

/** All links to a task that is to be deleted, gone; what they were. Under its lock: no more are made. */
export async function deleteLinksToParent(tx: Tx, boardId: number, parentId: Uuid): Promise<NewLink[]> {
  return tx<NewLink[]>`
    /* tasks.delete_links_to */
    DELETE FROM links WHERE board_id = ${boardId} AND parent_id = ${parentId}
    RETURNING parent_id AS "parentId", child_id AS "childId", is_met AS "isMet"`;
}

/** Nobody else of the board adds a link between two tasks that are there already until the end of this transaction. */
export async function lockLinks(tx: Tx, boardId: number): Promise<void> {
  await tx`/* tasks.lock_links */ SELECT FROM boards WHERE id = ${boardId} FOR NO KEY UPDATE`;
}

/** How many tasks each of these waits for or waited for. */
export async function countParents(sql: Runner, boardId: number, id: Uuid): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    /* tasks.count_parents */ SELECT count(*)::int AS count FROM links WHERE board_id = ${boardId} AND child_id = ${id}`;
  return row?.count ?? 0;
}

/** How many tasks wait or waited for each of these; who has none is left out. */
export async function countChildren(
  sql: Runner,
  boardId: number,
  ids: readonly Uuid[],
): Promise<Map<Uuid, number>> {
  const rows = await sql<{ id: Uuid; count: number }[]>`
    /* tasks.count_children */
    SELECT parent.id, children.count FROM unnest(${ids as Uuid[]}::uuid[]) AS parent (id)
    CROSS JOIN LATERAL (
      SELECT count(*)::int AS count FROM links WHERE board_id = ${boardId} AND parent_id = parent.id
    ) AS children WHERE children.count > 0`;
  return new Map(rows.map((row) => [row.id, row.count]));
}

/** Those of the tasks that the claim of a task may see: the task itself, what the run has made, and what is linked to the task directly. */
export async function listReached(
  sql: Runner,
  boardId: number,
  ids: readonly Uuid[],
  ownTaskId: Uuid,
  runId: Uuid,
): Promise<Uuid[]> {
  const rows = await sql<{ id: Uuid }[]>`
    /* tasks.list_reached */
    SELECT wanted.id FROM unnest(${ids as Uuid[]}::uuid[]) AS wanted (id)
    WHERE wanted.id = ${ownTaskId}
      OR EXISTS (SELECT FROM task_details WHERE board_id = ${boardId} AND task_id = wanted.id AND created_by_run = ${runId} OFFSET 0)
      OR EXISTS (SELECT FROM links WHERE board_id = ${boardId} AND child_id = wanted.id AND parent_id = ${ownTaskId} OFFSET 0)
      OR EXISTS (SELECT FROM links WHERE board_id = ${boardId} AND child_id = ${ownTaskId} AND parent_id = wanted.id OFFSET 0)`;
  return rows.map((row) => row.id);
}

export interface ParentRow {
  readonly child_id: Uuid;
  readonly id: Uuid;
  readonly title: string;
  /** Longer than the cap by a character: it is to be cut. */
  readonly summary: string | null;
  readonly result: JsonParameter;
  /** There is one, which is too long to be read. */
  readonly is_result_cut: boolean;
  /** How many parents the child has, counted no further than one beyond those that may be read. */
  readonly found: number;
}

/**
 * What the parents of several tasks have come to, each task's first made first: for handoffs. Those that were never done say nothing.
 * Of each task the links are read in the order of their index and no further than the caps go, and each parent is looked up by its keys.
 */
export async function listParents(
  sql: Runner,
  boardId: number,
  childIds: readonly Uuid[],
  caps: ExcerptCaps,
): Promise<ParentRow[]> {
  return sql<ParentRow[]>`
    /* tasks.list_parents */
    SELECT child.id AS child_id, parent.id, parent.title, parent.summary, parent.result_text::json AS result,
      parent.has_result AND parent.result_text IS NULL AS is_result_cut, parent.found
    FROM unnest(${childIds as Uuid[]}::uuid[]) AS child (id)
    CROSS JOIN LATERAL (
      SELECT told.*, count(*) OVER ()::int AS found, row_number() OVER (ORDER BY told.id) AS place,
        sum(coalesce(octet_length(told.summary), 0) + coalesce(octet_length(told.result_text), 0) + octet_length(told.title)) OVER (
          ORDER BY told.id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS bytes_before
      FROM (
        SELECT link.parent_id AS id, detail.title, run.summary, run.result_text, coalesce(run.has_result, false) AS has_result
        FROM (
          SELECT parent_id FROM links WHERE board_id = ${boardId} AND child_id = child.id AND is_met
          ORDER BY parent_id LIMIT ${caps.rows + 1}
        ) AS link
        CROSS JOIN LATERAL (
          SELECT coalesce(result_attempt, attempt) AS attempt FROM tasks WHERE board_id = ${boardId} AND id = link.parent_id OFFSET 0
        ) AS task
        CROSS JOIN LATERAL (
          SELECT title FROM task_details WHERE board_id = ${boardId} AND task_id = link.parent_id OFFSET 0
        ) AS detail
        LEFT JOIN LATERAL (
          SELECT ${excerptColumn(sql, sql`summary`, caps)} AS summary, result IS NOT NULL AS has_result,
            ${documentColumn(sql, sql`result`, caps)} AS result_text
          FROM runs WHERE board_id = ${boardId} AND task_id = link.parent_id AND attempt = task.attempt OFFSET 0
        ) AS run ON true
      ) AS told
    ) AS parent
    WHERE parent.place <= ${caps.rows} AND coalesce(parent.bytes_before, 0) < ${caps.bytes}
    ORDER BY child.id, parent.id`;
}
