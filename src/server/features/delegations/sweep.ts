/**
 * What delegations need without anybody asking: deadlines that pass, children that are left when a join is decided, and what those have
 * delegated themselves. Runs on every server; a delegation that another one is at is left to it.
 */
import type { Sql } from '../../db/client.ts';
import { appendEvents } from '../../db/event-log.ts';
import { isDatabaseAway, isLockTimeout } from '../../db/failures.ts';
import { impatientTransaction, withinDeadline } from '../../db/tx.ts';
import type { Wake } from '../../db/wake.ts';
import type { IdSource, Uuid } from '../../kernel/ids.ts';
import { Turns } from '../../kernel/turns.ts';
import type { BoardService } from '../boards/service.ts';
import { settleDelegations } from '../tasks/service.ts';
import { cancelDelegation, cancelLeftChildren, type Stop, type Stopped } from './cancelling.ts';
import {
  clearLeftovers,
  findLeftover,
  findRunningWithin,
  listBoardsWithLeftovers,
  listBoardsWithOverdue,
  listOverdue,
} from './store.ts';

interface SweepParts {
  readonly sql: Sql;
  readonly wake: Wake;
  readonly ids: IdSource;
  readonly boards: Pick<BoardService, 'resolveId'>;
}

/** Of one transaction: each reads up to a hundred children, some 10 ms. */
const OVERDUE_PER_TURN_MAX = 20;
const TURNS_PER_SWEEP_MAX = 50;
const SWEEP_MS_MAX = 1000;
const BOARDS_PER_SWEEP_MAX = 100;
/** Then other boards have their turn. */
const NESTED_PER_TURN_MAX = 10;
/** Of boards, ten sweeps full; of more all begin anew. */
const ROUNDS_MAX = 1000;
/** Far above what goes wrong by itself; of more the one that failed longest ago counts as well again. */
const UNDECIDABLE_MAX = 1000;

/** Of a board's delegations that have something left. */
interface Round {
  readonly afterId: Uuid | null;
  /** One of those before it has more than a turn's worth. */
  readonly isUnfinished: boolean;
}

const NEW_ROUND: Round = { afterId: null, isUnfinished: false };

const JOIN = { type: 'system', id: 'join' } as const;
/** What a child that is cancelled without more of a reason is told. */
const DECIDED = 'the delegation is decided';

export class DelegationSweep {
  readonly #parts: SweepParts;
  /** Both of boards. */
  readonly #deadlines = new Turns<number>({ roundsMax: TURNS_PER_SWEEP_MAX, durationMsMax: SWEEP_MS_MAX });
  readonly #leftovers = new Turns<number>({ roundsMax: TURNS_PER_SWEEP_MAX, durationMsMax: SWEEP_MS_MAX });
  /** Where each board's turns go on, until they have been to all of it. */
  readonly #rounds = new Map<number, Round>();
  /** Delegations that failed by themselves. The first one failed longest ago. */
  readonly #undecidable = new Set<Uuid>();

  constructor(parts: SweepParts) {
    this.#parts = parts;
  }

  async sweep(signal: AbortSignal): Promise<void> {
    const { sql } = this.#parts;
    const overdue = listBoardsWithOverdue(sql, this.#deadlines.troubled, BOARDS_PER_SWEEP_MAX);
    await this.#deadlines.take(await withinDeadline(overdue), signal, (boardId, patienceMs) =>
      this.#decideOverdue(boardId, patienceMs),
    );
    const left = listBoardsWithLeftovers(sql, this.#leftovers.troubled, BOARDS_PER_SWEEP_MAX);
    await this.#leftovers.take(await withinDeadline(left), signal, (boardId, patienceMs) =>
      this.#cancelLeft(boardId, patienceMs),
    );
  }

