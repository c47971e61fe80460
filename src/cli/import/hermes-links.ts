/**
 * The order in which tasks are imported: a task after all it waits for, and else by age. What would break that order, or exceed what one
 * task may have, is left out and told.
 */
import { LIMITS } from '../../contract/constants.ts';
import { textOf } from './cell.ts';
import type { Findings } from './findings.ts';
import type { RawLink } from './hermes-database.ts';

export interface Ordered<T> {
  /** Parents first. */
  readonly order: readonly T[];
  readonly parentsOf: ReadonlyMap<string, readonly string[]>;
}

interface Member {
  readonly id: string;
  /** Whoever waits for it may go on. */
  readonly isSatisfied: boolean;
}

/** @param members By age. */
export function orderByParents<T extends Member>(
  members: readonly T[],
  links: readonly RawLink[],
  findings: Findings,
): Ordered<T> {
  const byId = new Map(members.map((member) => [member.id, member]));
  const wanted = parentsByChild(links, byId, findings);
  const parentsOf = new Map<string, string[]>();
  const order: T[] = [];
  const states = new Map<string, 'entered' | 'left'>();
  for (const root of members) {
    // By hand instead of by recursion: a chain may be as long as the board.
    const stack: { member: T; next: number }[] = [];
    const enter = (member: T): void => {
      states.set(member.id, 'entered');
      stack.push({ member, next: 0 });
    };
    if (!states.has(root.id)) enter(root);
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const { id } = top.member;
      const parent = byId.get(wanted.get(id)?.[top.next] ?? '');
      if (parent === undefined) {
        states.set(id, 'left');
        order.push(top.member);
        stack.pop();
        continue;
      }
      top.next += 1;
      const state = states.get(parent.id);
      if (state === 'entered') findings.add('link_cycle', `${parent.id} → ${id}`);
      else parentsOf.set(id, [...(parentsOf.get(id) ?? []), parent.id]);
      if (state === undefined) enter(parent);
    }
  }
  return { order, parentsOf };
}

/** Links that can be kept, those that are still waited for first: when there are too many, they are the ones that matter. */
function parentsByChild(
  links: readonly RawLink[],
  members: ReadonlyMap<string, Member>,
  findings: Findings,
): Map<string, string[]> {
  const parents = new Map<string, Set<string>>();
  const childCounts = new Map<string, number>();
  const isOpen = ({ parent }: RawLink): number => (members.get(textOf(parent) ?? '')?.isSatisfied ? 1 : 0);
  for (const link of [...links].sort((left, right) => isOpen(left) - isOpen(right))) {
    const [parent, child] = [textOf(link.parent) ?? '', textOf(link.child) ?? ''];
    const own = parents.get(child) ?? new Set();
    const children = childCounts.get(parent) ?? 0;
    const example = `${parent} → ${child}`;
    if (!members.has(parent) || !members.has(child)) findings.add('link_dangling', example);
    else if (parent === child) findings.add('link_to_itself', example);
    else if (own.has(parent)) continue;
    else if (own.size >= LIMITS.parentsMax || children >= LIMITS.childrenMax)
      findings.add('link_excess', example);
    else {
      parents.set(child, own.add(parent));
      childCounts.set(parent, children + 1);
    }
  }
  return new Map([...parents].map(([child, own]) => [child, [...own]]));
}
