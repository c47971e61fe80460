/**
 * Creating tasks: single ones of a board are gathered into one statement; a batch, or a request with an Idempotency-Key or under a
 * claim token, has a transaction of its own, because it stands or falls as a whole.
 */
import { LIMITS } from '../../../contract/constants.ts';
import type { OriginBody } from '../../../contract/origins.ts';
import type { CreateTaskBody, Task } from '../../../contract/tasks.ts';
import type { Sql, Tx } from '../../db/client.ts';
import { appendEvents, type NewEvent } from '../../db/event-log.ts';
import { isConflict, isDatabaseAway, isStaleDecision } from '../../db/failures.ts';
import { withinDeadline } from '../../db/tx.ts';
import type { Wake } from '../../db/wake.ts';
import { present } from '../../kernel/assert.ts';
import { Batcher, type Settled } from '../../kernel/batcher.ts';
import type { Clock } from '../../kernel/clock.ts';
import { type IdSource, parseId, type Uuid } from '../../kernel/ids.ts';
import { type ActorRef, actorOf, type ClaimPrincipal, type Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import { boardNotFound } from '../auth/service.ts';
import type { BoardRef } from '../boards/service.ts';
import { batchOf, linkToParents, withParents } from './parentage.ts';
import { lockOwnClaim } from './reach.ts';
import {
  countTasksOfRun,
  creationOf,
  findDelegationDepth,
  insertTaskRows,
  insertTasks,
  type NewTask,
} from './store/create.ts';
import { findIdsByIdempotencyKey, findTasks, type TaskHotRow, type TaskRow } from './store/read.ts';
import { givenParts, taskOf } from './view.ts';

export interface Created {
  readonly task: Task;
  readonly isNew: boolean;
}

/** Where the tasks belong. */
export type Placement = Pick<
  NewTask,
  'delegation_id' | 'delegation_depth' | 'is_followed' | 'is_system' | 'origin'
>;

interface Manner {
  readonly traceparent: string | null;
  readonly placement?: Partial<Placement>;
}

/** What a request says of who is told. */
interface Telling {
  readonly origin: OriginBody | null;
  readonly subscribe: CreateTaskBody['subscribe'];
}

/** What tells outcomes to where requests come from; it knows of tasks, so they only know of it by this. */
export interface Subscribing {
  /** Whether anybody will be subscribed: a task is to be made followed. */
  isTold(caller: Principal, telling: Telling): boolean;
  subscribeNew(
    tx: Tx,
    caller: Principal,
    board: BoardRef,
    beginnings: readonly (Telling & {
      readonly subject: { readonly id: Uuid; readonly isDelegation: boolean };
    })[],
  ): Promise<NewEvent[]>;
  /** Also whoever is told of one task is told of others. */
  inherit(tx: Tx, caller: Principal, board: BoardRef, from: Uuid, to: readonly Uuid[]): Promise<NewEvent[]>;
}

interface CreationParts {
  readonly subscribing: Subscribing;
  readonly hot: Sql;
  readonly wake: Wake;
  readonly ids: IdSource;
  readonly clock: Clock;
}

/** Tasks of usual size: one statement stays well under 100 ms. */
const GATHERED_TASKS_MAX = 200;
/** A backlog of seconds. One creator may fill half of it. */
const WAITING_TASKS_MAX = 10_000;
/** A task may carry a megabyte; a statement of a few is parsed and written in some 100 ms, and the others wait for it. */
const BATCH_BYTES_MAX = 4 * 1024 * 1024;
/** Of all boards: a backlog of seconds, or of 64 of the largest. */
const HELD_BYTES_MAX = 64 * 1024 * 1024;
const DEFAULT_MAX_FAILURES = 2;
/** After a deadlock the other batch has gone through. */
const ATTEMPTS_MAX = 5;

export class TaskCreation {
  readonly #parts: CreationParts;
  readonly #batcher: Batcher<BoardRef, NewTask, Created>;

  constructor(parts: CreationParts) {
    this.#parts = parts;
    this.#batcher = new Batcher({
      sizeMax: GATHERED_TASKS_MAX,
      waitingMax: WAITING_TASKS_MAX,
      batchBytesMax: BATCH_BYTES_MAX,
      heldBytesMax: HELD_BYTES_MAX,
      fairBy: (task) => task.actor.id,
      mayRunAlone: (error) => !isDatabaseAway(error) && !(error instanceof ProblemError),
      run: (board, tasks) => this.#createGathered(board, tasks),
    });
  }

  /** One task of an API key, gathered with others of its board. @param bytes What it took on the wire. */
  createOne(
    caller: Principal,
    board: BoardRef,
    body: CreateTaskBody,
    traceparent: string | null,
    bytes: number,
  ): Promise<Created> {
    return this.#batcher.submit(board, this.#newTask(caller, body, traceparent), { bytes });
  }

  drain(): Promise<void> {
    return this.#batcher.drain();
  }

  /** All or none, within the caller's transaction. */
  async createAll(
    tx: Tx,
    caller: Principal,
    board: BoardRef,
    bodies: readonly CreateTaskBody[],
    { traceparent, placement = {} }: Manner,
  ): Promise<Created[]> {
    assertOwnBusiness(caller, bodies);
    const depth = caller.kind === 'claim' ? await findDelegationDepth(tx, board.id, ownTaskOf(caller)) : 0;
    const batch = batchOf(
      bodies,
      bodies.map((body) => ({
        ...this.#newTask(caller, body, traceparent),
        delegation_depth: depth,
        is_followed: this.#parts.subscribing.isTold(caller, tellingOf(body)),
        ...placement,
      })),
    );
    // Tasks before claims: whoever ends the claim, or the parents with it, has them in this order.
    const isLinked = bodies.some((body) => body.parents?.length);
    const parentage = isLinked ? await withParents(tx, caller, board, batch) : null;
    if (caller.kind === 'claim') await this.#assertWithinClaim(tx, board, caller, bodies.length);
    const tasks = parentage?.tasks ?? batch.drafts;
    const makers = [...tasks.entries()].filter(([place]) => batch.makers[place] === place);
    const rows = makers.map(([, task]) => task);
    // What belongs to a delegation is told with it. Whom a claim's task is told to is looked up behind the making.
    const isTelling =
      placement.delegation_id === undefined && (caller.kind === 'claim' || isAnyFollowed(rows));
    const isLogLater = isLinked || isTelling;
    const results = await this.#insert(tx, board, rows, isLogLater).catch((error: unknown) => {
      throw isStaleDecision(error) ? boardNotFound(board.name) : error;
    });
    const byPlace = new Map(makers.map(([place], index) => [place, results[index]]));
    const created = batch.makers.map((maker, place): Created => {
      const result = present(byPlace.get(maker), 'every maker has been tried');
      if (!result.ok) throw result.error;
      return { task: result.value.task, isNew: result.value.isNew && maker === place };
    });
    if (!isLogLater) return created;
    const made = tasks.filter((_, place) => created[place]?.isNew);
    if (parentage !== null) await linkToParents(tx, board, parentage, made, created.map(idOf));
    const subscribed = isTelling ? await this.#subscribe(tx, caller, board, bodies, created) : [];
    if (made.length === 0) return created;
    // The counter row comes last: all of the board would wait while the tasks are linked and subscribed to.
    const { events, counts = {} } = creationOf(made);
    await appendEvents(tx, board.id, { events: [...events, ...subscribed], counts });
    return created;
  }

  /** Whoever is to be told of what was made. A child that a worker made for its own task is nobody else's business. */
  async #subscribe(
    tx: Tx,
    caller: Principal,
    board: BoardRef,
    bodies: readonly CreateTaskBody[],
    created: readonly Created[],
  ): Promise<NewEvent[]> {
    const { subscribing } = this.#parts;
    const made = bodies.flatMap((body, place) => {
      const one = created[place];
      return one?.isNew ? [{ id: idOf(one), body }] : [];
    });
    if (caller.kind === 'claim') {
      const besides = made.filter(({ body }) => !body.parents?.length).map(({ id }) => id);
      return subscribing.inherit(tx, caller, board, ownTaskOf(caller), besides);
    }
    const beginnings = made.map(({ id, body }) => ({
      ...tellingOf(body),
      subject: { id, isDelegation: false },
    }));
    return subscribing.subscribeNew(tx, caller, board, beginnings);
  }

  /** One of the server's own, which no list shows. Within the caller's transaction. */
  async createSystem(tx: Tx, board: BoardRef, actor: ActorRef, body: CreateTaskBody): Promise<Task> {
    const draft = { ...this.#draft(actor, body, null), is_system: true };
    const [result] = await this.#insert(tx, board, [draft]);
    if (!result?.ok) throw collision(draft);
    return result.value.task;
  }

  async #assertWithinClaim(tx: Tx, board: BoardRef, caller: ClaimPrincipal, count: number): Promise<void> {
    const run = await lockOwnClaim(tx, board, caller);
    if ((await countTasksOfRun(tx, board.id, run)) + count > LIMITS.tasksPerRunMax) {
      throw new ProblemError('forbidden', `A run may create at most ${LIMITS.tasksPerRunMax} tasks.`);
    }
  }

  async #createGathered(board: BoardRef, tasks: readonly NewTask[]): Promise<Settled<Created>[]> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const results = await withinDeadline(this.#insert(this.#parts.hot, board, tasks));
        this.#parts.wake.ring(board.id);
        return results;
      } catch (error) {
        // A creation is decided on nothing but that the board is there.
        if (isStaleDecision(error)) throw boardNotFound(board.name);
        // Two batches may hold an idempotency_key and an external_ref that the other one wants.
        if (attempt >= ATTEMPTS_MAX || !isConflict(error)) throw error;
      }
    }
  }

  /** @param isLogLater The caller writes the log, and takes the counter row with it. */
  async #insert(
    runner: Sql | Tx,
    board: BoardRef,
    tasks: readonly NewTask[],
    isLogLater = false,
  ): Promise<Settled<Created>[]> {
    const insert = isLogLater ? insertTaskRows : insertTasks;
    const rows = new Map((await insert(runner, board.id, tasks)).map((row) => [row.id, row]));
    const missing = tasks.filter((task) => !rows.has(task.id));
    const existing =
      missing.length === 0 ? new Map<string, TaskRow>() : await this.#findExisting(runner, board, missing);
    return tasks.map((task): Settled<Created> => {
      const row = rows.get(task.id);
      if (row !== undefined)
        return { ok: true, value: { task: taskOf(board, freshRow(task, row)), isNew: true } };
      const found = task.idempotency_key === null ? undefined : existing.get(task.idempotency_key);
      if (found !== undefined && isShownTo(task, found))
        return { ok: true, value: { task: taskOf(board, found), isNew: false } };
      return { ok: false, error: collision(task) };
    });
  }

  /** The tasks whose idempotency keys were taken, by key. */
  async #findExisting(
    runner: Sql | Tx,
    board: BoardRef,
    tasks: readonly NewTask[],
  ): Promise<Map<string, TaskRow>> {
    const keys = tasks.flatMap((task) => (task.idempotency_key === null ? [] : [task.idempotency_key]));
    const ids = await findIdsByIdempotencyKey(runner, board.id, keys);
    const rows = new Map((await findTasks(runner, board.id, [...ids.values()])).map((row) => [row.id, row]));
    const byKey = new Map<string, TaskRow>();
    for (const [key, id] of ids) {
      const row = rows.get(id);
      if (row !== undefined) byKey.set(key, row);
    }
    return byKey;
  }

  #newTask(caller: Principal, body: CreateTaskBody, traceparent: string | null): NewTask {
    const run = caller.kind === 'claim' ? parseId('run', caller.runId) : null;
    return { ...this.#draft(actorOf(caller), body, traceparent), created_by_run: run };
  }

  #draft(actor: ActorRef, body: CreateTaskBody, traceparent: string | null): NewTask {
    const { status, runAt } = this.#firstStatus(body);
    return {
      id: this.#parts.ids.next(),
      title: body.title,
      body: body.body ?? null,
      status,
      lane: body.lane ?? null,
      priority: body.priority ?? 0,
      payload: body.payload ?? null,
      labels: body.labels ?? {},
      backoff: body.backoff ?? null,
      tenant: body.tenant ?? null,
      external_ref: body.external_ref ?? null,
      idempotency_key: body.idempotency_key ?? null,
      traceparent,
      max_failures: body.max_failures ?? DEFAULT_MAX_FAILURES,
      max_runtime_seconds: body.max_runtime_seconds ?? null,
      no_progress_seconds: body.no_progress_seconds ?? null,
      run_at: runAt,
      blocked_kind: status === 'blocked' ? 'operator' : null,
      actor,
      delegation_id: null,
      delegation_depth: 0,
      is_followed: false,
      is_system: false,
      origin: body.origin ? givenParts(body.origin) : null,
      created_by_run: null,
      unmet_parents: 0,
      parents: [],
    };
  }

  #firstStatus(body: CreateTaskBody): { status: NewTask['status']; runAt: string | null } {
    const runAt = body.run_at ?? null;
    if (runAt !== null && body.status && body.status !== 'ready') {
      const errors = [{ pointer: '/run_at', detail: `not together with status ${body.status}` }];
      throw new ProblemError(
        'invalid_request',
        'A task that is scheduled becomes ready by itself; it cannot start in another status.',
        { errors },
      );
    }
    if (runAt !== null && Date.parse(runAt) > this.#parts.clock.now()) return { status: 'scheduled', runAt };
    return { status: body.status ?? 'ready', runAt: null };
  }
}

