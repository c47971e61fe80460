/**
 * What the end or the reopening of a task does to those that wait for it, in the same transaction. All of a family are locked before
 * anything is decided, in the order of all tasks, so that two parents that end at once meet at the first lock they share: the later one
 * sees what the earlier one has written, and the last one wakes the child.
 */
import type { Tx } from '../../db/client.ts';
import { countMove, type NewEvent, type StatusCounts } from '../../db/event-log.ts';
import { present } from '../../kernel/assert.ts';
import { formatId, type Uuid } from '../../kernel/ids.ts';
import type { ActorRef } from '../../kernel/principal.ts';
import { type LockedTask, moveTasks, type TaskMove } from './store/change.ts';
import {
  addUnmetParents,
  deleteLinksToParent,
  type FamilyMember,
  type Link,
  listChildIds,
  lockTasks,
  setLinksMet,
} from './store/link.ts';

export type Family = ReadonlyMap<Uuid, FamilyMember>;

/** What has been written, for the log. */
export interface FamilyChange {
  readonly events: readonly NewEvent[];
  readonly counts: StatusCounts;
}

export const NO_CHANGE: FamilyChange = { events: [], counts: {} };
/** Of verbs that nobody who waits cares about. */
export const NO_FAMILY: Family = new Map();

/** Locks all that wait for these parents, and together with them the others that the caller is about to lock. No children: no locks. */
export async function lockFamily(
  tx: Tx,
  boardId: number,
  parentIds: readonly Uuid[],
  otherIds: readonly Uuid[],
): Promise<Family> {
  const children = parentIds.length === 0 ? [] : await listChildIds(tx, boardId, parentIds);
  if (children.length === 0) return NO_FAMILY;
  return familyOf(await lockTasks(tx, boardId, [...parentIds, ...otherIds, ...children]));
}

export function familyOf(members: readonly FamilyMember[]): Family {
  return new Map(members.map((member) => [member.id, member]));
}

/** Tasks were finished as done, each by somebody: what waited for nothing but them is ready, or waits for its time. */
export async function promoteChildren(
  tx: Tx,
  boardId: number,
  parents: ReadonlyMap<Uuid, ActorRef>,
  known: Family,
): Promise<FamilyChange> {
  const met = await setLinksMet(tx, boardId, [...parents.keys()], true);
  if (met.length === 0) return NO_CHANGE;
  return goOn(tx, boardId, met, await withMissing(tx, boardId, met, known), (parentId) =>
    present(parents.get(parentId), 'a link names one of them'),
  );
}

/** A task is to be deleted: nobody waits for it any more. Under its lock. */
export async function releaseChildren(
  tx: Tx,
  boardId: number,
  parentId: Uuid,
  actor: ActorRef,
  known: Family,
): Promise<FamilyChange> {
  const links = await deleteLinksToParent(tx, boardId, parentId);
  if (links.length === 0) return NO_CHANGE;
  const family = await withMissing(tx, boardId, links, known);
  const unlinked = links.flatMap(({ childId }): NewEvent[] => {
    const child = family.get(childId);
    if (child === undefined) return [];
    const { lane, attempt } = child;
    const data = { parent: formatId('task', parentId) };
    return [{ kind: 'task.unlinked', taskId: childId, lane, attempt, actor, data }];
  });
  const unmet = links.filter(({ isMet }) => !isMet);
  const moved = await goOn(tx, boardId, unmet, family, () => actor);
  return { events: [...unlinked, ...moved.events], counts: moved.counts };
}

