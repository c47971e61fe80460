/** What people do with a task: every verb locks the row, asks the table of transitions, writes the move and its events. */

import { LIMITS } from '../../../contract/constants.ts';
import type { Message } from '../../../contract/messages.ts';
import { type EventKind, FINISHED_STATUSES } from '../../../contract/statuses.ts';
import type { Task } from '../../../contract/tasks.ts';
import type { Tx } from '../../db/client.ts';
import { countMove, type NewEvent, type StatusCounts } from '../../db/event-log.ts';
import { RaceError, violatedUnique } from '../../db/failures.ts';
import { excerptOf } from '../../kernel/excerpt.ts';
import { formatId, type IdSource, type Uuid } from '../../kernel/ids.ts';
import type { ActorRef } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import { type BoardRef, versionMismatch } from '../boards/service.ts';
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
import type { ReviewerMark } from './reviewer-mark.ts';
import { mayMove, NO_STREAK, type StartStatus, startOf, type Verb } from './state.ts';
import {
  insertComment,
  insertOperatorRun,
  moveTasks,
  patchTask,
  releaseIdempotencyKeys,
  requestCancel,
  reviewOf,
  type TaskAfter,
  type TaskMove,
  type TaskPatch,
} from './store/change.ts';
import { type FamilyMember, lockTasks } from './store/link.ts';
import { countOpenMessages, insertMessage, markHolderAddressed, missOpenMessages } from './store/message.ts';
import { findTask } from './store/read.ts';
import { illegalTransition, taskNotFound, tooManyMessages, waitsForParents } from './task-problems.ts';
import { taskOf } from './view.ts';

/** Pinned by the wire contract: how long a running claim may take to stop when the caller does not say. */
const CANCEL_DEADLINE_SECONDS = 30;
const START_EVENTS: Readonly<Record<StartStatus, EventKind>> = {
  ready: 'task.ready',
  todo: 'task.todo',
  review: 'task.review_requested',
};
/** As the domain says: what an event carries of a longer text. */
const EVENT_TEXT_CHARACTERS_MAX = 400;

export function eventTextOf(text: string | null | undefined): string | null {
  return text === null || text === undefined ? null : excerptOf(text, EVENT_TEXT_CHARACTERS_MAX);
}

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

/** One operator's change of one task, in its transaction. */
export class TaskOperation {
  readonly #tx: Tx;
  readonly #board: BoardRef;
  readonly #actor: ActorRef;
  readonly #ids: IdSource;
  readonly #append: (change: TaskChange) => Promise<unknown>;
  readonly #moveRow: (move: TaskMove) => Promise<void>;
  readonly #writeTo: (write: TasksWrite, id: Uuid) => Promise<void>;
  readonly #before: FamilyMember;
  /** With those that wait for it, where the verb is one that they care about. */
  readonly #family: Family;
  #isHolderAddressed = false;

  private constructor(
    { tx, board, actor, ids, append, move, write }: OperationParts,
    before: FamilyMember,
    family: Family,
  ) {
    this.#tx = tx;
    this.#board = board;
    this.#actor = actor;
    this.#ids = ids;
    this.#append = append ?? ((change) => appendChange(tx, board.id, change));
    this.#moveRow = move ?? ((one) => moveTasks(tx, board.id, [one]));
    this.#writeTo = write ?? ((one, id) => one(tx, board.id, [id]));
    this.#before = before;
    this.#family = family;
  }

  /**
   * Locks the task for the rest of the transaction, and with `isFamilyVerb` those that wait for it; null when it is not there.
   */
  static async begin(parts: OperationParts, id: Uuid, isFamilyVerb = false): Promise<TaskOperation | null> {
    const { tx, board, known } = parts;
    if (known !== undefined) {
      const member = known.get(id);
      return member === undefined ? null : new TaskOperation(parts, member, NO_FAMILY);
    }
    const family = isFamilyVerb ? await lockFamily(tx, board.id, [id], []) : NO_FAMILY;
    const before = family.get(id) ?? (await lockTasks(tx, board.id, [id]))[0];
    return before === undefined ? null : new TaskOperation(parts, before, family);
  }

