/**
 * Steering messages as their holders get them: told with the claim, over the socket and with each heartbeat until they are
 * acknowledged. Telling may be repeated by anyone at any time; an acknowledgement holds only while the claim does.
 */
import { LIMITS } from '../../../../contract/constants.ts';
import type { Sql } from '../../../db/client.ts';
import { retriedStatement, transaction, withinDeadline } from '../../../db/tx.ts';
import { parseId, type Uuid } from '../../../kernel/ids.ts';
import type { ClaimPrincipal } from '../../../kernel/principal.ts';
import type { BoardRef } from '../../boards/service.ts';
import {
  acknowledgeMessages,
  type Listener,
  markHolderAnswered,
  type ToldRow,
  tellMessages,
} from '../../tasks/service.ts';
import { claimLost } from '../run/claim-lost.ts';
import { holdOf } from '../run/run-operation.ts';
import { findRunEnds } from '../store/run.ts';
import { lockLiveClaim } from '../store/signal.ts';

type Told = ReadonlyMap<Uuid, readonly ToldRow[]>;

const NOTHING: Told = new Map();

export class Inbox {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /** What is open for these runs, by task, and from now on delivered. */
  tell(board: BoardRef, listeners: readonly Listener[]): Promise<Told> {
    return this.#tell(board, listeners, { perTaskMax: LIMITS.messagesMax });
  }

  /** The same for runs that have just been claimed; what is too much for now their heartbeats are told. */
  handOver(board: BoardRef, listeners: readonly Listener[], perTaskMax: number): Promise<Told> {
    return this.#tell(board, listeners, { perTaskMax, isHandoff: true });
  }

  /**
   * Resolves to how many had not been acknowledged before. Ids of other tasks, of messages that were missed, or that nobody knows
   * count nothing and harm nothing: a repeated or belated acknowledgement is no mistake, and says nothing of what it may not see.
   */
  async acknowledge(board: BoardRef, claim: ClaimPrincipal, ids: readonly string[]): Promise<number> {
    const hold = holdOf(claim);
    const known = ids.map((id) => parseId('msg', id)).filter((id): id is Uuid => id !== null);
    const count = await transaction(this.#sql, async (tx) => {
      // Whoever ends the run waits, or has been before us: what is acknowledged is never missed.
      if (!(await lockLiveClaim(tx, board.id, hold))) return null;
      const acknowledged = await acknowledgeMessages(tx, board.id, hold.taskId, hold.runId, known);
      await markHolderAnswered(tx, board.id, hold.taskId);
      return acknowledged;
    });
    if (count !== null) return count;
    const runs = await withinDeadline(findRunEnds(this.#sql, board.id, [hold.runId]));
    throw claimLost(board, runs.get(hold.runId));
  }

  async #tell(
    board: BoardRef,
    listeners: readonly Listener[],
    options: Parameters<typeof tellMessages>[3],
  ): Promise<Told> {
    if (listeners.length === 0) return NOTHING;
    const rows = await retriedStatement(() => tellMessages(this.#sql, board.id, listeners, options));
    const byTask = new Map<Uuid, ToldRow[]>();
    for (const row of rows) byTask.set(row.task_id, [...(byTask.get(row.task_id) ?? []), row]);
    return byTask;
  }
}
