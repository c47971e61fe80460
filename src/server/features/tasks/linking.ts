/** Links between tasks that are there already: made, taken away, and drawn. */
import { LIMITS } from '../../../contract/constants.ts';
import type { TaskGraph } from '../../../contract/links.ts';
import { FINISHED_STATUSES, type TaskStatus } from '../../../contract/statuses.ts';
import type { Task } from '../../../contract/tasks.ts';
import type { Runner, Sql, Tx } from '../../db/client.ts';
import { countMove, type NewEvent, type StatusCounts } from '../../db/event-log.ts';
import { transaction } from '../../db/tx.ts';
import type { Wake } from '../../db/wake.ts';
import { present } from '../../kernel/assert.ts';
import { formatId, type Uuid } from '../../kernel/ids.ts';
import { type ActorRef, actorOf, type Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { BoardRef } from '../boards/service.ts';
import { appendChange } from './join/append.ts';
import { tooManyChildren } from './parentage.ts';
import { findNamedTask, lockOwnClaim, reachOf } from './reach.ts';
import { isSatisfied, startOf } from './state/transitions.ts';
import { type LockedTask, moveTasks, type TaskAfter } from './store/change.ts';
import { findDown, findUp, findWayUp, readGraph } from './store/graph.ts';
import {
  addUnmetParents,
  countChildren,
  countParents,
  deleteLink,
  type FamilyMember,
  insertLinks,
  lockLinks,
  lockTasks,
} from './store/link.ts';
import { findTask } from './store/read.ts';
import { taskNotFound } from './task-problems.ts';
import { taskOf } from './view.ts';

interface LinkingParts {
  readonly sql: Sql;
  readonly wake: Wake;
  /** The number of a task named by id or external_ref; a claim token finds only its own. */
  readonly resolve: (caller: Principal, board: BoardRef, reference: string, runner?: Runner) => Promise<Uuid>;
}

const GRAPH_MOST = { tasks: LIMITS.graphTasksMax, links: LIMITS.graphLinksMax };
/** 8 µs each where they are linked in chains: a sixth of a second, in which nobody else links tasks of the board. */
const SEARCHED_TASKS_MAX = 20_000;
/** Six times as long as those take; tasks that wait for a hundred others each would take as much as ten seconds. */
const SEARCH_SECONDS_MAX = 1;
const SEARCHED_MOST = { tasks: SEARCHED_TASKS_MAX, seconds: SEARCH_SECONDS_MAX };
/** Of a way that is refused: more than a person reads, in a tenth of a second. */
const TOLD_MOST = { levels: 100, links: 10_000 };

/** Both ends of a link, locked. */
interface Pair {
  readonly child: FamilyMember;
  readonly parent: FamilyMember | null;
}

export class Linking {
  readonly #parts: LinkingParts;

  constructor(parts: LinkingParts) {
    this.#parts = parts;
  }

  /** Doing it again changes nothing. */
  link(caller: Principal, board: BoardRef, child: string, parent: string): Promise<Task> {
    return this.#change(caller, board, child, parent, async (tx, pair) => {
      if (pair.parent === null) throw taskNotFound(parent);
      await link(tx, caller, board, pair.child, pair.parent);
    });
  }

  /** A parent that has been deleted meanwhile is taken away as well. */
  unlink(caller: Principal, board: BoardRef, child: string, parent: string): Promise<Task> {
    return this.#change(caller, board, child, parent, (tx, pair, parentId) =>
      unlink(tx, board, pair.child, parentId, actorOf(caller)),
    );
  }

  /** The runner is one of broad reads: what it takes depends on what is linked. */
  async graph(runner: Runner, caller: Principal, board: BoardRef, reference: string): Promise<TaskGraph> {
    const id = await this.#parts.resolve(caller, board, reference, runner);
    const graph = await readGraph(runner, board.id, id, GRAPH_MOST);
    if (graph.nodes.length === 0) throw taskNotFound(reference);
    return {
      nodes: graph.nodes.map((node) => ({ ...node, id: formatId('task', node.id) })),
      edges: graph.edges.map(({ parentId, childId, isMet }) => ({
        parent: formatId('task', parentId),
        child: formatId('task', childId),
        met: isMet,
      })),
      truncated: graph.isCut,
    };
  }

  async #change(
    caller: Principal,
    board: BoardRef,
    child: string,
    parent: string,
    change: (tx: Tx, pair: Pair, parentId: Uuid) => Promise<void>,
  ): Promise<Task> {
    const { sql, wake, resolve } = this.#parts;
    const task = await transaction(sql, async (tx) => {
      // One at a time on a board: two links that are harmless alone may close a circle together.
      await lockLinks(tx, board.id);
      const childId = await resolve(caller, board, child, tx);
      const parentId = await findNamedTask(tx, caller, board, parent);
      const locked = new Map(
        (await lockTasks(tx, board.id, [childId, parentId])).map((row) => [row.id, row]),
      );
      const found = locked.get(childId);
      if (found === undefined) throw taskNotFound(child);
      if (caller.kind === 'claim') await lockOwnClaim(tx, board, caller);
      await change(tx, { child: found, parent: locked.get(parentId) ?? null }, parentId);
      return taskOf(board, present(await findTask(tx, board.id, childId), 'it is locked'));
    });
    wake.ring(board.id);
    return task;
  }
}