/** These links keep their children no longer: those that were kept by nothing else are ready, or wait for their time. */
async function goOn(
  tx: Tx,
  boardId: number,
  links: readonly Link[],
  family: Family,
  actorOf: (parentId: Uuid) => ActorRef,
): Promise<FamilyChange> {
  const moves: TaskMove[] = [];
  const counted = new Map<Uuid, number>();
  const reasons = new Map<Uuid, Uuid[]>();
  for (const [childId, parentIds] of parentsByChild(links)) {
    const child = family.get(childId);
    if (child === undefined) continue; // It was deleted, and its links not yet.
    const unmetParents = child.unmet_parents - parentIds.length;
    if (child.status !== 'todo' || unmetParents > 0) {
      counted.set(childId, -parentIds.length);
      continue;
    }
    const after = child.is_early
      ? { status: 'scheduled' as const, unmetParents }
      : { status: 'ready' as const, unmetParents };
    moves.push({ before: child, after });
    reasons.set(childId, parentIds);
  }
  await addUnmetParents(tx, boardId, counted);
  return writeMoves(tx, boardId, moves, (child) => {
    const parentIds = reasons.get(child.id) ?? [];
    const actor = actorOf(present(parentIds.at(-1), 'a parent was met'));
    return { actor, data: { parents: parentIds.map((id) => formatId('task', id)) } };
  });
}

/** A task that was done is not any more: whoever counted on it and has not started waits again. */
export async function holdBackChildren(
  tx: Tx,
  boardId: number,
  parent: LockedTask,
  actor: ActorRef,
  known: Family,
): Promise<FamilyChange> {
  const unmet = await setLinksMet(tx, boardId, [parent.id], false);
  if (unmet.length === 0) return NO_CHANGE;
  const family = await withMissing(tx, boardId, unmet, known);
  const moves: TaskMove[] = [];
  const counted = new Map<Uuid, number>();
  for (const { childId } of unmet) {
    const child = family.get(childId);
    if (child === undefined) continue;
    // What is scheduled, blocked or in triage looks at its parents when it goes on; what has started goes on.
    if (child.status !== 'ready') counted.set(childId, 1);
    else
      moves.push({
        before: child,
        after: { status: 'todo', unmetParents: child.unmet_parents + 1 },
      });
  }
  await addUnmetParents(tx, boardId, counted);
  const data = { parents: [formatId('task', parent.id)] };
  return writeMoves(tx, boardId, moves, () => ({ actor, data }));
}

const EVENT_KINDS = { ready: 'task.ready', scheduled: 'task.scheduled', todo: 'task.todo' } as const;

async function writeMoves(
  tx: Tx,
  boardId: number,
  moves: readonly TaskMove[],
  reasonOf: (child: LockedTask) => { actor: ActorRef; data: Readonly<Record<string, unknown>> },
): Promise<FamilyChange> {
  if (moves.length === 0) return NO_CHANGE;
  await moveTasks(tx, boardId, moves);
  const counts: StatusCounts = {};
  const events = moves.map(({ before, after }): NewEvent => {
    countMove(counts, before.status, after.status);
    const { actor, data } = reasonOf(before);
    return {
      kind: EVENT_KINDS[after.status as keyof typeof EVENT_KINDS],
      taskId: before.id,
      lane: before.lane,
      attempt: before.attempt,
      taskVersion: before.version + 1,
      actor,
      data: { status_before: before.status, status_after: after.status, ...data },
    };
  });
  return { events, counts };
}

/** Somebody may have linked a child between the look and the locks; he is done, or we would not have the parent's. */
async function withMissing(tx: Tx, boardId: number, links: readonly Link[], known: Family): Promise<Family> {
  const missing = links.map(({ childId }) => childId).filter((id) => !known.has(id));
  if (missing.length === 0) return known;
  return new Map([...known, ...familyOf(await lockTasks(tx, boardId, missing))]);
}

function parentsByChild(links: readonly Link[]): Map<Uuid, Uuid[]> {
  const parents = new Map<Uuid, Uuid[]>();
  for (const { childId, parentId } of links)
    parents.set(childId, [...(parents.get(childId) ?? []), parentId]);
  return parents;
}

/** Adds up what several changes did to the counts of the board. */
export function addCounts(counts: StatusCounts, more: StatusCounts): StatusCounts {
  const sum: StatusCounts = { ...counts };
  for (const [status, by] of Object.entries(more) as [keyof StatusCounts, number][])
    sum[status] = (sum[status] ?? 0) + by;
  return sum;
}
