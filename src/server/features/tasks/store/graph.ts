/** What a task waits for and what waits for it, however far: drawn, and searched for a way from one task to another. */
import type { TaskStatus } from '../../../../contract/statuses.ts';
import type { PendingQuery, Runner } from '../../../db/client.ts';
import type { Uuid } from '../../../kernel/ids.ts';
import type { Link, NewLink } from './link.ts';

/** What may be shown; of links as many are read for it in each of its steps. */
interface GraphBounds {
  readonly tasks: number;
  readonly links: number;
}

interface GraphRows {
  readonly nodes: readonly {
    readonly id: Uuid;
    readonly title: string;
    readonly status: TaskStatus;
    readonly lane: string | null;
  }[];
  readonly edges: readonly NewLink[];
  /** There are more than these, which are the nearest. */
  readonly isCut: boolean;
}

/** Level by level, up and down in turns: the nearest first, and no more of them than are shown. */
export async function readGraph(
  sql: Runner,
  boardId: number,
  id: Uuid,
  most: GraphBounds,
): Promise<GraphRows> {
  const walk = new Walk(id, most);
  for (let up = [id], down = [id]; up.length > 0 || down.length > 0; ) {
    up = walk.add(await listUp(sql, boardId, up, walk.linksLeft + 1), (link) => link.parentId);
    down = walk.add(await listDown(sql, boardId, down, walk.linksLeft + 1), (link) => link.childId);
  }
  const found = [...walk.found];
  const nodes = await sql<GraphRows['nodes'][number][]>`
    /* tasks.list_graph_nodes */
    SELECT task.id, detail.title, task.status, task.lane FROM unnest(${found}::uuid[]) AS wanted (id)
    CROSS JOIN LATERAL (SELECT id, status, lane FROM tasks WHERE board_id = ${boardId} AND id = wanted.id OFFSET 0) AS task
    CROSS JOIN LATERAL (SELECT title FROM task_details WHERE board_id = ${boardId} AND task_id = wanted.id OFFSET 0) AS detail
    ORDER BY task.id`;
  const shown = nodes.map((node) => node.id);
  const edges = await listLinksAmong(sql, boardId, found, shown, most.links + 1);
  return {
    nodes,
    edges: edges.slice(0, most.links),
    isCut: walk.isCut || edges.length > most.links,
  };
}

class Walk {
  readonly found: Set<Uuid>;
  isCut = false;
  linksLeft: number;
  readonly #tasksMax: number;

  constructor(start: Uuid, most: GraphBounds) {
    this.found = new Set([start]);
    this.#tasksMax = most.tasks;
    this.linksLeft = most.links;
  }

