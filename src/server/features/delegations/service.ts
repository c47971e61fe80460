/** Delegations: read, collected, steered and stopped. Making them stands in delegating.ts. */
import type { Delegation } from '../../../contract/delegations.ts';
import type { DelegationStatus } from '../../../contract/statuses.ts';
import type { Sql, Tx } from '../../db/client.ts';
import { transaction, withinDeadline } from '../../db/tx.ts';
import type { Wake } from '../../db/wake.ts';
import { formatId, type IdSource, parseId, type Uuid } from '../../kernel/ids.ts';
import { actorOf, type Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { BoardRef } from '../boards/service.ts';
import { appendChange, lockOwnClaim, lockTasks, type TaskChange, TaskOperation } from '../tasks/service.ts';
import { cancelDelegation } from './cancelling.ts';
import {
  type DelegationRow,
  findDelegation,
  listDelegations,
  listRunningOfSession,
  listTaskIds,
} from './store.ts';
import { delegationOf } from './view.ts';

export { Delegating } from './delegating.ts';
export { StuckDelegations } from './stuck.ts';
export { DelegationSweep } from './sweep.ts';

interface DelegationParts {
  readonly sql: Sql;
  readonly wake: Wake;
  readonly ids: IdSource;
}

/** Running ones of a session: its capacity, unless that was raised, or its delegations have capacity keys of their own. */
const SESSION_DELEGATIONS_MAX = 1000;

export interface SteerCount {
  readonly queued: number;
  readonly missed: number;
}

export class DelegationService {
  readonly #parts: DelegationParts;

  constructor(parts: DelegationParts) {
    this.#parts = parts;
  }

  /** Within the transaction that made it, or by itself. */
  async get(caller: Principal, board: BoardRef, reference: string, runner?: Tx): Promise<Delegation> {
    return delegationOf(board, await this.#find(caller, board, reference, runner));
  }

  async list(
    caller: Principal,
    board: BoardRef,
    filter: { readonly statuses: readonly DelegationStatus[] | null; readonly sessionId: string | null },
    page: { readonly beforeId: Uuid | null; readonly rowsMax: number },
  ): Promise<Delegation[]> {
    const createdByTask = caller.kind === 'claim' ? parseId('task', caller.taskId) : null;
    const rows = listDelegations(this.#parts.sql, board.id, { ...filter, createdByTask }, page);
    return (await withinDeadline(rows)).map((row) => delegationOf(board, row));
  }

  async cancel(
    caller: Principal,
    board: BoardRef,
    reference: string,
    reason: string | null,
  ): Promise<Delegation> {
    const { id } = await this.#find(caller, board, reference);
    await this.#cancel(caller, board, id, reason);
    return this.get(caller, board, reference);
  }

  /** @returns Those that were decided by this. */
  async cancelSession(
    caller: Principal,
    board: BoardRef,
    sessionId: string,
    reason: string | null,
  ): Promise<string[]> {
    const { sql } = this.#parts;
    const ids = await withinDeadline(listRunningOfSession(sql, board.id, sessionId, SESSION_DELEGATIONS_MAX));
    const cancelled: string[] = [];
    for (const id of ids)
      if (await this.#cancel(caller, board, id, reason)) cancelled.push(formatId('deleg', id));
    return cancelled;
  }

  async #cancel(caller: Principal, board: BoardRef, id: Uuid, reason: string | null): Promise<boolean> {
    const { sql, ids, wake } = this.#parts;
    const stop = { board, ids, actor: actorOf(caller), reason };
    const { isDecided, isHolderAddressed } = await transaction(sql, async (tx) => {
      if (caller.kind === 'claim') {
        // In the order of all locks: the children stand before any claim.
        await lockTasks(tx, board.id, await listTaskIds(tx, board.id, id));
        await lockOwnClaim(tx, board, caller);
      }
      return cancelDelegation(tx, stop, id);
    });
    if (isHolderAddressed) wake.nudge(board.id);
    wake.ring(board.id);
    return isDecided;
  }

  /** Within the caller's transaction; `onSteered` is to be called behind it. */
  async steer(
    tx: Tx,
    caller: Principal,
    board: BoardRef,
    reference: string,
    { message, taskId }: { readonly message: string; readonly taskId: Uuid | null },
  ): Promise<SteerCount> {
    const { id } = await this.#find(caller, board, reference, tx);
    const members = await listTaskIds(tx, board.id, id);
    if (taskId !== null && !members.includes(taskId)) throw notAChild();
    const tasks = await lockTasks(tx, board.id, taskId === null ? members : [taskId]);
    if (caller.kind === 'claim') await lockOwnClaim(tx, board, caller);
    const changes: TaskChange[] = [];
    const append = (change: TaskChange): Promise<void> => {
      changes.push(change);
      return Promise.resolve();
    };
    const parts = { tx, board, actor: actorOf(caller), ids: this.#parts.ids, append };
    let queued = 0;
    for (const task of tasks) {
      const operation = await TaskOperation.begin(parts, task.id);
      const told = await operation?.steer(message);
      if (told?.state === 'queued') queued += 1;
    }
    const events = changes.flatMap((change) => change.events);
    if (events.length > 0) await appendChange(tx, board.id, { events });
    return { queued, missed: (taskId === null ? members.length : 1) - queued };
  }

  onSteered(board: BoardRef): void {
    this.#parts.wake.nudge(board.id);
    this.#parts.wake.ring(board.id);
  }

  /** A claim token finds what was made under claims of its task, and nothing else. */
  async #find(
    caller: Principal,
    board: BoardRef,
    reference: string,
    runner: Sql | Tx = this.#parts.sql,
  ): Promise<DelegationRow> {
    const id = parseId('deleg', reference);
    const row = id === null ? null : await withinDeadline(findDelegation(runner, board.id, id));
    const isOwn =
      caller.kind === 'key' || (row !== null && row.created_by_task === parseId('task', caller.taskId));
    if (row === null || !isOwn) throw delegationNotFound(reference);
    return row;
  }
}

function delegationNotFound(reference: string): ProblemError {
  return new ProblemError('not_found', `There is no delegation ${JSON.stringify(reference)} on this board.`, {
    extensions: { resource: 'delegation' },
  });
}

function notAChild(): ProblemError {
  return new ProblemError('not_found', 'That task is none of the delegation.', {
    extensions: { resource: 'task' },
  });
}