/** A claim token is shown what its own run created; of another's task it only learns that the key is taken. */
function isShownTo(asked: NewTask, found: TaskRow): boolean {
  if (asked.actor.type !== 'claim') return true;
  return found.created_by_type === 'claim' && found.created_by_id === asked.actor.id;
}

function collision(task: NewTask): ProblemError {
  return new ProblemError(
    'already_exists',
    task.external_ref === null
      ? `Another task of this board has the idempotency_key ${JSON.stringify(task.idempotency_key)}.`
      : `Another task of this board has the external_ref ${JSON.stringify(task.external_ref)}.`,
    {
      extensions: { resource: 'task' },
    },
  );
}

/** The row as a read would give it: nobody has claimed, commented on or run it yet. */
/** Written out: spreading a row that the driver put together column by column took 20 µs a task. */
function freshRow(task: NewTask, row: TaskHotRow): TaskRow {
  return {
    id: row.id,
    lane: row.lane,
    status: row.status,
    priority: row.priority,
    version: row.version,
    attempt: row.attempt,
    consecutive_failures: row.consecutive_failures,
    max_failures: row.max_failures,
    max_runtime_seconds: row.max_runtime_seconds,
    no_progress_seconds: row.no_progress_seconds,
    run_at: row.run_at,
    unmet_parents: row.unmet_parents,
    reviewer: row.reviewer,
    blocked_kind: row.blocked_kind,
    blocked_reason: row.blocked_reason,
    status_since: row.status_since,
    created_at: row.created_at,
    updated_at: row.updated_at,
    title: task.title,
    body: task.body,
    payload: task.payload as TaskRow['payload'],
    labels: task.labels,
    backoff: task.backoff,
    tenant: task.tenant,
    external_ref: task.external_ref,
    idempotency_key: task.idempotency_key,
    traceparent: task.traceparent,
    comment_count: 0,
    created_by_type: task.actor.type,
    created_by_id: task.actor.id,
    message_count: 0,
    parent_count: task.parents.length,
    delegation_id: task.delegation_id,
    origin: task.origin,
    run_id: null,
    claim_lane: null,
    worker: null,
    claim_attempt: null,
    claimed_at: null,
    lease_expires_at: null,
    is_cancel_requested: null,
    outcome: null,
    summary: null,
    result: null,
    metadata: null,
    ended_at: null,
  };
}

/** A model that works on a task does not choose where outcomes go. */
function assertOwnBusiness(caller: Principal, bodies: readonly CreateTaskBody[]): void {
  if (caller.kind === 'key' || !bodies.some(({ origin, subscribe }) => origin || subscribe)) return;
  throw new ProblemError('forbidden', 'A claim token can neither set an origin nor subscribe.');
}

function tellingOf({ origin, subscribe }: CreateTaskBody): Telling {
  return { origin: origin ?? null, subscribe };
}

function isAnyFollowed(tasks: readonly NewTask[]): boolean {
  return tasks.some((task) => task.is_followed);
}

function idOf({ task }: Created): Uuid {
  return present(parseId('task', task.id), 'a task of ours');
}

function ownTaskOf(caller: ClaimPrincipal): Uuid {
  return present(parseId('task', caller.taskId), 'a verified token names a task');
}
