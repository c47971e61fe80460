/**
 * What becomes of the tasks of one request: which are new, where they stand, what they wait for. Pure, and the same for a dry run, so
 * that it promises what the import then does.
 */
import type { ImportedTask, ImportNote, ImportResult } from '../../../contract/import.ts';
import type { TaskStatus } from '../../../contract/statuses.ts';
import type { Uuid } from '../../kernel/ids.ts';

/** A task that the board has, as far as an import cares. */
export interface KnownTask {
  readonly id: Uuid;
  readonly status: TaskStatus;
  readonly isSatisfied: boolean;
}

export interface Surroundings {
  /** By external_ref. */
  readonly known: ReadonlyMap<string, KnownTask>;
  /** Of a dry run: tasks of earlier requests, and whether those that wait for them may go on. */
  readonly assumed: ReadonlyMap<string, boolean>;
  /** Idempotency keys that other tasks of the board hold. */
  readonly takenKeys: ReadonlySet<string>;
  /** How many tasks may yet be made to wait for one of the board. */
  readonly freePlaces: (id: Uuid) => number;
}

export interface PlannedTask {
  readonly task: ImportedTask;
  readonly status: TaskStatus;
  readonly idempotencyKey: string | null;
  readonly parents: readonly PlannedParent[];
  readonly unmetParents: number;
}

export interface PlannedParent {
  readonly externalRef: string;
  readonly isMet: boolean;
}

export interface Plan {
  readonly tasks: readonly PlannedTask[];
  /** One for each task of the request, new or not. */
  readonly results: readonly ImportResult[];
}

/** Putting a task away satisfied those that waited for it where it came from, so it does here. */
const SATISFYING: readonly TaskStatus[] = ['done', 'archived'];

/** @param childrenMax How many tasks may wait for one. */
export function planImport(
  requested: readonly ImportedTask[],
  surroundings: Surroundings,
  childrenMax: number,
): Plan {
  const { known, assumed } = surroundings;
  const tasks: PlannedTask[] = [];
  const results: ImportResult[] = [];
  const satisfied = new Map<string, boolean>(assumed);
  for (const [externalRef, task] of known) satisfied.set(externalRef, task.isSatisfied);
  const keys = new Set(surroundings.takenKeys);
  const places = new Map<string, number>();

  const takePlace = (parent: string): boolean => {
    const own = known.get(parent);
    const free = places.get(parent) ?? (own === undefined ? childrenMax : surroundings.freePlaces(own.id));
    if (free > 0) places.set(parent, free - 1);
    return free > 0;
  };

  for (const task of requested) {
    const { external_ref } = task;
    const present = known.get(external_ref);
    if (present !== undefined) {
      const { status, isSatisfied } = present;
      results.push({ external_ref, created: false, status, satisfied: isSatisfied, links: 0, notes: [] });
      continue;
    }
    const notes: ImportNote[] = [];
    const parents: PlannedParent[] = [];
    for (const parent of new Set(task.parents)) {
      const isMet = satisfied.get(parent);
      if (isMet === undefined) notes.push('parent_unknown');
      else if (takePlace(parent)) parents.push({ externalRef: parent, isMet });
      else notes.push('parent_full');
    }
    const unmetParents = parents.filter(({ isMet }) => !isMet).length;
    const status = statusOf(task, unmetParents);
    const key = keyOf(task, keys);
    if (key === null && task.idempotency_key) notes.push('idempotency_key_taken');
    const isSatisfying = SATISFYING.includes(status);
    satisfied.set(external_ref, isSatisfying);
    tasks.push({ task, status, idempotencyKey: key, parents, unmetParents });
    results.push({
      external_ref,
      created: true,
      status,
      satisfied: isSatisfying,
      links: parents.length,
      notes,
    });
  }
  return { tasks, results };
}

/** As for any new task: what is ready or has a time waits for its parents first. */
function statusOf({ status }: ImportedTask, unmetParents: number): TaskStatus {
  return unmetParents > 0 && (status === 'ready' || status === 'scheduled') ? 'todo' : status;
}

/** An archived task has let go of its key, so it takes none from anybody. */
function keyOf({ idempotency_key: key, status }: ImportedTask, taken: Set<string>): string | null {
  if (!key) return null;
  if (status === 'archived') return key;
  if (taken.has(key)) return null;
  taken.add(key);
  return key;
}
