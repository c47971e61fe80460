/** Where each task and link of a drawing stands: parents to the left of their children. Loads the layout library, so it is loaded late. */
import { Graph, layout } from '@dagrejs/dagre';
import type { FamilyTask, TaskGraph } from './family.ts';

export const NODE_WIDTH_PX = 184;
export const NODE_HEIGHT_PX = 48;
const GAP_PX = 16;
const RANK_GAP_PX = 44;
const MARGIN_PX = 8;
/** With more links than that, going over their order again and again takes most of the time and changes little. */
const ORDERED_LINKS_MAX = 220;

export interface PlacedTask extends FamilyTask {
  /** The upper left corner. */
  readonly x: number;
  readonly y: number;
}

export interface PlacedLink {
  readonly parent: string;
  readonly child: string;
  readonly isMet: boolean;
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

export interface Drawing {
  readonly width: number;
  readonly height: number;
  readonly tasks: readonly PlacedTask[];
  readonly links: readonly PlacedLink[];
}

export function drawingOf({ nodes, edges }: TaskGraph): Drawing {
  const graph = new Graph();
  graph.setGraph({
    rankdir: 'LR',
    // Half the time of the usual one for graphs of this size, and nearly as narrow.
    ranker: 'tight-tree',
    nodesep: GAP_PX,
    ranksep: RANK_GAP_PX,
    marginx: MARGIN_PX,
    marginy: MARGIN_PX,
  });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const { id } of nodes) graph.setNode(id, { width: NODE_WIDTH_PX, height: NODE_HEIGHT_PX });
  for (const { parent, child } of edges) graph.setEdge(parent, child);
  layout(graph, { disableOptimalOrderHeuristic: edges.length > ORDERED_LINKS_MAX });
  const { width = 0, height = 0 } = graph.graph();
  return {
    width,
    height,
    tasks: nodes.map((node) => {
      const { x = 0, y = 0 } = graph.node(node.id);
      return { ...node, x: x - NODE_WIDTH_PX / 2, y: y - NODE_HEIGHT_PX / 2 };
    }),
    links: edges.map(({ parent, child, met }) => ({
      parent,
      child,
      isMet: met,
      points: graph.edge(parent, child).points ?? [],
    })),
  };
}
