/**
 * Handing work over: capacity, tasks and delegation in one transaction, so that nothing is queued when there is no room, and nobody
 * sees half of it. Must never wait for a child: the answer is a handle.
 */

import { LIMITS } from '../../../contract/constants.ts';
import type { CreateDelegationBody, DelegatedTaskBody } from '../../../contract/delegations.ts';
import type { OriginBody } from '../../../contract/origins.ts';
import type { CreateTaskBody } from '../../../contract/tasks.ts';
import type { Tx } from '../../db/client.ts';
import { appendEvents, type NewEvent } from '../../db/event-log.ts';
import { present } from '../../kernel/assert.ts';
import { excerptOf } from '../../kernel/excerpt.ts';
import { formatId, type IdSource, parseId, type Uuid } from '../../kernel/ids.ts';
import { actorOf, type Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { BoardRef, BoardService } from '../boards/service.ts';
import {
  findDelegationDepth,
  givenParts,
  type Subscribing,
  settleDelegations,
  type TaskCreation,
} from '../tasks/service.ts';
import {
  countRunning,
  insertDelegation,
  isCancelRequested,
  lockCapacity,
  type NewDelegation,
} from './store.ts';

interface DelegatingParts {
  readonly ids: IdSource;
  readonly boards: Pick<BoardService, 'readSettings'>;
  readonly creation: TaskCreation;
  readonly subscribing: Subscribing;
}

export interface DelegationAsk {
  readonly caller: Principal;
  readonly board: BoardRef;
  readonly body: CreateDelegationBody;
  /** Of the header; it wins over the body's. */
  readonly origin: OriginBody | null;
  readonly traceparent: string | null;
}

export class Delegating {
  readonly #parts: DelegatingParts;

  constructor(parts: DelegatingParts) {
    this.#parts = parts;
  }

  /** Within the caller's transaction. @returns Its id. */
  async create(tx: Tx, ask: DelegationAsk): Promise<Uuid> {
    const { caller, board, body } = ask;
    const origin = originOf(ask);
    const delegation = await this.#draft(tx, ask, origin);
    await this.#assertRoom(tx, board, delegation.capacityKey);
    const made = await this.#parts.creation.createAll(tx, caller, board, body.tasks.map(taskBodyOf), {
      traceparent: ask.traceparent,
      placement: {
        delegation_id: delegation.id,
        delegation_depth: delegation.depth,
        is_followed: true,
        origin: delegation.origin,
      },
    });
    if (made.some(({ isNew }) => !isNew)) throw isElsewhere();
    await this.#assertGoesOn(tx, board, delegation);
    const taskIds = made.map(({ task }) => present(parseId('task', task.id), 'a task has an id'));
    const children = body.tasks.map((task, index) => ({
      taskId: present(taskIds[index], 'each body makes a task'),
      goal: task.goal ?? null,
      context: task.context ?? null,
      toolsets: task.toolsets ?? null,
      model: task.model ?? null,
    }));
    await insertDelegation(tx, board.id, delegation, children);
    const created: NewEvent = {
      kind: 'delegation.created',
      delegationId: delegation.id,
      actor: delegation.actor,
      data: {
        goal: delegation.goal,
        tasks: taskIds.map((id) => formatId('task', id)),
        join: delegation.join,
        capacity_key: delegation.capacityKey,
        depth: delegation.depth,
        deadline_seconds: delegation.deadlineSeconds,
      },
    };
    const subject = { id: delegation.id, isDelegation: true };
    const subscribed = await this.#parts.subscribing.subscribeNew(tx, caller, board, [
      { subject, origin, subscribe: body.subscribe },
    ]);
    await appendEvents(tx, board.id, { events: [created, ...subscribed] });
    // What waits for something that was cancelled has ended before it began.
    const decided = await settleDelegations(tx, board.id, [delegation.id]);
    if (decided.length > 0) await appendEvents(tx, board.id, { events: decided });
    return delegation.id;
  }

  async #draft(
    tx: Tx,
    { caller, board, body }: DelegationAsk,
    origin: OriginBody | null,
  ): Promise<NewDelegation> {
    const createdByTask =
      caller.kind === 'claim'
        ? present(parseId('task', caller.taskId), 'a verified token names a task')
        : null;
    const depth = 1 + (createdByTask === null ? 0 : await findDelegationDepth(tx, board.id, createdByTask));
    if (depth > LIMITS.delegationDepthMax) throw tooDeep();
    return {
      id: this.#parts.ids.next(board.id),
      goal: body.goal ?? null,
      context: body.context ?? null,
      origin: origin === null ? null : givenParts(origin),
      join: body.join ?? 'all',
      onBlocked: body.on_blocked ?? 'end',
      onDecided: body.on_decided ?? 'cancel',
      capacityKey: capacityKeyOf(caller, body, origin),
      depth,
      deadlineSeconds: body.deadline_seconds ?? null,
      actor: actorOf(caller),
      createdByTask,
    };
  }

  /**
   * Its claim was locked with the making of the tasks. Whoever has requested its cancel has looked for what it has delegated, or will: a
   * delegation that comes later would be found by nobody. Not claim_lost, on which clients drop a run without an answer: this one is
   * held, and its cancel is to be answered.
   */
  async #assertGoesOn(tx: Tx, board: BoardRef, { createdByTask }: NewDelegation): Promise<void> {
    if (createdByTask === null || !(await isCancelRequested(tx, board.id, createdByTask))) return;
    throw new ProblemError(
      'illegal_transition',
      'The cancel of this claim is requested; under it nothing more is handed on.',
    );
  }

  async #assertRoom(tx: Tx, board: BoardRef, key: string | null): Promise<void> {
    if (key === null) return;
    await lockCapacity(tx, board.id, key);
    const { delegation_capacity: limit } = await this.#parts.boards.readSettings(tx, board);
    const running = await countRunning(tx, board.id, key);
    if (running >= limit) throw atCapacity(key, running, limit);
  }
}