  /** The holder is to be told something: nudge whoever attends to its socket, after the commit. */
  get isHolderAddressed(): boolean {
    return this.#isHolderAddressed;
  }

  async promote(): Promise<void> {
    const { status, unmet_parents: unmetParents } = this.#before;
    if (status === 'todo') throw waitsForParents(unmetParents);
    const after = this.#start();
    // Whoever promotes it has looked at why it kept being blocked.
    await this.#move('promote', { status: after, streak: NO_STREAK, runAt: null }, START_EVENTS[after], {});
  }

  /** Now nothing stands before it but its parents, or its reviewer. */
  #start(): StartStatus {
    const { unmet_parents: unmetParents, result_attempt: resultAttempt } = this.#before;
    return startOf({ unmetParents, isUnderReview: resultAttempt !== null });
  }

  async schedule(runAt: string): Promise<void> {
    await this.#move('schedule', { status: 'scheduled', runAt }, 'task.scheduled', { run_at: runAt });
  }

  async unblock(answer: string | null): Promise<void> {
    const before = this.#before;
    const comment = answer === null ? [] : [await this.#comment(answer)];
    const data = { kind: before.blocked_kind, answer: eventTextOf(answer) };
    await this.#move(
      'unblock',
      { status: this.#start(), consecutiveFailures: 0, protocolViolations: 0 },
      'task.unblocked',
      data,
      { otherEvents: comment },
    );
  }

  /** Work that is under review goes to another reviewer, or to people. @param mark Of the lane. */
  async assign(lane: string | null, reason: string | null, mark: ReviewerMark): Promise<void> {
    const { status, lane: from } = this.#before;
    const review = reviewOf(this.#before);
    // What is finished keeps its review phase, and is refused below.
    const isUnderReview = review !== null && mayMove(status, 'assign', status);
    if (isUnderReview && lane !== null && !mark.isMarked)
      throw new RaceError('its work was handed over for review after its lane was looked at');
    await this.#move(
      'assign',
      {
        status,
        lane: review === null ? lane : (lane ?? review.implementerLane),
        review: review === null ? null : { ...review, reviewer: lane },
        consecutiveFailures: 0,
        protocolViolations: 0,
      },
      'task.assigned',
      { from_lane: from, lane, reason },
      { isConfigChange: mark.isNew },
    );
  }

  async archive(): Promise<void> {
    const alsoWrite = () => this.#writeWith(releaseIdempotencyKeys);
    const after = { status: 'archived', archivedFrom: this.#before.status } as const;
    await this.#move('archive', after, 'task.archived', {}, { alsoWrite });
  }

  async reopen(): Promise<void> {
    const { unmet_parents: unmetParents } = this.#before;
    const lane = this.#implementerLane();
    await this.#move(
      'reopen',
      {
        ...lane,
        status: startOf({ unmetParents, isUnderReview: false }),
        consecutiveFailures: 0,
        protocolViolations: 0,
        review: null,
        streak: NO_STREAK,
        archivedFrom: null,
        runAt: null,
      },
      'task.reopened',
      this.#laneAfter(lane.lane),
      {
        alsoWrite: () => this.#writeWith(missOpenMessages),
        alsoMove: () => this.#holdBackChildren(),
      },
    );
  }

  /** A person looks at work that waits for review, and lets it stand. */
  async accept(): Promise<void> {
    const review = reviewOf(this.#before);
    const after = {
      status: 'done' as const,
      consecutiveFailures: 0,
      protocolViolations: 0,
      ...(review === null ? {} : { lane: review.implementerLane, review: { ...review, reviewer: null } }),
    };
    await this.#move(
      'accept',
      after,
      'task.completed',
      { outcome: 'completed', accepted: true, ...this.#laneAfter(after.lane) },
      { alsoMove: () => this.#promoteChildren() },
    );
  }

  /** A person sends work back to whoever did it. The record of it is a run of zero length, so the next attempt reads why. */
  async requestChanges(reason: string): Promise<void> {
    const before = this.#before;
    // The verb is also a reviewer's, whose task runs: nobody else may end that run by it.
    if (before.status !== 'review') throw illegalTransition(before.status, 'request_changes', 'ready');
    const run = {
      id: this.#ids.next(this.#board.id),
      taskId: before.id,
      attempt: before.attempt + 1,
      lane: before.lane,
      actor: this.#actor,
      outcome: 'changes_requested' as const,
      error: reason,
      summary: null,
      result: null,
      metadata: null,
    };
    const after = {
      status: startOf({ unmetParents: before.unmet_parents, isUnderReview: false }),
      attempt: run.attempt,
      review: null,
      ...this.#implementerLane(),
    };
    await this.#move(
      'request_changes',
      after,
      'task.changes_requested',
      { outcome: run.outcome, reason: eventTextOf(reason), ...this.#laneAfter(after.lane) },
      {
        alsoWrite: () => insertOperatorRun(this.#tx, this.#board.id, run),
        place: { runId: run.id, attempt: run.attempt },
      },
    );
  }

  /** Work that is not under review any more is its implementer's again, whoever's turn it was. */
  #implementerLane(): { lane?: string | null } {
    const review = reviewOf(this.#before);
    return review === null ? {} : { lane: review.implementerLane };
  }

  #writeWith(write: TasksWrite): Promise<void> {
    return this.#writeTo(write, this.#before.id);
  }

  #laneAfter(lane: string | null | undefined): { lane_after?: string | null } {
    return lane === undefined || lane === this.#before.lane ? {} : { lane_after: lane };
  }

  async #holdBackChildren(): Promise<FamilyChange> {
    if (!this.#before.has_children) return NO_CHANGE;
    return holdBackChildren(this.#tx, this.#board.id, this.#before, this.#actor, this.#family);
  }

  async #promoteChildren(): Promise<FamilyChange> {
    if (!this.#before.has_children) return NO_CHANGE;
    const parents = new Map([[this.#before.id, this.#actor]]);
    return promoteChildren(this.#tx, this.#board.id, parents, this.#family);
  }

  async complete(body: {
    summary: string | null;
    result: unknown;
    metadata: Readonly<Record<string, unknown>> | null;
  }): Promise<void> {
    const before = this.#before;
    const run = {
      id: this.#ids.next(this.#board.id),
      taskId: before.id,
      attempt: before.attempt + 1,
      lane: before.lane,
      actor: this.#actor,
      outcome: 'completed' as const,
      error: null,
      ...body,
    };
    const after = {
      ...this.#implementerLane(),
      status: 'done' as const,
      attempt: run.attempt,
      consecutiveFailures: 0,
      protocolViolations: 0,
      review: null,
      streak: NO_STREAK,
    };
    const data = {
      outcome: 'completed',
      ...this.#laneAfter(after.lane),
      summary: eventTextOf(body.summary),
      metadata: body.metadata,
    };
    const alsoWrite = () => insertOperatorRun(this.#tx, this.#board.id, run);
    const place = { runId: run.id, attempt: run.attempt };
    const alsoMove = () => this.#promoteChildren();
    await this.#move('operator_complete', after, 'task.completed', data, { alsoWrite, alsoMove, place });
  }

  async cancel(reason: string | null, deadlineSeconds: number | null): Promise<void> {
    if (this.#before.status !== 'running') {
      await this.#move('cancel', { status: 'cancelled' }, 'task.cancelled', { reason });
      return;
    }
    const cancel = { reason, deadlineSeconds: deadlineSeconds ?? CANCEL_DEADLINE_SECONDS };
    const claim = await requestCancel(this.#tx, this.#board.id, this.#before.id, cancel);
    const data = { reason, deadline_at: claim?.cancel_deadline_at ?? null };
    const place = claim === null ? {} : { runId: claim.run_id, worker: claim.worker };
    this.#isHolderAddressed = true;
    await this.#move('cancel', { status: 'running' }, 'task.cancel_requested', data, { place });
  }

  async patch(patch: TaskPatch, expectedVersion: number | null): Promise<void> {
    const { id, version, lane } = this.#before;
    if (expectedVersion !== null && expectedVersion !== version) throw versionMismatch(version);
    const data = { ...patch.hot, ...patch.detail };
    if (Object.keys(data).length === 0) return;
    try {
      await patchTask(this.#tx, this.#board.id, id, patch);
    } catch (error) {
      if (violatedUnique(error) === null) throw error;
      throw new ProblemError('already_exists', 'Another task of this board has that external_ref.', {
        extensions: { resource: 'task' },
        cause: error,
      });
    }
    // Bodies and payloads stay out of the log: it says that they changed.
    const { body, payload, ...shown } = data;
    const changed = [...('body' in data ? ['body'] : []), ...('payload' in data ? ['payload'] : [])];
    const event = {
      kind: 'task.updated',
      taskId: id,
      lane,
      taskVersion: version + 1,
      actor: this.#actor,
      data: { ...shown, changed },
    } as const;
    await this.#append({ events: [event] });
  }

  /** Comments change no status, so any task takes them. */
  async comment(body: string): Promise<{ id: Uuid; at: string }> {
    const id = this.#ids.next();
    const at = await insertComment(this.#tx, this.#board.id, {
      id,
      taskId: this.#before.id,
      body,
      author: this.#actor,
    });
    await this.#append({ events: [this.#commentEvent(body)] });
    return { id, at };
  }

  /** Any task takes a message: its holder's now, the next holder's while it waits, nobody's once it has finished. */
  async steer(text: string): Promise<Message> {
    const { id: taskId, status, lane, attempt } = this.#before;
    const isMissed = FINISHED_STATUSES.includes(status);
    const open = isMissed ? 0 : await countOpenMessages(this.#tx, this.#board.id, taskId);
    if (open >= LIMITS.messagesMax) throw tooManyMessages();
    const holder = isMissed ? null : await markHolderAddressed(this.#tx, this.#board.id, taskId);
    const message = { id: this.#ids.next(), taskId, text, author: this.#actor, isMissed };
    const at = await insertMessage(this.#tx, this.#board.id, message);
    const shown: Message = {
      id: formatId('msg', message.id),
      text,
      at,
      state: isMissed ? 'missed' : 'queued',
      author: this.#actor,
      run_id: null,
      delivered_at: null,
      acknowledged_at: null,
    };
    const data = { message_id: shown.id, state: shown.state, text: eventTextOf(text) };
    const place = holder === null ? {} : { runId: holder.run_id, worker: holder.worker };
    const event = {
      kind: 'task.steered',
      taskId,
      lane,
      attempt,
      actor: this.#actor,
      data,
      ...place,
    } as const;
    await this.#append({ events: [event] });
    return shown;
  }

  async #comment(body: string): Promise<NewEvent> {
    await insertComment(this.#tx, this.#board.id, {
      id: this.#ids.next(),
      taskId: this.#before.id,
      body,
      author: this.#actor,
    });
    return this.#commentEvent(body);
  }

  #commentEvent(body: string): NewEvent {
    const { id, lane, attempt } = this.#before;
    const data = { body: eventTextOf(body) };
    return { kind: 'task.commented', taskId: id, lane, attempt, actor: this.#actor, data };
  }

  async result(): Promise<Task> {
    const row = await findTask(this.#tx, this.#board.id, this.#before.id);
    if (row === null) throw taskNotFound('');
    return taskOf(this.#board, row);
  }

  async #move(
    verb: Verb,
    after: TaskAfter,
    kind: EventKind,
    data: Record<string, unknown>,
    { otherEvents = [], alsoWrite, alsoMove, isConfigChange = false, place = {} }: MoveExtras = {},
  ): Promise<void> {
    const before = this.#before;
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
      actor: this.#actor,
      data: { status_before: before.status, status_after: after.status, ...data },
      ...place,
    };
    const counts: StatusCounts = {};
    countMove(counts, before.status, after.status);
    const moved = (await alsoMove?.()) ?? NO_CHANGE;
    await this.#append({
      isConfigChange,
      events: [...otherEvents, event, ...moved.events],
      counts: addCounts(counts, moved.counts),
      departures: [{ before, after }],
    });
  }
}
