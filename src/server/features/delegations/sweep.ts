/**
 * What delegations need without anybody asking: deadlines that pass, children that are left when a join is decided, and what those have
 * delegated themselves. Runs on every server; a delegation that another one is at is left to it.
 */
import type { Sql } from '../../db/client.ts';
import { appendEvents } from '../../db/event-log.ts';
import { impatientTransaction, withinDeadline } from '../../db/tx.ts';
import type { Wake } from '../../db/wake.ts';
import type { IdSource } from '../../kernel/ids.ts';
import { Turns } from '../../kernel/turns.ts';
import type { BoardService } from '../boards/service.ts';
import { settleDelegations } from '../tasks/service.ts';
import { cancelDelegation, cancelLeftChildren } from './cancelling.ts';
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

const JOIN = { type: 'system', id: 'join' } as const;
/** What a child that is cancelled without more of a reason is told. */
const DECIDED = 'the delegation is decided';

export class DelegationSweep {
  readonly #parts: SweepParts;
  /** Both of boards. */
  readonly #deadlines = new Turns<number>({ roundsMax: TURNS_PER_SWEEP_MAX, durationMsMax: SWEEP_MS_MAX });
  readonly #leftovers = new Turns<number>({ roundsMax: TURNS_PER_SWEEP_MAX, durationMsMax: SWEEP_MS_MAX });

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

  async #decideOverdue(boardId: number, patienceMs: number): Promise<boolean> {
    const { sql, wake } = this.#parts;
    const count = await impatientTransaction(sql, patienceMs, async (tx) => {
      const ids = await listOverdue(tx, boardId, OVERDUE_PER_TURN_MAX);
      const events = await settleDelegations(tx, boardId, ids, { overrule: 'deadline' });
      if (events.length > 0) await appendEvents(tx, boardId, { events });
      return events.length;
    });
    if (count > 0) wake.ring(boardId);
    return count === OVERDUE_PER_TURN_MAX;
  }

  /**
   * Of one delegation the children first, then what they have handed on, one transaction each: so the locks of each are taken in the order
   * of all. Two servers at the same one find done what the other has done. True: there may be more.
   */
  async #cancelLeft(boardId: number, patienceMs: number): Promise<boolean> {
    const { sql, wake, boards, ids } = this.#parts;
    const board = await boards.resolveId(boardId);
    const left = board === null ? null : await withinDeadline(findLeftover(sql, boardId));
    if (board === null || left === null) return false;
    const stop = { board, ids, actor: JOIN, reason: left.reason ?? DECIDED };
    const isAddressed = await impatientTransaction(sql, patienceMs, (tx) =>
      cancelLeftChildren(tx, stop, left.id),
    );
    if (isAddressed) wake.nudge(boardId);
    wake.ring(boardId);
    for (let count = 0; count < NESTED_PER_TURN_MAX; count += 1) {
      const nested = await withinDeadline(findRunningWithin(sql, boardId, left.id));
      if (nested === null) {
        await withinDeadline(clearLeftovers(sql, boardId, left.id));
        return true;
      }
      const stopped = await impatientTransaction(sql, patienceMs, (tx) => cancelDelegation(tx, stop, nested));
      if (stopped.isHolderAddressed) wake.nudge(boardId);
      wake.ring(boardId);
    }
    return true;
  }
}
