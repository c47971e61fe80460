/**
 * What a log that is pruned says of tasks, as far as it is known: an event after the other, over holes that nobody saw. Behind a hole nothing is
 * known any more but what lasts: which tasks are gone for ever, until when a task was not finished, and who waits for whom, because nobody unlinks
 * anything on that board.
 */
import type { Event } from '../../src/contract/events.ts';
import { FINISHED_STATUSES, type TaskStatus } from '../../src/contract/statuses.ts';
import { type Finding, isPruning } from './known-log.ts';
import { statusIn } from './log-fold.ts';

export interface FoldedTask {
  readonly status: TaskStatus;
  readonly version: number | null;
}

/** Times are cut to milliseconds, or rounded. */
const ROUNDING_MS = 2;

export const isFinished = (status: TaskStatus): boolean => FINISHED_STATUSES.includes(status);

export class TaskFold {
  readonly findings: Finding[] = [];
  /** Of which something is known since the last hole; null: pruned, at any time. */
  readonly tasks = new Map<string, FoldedTask | null>();
  /** Of each child. */
  readonly parents = new Map<string, readonly string[]>();
  holes = 0;
  lastSeq = 0;
  /** When it was last moved to where it was not finished. Lasts over a hole. */
  readonly #openAt = new Map<string, string>();
  readonly #endedAt: ReadonlyMap<string, string>;
  readonly #keptSeconds: number;

  /** @param endedAt When the work on a task was over, as somebody was told by the database. */
  constructor(endedAt: ReadonlyMap<string, string>, keptSeconds: number) {
    this.#endedAt = endedAt;
    this.#keptSeconds = keptSeconds;
  }

  apply(event: Event): void {
    if (event.seq !== this.lastSeq + 1) this.#forget();
    this.lastSeq = event.seq;
    const { task_id: id } = event;
    if (id === undefined || !event.kind.startsWith('task.')) return;
    if (event.kind === 'task.deleted') this.#prune(id, event);
    else this.#move(id, event);
  }

  /** No event up to there is still to come: what nobody received of it is a hole, too. */
  closeAt(seq: number): void {
    if (this.lastSeq !== seq) this.#forget();
    this.lastSeq = seq;
  }

  #forget(): void {
    this.holes += 1;
    for (const [id, task] of this.tasks) if (task !== null) this.tasks.delete(id);
  }

  #move(id: string, event: Event): void {
    const known = this.tasks.get(id);
    const before = statusIn(event, 'status_before');
    if (known === null) this.#find('a task was pruned and went on', event);
    else if (known !== undefined && before !== null && before !== known.status)
      this.#find('an event does not start where its task was', event);
    const { parents } = event.data;
    if (event.kind === 'task.created' && Array.isArray(parents)) this.parents.set(id, parents.map(String));
    const after = statusIn(event, 'status_after');
    const status = after ?? before ?? known?.status;
    if (status !== undefined)
      this.tasks.set(id, { status, version: event.task_version ?? known?.version ?? null });
    if (after !== null) this.#noteOpen(id, after, event);
  }

  /** By its moves alone: they are made under its lock. */
  #noteOpen(id: string, after: TaskStatus, { at }: Event): void {
    if (!isFinished(after)) this.#openAt.set(id, at);
    // Both were of one transaction.
    else if (this.#openAt.get(id) === at) this.#openAt.delete(id);
  }

  #prune(id: string, event: Event): void {
    const before = statusIn(event, 'status_before');
    const known = this.tasks.get(id);
    if (!isPruning(event)) this.#find('a task was deleted, and nobody deletes any', event);
    if (known === null) this.#find('a task was pruned twice', event);
    if (before === null || !isFinished(before) || (known != null && known.status !== before))
      this.#find('a task was pruned that was not finished', event);
    if (this.#finishedSinceMs(id) + this.#keptSeconds * 1000 > Date.parse(event.at) + ROUNDING_MS)
      this.#find('a task was pruned before its time', event);
    if (this.#isAwaited(id)) this.#find('a task was pruned that a waiting child needs', event);
    this.tasks.set(id, null);
  }

  /**
   * It was finished no sooner than this. Whoever finishes a task has its lock after the last change was committed, so the log bounds it where
   * no answer came. The event of the end itself does not: it is written as the last, seconds later where its server was stopped meanwhile. So
   * is the end of the run of a parent, which is ended in steps.
   */
  #finishedSinceMs(id: string): number {
    const isParent = [...this.parents.values()].some((parents) => parents.includes(id));
    const bounds = [isParent ? undefined : this.#endedAt.get(id), this.#openAt.get(id)];
    return Math.max(...bounds.map((at) => (at === undefined ? Number.NEGATIVE_INFINITY : Date.parse(at))));
  }

  #isAwaited(id: string): boolean {
    for (const [child, parents] of this.parents) {
      const task = this.tasks.get(child);
      if (task != null && !isFinished(task.status) && parents.includes(id)) return true;
    }
    return false;
  }

  #find(detail: string, event: Event): void {
    const task = this.tasks.get(event.task_id ?? '');
    this.findings.push({ detail, evidence: { event, task } });
  }
}
