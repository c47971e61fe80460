/**
 * Property 9: a task waits for its parents, and never for nothing.
 *
 * Proves, from the log: no task was claimed to be worked on while a parent was not done (done, and put away since, counts; cancelled never
 * does); whoever waited for nothing any more was let go by one event in the very transaction that met its last parent, and by no second one;
 * whoever could be claimed and lost a met parent, to a new link or to a reopening, was held back in that same transaction. From the tables:
 * every link says of its parent what the parent is, every count of unmet parents is that of the links, nobody is in todo without an unmet
 * one or ready with one, and the links are those of the log.
 *
 * A transaction is told from the next one by its time. Two that commit in the same millisecond look like one, which hides nothing that lasts.
 * Cannot prove: anything about tasks that were deleted, and no run deletes any.
 */
import type { Event } from '../../src/contract/events.ts';
import type { FinalState, FinalTask, Violation } from '../history.ts';
import { groupBy } from './group-by.ts';

const violation = (detail: string, evidence: Violation['evidence']): Violation => ({
  property: 9,
  detail,
  evidence,
});

/** What the transaction of an event still owes to a child. */
interface Debt {
  readonly cause: Event;
  readonly detail: string;
}

class WaitingChildren {
  readonly violations: Violation[] = [];
  readonly #statuses = new Map<string, string>();
  readonly #satisfied = new Set<string>();
  /** By child: its parents, and whether each is met. */
  readonly #parents = new Map<string, Map<string, boolean>>();
  readonly #children = new Map<string, Set<string>>();
  readonly #debts = new Map<string, Debt>();

  apply(event: Event): void {
    this.#collectDebts(event.at);
    const { task_id: taskId } = event;
    if (taskId === undefined) return;
    if (event.kind === 'task.created') this.#create(taskId, event);
    else if (event.kind === 'task.linked') this.#link(taskId, event);
    else if (event.kind === 'task.unlinked') this.#unlink(taskId, event);
    this.#hold(taskId, event);
    const { status_after: after } = event.data;
    if (typeof after === 'string') this.#move(taskId, after, event);
    this.#weigh(taskId, event);
  }

  /** Nothing comes any more that could still be owed. */
  end(): void {
    this.#collectDebts(null);
  }

  linksOf(childId: string): ReadonlyMap<string, boolean> {
    return this.#parents.get(childId) ?? new Map();
  }