  /** The next level: those at the far ends of these links that were not found before. */
  add(links: readonly Link[], farEnd: (link: Link) => Uuid): Uuid[] {
    const level: Uuid[] = [];
    for (const link of links) {
      const id = farEnd(link);
      const isNew = !this.found.has(id);
      if (this.linksLeft === 0 || (isNew && this.found.size >= this.#tasksMax)) {
        this.isCut = true;
        break;
      }
      this.linksLeft -= 1;
      if (!isNew) continue;
      this.found.add(id);
      level.push(id);
    }
    return level;
  }
}

async function listUp(sql: Runner, boardId: number, ids: readonly Uuid[], linksMax: number): Promise<Link[]> {
  if (ids.length === 0) return [];
  return sql<Link[]>`
    /* tasks.list_parent_links */
    SELECT link.parent_id AS "parentId", link.child_id AS "childId" FROM unnest(${ids as Uuid[]}::uuid[]) AS task (id)
    CROSS JOIN LATERAL (
      SELECT parent_id, child_id FROM links WHERE board_id = ${boardId} AND child_id = task.id ORDER BY parent_id LIMIT ${linksMax}
    ) AS link
    LIMIT ${linksMax}`;
}

async function listDown(
  sql: Runner,
  boardId: number,
  ids: readonly Uuid[],
  linksMax: number,
): Promise<Link[]> {
  if (ids.length === 0) return [];
  return sql<Link[]>`
    /* tasks.list_child_links */
    SELECT link.parent_id AS "parentId", link.child_id AS "childId" FROM unnest(${ids as Uuid[]}::uuid[]) AS task (id)
    CROSS JOIN LATERAL (
      SELECT parent_id, child_id FROM links WHERE board_id = ${boardId} AND parent_id = task.id ORDER BY child_id LIMIT ${linksMax}
    ) AS link
    LIMIT ${linksMax}`;
}

/** Of these children, in their order, the links to these parents. */
async function listLinksAmong(
  sql: Runner,
  boardId: number,
  childIds: readonly Uuid[],
  parentIds: readonly Uuid[],
  linksMax: number,
): Promise<NewLink[]> {
  return sql<NewLink[]>`
    /* tasks.list_graph_links */
    SELECT link.parent_id AS "parentId", link.child_id AS "childId", link.is_met AS "isMet"
    FROM unnest(${childIds as Uuid[]}::uuid[]) WITH ORDINALITY AS task (id, place)
    CROSS JOIN LATERAL (
      SELECT parent_id, child_id, is_met FROM links WHERE board_id = ${boardId} AND child_id = task.id OFFSET 0
    ) AS link
    WHERE link.parent_id = ANY (${parentIds as Uuid[]}::uuid[])
    ORDER BY task.place, link.parent_id LIMIT ${linksMax}`;
}

/** Where a search gives up. */
interface SearchBounds {
  readonly tasks: number;
  readonly seconds: number;
}

/** What is found within these bounds; unknown: there is more. */
type Finding = 'linked' | 'apart' | 'unknown';

/** Whether a task waits for another one, over any number of others. */
export async function findUp(
  sql: Runner,
  boardId: number,
  { childId, parentId }: Link,
  most: SearchBounds,
): Promise<Finding> {
  const [row] = await sql<FindingRow[]>`
    /* tasks.find_up */
    WITH RECURSIVE up AS (
      SELECT ${childId}::uuid AS id
      UNION
      SELECT link.parent_id FROM (SELECT id FROM up WHERE ${isInTime(sql, most)} OFFSET 0) AS near
      CROSS JOIN LATERAL (SELECT parent_id FROM links WHERE board_id = ${boardId} AND child_id = near.id OFFSET 0) AS link
    )
    SELECT bool_or(id = ${parentId}) AS is_linked, count(*)::int AS seen, NOT ${isInTime(sql, most)} AS is_late
    FROM (SELECT id FROM up LIMIT ${most.tasks}::int + 1) AS seen`;
  return findingOf(row, most);
}

/** The same from the other end: what cannot be told from one may be told from the other. */
export async function findDown(
  sql: Runner,
  boardId: number,
  { childId, parentId }: Link,
  most: SearchBounds,
): Promise<Finding> {
  const [row] = await sql<FindingRow[]>`
    /* tasks.find_down */
    WITH RECURSIVE down AS (
      SELECT ${parentId}::uuid AS id
      UNION
      SELECT link.child_id FROM (SELECT id FROM down WHERE ${isInTime(sql, most)} OFFSET 0) AS near
      CROSS JOIN LATERAL (SELECT child_id FROM links WHERE board_id = ${boardId} AND parent_id = near.id OFFSET 0) AS link
    )
    SELECT bool_or(id = ${childId}) AS is_linked, count(*)::int AS seen, NOT ${isInTime(sql, most)} AS is_late
    FROM (SELECT id FROM down LIMIT ${most.tasks}::int + 1) AS seen`;
  return findingOf(row, most);
}

/**
 * Asked for every task whose links are read next. The tasks alone are no bound: each link to one that was seen before is read all the same, and
 * so many tasks may have millions. A statement timeout would be one, but takes the whole transaction with it.
 */
function isInTime(sql: Runner, { seconds }: SearchBounds): PendingQuery {
  return sql`clock_timestamp() < statement_timestamp() + make_interval(secs => ${seconds}::float8)`;
}

interface FindingRow {
  readonly is_linked: boolean;
  readonly seen: number;
  readonly is_late: boolean;
}

function findingOf(row: FindingRow | undefined, most: SearchBounds): Finding {
  if (row?.is_linked) return 'linked';
  return row === undefined || row.is_late || row.seen > most.tasks ? 'unknown' : 'apart';
}

/** The shortest way up from a task to one that it waits for, both included. null: it is longer than so many levels, or too wide. */
export async function findWayUp(
  sql: Runner,
  boardId: number,
  { childId, parentId }: Link,
  most: { readonly levels: number; readonly links: number },
): Promise<Uuid[] | null> {
  const via = new Map<Uuid, Uuid | null>([[childId, null]]);
  let linksLeft = most.links;
  let level = [childId];
  for (let count = 0; count < most.levels && level.length > 0 && linksLeft > 0; count += 1) {
    const links = await listUp(sql, boardId, level, linksLeft);
    linksLeft -= links.length;
    level = [];
    for (const link of links) {
      if (via.has(link.parentId)) continue;
      via.set(link.parentId, link.childId);
      level.push(link.parentId);
    }
    if (via.has(parentId)) return wayTo(parentId, via);
  }
  return null;
}

function wayTo(end: Uuid, via: ReadonlyMap<Uuid, Uuid | null>): Uuid[] {
  const way: Uuid[] = [];
  for (let id: Uuid | null = end; id !== null; id = via.get(id) ?? null) way.unshift(id);
  return way;
}
