/** A task as its next worker would read it, for those who only look: claims nothing, locks nothing, and marks no message as told. */
import { LIMITS } from '../../../../contract/constants.ts';
import type { Sql } from '../../../db/client.ts';
import { withinDeadline } from '../../../db/tx.ts';
import type { Principal } from '../../../kernel/principal.ts';
import type { BoardRef } from '../../boards/service.ts';
import { listNewestComments, listOpenMessages, listParents, type TaskService } from '../../tasks/service.ts';
import { handoffText } from '../handoff-text.ts';
import { listNewestAttempts } from '../store/claim.ts';
import { HANDOFF_ATTEMPTS_MAX, HANDOFF_COMMENTS_MAX, HANDOFF_PARENTS_MAX, handoffOf } from '../view.ts';

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
    const own = [id];
    const [parents, attempts, comments, messages] = await withinDeadline(
      Promise.all([
        listParents(this.#sql, board.id, own, HANDOFF_PARENTS_MAX + 1),
        listNewestAttempts(this.#sql, board.id, own, HANDOFF_ATTEMPTS_MAX + 1),
        listNewestComments(this.#sql, board.id, own, HANDOFF_COMMENTS_MAX + 1),
        // Of a finished task they are missed.
        this.#tasks.isFinished(task) ? [] : listOpenMessages(this.#sql, board.id, id, LIMITS.messagesMax),
      ]),
    );
    return handoffText(task, handoffOf({ parents, attempts, comments, messages }));
  }
}