async function link(
  tx: Tx,
  caller: Principal,
  board: BoardRef,
  child: FamilyMember,
  parent: FamilyMember,
): Promise<void> {
  if (FINISHED_STATUSES.includes(child.status)) throw waitsNoMore(child.status);
  if (child.id === parent.id) throw dependencyCycle([child.id, child.id]);
  const isMet = isSatisfied(parent);
  const made = await insertLinks(tx, board.id, [{ childId: child.id, parentId: parent.id, isMet }]);
  if (made.length === 0) return;
  // Where nothing waits for the child, no way leads back to it.
  if (child.has_children) await assertNoCircle(tx, caller, board, child.id, parent.id);
  if ((await countParents(tx, board.id, child.id)) > LIMITS.parentsMax) throw tooManyParents();
  const children = await countChildren(tx, board.id, [parent.id]);
  if ((children.get(parent.id) ?? 0) > LIMITS.childrenMax) throw tooManyChildren();
  const linked = linkEvent('task.linked', child, parent.id, actorOf(caller), { met: isMet });
  if (isMet) return appendOnly(tx, board, [linked]);
  if (child.status !== 'ready') {
    await addUnmetParents(tx, board.id, new Map([[child.id, 1]]));
    return appendOnly(tx, board, [linked], [child]);
  }
  await move(tx, board, child, { status: 'todo', unmetParents: child.unmet_parents + 1 }, linked);
}

/** The board is locked, so that no other link is made meanwhile. */
async function assertNoCircle(
  tx: Tx,
  caller: Principal,
  board: BoardRef,
  childId: Uuid,
  parentId: Uuid,
): Promise<void> {
  const back = { childId: parentId, parentId: childId };
  let finding = await findUp(tx, board.id, back, SEARCHED_MOST);
  if (finding === 'unknown') finding = await findDown(tx, board.id, back, SEARCHED_MOST);
  if (finding === 'apart') return;
  if (finding === 'unknown') throw tooManyToSearch();
  const way = await findWayUp(tx, board.id, back, TOLD_MOST);
  const circle = [childId, ...(way ?? [parentId, null, childId])];
  const known = circle.filter((id) => id !== null);
  const seen = await reachOf(tx, caller, board, known);
  throw dependencyCycle(circle.map((id) => (id !== null && seen.has(id) ? id : null)));
}

