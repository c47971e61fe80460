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
  const found = new Set<Uuid>([id]);
  const edges = new Map<string, EdgeRow>();
  let isCut = false;
  const follow = async (direction: 'up' | 'down'): Promise<void> => {
    let level: Uuid[] = [id];
    while (level.length > 0) {
      const rows = await (direction === 'up' ? listUp(sql, boardId, level) : listDown(sql, boardId, level));
      const next: Uuid[] = [];
      for (const row of rows) {
        const other = direction === 'up' ? row.parent_id : row.child_id;
        if (!found.has(other)) {
          if (found.size >= tasksMax) {
            isCut = true;
            continue;
          }
          found.add(other);
          next.push(other);
        }
        edges.set(`${row.child_id} ${row.parent_id}`, row);
      }
      level = next;
    }
  };
  await follow('up');
  await follow('down');
  const nodes = await sql<GraphRows['nodes'][number][]>`
    /* tasks.list_graph_nodes */
    SELECT t.id, d.title, t.status, t.lane FROM unnest(${[...found]}::uuid[]) AS wanted (id)
    JOIN tasks t ON t.board_id = ${boardId} AND t.id = wanted.id
    JOIN task_details d ON d.board_id = ${boardId} AND d.task_id = wanted.id
    ORDER BY t.id`;
  const shown = new Set(nodes.map((node) => node.id));
  return {
    nodes,
    edges: [...edges.values()]
      .filter((edge) => shown.has(edge.parent_id) && shown.has(edge.child_id))
      .map((edge) => ({ parentId: edge.parent_id, childId: edge.child_id, isMet: edge.is_met })),
    isCut,
  };
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
