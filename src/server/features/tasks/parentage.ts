/** The parents that tasks are created with: found, locked, and held against what has become of them. */
import { LIMITS } from '../../../contract/constants.ts';
import type { CreateTaskBody } from '../../../contract/tasks.ts';
import type { Tx } from '../../db/client.ts';
import { RaceError } from '../../db/failures.ts';
import { present } from '../../kernel/assert.ts';
import type { Uuid } from '../../kernel/ids.ts';
import type { Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { BoardRef } from '../boards/service.ts';
import { findNamed } from './reach.ts';
import { isSatisfied } from './state/transitions.ts';
import type { NewTask } from './store/create.ts';
import { countChildren, insertLinks, lockTasks, type NewLink } from './store/link.ts';
import { findIdsByIdempotencyKey } from './store/read.ts';
import { taskNotFound } from './task-problems.ts';

/** An earlier entry of the same batch. */
const ENTRY = /^#(\d+)$/;

/** A batch that is to be made. */
interface Batch {
  readonly bodies: readonly CreateTaskBody[];
  readonly drafts: readonly NewTask[];
  /** For each entry the place of the one that makes its task: of an earlier one with the same idempotency_key, or its own. */
  readonly makers: readonly number[];
}

export interface Parentage {
  /** With their parents, and where those leave them: in todo as long as one is not done. */
  readonly tasks: readonly NewTask[];
  /** Of parents that are there already, those that are done. */
  readonly satisfied: ReadonlySet<Uuid>;
  /** Entries that make nothing: what they stand for is there already, whatever has become of the parents they name. */
  readonly repeated: ReadonlySet<Uuid>;
  /** What the entries that others name have to turn out to be, by place. */
  readonly named: ReadonlyMap<number, Uuid>;
}

export function batchOf(bodies: readonly CreateTaskBody[], drafts: readonly NewTask[]): Batch {
  const places = new Map<string, number>();
  const makers = drafts.map(({ idempotency_key }, place) => {
    if (idempotency_key === null) return place;
    const maker = places.get(idempotency_key) ?? place;
    places.set(idempotency_key, maker);
    return maker;
  });
  return { bodies, drafts, makers };
}

/** Locks the parents that are there already; nothing else of the board may be locked before but the board. */
export async function withParents(
  tx: Tx,
  caller: Principal,
  board: BoardRef,
  batch: Batch,
): Promise<Parentage> {
  const { bodies, drafts, makers } = batch;
  const keys = drafts.flatMap(({ idempotency_key }) => idempotency_key ?? []);
  const existing =
    keys.length === 0 ? new Map<string, Uuid>() : await findIdsByIdempotencyKey(tx, board.id, keys);
  const isRepeated = ({ idempotency_key }: NewTask, place: number): boolean =>
    makers[place] !== place || existing.has(idempotency_key ?? '');
  const repeated = new Set(drafts.filter(isRepeated).map(({ id }) => id));
  assertEarlierEntries(bodies);
  const wanted = bodies.map((body, place) =>
    repeated.has(present(drafts[place], 'each body has a draft').id) ? [] : (body.parents ?? []),
  );
  const references = new Set(wanted.flat());
  const named = entryIds(batch, existing, references);
  const known = await findNamed(
    tx,
    caller,
    board,
    [...references].filter((reference) => !ENTRY.test(reference)),
  );
  const parents = wanted.map((ofEntry) => {
    const ids = ofEntry.map((reference) => {
      const entry = ENTRY.exec(reference)?.[1];
      if (entry === undefined) return present(known.get(reference), 'what is not found is refused');
      return present(named.get(Number(entry)), 'an earlier entry is one of the batch');
    });
    return [...new Set(ids)];
  });
  const isNew = new Set(drafts.map(({ id }) => id));
  const old = [...new Set(parents.flat())].filter((id) => !isNew.has(id));
  const locked = new Map((await lockTasks(tx, board.id, old)).map((task) => [task.id, task]));
  for (const [reference, id] of known) if (!locked.has(id)) throw taskNotFound(reference);
  const satisfied = new Set(old.filter((id) => isSatisfied(locked.get(id))));
  const tasks = drafts.map((task, index) => {
    const own = parents[index] ?? [];
    const unmetParents = own.filter((id) => !satisfied.has(id)).length;
    const waits = unmetParents > 0 && (task.status === 'ready' || task.status === 'scheduled');
    return { ...task, parents: own, unmet_parents: unmetParents, status: waits ? 'todo' : task.status };
  });
  return { tasks, satisfied, repeated, named };
}

function assertEarlierEntries(bodies: readonly CreateTaskBody[]): void {
  for (const [index, { parents }] of bodies.entries())
    for (const [place, reference] of (parents ?? []).entries())
      if (Number(ENTRY.exec(reference)?.[1] ?? -1) >= index) throw notAnEarlierEntry(index, place, reference);
}

/** Of the entries that others name: what they will have made, or the task that has their idempotency_key already. */
function entryIds(
  { drafts, makers }: Batch,
  existing: ReadonlyMap<string, Uuid>,
  references: ReadonlySet<string>,
): Map<number, Uuid> {
  const named = drafts.map((_, place) => place).filter((place) => references.has(`#${place}`));
  return new Map(
    named.map((place) => {
      const maker = present(drafts[makers[place] ?? place], 'a maker is one of the batch');
      return [place, existing.get(maker.idempotency_key ?? '') ?? maker.id];
    }),
  );
}

/**
 * Links what was made of a batch, before the counter row is taken. Its parents are locked, or as new as it is.
 * @param entries What each entry of the batch has turned out to be.
 */
export async function linkToParents(
  tx: Tx,
  board: BoardRef,
  { satisfied, repeated, named }: Parentage,
  made: readonly NewTask[],
  entries: readonly Uuid[],
): Promise<void> {
  // Its idempotency_key was taken, or came free, since it was looked up.
  for (const [place, id] of named)
    if (entries[place] !== id) throw new RaceError('an entry of the batch is another task by now');
  // Its parents were not looked for.
  if (made.some(({ id }) => repeated.has(id))) throw new RaceError('an idempotency_key came free');
  const links = made.flatMap((task) =>
    task.parents.map((parentId): NewLink => ({ childId: task.id, parentId, isMet: satisfied.has(parentId) })),
  );
  await assertRoom(tx, board, links);
  await insertLinks(tx, board.id, links);
}

async function assertRoom(tx: Tx, board: BoardRef, links: readonly NewLink[]): Promise<void> {
  const added = new Map<Uuid, number>();
  for (const { parentId } of links) added.set(parentId, (added.get(parentId) ?? 0) + 1);
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
