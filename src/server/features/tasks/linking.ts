/** Links between tasks that are there already: made, taken away, and drawn. */
import { LIMITS } from '../../../contract/constants.ts';
import type { TaskGraph } from '../../../contract/links.ts';
import { FINISHED_STATUSES, type TaskStatus } from '../../../contract/statuses.ts';
import type { Task } from '../../../contract/tasks.ts';
import type { Runner, Sql, Tx } from '../../db/client.ts';
import { countMove, type NewEvent, type StatusCounts } from '../../db/event-log.ts';
import { transaction, withinDeadline } from '../../db/tx.ts';
import type { Wake } from '../../db/wake.ts';
import { present } from '../../kernel/assert.ts';
import { formatId, parseId, type Uuid } from '../../kernel/ids.ts';
import { type ActorRef, actorOf, type ClaimPrincipal, type Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { BoardRef } from '../boards/service.ts';
import { appendChange } from './join/append.ts';
import { taskNotFound } from './operation.ts';
import { findParent, tooManyChildren } from './parentage.ts';
import { isSatisfied, startOf } from './state.ts';
import { type LockedTask, moveTasks, type TaskAfter } from './store/change.ts';
import { lockClaimOfRun } from './store/create.ts';
import { readGraph } from './store/graph.ts';
import {
  addUnmetParents,
  countChildren,
  countParents,
  deleteLink,
  type FamilyMember,
  findPathUp,
  insertLinks,
  lockLinks,
  lockTasks,
} from './store/link.ts';
import { findTask } from './store/read.ts';
import { taskOf } from './view.ts';

interface LinkingParts {
  readonly sql: Sql;
  readonly wake: Wake;
  /** The number of a task named by id or external_ref; a claim token finds only its own. */
  readonly resolve: (caller: Principal, board: BoardRef, reference: string, runner?: Runner) => Promise<Uuid>;
}

/** What a screen can show, and more than a person can read. */
const GRAPH_TASKS_MAX = 500;

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
      await link(tx, board, pair.child, pair.parent, actorOf(caller));
    });
  }

  /** A parent that has been deleted meanwhile is taken away as well. */
  unlink(caller: Principal, board: BoardRef, child: string, parent: string): Promise<Task> {
    return this.#change(caller, board, child, parent, (tx, pair, parentId) =>
      unlink(tx, board, pair.child, parentId, actorOf(caller)),
    );
  }

  async graph(caller: Principal, board: BoardRef, reference: string): Promise<TaskGraph> {
    const id = await this.#parts.resolve(caller, board, reference);
    const graph = await withinDeadline(readGraph(this.#parts.sql, board.id, id, GRAPH_TASKS_MAX));
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
      const parentId = await findParent(tx, caller, board, parent);
      const locked = new Map(
        (await lockTasks(tx, board.id, [childId, parentId])).map((row) => [row.id, row]),
      );
      const found = locked.get(childId);
      if (found === undefined) throw taskNotFound(child);
      if (caller.kind === 'claim') await assertHeld(tx, board, caller);
      await change(tx, { child: found, parent: locked.get(parentId) ?? null }, parentId);
      return taskOf(board, present(await findTask(tx, board.id, childId), 'it is locked'));
    });
    wake.ring(board.id);
    return task;
  }
}

/** Under a claim token only while the claim holds. */
async function assertHeld(tx: Tx, board: BoardRef, caller: ClaimPrincipal): Promise<void> {
  const task = present(parseId('task', caller.taskId), 'a verified token names a task');
  const run = present(parseId('run', caller.runId), 'a verified token names a run');
  if (await lockClaimOfRun(tx, board.id, task, run)) return;
  throw new ProblemError('claim_lost', 'The claim of this token is over.', {
    extensions: { reason: 'ended' },
  });
}

async function link(
  tx: Tx,
  board: BoardRef,
  child: FamilyMember,
  parent: FamilyMember,
  actor: ActorRef,
): Promise<void> {
  if (FINISHED_STATUSES.includes(child.status)) throw waitsNoMore(child.status);
  const path = await findPathUp(tx, board.id, parent.id, child.id);
  if (path !== null) throw dependencyCycle([child.id, ...path]);
  const isMet = isSatisfied(parent);
  const made = await insertLinks(tx, board.id, [{ childId: child.id, parentId: parent.id, isMet }]);
  if (made.length === 0) return;
  if ((await countParents(tx, board.id, child.id)) > LIMITS.parentsMax) throw tooManyParents();
  const children = await countChildren(tx, board.id, [parent.id]);
  if ((children.get(parent.id) ?? 0) > LIMITS.childrenMax) throw tooManyChildren();
  const linked = linkEvent('task.linked', child, parent.id, actor, { met: isMet });
  if (isMet) return appendOnly(tx, board, [linked]);
  if (child.status !== 'ready') {
    await addUnmetParents(tx, board.id, new Map([[child.id, 1]]));
    return appendOnly(tx, board, [linked], [child]);
  }
  await move(tx, board, child, { status: 'todo', unmetParents: child.unmet_parents + 1 }, linked);
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

function dependencyCycle(path: readonly Uuid[]): ProblemError {
  const ids = path.map((id) => formatId('task', id));
  return new ProblemError('dependency_cycle', `The tasks would wait for each other: ${ids.join(' → ')}.`, {
    extensions: { path: ids },
  });
}

function tooManyParents(): ProblemError {
  return new ProblemError('invalid_request', `A task may wait for at most ${LIMITS.parentsMax} others.`, {
    errors: [{ pointer: '/parent', detail: `more than ${LIMITS.parentsMax} parents` }],
  });
}