/** Null: there is none. A model that works on a task does not choose where its outcome goes. */
function originOf({ caller, body, origin }: DelegationAsk): OriginBody | null {
  const given = origin ?? body.origin ?? null;
  if (caller.kind === 'key') return given;
  if (given === null && !body.subscribe) return null;
  throw new ProblemError(
    'forbidden',
    'A claim token can neither set an origin nor subscribe: collect the delegation by its id.',
  );
}

/** Under a claim its own, whatever it is called: a worker must not use up the capacity of people. */
function capacityKeyOf(
  caller: Principal,
  body: CreateDelegationBody,
  origin: OriginBody | null,
): string | null {
  if (caller.kind === 'claim') return [caller.taskId, body.capacity_key].filter(Boolean).join(' ');
  return body.capacity_key || origin?.session_id || chatOf(origin);
}

/** Where no session is named the chat is one: whoever names none is bounded too. */
function chatOf(origin: OriginBody | null): string | null {
  if (!origin?.platform || !origin.chat_id) return null;
  return [origin.platform, origin.chat_id, origin.thread_id].filter(Boolean).join(' ');
}

/** The task itself: what is only of the delegation stands there. */
function taskBodyOf(task: DelegatedTaskBody): CreateTaskBody {
  const { goal, context: _context, toolsets: _toolsets, model: _model, title, ...body } = task;
  return { ...body, title: title ?? titleOf(goal ?? '') };
}

/** The first line of the goal. */
function titleOf(goal: string): string {
  const line = goal.trim().split('\n', 1)[0] ?? '';
  return excerptOf(line, LIMITS.titleCharactersMax) || 'Delegated task';
}

function isElsewhere(): ProblemError {
  return new ProblemError(
    'already_exists',
    'A task with that idempotency_key exists already, and a task belongs to one delegation at most. Make the request as a whole idempotent, by Idempotency-Key.',
    { extensions: { resource: 'task' } },
  );
}

function tooDeep(): ProblemError {
  return new ProblemError(
    'forbidden',
    `Delegations may be within each other ${LIMITS.delegationDepthMax} deep at most; do this one yourself, or as tasks of your own.`,
  );
}

function atCapacity(key: string, running: number, limit: number): ProblemError {
  const [noun, verb] = running === 1 ? ['delegation', 'is'] : ['delegations', 'are'];
  return new ProblemError(
    'delegation_capacity',
    `${running} ${noun} of ${JSON.stringify(key)} ${verb} running, and ${limit} may. Wait for one of them, or do this one inline.`,
    { extensions: { capacity_key: key, running, limit } },
  );
}
