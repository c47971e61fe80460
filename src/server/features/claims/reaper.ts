/**
 * Takes back what is held past its limits: leases that lapsed, attempts that ran too long or made no progress, cancels that were not
 * answered. Runs on every server: locks are skipped, so each hold is taken by one of them and none is waited for.
 */
import type { Sql } from '../../db/client.ts';
import { transaction, withinDeadline } from '../../db/tx.ts';
import type { Wake } from '../../db/wake.ts';
import { unreachable } from '../../kernel/assert.ts';
import { takeTurns } from '../../kernel/turns.ts';
import type { End } from '../tasks/service.ts';
import { type Ending, settleEndings } from './settle.ts';
import { type HeldRow, listOverdueBoards, lockOverdueHolds, type Overdue } from './store/end.ts';

/** Of one transaction, some 100 ms: a board's claims and ends wait for it. */
const HOLDS_PER_TURN_MAX = 500;
/** Transactions of one board and sweep: all leases of a large fleet, which lapse together when the database was away. */
const TURNS_PER_SWEEP_MAX = 20;
/** Then it is looked afresh which boards have overdue holds. */
const SWEEP_MS_MAX = 1000;
const BOARDS_PER_SWEEP_MAX = 100;

export class Reaper {
  readonly #sql: Sql;
  readonly #wake: Wake;
  readonly #onReaped: (overdue: Overdue) => void;

  constructor(sql: Sql, wake: Wake, onReaped: (overdue: Overdue) => void) {
    this.#sql = sql;
    this.#wake = wake;
    this.#onReaped = onReaped;
  }

  /** Boards take turns: the wreck of a fleet on one of them holds up nobody else's. */
  async sweep(signal: AbortSignal): Promise<void> {
    const boardIds = await withinDeadline(listOverdueBoards(this.#sql, BOARDS_PER_SWEEP_MAX));
    const bounds = { roundsMax: TURNS_PER_SWEEP_MAX, durationMsMax: SWEEP_MS_MAX, signal };
    await takeTurns(boardIds, bounds, (boardId) => this.#sweepBoard(boardId));
  }

  /** True: there may be more. */
  async #sweepBoard(boardId: number): Promise<boolean> {
    const taken = await transaction(this.#sql, async (tx) => {
      const holds = await lockOverdueHolds(tx, boardId, HOLDS_PER_TURN_MAX);
      const endings = holds.flatMap((held) => (held.overdue === null ? [] : [endingOf(held, held.overdue)]));
      await settleEndings(tx, boardId, endings);
      return holds;
    });
    for (const { overdue } of taken) if (overdue !== null) this.#onReaped(overdue);
    if (taken.length > 0) this.#wake.ring(boardId);
    return taken.length === HOLDS_PER_TURN_MAX;
  }
}

function endingOf(held: HeldRow, overdue: Overdue): Ending {
  const { end, error } = verdictOf(held, overdue);
  return {
    held,
    end,
    actor: { type: 'system', id: 'reaper' },
    fingerprint: null,
    summary: null,
    result: null,
    error,
    metadata: null,
    evidence: {
      limit: overdue,
      claimed_at: held.claimed_at,
      lease_expires_at: held.lease_expires_at,
      last_heartbeat_at: held.last_heartbeat_at,
      last_progress_at: held.last_progress_at,
    },
  };
}

function verdictOf(held: HeldRow, overdue: Overdue): { end: End; error: string } {
  switch (overdue) {
    case 'cancel_deadline':
      return { end: { verb: 'cancel' }, error: 'The cancel was not answered before its deadline.' };
    case 'lease': {
      const last = held.last_heartbeat_at ?? held.claimed_at;
      const reason = `The lease expired at ${held.lease_expires_at}; the last sign of life was at ${last}.`;
      return { end: { verb: 'crash', reason }, error: reason };
    }
    case 'max_runtime': {
      const reason = `The attempt ran past its limit at ${held.runtime_expires_at}.`;
      return { end: { verb: 'time_out', reason }, error: reason };
    }
    case 'no_progress': {
      const reason = `No progress for ${held.no_progress_seconds} seconds since ${held.last_progress_at}.`;
      return { end: { verb: 'time_out', reason }, error: reason };
    }
    default:
      return unreachable(overdue);
  }
}
