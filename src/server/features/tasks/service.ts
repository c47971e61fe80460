/** Tasks: read, listed, and operated on. Creating them stands in creation.ts, the verbs in operation.ts. */

import type { z } from 'zod';
import type { Message } from '../../../contract/messages.ts';
import { FINISHED_STATUSES } from '../../../contract/statuses.ts';
import type { Comment as CommentSchema, PatchTaskBody, Task } from '../../../contract/tasks.ts';
import { pinPlans, type Runner, type Sql, type Tx } from '../../db/client.ts';
import { isStatementTimeout } from '../../db/failures.ts';
import { transaction, withinDeadline } from '../../db/tx.ts';
import type { Wake } from '../../db/wake.ts';
import { formatId, type IdSource, parseId, type Uuid } from '../../kernel/ids.ts';
import { actorOf, type Principal } from '../../kernel/principal.ts';
import type { BoardRef } from '../boards/service.ts';
import { Deletion } from './deletion.ts';
import type { Erasure } from './erasure.ts';
import { appendChange } from './join/append.ts';
import { TaskOperation } from './operation.ts';
import { findNamedTask, lockOwnClaim } from './reach.ts';
import { markReviewerOf } from './reviewer-mark.ts';
import { listComments } from './store/comment.ts';
import { listMessages } from './store/message.ts';
import { findIdByExternalRef, findTask } from './store/read.ts';
import { listTasks, type TaskPage } from './store/search.ts';
import { patchOf } from './task-patch.ts';
import { notErasedYet, taskNotFound, tooExpensive } from './task-problems.ts';
import { commentOf, messageOf, taskOf } from './view.ts';

export { type Subscribing, TaskCreation } from './creation.ts';
export { Deletion } from './deletion.ts';
export { Erasure } from './erasure.ts';
export {
  addCounts,
  type Family,
  type FamilyChange,
  familyOf,
  lockFamily,
  NO_CHANGE,
  NO_FAMILY,
  promoteChildren,
} from './family.ts';
export { filterOf } from './filter.ts';
export type { OperationParts, TasksWrite } from './held-task.ts';
export { appendChange, type TaskChange } from './join/append.ts';
export { settleDelegations } from './join/settle.ts';
export { Linking } from './linking.ts';
export { TaskOperation } from './operation.ts';
export { lockOwnClaim } from './reach.ts';
export { MARKED, markReviewerOf, type ReviewerMark } from './reviewer-mark.ts';
export { Scheduler } from './scheduler.ts';
export { isSatisfied, mayMove } from './state/transitions.ts';
export { decideEnd, type End, UNTYPED, type Verdict } from './state/verdict.ts';
export {
  type LockedTask,
  lockedColumns,
  movedTask,
  moveTasks,
  reviewOf,
  type TaskAfter,
  type TaskMove,
} from './store/change.ts';
export { listNewestComments, type ToldCommentRow } from './store/comment.ts';
export { findDelegationDepth } from './store/create.ts';
export { eraseReply } from './store/erase-returns.ts';
export { type DelegationPlace, listRunningFrom } from './store/join.ts';
export {
  countChildren,
  type FamilyMember,
  insertLinks,
  listParents,
  lockLinks,
  lockTasks,
  type NewLink,
  type ParentRow,
} from './store/link.ts';
export {
  acknowledgeMessages,
  type Listener,
  listOpenMessages,
  markHolderAnswered,
  type ToldRow,
  tellMessages,
} from './store/message.ts';
export {
  findByExternalRefs,
  findTasks,
  findTraceparents,
  type TaskDetailValues,
  type TaskRow,
  taskDetailColumns,
} from './store/read.ts';
export { listTaskIds, listUnfinishedTasks, type PagePosition, type TaskFilter } from './store/search.ts';
export { illegalTransition, taskNotFound } from './task-problems.ts';
export { eventTextOf } from './task-words.ts';
export { commentOf, givenParts, originOf, taskOf } from './view.ts';
export { waitingLaneOf } from './waiting-lane.ts';

type Comment = z.infer<typeof CommentSchema>;

interface TaskServiceParts {
  readonly sql: Sql;
  readonly wake: Wake;
  readonly ids: IdSource;
  readonly erasure: Erasure;
}

/** Of erasing a long history in one request: below what the clients of ours wait for an answer, which then ask again. */
const ERASURE_MS_MAX = 6000;

/** Of the messages a task ever got, all that anyone reads; open ones are a hundred at most, so the newest hold them all but for a flood. */
const MESSAGES_LISTED_MAX = 500;
export class TaskService {
  readonly #parts: TaskServiceParts;

  constructor(parts: TaskServiceParts) {
    this.#parts = parts;
  }

  /** The number of a task named by id or external_ref; a claim token finds only its own. */
  async resolve(
    caller: Principal,
    board: BoardRef,
    reference: string,
    runner: Runner = this.#parts.sql,
  ): Promise<Uuid> {
    const id =
      parseId('task', reference) ?? (await withinDeadline(findIdByExternalRef(runner, board.id, reference)));
    if (id === null) throw taskNotFound(reference);
    if (caller.kind === 'claim' && formatId('task', id) !== caller.taskId) throw taskNotFound(reference);
    return id;
  }

  /** As above, for reading: a claim token also finds what is linked to its task, and what its run has made. */
  async resolveToRead(caller: Principal, board: BoardRef, reference: string): Promise<Uuid> {
    const { sql } = this.#parts;
    return caller.kind === 'claim'
      ? withinDeadline(findNamedTask(sql, caller, board, reference))
      : this.resolve(caller, board, reference);
  }