  #create(taskId: string, event: Event): void {
    const { parents } = event.data;
    if (!Array.isArray(parents)) return;
    for (const parent of parents) this.#add(taskId, String(parent), this.#satisfied.has(String(parent)));
  }

  #link(taskId: string, event: Event): void {
    const parent = String(event.data['parent']);
    const isMet = this.#satisfied.has(parent);
    if (event.data['met'] !== isMet)
      this.violations.push(violation('a link does not say what its parent is', { event, isMet }));
    this.#add(taskId, parent, isMet);
  }

  #unlink(taskId: string, event: Event): void {
    const parent = String(event.data['parent']);
    if (!this.#parents.get(taskId)?.delete(parent))
      this.violations.push(violation('a link was taken away that was not there', { event }));
    this.#children.get(parent)?.delete(taskId);
  }

  #add(childId: string, parentId: string, isMet: boolean): void {
    const parents = this.#parents.get(childId) ?? new Map<string, boolean>();
    this.#parents.set(childId, parents.set(parentId, isMet));
    const children = this.#children.get(parentId) ?? new Set<string>();
    this.#children.set(parentId, children.add(childId));
  }

  /** What a child may not do while it waits. */
  #hold(taskId: string, event: Event): void {
    const { status_before: before, status_after: after } = event.data;
    const unmet = this.#unmetOf(taskId);
    if (event.kind === 'task.claimed' && before === 'ready' && unmet.length > 0)
      this.violations.push(violation('a child was claimed while a parent was not done', { event, unmet }));
    if (before !== 'todo' || (event.kind !== 'task.ready' && event.kind !== 'task.scheduled')) return;
    if (this.#statuses.get(taskId) !== 'todo')
      this.violations.push(
        violation('a child was promoted twice', { event, status: this.#statuses.get(taskId) }),
      );
    else if (unmet.length > 0 && after === 'ready')
      this.violations.push(violation('a child was promoted while a parent was not done', { event, unmet }));
  }

  #move(taskId: string, after: string, event: Event): void {
    this.#statuses.set(taskId, after);
    // Putting away what was done changes nothing for whoever counts on it.
    const isSatisfied = after === 'done' || (after === 'archived' && this.#satisfied.has(taskId));
    if (isSatisfied === this.#satisfied.has(taskId)) return;
    if (isSatisfied) this.#satisfied.add(taskId);
    else this.#satisfied.delete(taskId);
    for (const childId of this.#children.get(taskId) ?? []) {
      this.#parents.get(childId)?.set(taskId, isSatisfied);
      this.#weigh(childId, event);
    }
  }

  /** Is a child where its parents leave it? Else the transaction has to see to it. */
  #weigh(taskId: string, event: Event): void {
    const status = this.#statuses.get(taskId);
    const isWaiting = this.#unmetOf(taskId).length > 0;
    if (status === 'todo' && !isWaiting)
      this.#owe(taskId, event, 'a child was stranded: nothing keeps it in todo');
    else if (status === 'ready' && isWaiting)
      this.#owe(taskId, event, 'a child that could be claimed was not held back');
    else this.#debts.delete(taskId);
  }

  #owe(taskId: string, cause: Event, detail: string): void {
    const known = this.#debts.get(taskId);
    if (known?.detail !== detail) this.#debts.set(taskId, { cause, detail });
  }

  /** Those of transactions that are over. */
  #collectDebts(at: string | null): void {
    for (const [taskId, { cause, detail }] of this.#debts) {
      if (cause.at === at) continue;
      this.violations.push(violation(detail, { taskId, cause, parents: [...this.linksOf(taskId)] }));
      this.#debts.delete(taskId);
    }
  }

  #unmetOf(taskId: string): string[] {
    return [...this.linksOf(taskId)].flatMap(([parentId, isMet]) => (isMet ? [] : [parentId]));
  }
}

export function checkWaitingChildren(final: FinalState): Violation[] {
  const waiting = new WaitingChildren();
  for (const event of final.events) waiting.apply(event);
  waiting.end();
  return [...waiting.violations, ...checkLinks(waiting, final), ...checkCounts(final)];
}

const wasDone = ({ status, archivedFrom }: FinalTask): boolean =>
  status === 'done' || (status === 'archived' && archivedFrom === 'done');

function checkLinks(waiting: WaitingChildren, final: FinalState): Violation[] {
  const tasks = new Map(final.tasks.map((task) => [task.id, task]));
  const seen = groupBy(final.links, (link) => link.childId);
  const found = final.links.flatMap((link) => {
    const [parent, child] = [tasks.get(link.parentId), tasks.get(link.childId)];
    if (parent === undefined || child === undefined)
      return [violation('a link has no task', { link, parent, child })];
    if (wasDone(parent) !== link.isMet)
      return [violation('a link is not met as its parent is', { link, parent, child })];
    return waiting.linksOf(link.childId).get(link.parentId) === link.isMet
      ? []
      : [violation('a link is not what the log says', { link, folded: [...waiting.linksOf(link.childId)] })];
  });
  const missing = final.tasks.flatMap(({ id }) => {
    const rows = new Set((seen.get(id) ?? []).map(({ parentId }) => parentId));
    const lost = [...waiting.linksOf(id).keys()].filter((parentId) => !rows.has(parentId));
    return lost.map((parentId) =>
      violation('a link of the log is not in the tables', { childId: id, parentId }),
    );
  });
  return [...found, ...missing];
}

function checkCounts(final: FinalState): Violation[] {
  const links = groupBy(final.links, (link) => link.childId);
  return final.tasks.flatMap((task) => {
    const own = links.get(task.id) ?? [];
    const unmet = own.filter(({ isMet }) => !isMet).length;
    const evidence = { task, links: own };
    if (task.unmetParents !== unmet) return [violation('unmet parents are not counted right', evidence)];
    if (task.status === 'todo' && unmet === 0)
      return [violation('a task is in todo, and waits for nothing', evidence)];
    return task.status === 'ready' && unmet > 0
      ? [violation('a task can be claimed, and a parent is not done', evidence)]
      : [];
  });
}
