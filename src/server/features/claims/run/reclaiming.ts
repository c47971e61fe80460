/**
 * An orchestrator takes a running task back from whoever holds it. The task is locked before anybody asks who that is, so it is the hold
 * of that moment that ends, and a claim that follows it is never taken by mistake. The holder hears of it as of every take: on its socket at
 * once (steering/lost-claims.ts), else by its next heartbeat or end, which is answered with claim_lost.
 */
import type { Outcome } from '../../../../contract/statuses.ts';
import type { Task } from '../../../../contract/tasks.ts';
import type { Sql, Tx } from '../../../db/client.ts';

import { transaction } from '../../../db/tx.ts';
import type { Wake } from '../../../db/wake.ts';
import { present } from '../../../kernel/assert.ts';
import type { Uuid } from '../../../kernel/ids.ts';
import { type ActorRef, actorOf, type Principal } from '../../../kernel/principal.ts';
import type { BoardRef } from '../../boards/service.ts';
import {
  findTasks,
  illegalTransition,
  lockTasks,
  type TaskChange,
  type TaskService,
  taskNotFound,
  taskOf,
} from '../../tasks/service.ts';
import { settleEndings } from '../settle.ts';
import { lockHoldOfTask } from '../store/reclaim.ts';

interface ReclaimingParts {
  readonly sql: Sql;
  readonly wake: Wake;
  readonly tasks: Pick<TaskService, 'resolve'>;
  readonly onEnded: (outcome: Outcome) => void;
}

export class Reclaiming {
  readonly #parts: ReclaimingParts;

  constructor(parts: ReclaimingParts) {
    this.#parts = parts;
  }

  /** @param task Its id or external_ref. */
  async reclaim(caller: Principal, board: BoardRef, task: string, reason: string | null): Promise<Task> {
    const { sql, wake, tasks, onEnded } = this.#parts;
    const reclaimed = await transaction(sql, async (tx) => {
      const id = await tasks.resolve(caller, board, task, tx);
      await reclaimWithin(tx, board, { id, reference: task, reason, actor: actorOf(caller) });
      const [row] = await findTasks(tx, board.id, [id]);
      return taskOf(board, present(row, 'it is locked'));
    });
    onEnded(reclaimed.status === 'cancelled' ? 'cancelled' : 'reclaimed');
    wake.nudge(board.id);
    wake.ring(board.id);
    return reclaimed;
  }
}

interface Reclaim {
  readonly id: Uuid;
  /** As the caller named it. */
  readonly reference: string;
  readonly reason: string | null;
  readonly actor: ActorRef;
  /** Gathers what is to be written to the log, by the caller. */
  readonly append?: ((change: TaskChange) => Promise<unknown>) | undefined;
}

/** In the caller's transaction, as the last thing that it locks. */
export async function reclaimWithin(
  tx: Tx,
  board: BoardRef,
  { id, reference, reason, actor, append }: Reclaim,
): Promise<void> {
  const [locked] = await lockTasks(tx, board.id, [id]);
  if (locked === undefined) throw taskNotFound(reference);
  if (locked.status !== 'running') throw illegalTransition(locked.status, 'reclaim', 'ready');
  const held = await lockHoldOfTask(tx, board.id, id);
  const ending = {
    held,
    end: { verb: 'reclaim', reason },
    actor,
    fingerprint: null,
    summary: null,
    result: null,
    error: reason,
    metadata: null,
    evidence: null,
  } as const;
  await settleEndings(tx, board.id, [ending], append === undefined ? {} : { append });
}
