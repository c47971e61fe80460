/** The hold that an orchestrator takes back, whoever has it: also one that a takeover left to expire. */
import type { Tx } from '../../../db/client.ts';
import { assert } from '../../../kernel/assert.ts';
import type { Uuid } from '../../../kernel/ids.ts';
import { type HeldRow, heldColumns } from './end.ts';

/** Of a task that runs and that this transaction has locked; its claim as the deletion will lock it. */
export async function lockHoldOfTask(tx: Tx, boardId: number, taskId: Uuid): Promise<HeldRow> {
  const [held] = await tx<HeldRow[]>`
    /* claims.lock_hold_of_task */
    SELECT ${heldColumns(tx)}
    FROM tasks t JOIN claims c ON c.board_id = t.board_id AND c.task_id = t.id AND c.attempt = t.attempt
    WHERE t.board_id = ${boardId} AND t.id = ${taskId} FOR UPDATE OF c`;
  assert(held !== undefined, 'a task that runs has a claim');
  return held;
}
