/** A graph of tasks as a tree for people: whoever waits stands below what it waits for. Pure. */
import type { TaskGraph } from '../contract/links.ts';

type GraphNode = TaskGraph['nodes'][number];

export interface TreeLine {
  /** The branches in front of the node. */
  readonly branch: string;
  readonly node: GraphNode;
  /** It waits for several, and stands with all that is below it where it was reached first. */
  readonly isRepeated: boolean;
}

/** Each task once with all that waits for it, and once more, alone, below every other one that it waits for. */
export function treeOf({ nodes, edges }: Pick<TaskGraph, 'nodes' | 'edges'>): TreeLine[] {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const childrenOf = new Map<string, GraphNode[]>();
  for (const { parent, child } of edges) {
    const node = byId.get(child);
    if (node !== undefined) childrenOf.set(parent, [...(childrenOf.get(parent) ?? []), node]);
  }
  const hasParent = new Set(edges.map(({ child }) => child));
  const lines: TreeLine[] = [];
  const seen = new Set<string>();
  const add = (node: GraphNode, branch: string, below: string): void => {
    const isRepeated = seen.has(node.id);
    lines.push({ branch, node, isRepeated });
    if (isRepeated) return;
    seen.add(node.id);
    const children = childrenOf.get(node.id) ?? [];
    for (const [index, child] of children.entries()) {
      const isLast = index === children.length - 1;
      add(child, `${below}${isLast ? '└─ ' : '├─ '}`, `${below}${isLast ? '   ' : '│  '}`);
    }
  };
  for (const node of nodes) if (!hasParent.has(node.id)) add(node, '', '');
  return lines;
}
