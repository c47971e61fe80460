/** One task that an operator's change has locked: what every verb needs of it, and the one way in which it moves. */

import type { EventKind } from '../../../contract/statuses.ts';
import type { Task } from '../../../contract/tasks.ts';
import type { Tx } from '../../db/client.ts';
import { countMove, type NewEvent, type StatusCounts } from '../../db/event-log.ts';
import type { IdSource, Uuid } from '../../kernel/ids.ts';
import type { ActorRef } from '../../kernel/principal.ts';
import type { BoardRef } from '../boards/service.ts';
import {
  addCounts,
  type Family,
  type FamilyChange,
  holdBackChildren,
  lockFamily,
  NO_CHANGE,
  NO_FAMILY,
  promoteChildren,
} from './family.ts';
import { appendChange, type TaskChange } from './join/append.ts';
import { mayMove, type StartStatus, startOf, type Verb } from './state/transitions.ts';
import { moveTasks, reviewOf, type TaskAfter, type TaskMove } from './store/change.ts';
import { type FamilyMember, lockTasks } from './store/link.ts';
import { findTask } from './store/read.ts';
import { illegalTransition, taskNotFound } from './task-problems.ts';
import { taskOf } from './view.ts';

/** What can be done to many locked tasks by one statement. */
export type TasksWrite = (tx: Tx, boardId: number, ids: readonly Uuid[]) => Promise<void>;

export interface OperationParts {
  readonly tx: Tx;
  readonly board: BoardRef;
  readonly actor: ActorRef;
  readonly ids: IdSource;
  /** Takes what a verb has to say to the log. Default: it is written at once. Whoever gathers it writes it as the last thing of all. */
  readonly append?: (change: TaskChange) => Promise<unknown>;
  /** Takes what becomes of the task's own row. Default: it is written at once. */
  readonly move?: (move: TaskMove) => Promise<void>;
  /** Takes what else is to be done to the task. Default: it is done at once. */
  readonly write?: (write: TasksWrite, id: Uuid) => Promise<void>;
  /** Tasks that the caller has locked, as they are now: no other is there. */
  readonly known?: ReadonlyMap<Uuid, FamilyMember>;
}

/** What a move writes beyond the task's row and its own event. */
interface MoveExtras {
  readonly otherEvents?: readonly NewEvent[];
  readonly alsoWrite?: () => Promise<void>;
  /** What it does to those that wait for the task. */
  readonly alsoMove?: () => Promise<FamilyChange>;
  /** Claims in flight are to be decided anew. */
  readonly isConfigChange?: boolean;
  /** Where the event happened, beyond the task. */
  readonly place?: Partial<Pick<NewEvent, 'runId' | 'worker' | 'attempt'>>;
}

export class HeldTask {
  readonly tx: Tx;
  readonly board: BoardRef;
  readonly actor: ActorRef;
  readonly ids: IdSource;
  /** As it was when it was locked. */
  readonly before: FamilyMember;
  readonly #append: (change: TaskChange) => Promise<unknown>;
  readonly #moveRow: (move: TaskMove) => Promise<void>;
  readonly #writeTo: (write: TasksWrite, id: Uuid) => Promise<void>;
  /** With those that wait for it, where the verb is one that they care about. */
  readonly #family: Family;

  private constructor(
    { tx, board, actor, ids, append, move, write }: OperationParts,
    before: FamilyMember,
    family: Family,
  ) {
    this.tx = tx;
    this.board = board;
    this.actor = actor;
    this.ids = ids;
    this.#append = append ?? ((change) => appendChange(tx, board.id, change));
    this.#moveRow = move ?? ((one) => moveTasks(tx, board.id, [one]));
    this.#writeTo = write ?? ((one, id) => one(tx, board.id, [id]));
    this.before = before;
    this.#family = family;
  }

  /**
   * Locks the task for the rest of the transaction, and with `isFamilyVerb` those that wait for it; null when it is not there.
   */
  static async lock(parts: OperationParts, id: Uuid, isFamilyVerb = false): Promise<HeldTask | null> {
    const { tx, board, known } = parts;
    if (known !== undefined) {
      const member = known.get(id);
      return member === undefined ? null : new HeldTask(parts, member, NO_FAMILY);
    }
    const family = isFamilyVerb ? await lockFamily(tx, board.id, [id], []) : NO_FAMILY;
    const before = family.get(id) ?? (await lockTasks(tx, board.id, [id]))[0];
    return before === undefined ? null : new HeldTask(parts, before, family);
  }

  async append(change: TaskChange): Promise<void> {
    await this.#append(change);
  }

  /** Now nothing stands before it but its parents, or its reviewer. */
  start(): StartStatus {
    const { unmet_parents: unmetParents, result_attempt: resultAttempt } = this.before;
    return startOf({ unmetParents, isUnderReview: resultAttempt !== null });
  }

  /** Work that is not under review any more is its implementer's again, whoever's turn it was. */
  implementerLane(): { lane?: string | null } {
    const review = reviewOf(this.before);
    return review === null ? {} : { lane: review.implementerLane };
  }

  writeWith(write: TasksWrite): Promise<void> {
    return this.#writeTo(write, this.before.id);
  }

  laneAfter(lane: string | null | undefined): { lane_after?: string | null } {
    return lane === undefined || lane === this.before.lane ? {} : { lane_after: lane };
  }

  async holdBackChildren(): Promise<FamilyChange> {
    if (!this.before.has_children) return NO_CHANGE;
    return holdBackChildren(this.tx, this.board.id, this.before, this.actor, this.#family);
  }

  async promoteChildren(): Promise<FamilyChange> {
    if (!this.before.has_children) return NO_CHANGE;
    const parents = new Map([[this.before.id, this.actor]]);
    return promoteChildren(this.tx, this.board.id, parents, this.#family);
  }

  async result(): Promise<Task> {
    const row = await findTask(this.tx, this.board.id, this.before.id);
    if (row === null) throw taskNotFound('');
    return taskOf(this.board, row);
  }

  async move(
    verb: Verb,
    after: TaskAfter,
    kind: EventKind,
    data: Record<string, unknown>,
    { otherEvents = [], alsoWrite, alsoMove, isConfigChange = false, place = {} }: MoveExtras = {},
  ): Promise<void> {
    const before = this.before;
    if (!mayMove(before.status, verb, after.status))
      throw illegalTransition(before.status, verb, after.status);
    await this.#moveRow({ before, after });
    await alsoWrite?.();
    const event: NewEvent = {
      kind,
      taskId: before.id,
      lane: after.lane === undefined ? before.lane : after.lane,
      attempt: after.attempt ?? before.attempt,
      taskVersion: before.version + 1,
      actor: this.actor,
      data: { status_before: before.status, status_after: after.status, ...data },
      ...place,
    };
    const counts: StatusCounts = {};
    countMove(counts, before.status, after.status);
    const moved = (await alsoMove?.()) ?? NO_CHANGE;
    await this.append({
      isConfigChange,
      events: [...otherEvents, event, ...moved.events],
      counts: addCounts(counts, moved.counts),
      departures: [{ before, after }],
    });
  }
}
