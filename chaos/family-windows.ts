/** The moments in which a dependency or a review would go wrong: how often a run came through them. */
import { databaseClock } from './checkers/database-clock.ts';
import { groupBy } from './checkers/group-by.ts';
import type { AtMs, FinalState, Operation, OperatorOperation, RunOperation } from './history.ts';

export interface FamilyWindows {
  readonly parentsEndingAtOnce: number;
  readonly reopenedWhileClaimed: number;
  readonly parkedAsHelperEnds: number;
  readonly reviewClaimedWhileAccepted: number;
}

export function countFamilyWindows(operations: readonly Operation[], final: FinalState): FamilyWindows {
  const families = new Families(operations, final);
  return {
    parentsEndingAtOnce: families.countParentsEndingAtOnce(),
    reopenedWhileClaimed: families.countReopenings(),
    parkedAsHelperEnds: families.countParks(),
    reviewClaimedWhileAccepted: families.countAcceptances(),
  };
}

class Families {
  /** Everybody who ever waited for somebody. */
  readonly #parents = new Map<string, Set<string>>();
  readonly #children = new Map<string, Set<string>>();
  /** Of each task, to work on it and to review it. */
  readonly #claims = new Map<string, AtMs[]>();
  readonly #reviews = new Map<string, AtMs[]>();
  /** Those that counted, by task. */
  readonly #completions: ReadonlyMap<string, readonly RunOperation[]>;
  readonly #parks: readonly RunOperation[];
  readonly #verdicts: readonly OperatorOperation[];

  constructor(operations: readonly Operation[], final: FinalState) {
    const atMs = databaseClock(final);
    for (const { kind, task_id: taskId = '', data, at } of final.events) {
      if (kind === 'task.created' && Array.isArray(data['parents']))
        for (const parent of data['parents']) this.#add(taskId, String(parent));
      if (kind === 'task.linked') this.#add(taskId, String(data['parent']));
      if (kind !== 'task.claimed') continue;
      const claims = data['status_before'] === 'review' ? this.#reviews : this.#claims;
      claims.set(taskId, [...(claims.get(taskId) ?? []), atMs(at)]);
    }
    const outcomes = new Map(final.runs.map((run) => [run.id, run.outcome]));
    const writes = operations.filter((operation) => 'runId' in operation);
    const accepted = (kind: RunOperation['kind'], outcome: string): RunOperation[] =>
      writes.filter(
        (write) => write.kind === kind && write.ending !== 'fail' && outcomes.get(write.runId) === outcome,
      );
    this.#completions = groupBy(accepted('complete', 'completed'), ({ taskId }) => taskId);
    this.#parks = accepted('block', 'blocked');
    this.#verdicts = operations.filter(
      (operation): operation is OperatorOperation =>
        operation.kind === 'reopen' || operation.kind === 'accept',
    );
  }

  /** Children two of whose parents were being completed at the same time. */
  countParentsEndingAtOnce(): number {
    return [...this.#parents.values()].filter((parents) => {
      const ends = [...parents].flatMap((id) => this.#completions.get(id) ?? []);
      return ends.some((one) => ends.some((other) => one.taskId < other.taskId && doOverlap(one, other)));
    }).length;
  }

  /** Parents that were being opened again when a child of theirs was claimed. */
  countReopenings(): number {
    return this.#verdicts.filter(({ kind, taskId, ...operation }) => {
      if (kind !== 'reopen') return false;
      const claims = [...(this.#children.get(taskId) ?? [])].flatMap((id) => this.#claims.get(id) ?? []);
      return claims.some((at) => spans(operation, at));
    }).length;
  }

  /** Tasks that were being parked when what they waited for was being completed. */
  countParks(): number {
    return this.#parks.filter((park) =>
      [...(this.#parents.get(park.taskId) ?? [])].some((id) =>
        (this.#completions.get(id) ?? []).some((end) => doOverlap(park, end)),
      ),
    ).length;
  }

  /** Work that was being accepted when its reviewer claimed it. */
  countAcceptances(): number {
    return this.#verdicts.filter(
      ({ kind, taskId, ...operation }) =>
        kind === 'accept' && (this.#reviews.get(taskId) ?? []).some((at) => spans(operation, at)),
    ).length;
  }

  #add(childId: string, parentId: string): void {
    this.#parents.set(childId, (this.#parents.get(childId) ?? new Set()).add(parentId));
    this.#children.set(parentId, (this.#children.get(parentId) ?? new Set()).add(childId));
  }
}

type Stretch = Pick<Operation, 'invokedAt' | 'endedAt'>;

const endOf = ({ endedAt }: Stretch): AtMs => endedAt ?? Number.POSITIVE_INFINITY;

const spans = (stretch: Stretch, at: AtMs): boolean => stretch.invokedAt <= at && at <= endOf(stretch);

export function doOverlap(one: Stretch, other: Stretch): boolean {
  return one.invokedAt <= endOf(other) && other.invokedAt <= endOf(one);
}
