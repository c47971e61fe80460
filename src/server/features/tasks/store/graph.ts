/** What a task waits for and what waits for it, however far. */
import type { TaskStatus } from '../../../../contract/statuses.ts';
import type { Sql } from '../../../db/client.ts';
import type { Uuid } from '../../../kernel/ids.ts';

interface GraphRows {
  readonly nodes: readonly {
    readonly id: Uuid;
    readonly title: string;
    readonly status: TaskStatus;
    readonly lane: string | null;
  }[];
  readonly edges: readonly { readonly parentId: Uuid; readonly childId: Uuid; readonly isMet: boolean }[];
  /** There are more than these, which are the nearest. */
  readonly isCut: boolean;
}

interface EdgeRow {
  readonly parent_id: Uuid;
  readonly child_id: Uuid;
  readonly is_met: boolean;
}

/** Level by level, up and down: the nearest first, and no more of them than are shown. */
export async function readGraph(sql: Sql, boardId: number, id: Uuid, tasksMax: number): Promise<GraphRows> {
  const walk = new Walk(id, tasksMax);
  await walk.follow(
    (level) => listUp(sql, boardId, level),
    (edge) => edge.parent_id,
  );
  await walk.follow(
    (level) => listDown(sql, boardId, level),
    (edge) => edge.child_id,
  );
  const nodes = await sql<GraphRows['nodes'][number][]>`
    /* tasks.list_graph_nodes */
    SELECT t.id, d.title, t.status, t.lane FROM unnest(${[...walk.found]}::uuid[]) AS wanted (id)
    JOIN tasks t ON t.board_id = ${boardId} AND t.id = wanted.id
    JOIN task_details d ON d.board_id = ${boardId} AND d.task_id = wanted.id
    ORDER BY t.id`;
  const shown = new Set(nodes.map((node) => node.id));
  return {
    nodes,
    edges: [...walk.edges.values()]
      .filter((edge) => shown.has(edge.parent_id) && shown.has(edge.child_id))
      .map((edge) => ({ parentId: edge.parent_id, childId: edge.child_id, isMet: edge.is_met })),
    isCut: walk.isCut,
  };
}

class Walk {
  readonly found: Set<Uuid>;
  readonly edges = new Map<string, EdgeRow>();
  isCut = false;
  readonly #start: Uuid;
  readonly #tasksMax: number;

  constructor(start: Uuid, tasksMax: number) {
    this.found = new Set([start]);
    this.#start = start;
    this.#tasksMax = tasksMax;
  }

  async follow(
    list: (level: readonly Uuid[]) => Promise<EdgeRow[]>,
    farEnd: (edge: EdgeRow) => Uuid,
  ): Promise<void> {
    for (let level: Uuid[] = [this.#start]; level.length > 0; ) {
      const rows = await list(level);
      level = [];
      for (const row of rows) {
        const id = farEnd(row);
        const isNew = !this.found.has(id);
        if (isNew && !this.#add(id)) continue;
        if (isNew) level.push(id);
        this.edges.set(`${row.child_id} ${row.parent_id}`, row);
      }
    }
  }

  #add(id: Uuid): boolean {
    if (this.found.size >= this.#tasksMax) this.isCut = true;
    else this.found.add(id);
    return !this.isCut;
  }
}

function listUp(sql: Sql, boardId: number, ids: readonly Uuid[]): Promise<EdgeRow[]> {
  return sql<EdgeRow[]>`
    /* tasks.list_parent_links */
    SELECT link.* FROM unnest(${ids as Uuid[]}::uuid[]) AS task (id)
    CROSS JOIN LATERAL (
      SELECT parent_id, child_id, is_met FROM links WHERE board_id = ${boardId} AND child_id = task.id ORDER BY parent_id OFFSET 0
    ) AS link`;
}

function listDown(sql: Sql, boardId: number, ids: readonly Uuid[]): Promise<EdgeRow[]> {
  return sql<EdgeRow[]>`
    /* tasks.list_child_links */
    SELECT link.* FROM unnest(${ids as Uuid[]}::uuid[]) AS task (id)
    CROSS JOIN LATERAL (
      SELECT parent_id, child_id, is_met FROM links WHERE board_id = ${boardId} AND parent_id = task.id ORDER BY child_id OFFSET 0
    ) AS link`;
}
