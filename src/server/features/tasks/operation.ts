/** What people do with a task: every verb locks the row, asks the table of transitions, writes the move and its events. */

import type { Message } from '../../../contract/messages.ts';
import type { EventKind } from '../../../contract/statuses.ts';
import type { Task } from '../../../contract/tasks.ts';
import { RaceError, violatedUnique } from '../../db/failures.ts';
import type { Uuid } from '../../kernel/ids.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import { versionMismatch } from '../boards/service.ts';
import { HeldTask, type OperationParts } from './held-task.ts';
import type { ReviewerMark } from './reviewer-mark.ts';
import { mayMove, type StartStatus, startOf } from './state/transitions.ts';
import { NO_STREAK } from './state/verdict.ts';
import {
  insertOperatorRun,
  patchTask,
  releaseIdempotencyKeys,
  requestCancel,
  reviewOf,
  type TaskPatch,
} from './store/change.ts';
import { missOpenMessages } from './store/message.ts';
import { illegalTransition, waitsForParents } from './task-problems.ts';
import { eventTextOf, steer, writeComment } from './task-words.ts';

/** Pinned by the wire contract: how long a running claim may take to stop when the caller does not say. */
const CANCEL_DEADLINE_SECONDS = 30;
const START_EVENTS: Readonly<Record<StartStatus, EventKind>> = {
  ready: 'task.ready',
  todo: 'task.todo',
  review: 'task.review_requested',
};
/** One operator's change of one task, in its transaction. */
export class TaskOperation {
  readonly #held: HeldTask;
  #isHolderAddressed = false;

  private constructor(held: HeldTask) {
    this.#held = held;
  }

  /** Locks the task for the rest of the transaction, and with `isFamilyVerb` those that wait for it; null when it is not there. */
  static async begin(parts: OperationParts, id: Uuid, isFamilyVerb = false): Promise<TaskOperation | null> {
    const held = await HeldTask.lock(parts, id, isFamilyVerb);
    return held === null ? null : new TaskOperation(held);
  }

  /** The holder is to be told something: nudge whoever attends to its socket, after the commit. */
  get isHolderAddressed(): boolean {
    return this.#isHolderAddressed;
  }

