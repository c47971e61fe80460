/**
 * Carries operations out, in the background, on whichever server is there: each turn takes one operation that no other server has, does its
 * verb to the next few tasks and moves its place, all in one transaction. So a server that dies has done a turn or has not, and the next
 * one goes on behind it. A task that refuses fails alone. Nothing here may depend on which server made the operation.
 */
import type { ProblemCode } from '../../../contract/problems.ts';
import type { Sql, Tx } from '../../db/client.ts';
import { BoardGoneError, isConflict, isDatabaseAway, isStaleDecision } from '../../db/failures.ts';
import { impatientTransaction, transaction, withinDeadline } from '../../db/tx.ts';
import type { Wake } from '../../db/wake.ts';
import { boardIdOf, type IdSource, type Uuid } from '../../kernel/ids.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import { Turns } from '../../kernel/turns.ts';
import type { BoardRef, BoardService } from '../boards/service.ts';
import { beginDeletion, finishDeletion, lockFamily, lockTasks } from '../tasks/service.ts';
import { GatheredLog } from './gathered-log.ts';
import {
  forgetOldOperation,
  listRunning,
  lockRunning,
  type OperationRow,
  readItems,
  recordItems,
} from './store.ts';
import { BULK_VERBS } from './verbs.ts';

interface BulkRunnerParts {
  readonly sql: Sql;
  readonly wake: Wake;
  readonly ids: IdSource;
  readonly boards: Pick<BoardService, 'resolveId'>;
  readonly onError: (error: unknown) => void;
}

/** Of all boards, looked at in one sweep; more have their turn when these are done. */
const OPERATIONS_PER_SWEEP_MAX = 100;
const TURNS_PER_SWEEP_MAX = 100;
/** Then it is looked afresh which operations run. */
const SWEEP_MS_MAX = 1000;
/** Whoever asked has long read what came of it. */
const KEPT_DAYS = 7;

interface Turn {
  readonly isDone: boolean;
  readonly isHolderAddressed: boolean;
}

/**
 * What a turn takes on. Whatever a verb did not foresee (a bug, or a task that no verb can cope with) ends the transaction; then one task is
 * tried by itself, and when that is the one, it fails as `internal`. The others are not to wait for it forever.
 */
const PORTIONS = ['many', 'one', 'none'] as const;
type Portion = (typeof PORTIONS)[number];

interface ItemOutcome {
  readonly code: ProblemCode | null;
  readonly isHolderAddressed: boolean;
}

const SKIPPED: ItemOutcome = { code: 'internal', isHolderAddressed: false };

export class BulkRunner {
  readonly #parts: BulkRunnerParts;
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

  /** Now, turn by turn, until it is done or so many have been taken; also those that another server is at. */
  async runNow(id: Uuid, turnsMax: number): Promise<void> {
    for (let turns = 0; turns < turnsMax; turns += 1) if (!(await this.#turn(id, null))) return;
  }

  async forgetOld(): Promise<void> {
    await withinDeadline(forgetOldOperation(this.#parts.sql, KEPT_DAYS));
  }

  /** True: there is more of it to do, and it is ours. @param patienceMs For each lock; null: what any request has. */
  async #turn(id: Uuid, patienceMs: number | null): Promise<boolean> {
    const { sql, wake, boards } = this.#parts;
    const boardId = boardIdOf(id);
    const board = await boards.resolveId(boardId);
    if (board === null) return false;
    for (const portion of PORTIONS) {
      try {
        const take = (tx: Tx) => this.#take(tx, board, id, { isPatient: patienceMs === null, portion });
        const turn = await (patienceMs === null
          ? transaction(sql, take)
          : impatientTransaction(sql, patienceMs, take));
        if (turn === null) return false;
        if (turn.isHolderAddressed) wake.nudge(boardId);
        wake.ring(boardId);
        return !turn.isDone;
      } catch (error) {
        // Deleted meanwhile, and its tasks with it.
        if (error instanceof BoardGoneError) return false;
        if (isConflict(error) || isStaleDecision(error) || isDatabaseAway(error)) throw error;
        this.#parts.onError(error);
      }
    }
    return false;
  }

  async #take(
    tx: Tx,
    board: BoardRef,
    id: Uuid,
    { isPatient, portion }: { readonly isPatient: boolean; readonly portion: Portion },
  ): Promise<Turn | null> {
    const operation = await lockRunning(tx, board.id, id, isPatient);
    if (operation === null) return null;
    const { isFamilyVerb, itemsMax } = BULK_VERBS[operation.action];
    const place = operation.succeeded + operation.failed - operation.parameters.missing.length;
    const taskIds = await readItems(tx, board.id, id, place, portion === 'many' ? itemsMax : 1);
    await lockAll(tx, board.id, taskIds, isFamilyVerb);
    const deletionSeq = await beginDeletion(tx, board.id);
    const log = new GatheredLog();
    const codes: (ProblemCode | null)[] = [];
    let isHolderAddressed = false;
    for (const taskId of taskIds) {
      const isSkipped = portion === 'none';
      const outcome = isSkipped ? SKIPPED : await this.#try(tx, board, operation, taskId, log);
      codes.push(outcome.code);
      isHolderAddressed ||= outcome.isHolderAddressed;
    }
    await recordItems(tx, board.id, id, { place, codes });
    if (!operation.is_dry_run) {
      await log.write(tx, board.id);
      const deleted = taskIds.filter((_, index) => codes[index] === null);
      if (operation.action === 'delete') await finishDeletion(tx, board.id, deletionSeq, deleted);
    }
    const isDone = operation.succeeded + operation.failed + codes.length >= operation.total;
    return { isDone, isHolderAddressed };
  }

  /**
   * One task by itself: what it has written is taken back when it refuses, and in a dry run in any case. Savepoints are left to the end of
   * the transaction, where they are within each other: so few cost less than to release each.
   */
  async #try(
    tx: Tx,
    board: BoardRef,
    { action, parameters, is_dry_run: isDryRun, actor_type: type, actor_id }: OperationRow,
    id: Uuid,
    log: GatheredLog,
  ): Promise<ItemOutcome> {
    const logged = log.length;
    const actor = { type, id: actor_id };
    const parts = { tx, board, actor, ids: this.#parts.ids, append: log.append };
    await tx`/* bulk.savepoint */ SAVEPOINT item`;
    let code: ProblemCode | null = null;
    let isHolderAddressed = false;
    try {
      isHolderAddressed = await BULK_VERBS[action].run({ parts, id, parameters });
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      code = error.code;
    }
    if (code !== null || isDryRun) {
      log.cut(logged);
      await tx`/* bulk.roll_back */ ROLLBACK TO SAVEPOINT item`;
    }
    return { code, isHolderAddressed: isHolderAddressed && !isDryRun };
  }
}

/** In the order of all tasks, before the first is worked on. */
async function lockAll(tx: Tx, boardId: number, ids: readonly Uuid[], isFamilyVerb: boolean): Promise<void> {
  const family = await lockFamily(tx, boardId, isFamilyVerb ? ids : [], ids);
  if (family.size === 0) await lockTasks(tx, boardId, ids);
}
