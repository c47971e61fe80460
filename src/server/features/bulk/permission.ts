/** Who may do something to many tasks: asked when an operation is made, and again before each turn of it. */
import type { BulkAction } from '../../../contract/bulk.ts';
import type { Runner } from '../../db/client.ts';
import type { Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import { authorise, type KeyService } from '../auth/service.ts';
import type { BoardRef } from '../boards/service.ts';
import type { OperationRow } from './store.ts';

/** To do it to one task by one is no less: deleting takes an admin there, too. */
export function assertMayDo(caller: Principal, action: BulkAction, { name: board }: BoardRef): void {
  authorise(caller, 'bulkTasks', { board });
  if (action === 'delete') authorise(caller, 'deleteTask', { board });
}

/** False: the key that made it was withdrawn, has expired, or does not reach as far any more. */
export async function mayGoOn(
  runner: Runner,
  keys: Pick<KeyService, 'livePrincipal'>,
  board: BoardRef,
  { action, actor_type: type, actor_id: id }: OperationRow,
): Promise<boolean> {
  const principal = type === 'key' ? await keys.livePrincipal(runner, id) : null;
  if (principal === null) return false;
  try {
    assertMayDo(principal, action, board);
    return true;
  } catch (error) {
    if (error instanceof ProblemError) return false;
    throw error;
  }
}