  async promote(): Promise<void> {
    const { status, unmet_parents: unmetParents } = this.#held.before;
    if (status === 'todo') throw waitsForParents(unmetParents);
    const after = this.#held.start();
    // Whoever promotes it has looked at why it kept being blocked.
    await this.#held.move(
      'promote',
      { status: after, streak: NO_STREAK, runAt: null },
      START_EVENTS[after],
      {},
    );
  }

  async schedule(runAt: string): Promise<void> {
    await this.#held.move('schedule', { status: 'scheduled', runAt }, 'task.scheduled', { run_at: runAt });
  }

  async unblock(answer: string | null): Promise<void> {
    const before = this.#held.before;
    const comment = answer === null ? [] : [(await writeComment(this.#held, answer)).event];
    const data = { kind: before.blocked_kind, answer: eventTextOf(answer) };
    await this.#held.move(
      'unblock',
      { status: this.#held.start(), consecutiveFailures: 0, protocolViolations: 0 },
      'task.unblocked',
      data,
      { otherEvents: comment },
    );
  }

  /** Work that is under review goes to another reviewer, or to people. @param mark Of the lane. */
  async assign(lane: string | null, reason: string | null, mark: ReviewerMark): Promise<void> {
    const { status, lane: from } = this.#held.before;
    const review = reviewOf(this.#held.before);
    // What is finished keeps its review phase, and is refused below.
    const isUnderReview = review !== null && mayMove(status, 'assign', status);
    if (isUnderReview && lane !== null && !mark.isMarked)
      throw new RaceError('its work was handed over for review after its lane was looked at');
    await this.#held.move(
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
    const alsoWrite = () => this.#held.writeWith(releaseIdempotencyKeys);
    const after = { status: 'archived', archivedFrom: this.#held.before.status } as const;
    await this.#held.move('archive', after, 'task.archived', {}, { alsoWrite });
  }

  async reopen(): Promise<void> {
    const { unmet_parents: unmetParents } = this.#held.before;
    const lane = this.#held.implementerLane();
    await this.#held.move(
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
      this.#held.laneAfter(lane.lane),
      {
        alsoWrite: () => this.#held.writeWith(missOpenMessages),
        alsoMove: () => this.#held.holdBackChildren(),
      },
    );
  }

  /** A person looks at work that waits for review, and lets it stand. */
  async accept(): Promise<void> {
    const review = reviewOf(this.#held.before);
    const after = {
      status: 'done' as const,
      consecutiveFailures: 0,
      protocolViolations: 0,
      ...(review === null ? {} : { lane: review.implementerLane, review: { ...review, reviewer: null } }),
    };
    await this.#held.move(
      'accept',
      after,
      'task.completed',
      { outcome: 'completed', accepted: true, ...this.#held.laneAfter(after.lane) },
      { alsoMove: () => this.#held.promoteChildren() },
    );
  }

  /** A person sends work back to whoever did it. The record of it is a run of zero length, so the next attempt reads why. */
  async requestChanges(reason: string): Promise<void> {
    const before = this.#held.before;
    // The verb is also a reviewer's, whose task runs: nobody else may end that run by it.
    if (before.status !== 'review') throw illegalTransition(before.status, 'request_changes', 'ready');
    const run = {
      id: this.#held.ids.next(this.#held.board.id),
      taskId: before.id,
      attempt: before.attempt + 1,
      lane: before.lane,
      actor: this.#held.actor,
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
      ...this.#held.implementerLane(),
    };
    await this.#held.move(
      'request_changes',
      after,
      'task.changes_requested',
      { outcome: run.outcome, reason: eventTextOf(reason), ...this.#held.laneAfter(after.lane) },
      {
        alsoWrite: () => insertOperatorRun(this.#held.tx, this.#held.board.id, run),
        place: { runId: run.id, attempt: run.attempt },
      },
    );
  }

  async complete(body: {
    summary: string | null;
    result: unknown;
    metadata: Readonly<Record<string, unknown>> | null;
  }): Promise<void> {
    const before = this.#held.before;
    const run = {
      id: this.#held.ids.next(this.#held.board.id),
      taskId: before.id,
      attempt: before.attempt + 1,
      lane: before.lane,
      actor: this.#held.actor,
      outcome: 'completed' as const,
      error: null,
      ...body,
    };
    const after = {
      ...this.#held.implementerLane(),
      status: 'done' as const,
      attempt: run.attempt,
      consecutiveFailures: 0,
      protocolViolations: 0,
      review: null,
      streak: NO_STREAK,
    };
    const data = {
      outcome: 'completed',
      ...this.#held.laneAfter(after.lane),
      summary: eventTextOf(body.summary),
      metadata: body.metadata,
    };
    const alsoWrite = () => insertOperatorRun(this.#held.tx, this.#held.board.id, run);
    const place = { runId: run.id, attempt: run.attempt };
    const alsoMove = () => this.#held.promoteChildren();
    await this.#held.move('operator_complete', after, 'task.completed', data, { alsoWrite, alsoMove, place });
  }

  async cancel(reason: string | null, deadlineSeconds: number | null): Promise<void> {
    if (this.#held.before.status !== 'running') {
      await this.#held.move('cancel', { status: 'cancelled' }, 'task.cancelled', { reason });
      return;
    }
    const cancel = { reason, deadlineSeconds: deadlineSeconds ?? CANCEL_DEADLINE_SECONDS };
    const claim = await requestCancel(this.#held.tx, this.#held.board.id, this.#held.before.id, cancel);
    const data = { reason, deadline_at: claim?.cancel_deadline_at ?? null };
    const place = claim === null ? {} : { runId: claim.run_id, worker: claim.worker };
    this.#isHolderAddressed = true;
    await this.#held.move('cancel', { status: 'running' }, 'task.cancel_requested', data, { place });
  }

  async patch(patch: TaskPatch, expectedVersion: number | null): Promise<void> {
    const { id, version, lane } = this.#held.before;
    if (expectedVersion !== null && expectedVersion !== version) throw versionMismatch(version);
    const data = { ...patch.hot, ...patch.detail };
    if (Object.keys(data).length === 0) return;
    try {
      await patchTask(this.#held.tx, this.#held.board.id, id, patch);
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
      actor: this.#held.actor,
      data: { ...shown, changed },
    } as const;
    await this.#held.append({ events: [event] });
  }

  /** Comments change no status, so any task takes them. */
  async comment(body: string): Promise<{ id: Uuid; at: string }> {
    const { id, at, event } = await writeComment(this.#held, body);
    await this.#held.append({ events: [event] });
    return { id, at };
  }

  steer(text: string): Promise<Message> {
    return steer(this.#held, text);
  }

  result(): Promise<Task> {
    return this.#held.result();
  }
}
