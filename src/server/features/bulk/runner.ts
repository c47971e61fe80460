/**
 * Carries operations out, in the background, on whichever server is there: each turn takes one operation that no other server has, does its
 * verb to the next few tasks and moves its place, all in one transaction. So a server that dies has done a turn or has not, and the next
 * one goes on behind it. Nothing here may depend on which server made the operation, and no task may keep the others from being done.
 */
import type { ProblemCode } from '../../../contract/problems.ts';
import { pinPlans, type Sql, type Tx } from '../../db/client.ts';
import { BoardGoneError, isConflict, isDatabaseAway, isStaleDecision, isTooSlow } from '../../db/failures.ts';
import { impatientTransaction, transaction, withinDeadline } from '../../db/tx.ts';
import type { Wake } from '../../db/wake.ts';
import { boundedCache } from '../../kernel/bounded-cache.ts';
import { boardIdOf, type Uuid } from '../../kernel/ids.ts';
import { Turns } from '../../kernel/turns.ts';
import type { BoardRef, BoardService } from '../boards/service.ts';
import type { Erasure } from '../tasks/service.ts';
import { mayGoOn } from './permission.ts';
import {
  dropBoardless,
  findOperation,
  forgetOldOperations,
  listRunning,
  type OperationRow,
  placeOf,
  readItems,
  shareRunning,
} from './store.ts';
import { ITEMS_MAX, type Portion, type TurnParts, takeTurn } from './turn.ts';

interface BulkRunnerParts extends TurnParts {
  readonly sql: Sql;
  readonly wake: Wake;
  readonly boards: Pick<BoardService, 'resolveId'>;
  readonly erasure: Erasure;
  readonly onError: (error: unknown) => void;
}

/** Of all boards, looked at in one sweep; more have their turn when these are done. */
const OPERATIONS_PER_SWEEP_MAX = 100;
const TURNS_PER_SWEEP_MAX = 100;
/** Then it is looked afresh which operations run. */
const SWEEP_MS_MAX = 1000;
/** Of erasing long histories in one turn: as long as a slow turn takes. */
const ERASURE_MS_MAX = 300;
/** Whoever asked has long read what came of it. */
const KEPT_DAYS = 7;
/** Forgotten by one statement: some 100 ms. An operation has 100,000 tasks at most, and is then forgotten alone. */
const FORGOTTEN_AT_ONCE = { operationsMax: 1000, itemsMax: 20_000 };
/** Then the other sweeps have the connection; what is left is forgotten a minute later. */
const FORGETTING_MS_MAX = 5000;
/** After a turn that took too long, and back after each that did not. */
const SHRINK_FACTOR = 4;
const GROWTH_FACTOR = 2;
/** So often one task alone may take too long before it is passed over: half a minute. */
const SLOW_ALONE_MAX = 3;
/** Of operations that run, far more than there are; one that is forgotten begins with a full portion again. */
const PACES_MAX = 1000;

/** How much of an operation is taken on at once. */
interface Pace {
  readonly itemsMax: number;
  /** How often the next task has been too slow by itself. */
  readonly slowAlone: number;
}

/** Unwanted: nothing is to be done to it now. */
interface Clearing {
  readonly progress: Awaited<ReturnType<Erasure['prepare']>>;
  /** Of the next items those before this one are ready; null: all of them. */
  readonly beforeId: Uuid | null;
}

const CLEAR: Clearing = { progress: 'ready', beforeId: null };
const FULL_PACE: Pace = { itemsMax: ITEMS_MAX, slowAlone: 0 };

export class BulkRunner {
  readonly #parts: BulkRunnerParts;
  readonly #paces = boundedCache<Uuid, Pace>(PACES_MAX);
  /** Of operations. */
  readonly #turns = new Turns<Uuid>({ roundsMax: TURNS_PER_SWEEP_MAX, durationMsMax: SWEEP_MS_MAX });

  constructor(parts: BulkRunnerParts) {
    this.#parts = parts;
  }

  async sweep(signal: AbortSignal): Promise<void> {
    const { sql } = this.#parts;
    const listed = listRunning(sql, this.#turns.troubled, OPERATIONS_PER_SWEEP_MAX);
    await this.#turns.take(await withinDeadline(listed), signal, (id, patienceMs) =>
      this.#turn(id, patienceMs),
    );
  }

