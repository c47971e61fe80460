/** A delivery as operators see it. */
import type { Delivery } from '../../../contract/deliveries.ts';
import { formatId } from '../../kernel/ids.ts';
import type { BoardRef } from '../boards/service.ts';
import type { DeliveryRow } from './store/row.ts';

export function deliveryOf(board: BoardRef, row: DeliveryRow): Delivery {
  return {
    id: formatId('dlv', row.id),
    board: board.name,
    subscription_id: formatId('sub', row.subscription_id),
    task_id: row.task_id === null ? null : formatId('task', row.task_id),
    delegation_id: row.delegation_id === null ? null : formatId('deleg', row.delegation_id),
    kind: row.kind,
    seq: row.seq,
    mode: row.mode,
    status: row.status,
    owner: row.owner,
    platform: row.platform,
    session_id: row.session_id,
    attempt: row.attempt,
    failures: row.failures,
    due_at: row.due_at,
    lease_expires_at: row.status === 'leased' ? row.lease_expires_at : null,
    last_error: row.last_error,
    message_id: row.message_id,
    created_at: row.created_at,
    finished_at: row.finished_at,
  };
}
