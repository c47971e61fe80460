/** The tasks around one, from its graph: whom it waits for, who waits for it, and how much of the rest a drawing shows. Pure. */
import type { ReplyOf } from '../../client/index.ts';

export type TaskGraph = ReplyOf<'getGraph'>;
export type FamilyTask = TaskGraph['nodes'][number];

export interface Relative extends FamilyTask {
  /** Of a link: its parent was done, and has not been reopened since. */
  readonly isMet: boolean;
}

export interface Family {
  readonly parents: readonly Relative[];
  readonly children: readonly Relative[];
}

export function familyOf(graph: TaskGraph, id: string): Family {
  const byId = new Map(graph.nodes.map((node) => [node.id, node]));
  const relative = (other: string, isMet: boolean): readonly Relative[] => {
    const node = byId.get(other);
    return node === undefined ? [] : [{ ...node, isMet }];
  };
  return {
    parents: graph.edges.flatMap(({ parent, child, met }) => (child === id ? relative(parent, met) : [])),
    children: graph.edges.flatMap(({ parent, child, met }) => (parent === id ? relative(child, met) : [])),
  };
}

/** What can be drawn and read: beyond it boxes are smaller than their texts. */
export const DRAWN_TASKS_MAX = 200;
/** Layout takes under 0.2 s with so many, and more lines are a grey area. */
export const DRAWN_LINKS_MAX = 300;

/** The nearest tasks, by links in either direction, as many as can be drawn with all links between them. */
export function nearestOf(graph: TaskGraph, id: string): TaskGraph {
  const neighbours = neighboursOf(graph);
  const near = new Set<string>();
  const seen = new Set([id]);
  let links = 0;
  // A set is walked in the order of its growth: nearest first.
  for (const each of seen) {
    const around = neighbours.get(each) ?? [];
    const added = around.filter((other) => near.has(other)).length;
    if (near.size === DRAWN_TASKS_MAX || links + added > DRAWN_LINKS_MAX) break;
    near.add(each);
    links += added;
    for (const other of around) seen.add(other);
  }
  const nodes = graph.nodes.filter((node) => near.has(node.id));
  const edges = graph.edges.filter(({ parent, child }) => near.has(parent) && near.has(child));
  return { nodes, edges, truncated: graph.truncated || nodes.length < graph.nodes.length };
}

function neighboursOf({ edges }: TaskGraph): ReadonlyMap<string, readonly string[]> {
  const neighbours = new Map<string, string[]>();
  const join = (from: string, to: string): void => {
    const known = neighbours.get(from);
    if (known === undefined) neighbours.set(from, [to]);
    else known.push(to);
  };
  for (const { parent, child } of edges) {
    join(parent, child);
    join(child, parent);
  }
  return neighbours;
}