  /** Now, turn by turn, until it has ended or so many have been taken; also those that another server is at. */
  async runNow(id: Uuid, turnsMax: number): Promise<void> {
    for (let turns = 0; turns < turnsMax; turns += 1) if (!(await this.#turn(id, null))) return;
  }

  async forgetOld(signal: AbortSignal): Promise<void> {
    const { sql } = this.#parts;
    const deadline = performance.now() + FORGETTING_MS_MAX;
    const forgetSome = async (tx: Tx): Promise<number> => {
      await pinPlans(tx);
      return forgetOldOperations(tx, KEPT_DAYS, FORGOTTEN_AT_ONCE);
    };
    while (!signal.aborted && performance.now() < deadline)
      if ((await transaction(sql, forgetSome)) === 0) return;
  }

  /** True: there is more of it to do, and it is ours. @param patienceMs For each lock; null: what any request has. */
  async #turn(id: Uuid, patienceMs: number | null): Promise<boolean> {
    const board = await this.#parts.boards.resolveId(boardIdOf(id));
    if (board === null) return this.#drop(id, patienceMs);
    const clearing = await this.#clear(board, id, patienceMs);
    if (clearing.progress !== 'ready') return clearing.progress === 'unfinished';
    const { itemsMax } = this.#paceOf(id);
    const all: Portion = { itemsMax, beforeId: clearing.beforeId, skipped: null };
    const one: Portion = { ...all, itemsMax: 1 };
    // One that is tried alone is known by its place: nobody else's item is passed over for it.
    let place = itemsMax === 1 ? await this.#findPlace(board, id) : null;
    let failure = await this.#try(board, id, patienceMs, all);
    // Whatever a verb did not foresee, a bug or a task that no verb can cope with: which of them is it?
    if (typeof failure === 'string' && place === null) {
      place = await this.#findPlace(board, id);
      failure = await this.#try(board, id, patienceMs, one);
    }
    if (typeof failure === 'string' && place !== null)
      failure = await this.#try(board, id, patienceMs, { ...one, skipped: { place, code: failure } });
    return failure === true;
  }

  /** True: it is to go on. A code: the transaction was ended by something that is none of its caller's business. */
  async #try(
    board: BoardRef,
    id: Uuid,
    patienceMs: number | null,
    portion: Portion,
  ): Promise<boolean | ProblemCode> {
    const { wake } = this.#parts;
    const isPatient = patienceMs === null;
    try {
      const take = (tx: Tx) => takeTurn(this.#parts, tx, board, id, { portion, isPatient });
      const end = await this.#transact(patienceMs, take);
      // Somebody has it, maybe a turn of our own that we have given up: that says nothing of how fast this one would have been.
      if (end === null) return false;
      this.#quicken(id, portion);
      if (end.isHolderAddressed) wake.nudge(board.id);
      wake.ring(board.id);
      return !end.isEnded;
    } catch (error) {
      // Deleted meanwhile, and its tasks with it.
      if (error instanceof BoardGoneError) return false;
      if (isTooSlow(error) && portion.skipped === null && this.#slowDown(id, portion))
        return 'database_unavailable';
      if (isConflict(error) || isStaleDecision(error) || isDatabaseAway(error)) throw error;
      if (portion.skipped !== null) throw error;
      this.#parts.onError(error);
      return 'internal';
    }
  }

  #transact<T>(patienceMs: number | null, work: (tx: Tx) => Promise<T>): Promise<T> {
    const { sql } = this.#parts;
    return patienceMs === null ? transaction(sql, work) : impatientTransaction(sql, patienceMs, work);
  }

  /** Its board is gone: it would be found by every sweep, for ever. */
  async #drop(id: Uuid, patienceMs: number | null): Promise<false> {
    await this.#transact(patienceMs, async (tx) => {
      await pinPlans(tx);
      await dropBoardless(tx, boardIdOf(id), id);
    });
    return false;
  }

  /**
   * What is to be deleted next may have been through too much for one transaction: it is erased in portions before its turn, and only then.
   * Those before another such task are deleted first, so of all that are not deleted when the operation is stopped one has lost something.
   */
  async #clear(board: BoardRef, id: Uuid, patienceMs: number | null): Promise<Clearing> {
    const { sql, keys, erasure } = this.#parts;
    const operation = await withinDeadline(findOperation(sql, board.id, id));
    if (operation?.status !== 'running' || operation.action !== 'delete' || operation.is_dry_run)
      return CLEAR;
    // Then the turn ends it.
    if (!(await withinDeadline(mayGoOn(sql, keys, board, operation)))) return CLEAR;
    const { itemsMax } = this.#paceOf(id);
    const ids = await withinDeadline(readItems(sql, board.id, id, placeOf(operation), itemsMax));
    const long = await erasure.listLong(board, ids);
    const [first, ...others] = ids;
    const beforeId = others.find((other) => long.has(other)) ?? null;
    if (first === undefined || !long.has(first)) return { progress: 'ready', beforeId };
    const errand = {
      board,
      actor: { type: operation.actor_type, id: operation.actor_id },
      patienceMs,
      deadlineMs: performance.now() + ERASURE_MS_MAX,
      isWanted: (tx: Tx) => this.#isWanted(tx, board, operation),
    };
    return { progress: await erasure.prepare(errand, first), beforeId };
  }

  /** Nobody stops it until the transaction ends. */
  async #isWanted(tx: Tx, board: BoardRef, operation: OperationRow): Promise<boolean> {
    if (!(await shareRunning(tx, board.id, operation.id))) return false;
    return mayGoOn(tx, this.#parts.keys, board, operation);
  }

  /** Of the item that is tried next. */
  async #findPlace(board: BoardRef, id: Uuid): Promise<number> {
    const operation = await withinDeadline(findOperation(this.#parts.sql, board.id, id));
    return operation === null ? 0 : placeOf(operation);
  }

  #paceOf(id: Uuid): Pace {
    return this.#paces.get(id) ?? FULL_PACE;
  }

  #quicken(id: Uuid, { itemsMax }: Portion): void {
    if (!this.#paces.has(id)) return;
    this.#paces.set(id, { itemsMax: Math.min(ITEMS_MAX, itemsMax * GROWTH_FACTOR), slowAlone: 0 });
  }

  /** True: the one task is hopeless. */
  #slowDown(id: Uuid, { itemsMax }: Portion): boolean {
    const slowAlone = itemsMax === 1 ? this.#paceOf(id).slowAlone + 1 : 0;
    this.#paces.set(id, { itemsMax: Math.max(1, Math.floor(itemsMax / SHRINK_FACTOR)), slowAlone });
    return slowAlone >= SLOW_ALONE_MAX;
  }
}