  async get(caller: Principal, board: BoardRef, reference: string): Promise<Task> {
    const id = await this.resolveToRead(caller, board, reference);
    const row = await withinDeadline(findTask(this.#parts.sql, board.id, id));
    if (row === null) throw taskNotFound(reference);
    return taskOf(board, row);
  }

  isFinished(task: Task): boolean {
    return FINISHED_STATUSES.includes(task.status);
  }

  /** The runner is one of broad reads: what it takes depends on what is asked for. */
  async list(runner: Runner, board: BoardRef, page: TaskPage): Promise<Task[]> {
    try {
      return (await listTasks(runner, board.id, page)).map((row) => taskOf(board, row));
    } catch (error) {
      throw isStatementTimeout(error) ? (tooExpensive(page, error) ?? error) : error;
    }
  }

  async listComments(
    caller: Principal,
    board: BoardRef,
    reference: string,
    afterId: string | null,
    rowsMax: number,
  ): Promise<Comment[]> {
    const id = await this.resolve(caller, board, reference);
    await this.get(caller, board, reference);
    const after = afterId === null ? null : parseId('cmt', afterId);
    return (await withinDeadline(listComments(this.#parts.sql, board.id, id, after, rowsMax))).map(commentOf);
  }

  /** Runs one verb on one task; the answer is the task as the verb left it. @param isFamilyVerb It may matter to those that wait for it. */
  async operate(
    caller: Principal,
    board: BoardRef,
    reference: string,
    verb: (operation: TaskOperation) => Promise<void>,
    isFamilyVerb = false,
  ): Promise<Task> {
    const { task, isHolderAddressed } = await transaction(this.#parts.sql, async (tx) => {
      const operation = await this.#begin(tx, caller, board, reference, isFamilyVerb);
      await verb(operation);
      return { task: await operation.result(), isHolderAddressed: operation.isHolderAddressed };
    });
    this.#onCommitted(board, isHolderAddressed);
    return task;
  }

  /** @param lane null: no lane's, or for work under review, people's. */
  async assign(
    caller: Principal,
    board: BoardRef,
    reference: string,
    { lane, reason }: { readonly lane: string | null; readonly reason: string | null },
  ): Promise<Task> {
    const task = await transaction(this.#parts.sql, async (tx) => {
      const id = await this.resolve(caller, board, reference, tx);
      const mark = await markReviewerOf(tx, board.id, [id], lane);
      const operation = await this.#begin(tx, caller, board, reference);
      await operation.assign(lane, reason, mark);
      return operation.result();
    });
    this.#onCommitted(board, false);
    return task;
  }

  /** What was written about it is gone afterwards, in the log as well. */
  async delete(caller: Principal, board: BoardRef, reference: string): Promise<Uuid> {
    const { sql, ids, erasure } = this.#parts;
    const actor = actorOf(caller);
    const id = await this.resolve(caller, board, reference);
    const deadlineMs = performance.now() + ERASURE_MS_MAX;
    const progress = await erasure.prepare({ board, actor, patienceMs: null, deadlineMs }, id);
    if (progress !== 'ready') throw notErasedYet();
    await transaction(sql, async (tx) => {
      await pinPlans(tx);
      const deletion = await Deletion.begin(tx, board.id, (one) => erasure.afterSeqOf(one));
      const change = await deletion.decide({ tx, board, actor, ids }, id, null);
      if (change === null) throw taskNotFound(reference);
      await deletion.erase();
      await appendChange(tx, board.id, change);
      await deletion.finish();
    });
    this.#onCommitted(board, false);
    return id;
  }

  #onCommitted({ id }: BoardRef, isHolderAddressed: boolean): void {
    if (isHolderAddressed) this.#parts.wake.nudge(id);
    this.#parts.wake.ring(id);
  }

  async patch(
    caller: Principal,
    board: BoardRef,
    reference: string,
    body: PatchTaskBody,
    version: number | null,
  ): Promise<Task> {
    return this.operate(caller, board, reference, (operation) => operation.patch(patchOf(body), version));
  }

  /** Within the caller's transaction. Under a claim token only while the claim holds. */
  async comment(
    tx: Tx,
    caller: Principal,
    board: BoardRef,
    reference: string,
    body: string,
  ): Promise<Comment> {
    const operation = await this.#begin(tx, caller, board, reference);
    if (caller.kind === 'claim') await lockOwnClaim(tx, board, caller);
    const { id, at } = await operation.comment(body);
    return { id: formatId('cmt', id), body, author: actorOf(caller), at };
  }

  /** `commit` runs the steering in a transaction of its own. */
  async steer<T>(
    caller: Principal,
    board: BoardRef,
    reference: string,
    text: string,
    commit: (steer: (tx: Tx) => Promise<Message>) => Promise<T>,
  ): Promise<T> {
    const answer = await commit(async (tx) => (await this.#begin(tx, caller, board, reference)).steer(text));
    // Also when it was committed by an earlier request, whose server may not have come to it.
    this.#onCommitted(board, true);
    return answer;
  }

  async listMessages(caller: Principal, board: BoardRef, reference: string): Promise<Message[]> {
    const id = await this.resolve(caller, board, reference);
    await this.get(caller, board, reference);
    const found = listMessages(this.#parts.sql, board.id, id, MESSAGES_LISTED_MAX);
    return (await withinDeadline(found)).map(messageOf);
  }

  async #begin(
    tx: Tx,
    caller: Principal,
    board: BoardRef,
    reference: string,
    isFamilyVerb = false,
  ): Promise<TaskOperation> {
    const id = await this.resolve(caller, board, reference, tx);
    const parts = { tx, board, actor: actorOf(caller), ids: this.#parts.ids };
    const operation = await TaskOperation.begin(parts, id, isFamilyVerb);
    if (operation === null) throw taskNotFound(reference);
    return operation;
  }
}
