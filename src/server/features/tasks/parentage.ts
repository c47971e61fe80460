/** The parents that tasks are created with: found, locked, and held against what has become of them. */
import { LIMITS } from '../../../contract/constants.ts';
import type { CreateTaskBody } from '../../../contract/tasks.ts';
import type { Runner, Tx } from '../../db/client.ts';
import { RaceError } from '../../db/failures.ts';
import { present } from '../../kernel/assert.ts';
import { parseId, type Uuid } from '../../kernel/ids.ts';
import type { Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { BoardRef } from '../boards/service.ts';
import { taskNotFound } from './operation.ts';
import { isSatisfied } from './state.ts';
import type { NewTask } from './store/create.ts';
import { countChildren, insertLinks, isKnownToClaim, lockTasks } from './store/link.ts';
import { findIdByExternalRef, findIdsByIdempotencyKey } from './store/read.ts';

/** An earlier entry of the same batch. */
const ENTRY = /^#(\d+)$/;

/** The tasks with their parents, and where those leave them: todo as long as one is not done. */
export async function withParents(
  tx: Tx,
  caller: Principal,
  board: BoardRef,
  bodies: readonly CreateTaskBody[],
  tasks: readonly NewTask[],
): Promise<NewTask[]> {
  const idOfEntry = await entryIds(tx, board, bodies, tasks);
  const parents = await Promise.all(
    bodies.map(async (body, index) => {
      const ids = new Set<Uuid>();
      for (const [place, reference] of (body.parents ?? []).entries()) {
        const entry = ENTRY.exec(reference);
        if (entry === null) ids.add(await findParent(tx, caller, board, reference));
        else if (Number(entry[1]) < index)
          ids.add(present(idOfEntry[Number(entry[1])], 'an earlier entry is one of the batch'));
        else throw notAnEarlierEntry(index, place, reference);
      }
      return [...ids];
    }),
  );
  const isNew = new Set(idOfEntry.filter((id, index) => id === tasks[index]?.id));
  const known = [...new Set(parents.flat())].filter((id) => !isNew.has(id));
  const locked = new Map((await lockTasks(tx, board.id, known)).map((task) => [task.id, task]));
  const missing = known.find((id) => !locked.has(id));
  if (missing !== undefined) throw taskNotFound(missing);
  await assertRoom(tx, board, parents.flat());
  return tasks.map((task, index) => {
    const own = parents[index] ?? [];
    const unmetParents = own.filter((id) => !isSatisfied(locked.get(id))).length;
    const waits = unmetParents > 0 && (task.status === 'ready' || task.status === 'scheduled');
    return { ...task, parents: own, unmet_parents: unmetParents, status: waits ? 'todo' : task.status };
  });
}

/** Ids by entry: of one whose idempotency_key is taken, that of the task that has it. */
async function entryIds(
  tx: Tx,
  board: BoardRef,
  bodies: readonly CreateTaskBody[],
  tasks: readonly NewTask[],
): Promise<Uuid[]> {
  const named = new Set(bodies.flatMap((body) => body.parents ?? []));
  const keys = tasks.flatMap((task, index) =>
    named.has(`#${index}`) && task.idempotency_key !== null ? [task.idempotency_key] : [],
  );
  const existing =
    keys.length === 0 ? new Map<string, Uuid>() : await findIdsByIdempotencyKey(tx, board.id, keys);
  return tasks.map((task) => existing.get(task.idempotency_key ?? '') ?? task.id);
}

/** A claim token names its own task, what its run has made, and what is linked to its task. */
export async function findParent(
  runner: Runner,
  caller: Principal,
  board: BoardRef,
  reference: string,
): Promise<Uuid> {
  const id = parseId('task', reference) ?? (await findIdByExternalRef(runner, board.id, reference));
  if (id === null) throw taskNotFound(reference);
  if (caller.kind === 'claim') {
    const own = present(parseId('task', caller.taskId), 'a verified token names a task');
    const run = present(parseId('run', caller.runId), 'a verified token names a run');
    if (id !== own && !(await isKnownToClaim(runner, board.id, id, own, run))) throw taskNotFound(reference);
  }
  return id;
}

async function assertRoom(tx: Tx, board: BoardRef, parentIds: readonly Uuid[]): Promise<void> {
  const added = new Map<Uuid, number>();
  for (const id of parentIds) added.set(id, (added.get(id) ?? 0) + 1);
  const counts = await countChildren(tx, board.id, [...added.keys()]);
  for (const [id, count] of added) {
    if ((counts.get(id) ?? 0) + count > LIMITS.childrenMax) throw tooManyChildren();
  }
}

export function tooManyChildren(): ProblemError {
  return new ProblemError(
    'invalid_request',
    `At most ${LIMITS.childrenMax} tasks may wait for one; put a task in between that gathers them.`,
    { errors: [{ pointer: '/parents', detail: `more than ${LIMITS.childrenMax} tasks would wait for one` }] },
  );
}

function notAnEarlierEntry(index: number, place: number, reference: string): ProblemError {
  return new ProblemError(
    'invalid_request',
    `${JSON.stringify(reference)} is no earlier entry of this batch: entry ${index} may name those before it.`,
    { errors: [{ pointer: `/tasks/${index}/parents/${place}`, detail: 'names no earlier entry' }] },
  );
}

/** Of the tasks that were made. Their parents are locked, or as new as they are. */
export async function linkToParents(tx: Tx, board: BoardRef, made: readonly NewTask[]): Promise<void> {
  const links = made.flatMap((task) => task.parents.map((parentId) => ({ childId: task.id, parentId })));
  if (links.length === 0) return;
  const known = await lockTasks(tx, board.id, [...new Set(links.map(({ parentId }) => parentId))]);
  const parents = new Map(known.map((task) => [task.id, task]));
  await insertLinks(
    tx,
    board.id,
    links.map((link) => {
      const parent = parents.get(link.parentId);
      // An entry of the batch whose idempotency_key somebody else took meanwhile: its id belongs to nobody.
      if (parent === undefined) throw new RaceError('a parent of the batch was made by somebody else');
      return { ...link, isMet: isSatisfied(parent) };
    }),
  );
}
