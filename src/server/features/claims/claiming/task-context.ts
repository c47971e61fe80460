/** A task as its next worker would read it, for those who only look: claims nothing, locks nothing, and marks no message as told. */
import type { Sql } from '../../../db/client.ts';
import { withinDeadline } from '../../../db/tx.ts';
import { present } from '../../../kernel/assert.ts';
import type { Principal } from '../../../kernel/principal.ts';
import type { BoardRef } from '../../boards/service.ts';
import { listOpenMessages, type TaskService } from '../../tasks/service.ts';
import { handoffText } from '../handoff-text.ts';
import { handoffCapsOf, handoffOf } from '../view.ts';
import { readPasts } from './pasts.ts';

export class TaskContext {
  readonly #sql: Sql;
  readonly #tasks: TaskService;

  constructor(sql: Sql, tasks: TaskService) {
    this.#sql = sql;
    this.#tasks = tasks;
  }

  /** A claim token reads its own task only: what its neighbours were told is not its business. */
  async read(caller: Principal, board: BoardRef, reference: string): Promise<string> {
    const id = await this.#tasks.resolve(caller, board, reference);
    const task = await this.#tasks.get(caller, board, reference);
    const own = { ids: [id], children: [id], delegated: task.delegation_id === null ? [] : [id] };
    const caps = handoffCapsOf(1);
    const [pasts, messages] = await Promise.all([
      readPasts(this.#sql, board.id, own, caps),
      // Of a finished task they are missed.
      this.#tasks.isFinished(task)
        ? []
        : withinDeadline(listOpenMessages(this.#sql, board.id, id, caps.messages)),
    ]);
    return handoffText(task, handoffOf({ ...present(pasts.get(id), 'a task has a past'), messages }, caps));
  }
}
