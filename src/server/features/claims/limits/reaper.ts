/**
 * Takes back what is held past its limits: leases that lapsed, attempts that ran too long or made no progress, cancels that were not
 * answered. Runs on every server: locks are skipped, so each hold is taken by one of them and none is waited for. Never judges while the
 * pulse of all servers stands still (outage.ts): until it goes on, nobody knows what a limit is worth.
 */
import type { Sql } from '../../../db/client.ts';
import { impatientTransaction, withinDeadline } from '../../../db/tx.ts';
import type { Wake } from '../../../db/wake.ts';
import { unreachable } from '../../../kernel/assert.ts';
import { Turns } from '../../../kernel/turns.ts';
import type { End } from '../../tasks/service.ts';
import { type Ending, settleEndings } from '../settle.ts';
import { listOverdueBoards, lockOverdueHolds, type Overdue, type OverdueRow } from '../store/end.ts';

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
  readonly #onReaped: (overdue: Overdue, boardId: number, held: OverdueRow) => void;
  /** Of boards. */
  readonly #turns = new Turns<number>({ roundsMax: TURNS_PER_SWEEP_MAX, durationMsMax: SWEEP_MS_MAX });

  constructor(sql: Sql, wake: Wake, onReaped: (overdue: Overdue, boardId: number, held: OverdueRow) => void) {
    this.#sql = sql;
    this.#wake = wake;
    this.#onReaped = onReaped;
  }

  /** Boards take turns: neither the wreck of a fleet on one of them nor one that stands still holds up anybody else's. */
  async sweep(signal: AbortSignal): Promise<void> {
    const listed = listOverdueBoards(this.#sql, this.#turns.troubled, BOARDS_PER_SWEEP_MAX);
    const boardIds = await withinDeadline(listed);
    await this.#turns.take(boardIds, signal, (boardId, patienceMs) => this.#sweepBoard(boardId, patienceMs));
  }

  /** True: there may be more. */
  async #sweepBoard(boardId: number, patienceMs: number): Promise<boolean> {
    const taken = await impatientTransaction(this.#sql, patienceMs, async (tx) => {
      const holds = await lockOverdueHolds(tx, boardId, HOLDS_PER_TURN_MAX);
      await settleEndings(tx, boardId, holds.map(endingOf));
      return holds;
    });
    for (const held of taken) this.#onReaped(held.overdue, boardId, held);
    if (taken.length > 0) {
      this.#wake.nudge(boardId);
      this.#wake.ring(boardId);
    }
    return taken.length === HOLDS_PER_TURN_MAX;
  }
}

function endingOf(held: OverdueRow): Ending {
  const { end, error } = verdictOf(held);
  return {
    held,
    end,
    actor: { type: 'system', id: 'reaper' },
    fingerprint: null,
    summary: null,
    result: null,
    error,
    metadata: null,
    evidence: evidenceOf(held),
  };
}

/** What the verdict rests on, as the database had it at that moment. */
function evidenceOf(held: OverdueRow): Readonly<Record<string, unknown>> {
  return {
    limit: held.overdue,
    claimed_at: held.claimed_at,
    lease_seconds: held.lease_seconds,
    lease_expires_at: held.lease_expires_at,
    runtime_expires_at: held.runtime_expires_at,
    no_progress_seconds: held.no_progress_seconds,
    last_heartbeat_at: held.last_heartbeat_at,
    last_progress_at: held.last_progress_at,
    progress: held.progress,
    socket_closed_at: held.socket_closed_at,
    ...(held.amnesty_seconds > 0 ? { amnesty_seconds: held.amnesty_seconds } : {}),
  };
}

function verdictOf(held: OverdueRow): { end: End; error: string } {
  const { overdue } = held;
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
