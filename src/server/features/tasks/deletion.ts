/**
 * Deletes tasks: everything that was written about them is erased, and whoever waits for them goes on as if unlinked. Must never leave a
 * word of a person behind in the log; what is remembered under an Idempotency-Key is found by that key alone, and is forgotten a day later.
 *
 * Some things are written of a task without its lock (that it is stranded), under the counter row alone. So the log is gone over twice: when
 * the tasks are erased, and behind where it ended at the beginning when this transaction has written its own events, and thereby holds the
 * counter row. What a long life has left is erased before, in portions (erasure.ts).
 */
import type { Tx } from '../../db/client.ts';
import { countMove, type NewEvent, type StatusCounts } from '../../db/event-log.ts';
import type { Uuid } from '../../kernel/ids.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import { addCounts, type Family, lockFamily, NO_FAMILY, releaseChildren } from './family.ts';
import type { OperationParts } from './held-task.ts';
import type { TaskChange } from './join/append.ts';
import { eraseTasks, forgetStranded, readLogSeq, scrubEvents } from './store/delete.ts';
import { eraseReturns } from './store/erase-returns.ts';
import { type FamilyMember, lockTasks } from './store/link.ts';
import { eventTextOf } from './task-words.ts';

/** What one transaction deletes: decided task by task, erased together, then what is said of it is written to the log by the caller. */
export class Deletion {
  readonly #tx: Tx;
  readonly #boardId: number;
  /** Where the log ended when it began. */
  readonly #seq: number;
  readonly #afterSeqOf: (id: Uuid) => number;
  #decided: Uuid[] = [];
  readonly #erased: Uuid[] = [];

  private constructor(tx: Tx, boardId: number, seq: number, afterSeqOf: (id: Uuid) => number) {
    this.#tx = tx;
    this.#boardId = boardId;
    this.#seq = seq;
    this.#afterSeqOf = afterSeqOf;
  }

  /** @param afterSeqOf From where on in the log events of a task may have words in them. */
  static async begin(tx: Tx, boardId: number, afterSeqOf: (id: Uuid) => number): Promise<Deletion> {
    return new Deletion(tx, boardId, await readLogSeq(tx, boardId), afterSeqOf);
  }

  /**
   * Locks the task, unless the caller has, and lets go whoever waits for it. Null: there is none. Before a task that others wait for, erase
   * what was decided so far: it may be one of them.
   */
  async decide(parts: OperationParts, id: Uuid, reason: string | null): Promise<TaskChange | null> {
    const { tx, board, actor, known } = parts;
    const family = known === undefined ? await lockFamily(tx, board.id, [id], []) : NO_FAMILY;
    const before = known?.get(id) ?? (await this.#find(family, id, known !== undefined));
    if (before === null) return null;
    if (before.status === 'running') throw isHeld();
    const released = before.has_children
      ? await releaseChildren(tx, board.id, id, actor, family)
      : { events: [], counts: {} };
    this.#decided.push(id);
    const counts: StatusCounts = {};
    countMove(counts, before.status, null);
    const deleted: NewEvent = {
      kind: 'task.deleted',
      taskId: id,
      lane: before.lane,
      attempt: before.attempt,
      taskVersion: before.version + 1,
      actor,
      data: { status_before: before.status, ...(reason === null ? {} : { reason: eventTextOf(reason) }) },
    };
    return {
      events: [deleted, ...released.events],
      counts: addCounts(counts, released.counts),
      departures: [{ before, after: null }],
    };
  }

  async #find(family: Family, id: Uuid, isKnownAll: boolean): Promise<FamilyMember | null> {
    if (isKnownAll) return null;
    return family.get(id) ?? (await lockTasks(this.#tx, this.#boardId, [id]))[0] ?? null;
  }

  /** What was decided and not erased yet is not to be. */
  forget(): void {
    this.#decided = [];
  }

  /** All that was decided so far. Before the log is written: it takes locks on rows of theirs. */
  async erase(): Promise<void> {
    const ids = this.#decided;
    this.#decided = [];
    if (ids.length === 0) return;
    this.#erased.push(...ids);
    await eraseTasks(this.#tx, this.#boardId, ids);
    const replies = await eraseReturns(this.#tx, this.#boardId, ids);
    const scrubs = [...ids, ...replies].map((id) => ({ id, afterSeq: this.#afterSeqOf(id) }));
    await scrubEvents(this.#tx, this.#boardId, scrubs);
  }

  /** After the last event of the transaction has been written. */
  async finish(): Promise<void> {
    if (this.#erased.length === 0) return;
    await forgetStranded(this.#tx, this.#boardId, this.#erased);
    const scrubs = this.#erased.map((id) => ({ id, afterSeq: this.#seq }));
    await scrubEvents(this.#tx, this.#boardId, scrubs);
  }
}

function isHeld(): ProblemError {
  return new ProblemError(
    'illegal_transition',
    'Somebody works on the task. Cancel or reclaim it first, then delete it.',
    { extensions: { status_before: 'running' } },
  );
}
