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
import type { ActorRef, ClaimPrincipal, Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import { boardNotFound } from '../auth/service.ts';
import type { BoardRef } from '../boards/service.ts';
import { type Created, collision, insertNew } from './insertion.ts';
import { batchOf, linkToParents, withParents } from './parentage.ts';
import { lockOwnClaim } from './reach.ts';
import { countTasksOfRun, creationOf, findDelegationDepth, type NewTask } from './store/create.ts';
import { draftOf, newTaskOf } from './task-draft.ts';

export type { Created } from './insertion.ts';

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
    return this.#batcher.submit(board, newTaskOf(this.#parts, caller, body, traceparent), { bytes });
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
        ...newTaskOf(this.#parts, caller, body, traceparent),
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
    const results = await insertNew(tx, board, rows, isLogLater).catch((error: unknown) => {
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
    const draft = { ...draftOf(this.#parts, actor, body, null), is_system: true };
    const [result] = await insertNew(tx, board, [draft]);
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
        const results = await withinDeadline(insertNew(this.#parts.hot, board, tasks));
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