  /** Together; where that fails each by itself, so that one that cannot be decided stands before no other. */
  async #decideOverdue(boardId: number, patienceMs: number): Promise<boolean> {
    const { sql } = this.#parts;
    const listed = listOverdue(sql, boardId, [...this.#undecidable], OVERDUE_PER_TURN_MAX);
    const ids = await withinDeadline(listed);
    const alone = ids.filter((id) => this.#undecidable.has(id));
    const together = ids.filter((id) => !this.#undecidable.has(id));
    try {
      await this.#decide(boardId, patienceMs, together);
    } catch (error) {
      if (isOfMoment(error)) throw error;
      alone.unshift(...together);
    }
    const errors: unknown[] = [];
    for (const id of alone) {
      try {
        await this.#decide(boardId, patienceMs, [id]);
        this.#undecidable.delete(id);
      } catch (error) {
        if (isOfMoment(error)) throw error;
        errors.push(error);
        this.#noteUndecidable(id);
      }
    }
    if (errors.length > 0) throw errors[0];
    return ids.length === OVERDUE_PER_TURN_MAX;
  }

  async #decide(boardId: number, patienceMs: number, ids: readonly Uuid[]): Promise<void> {
    if (ids.length === 0) return;
    const { sql, wake } = this.#parts;
    const count = await impatientTransaction(sql, patienceMs, async (tx) => {
      const events = await settleDelegations(tx, boardId, ids, { overrule: 'deadline' });
      if (events.length > 0) await appendEvents(tx, boardId, { events });
      return events.length;
    });
    if (count > 0) wake.ring(boardId);
  }

  #noteUndecidable(id: Uuid): void {
    this.#undecidable.add(id);
    for (const first of this.#undecidable) {
      if (this.#undecidable.size <= UNDECIDABLE_MAX) break;
      this.#undecidable.delete(first);
    }
  }

  /**
   * Of one delegation the children first, then what they have handed on, one transaction each: so the locks of each are taken in the order
   * of all. Two servers at the same one find done what the other has done. True: there may be more.
   *
   * From one to the next: to begin with the first each time, one that stands still would stand before all the others.
   */
  async #cancelLeft(boardId: number, patienceMs: number): Promise<boolean> {
    const { sql, boards, ids } = this.#parts;
    const board = await boards.resolveId(boardId);
    const round = this.#rounds.get(boardId) ?? NEW_ROUND;
    const left = board === null ? null : await withinDeadline(findLeftover(sql, boardId, round.afterId));
    if (board === null || left === null) {
      this.#rounds.delete(boardId);
      return board !== null && round.isUnfinished;
    }
    if (this.#rounds.size >= ROUNDS_MAX) this.#rounds.clear();
    // Before it is tried: it may fail.
    this.#rounds.set(boardId, { ...round, afterId: left.id });
    const stop = { board, ids, actor: JOIN, reason: left.reason ?? DECIDED };
    if (!(await this.#cancelLeftOf(stop, left.id, patienceMs)))
      this.#rounds.set(boardId, { afterId: left.id, isUnfinished: true });
    return true;
  }

  /** False: it has more than is done in one turn. */
  async #cancelLeftOf(stop: Stop, id: Uuid, patienceMs: number): Promise<boolean> {
    const { sql } = this.#parts;
    const boardId = stop.board.id;
    const stopped = await impatientTransaction(sql, patienceMs, (tx) => cancelLeftChildren(tx, stop, id));
    if (stopped !== null) this.#tell(boardId, stopped);
    for (let count = 0; count < NESTED_PER_TURN_MAX; count += 1) {
      const nested = await withinDeadline(findRunningWithin(sql, boardId, id));
      if (nested === null) {
        // Under a claim whose cancel is requested nothing is delegated; the mark stays until all children have ended.
        await withinDeadline(clearLeftovers(sql, boardId, id));
        return true;
      }
      this.#tell(
        boardId,
        await impatientTransaction(sql, patienceMs, (tx) => cancelDelegation(tx, stop, nested)),
      );
    }
    return false;
  }

  #tell(boardId: number, { isHolderAddressed }: Pick<Stopped, 'isHolderAddressed'>): void {
    if (isHolderAddressed) this.#parts.wake.nudge(boardId);
    this.#parts.wake.ring(boardId);
  }
}

/** Somebody has locked it, or the database is away: it says nothing about the delegation, and the next may wait as long. */
function isOfMoment(error: unknown): boolean {
  return isLockTimeout(error) || isDatabaseAway(error);
}