async function unlink(
  tx: Tx,
  board: BoardRef,
  child: FamilyMember,
  parentId: Uuid,
  actor: ActorRef,
): Promise<void> {
  const found = await deleteLink(tx, board.id, { childId: child.id, parentId });
  if (found === null) {
    throw new ProblemError('not_found', 'The task does not wait for that one.', {
      extensions: { resource: 'parent' },
    });
  }
  const unlinked = linkEvent('task.unlinked', child, parentId, actor, {});
  if (found.isMet) return appendOnly(tx, board, [unlinked]);
  const unmetParents = child.unmet_parents - 1;
  if (child.status !== 'todo' || unmetParents > 0) {
    await addUnmetParents(tx, board.id, new Map([[child.id, -1]]));
    return appendOnly(tx, board, [unlinked]);
  }
  const status = child.is_early ? 'scheduled' : startOf({ unmetParents, isUnderReview: false });
  await move(tx, board, child, { status, unmetParents }, unlinked);
}

/** The link's own event comes first. */
async function move(
  tx: Tx,
  board: BoardRef,
  child: FamilyMember,
  after: TaskAfter & { readonly status: keyof typeof MOVE_EVENTS },
  event: NewEvent,
): Promise<void> {
  await moveTasks(tx, board.id, [{ before: child, after }]);
  const counts: StatusCounts = {};
  countMove(counts, child.status, after.status);
  const moved: NewEvent = {
    kind: MOVE_EVENTS[after.status],
    taskId: child.id,
    lane: child.lane,
    attempt: child.attempt,
    taskVersion: child.version + 1,
    actor: event.actor,
    data: { status_before: child.status, status_after: after.status },
  };
  await appendChange(tx, board.id, {
    events: [event, moved],
    counts,
    cut: after.status === 'todo' ? [child] : [],
  });
}

const MOVE_EVENTS = {
  todo: 'task.todo',
  ready: 'task.ready',
  scheduled: 'task.scheduled',
  review: 'task.review_requested',
} as const;

async function appendOnly(
  tx: Tx,
  board: BoardRef,
  events: readonly NewEvent[],
  cut: readonly LockedTask[] = [],
): Promise<void> {
  await appendChange(tx, board.id, { events, cut });
}

function linkEvent(
  kind: 'task.linked' | 'task.unlinked',
  child: FamilyMember,
  parentId: Uuid,
  actor: ActorRef,
  more: Readonly<Record<string, unknown>>,
): NewEvent {
  const data = { parent: formatId('task', parentId), ...more };
  return { kind, taskId: child.id, lane: child.lane, attempt: child.attempt, actor, data };
}

function waitsNoMore(status: TaskStatus): ProblemError {
  return new ProblemError(
    'illegal_transition',
    `The task is ${status}: it waits for nothing any more. Reopen it first.`,
    {
      extensions: { status_before: status, status_after: 'todo' },
    },
  );
}

/** @param circle null: tasks that the caller may not see, or more than are told. */
function dependencyCycle(circle: readonly (Uuid | null)[]): ProblemError {
  const steps = circle.map((id) => (id === null ? null : formatId('task', id)));
  const told = steps.filter((step, index) => step !== null || steps[index - 1] !== null);
  const path = steps.filter((step) => step !== null);
  const way = told.map((step) => step ?? '…').join(' → ');
  return new ProblemError('dependency_cycle', `The tasks would wait for each other: ${way}.`, {
    extensions: { path, ...(path.length < steps.length ? { truncated: true } : {}) },
  });
}

function tooManyToSearch(): ProblemError {
  return new ProblemError(
    'invalid_request',
    `On either side more than ${SEARCHED_TASKS_MAX} tasks are linked, or more links than are gone through in ${SEARCH_SECONDS_MAX} s: whether this one would wait for itself cannot be told.`,
    { errors: [{ pointer: '/parent', detail: 'too many tasks would be linked through it' }] },
  );
}

function tooManyParents(): ProblemError {
  return new ProblemError('invalid_request', `A task may wait for at most ${LIMITS.parentsMax} others.`, {
    errors: [{ pointer: '/parent', detail: `more than ${LIMITS.parentsMax} parents` }],
  });
}
