/** A subscription as the wire shows it. */
import type { Origin } from '../../../contract/origins.ts';
import type { Subscription } from '../../../contract/subscriptions.ts';
import { OUTCOME_KINDS } from '../../db/outbox.ts';
import { formatCursor } from '../../kernel/cursor.ts';
import { formatId } from '../../kernel/ids.ts';
import type { BoardRef } from '../boards/service.ts';
import { originOf } from '../tasks/service.ts';
import type { SubscriptionRow } from './store.ts';

/** @param madeSecret Of the webhook, where the server has just made it. */
export function subscriptionOf(
  board: BoardRef,
  row: SubscriptionRow,
  madeSecret: string | null = null,
): Subscription {
  const { id: boardId, incarnation } = board;
  return {
    id: formatId('sub', row.id),
    board: board.name,
    task_id: row.is_delegation ? null : formatId('task', row.subject_id),
    delegation_id: row.is_delegation ? formatId('deleg', row.subject_id) : null,
    platform: row.platform,
    chat_id: row.chat_id,
    thread_id: row.thread_id,
    user_id: row.user_id,
    mode: row.mode,
    wake: row.wake,
    kinds: row.kinds ?? [...OUTCOME_KINDS],
    origin: targetOf(row),
    owner: row.owner,
    webhook:
      row.webhook_url === null
        ? null
        : { url: row.webhook_url, ...(madeSecret === null ? {} : { secret: madeSecret }) },
    cursor: formatCursor({ boardId, incarnation, seq: row.cursor_seq }),
    created_by: { type: row.created_by_type, id: row.created_by_id },
    created_at: row.created_at,
    updated_at: row.updated_at,
  };
}

/** What the origin leaves open is the target's. */
function targetOf(row: SubscriptionRow): Origin {
  const origin = originOf(row.origin);
  return {
    ...origin,
    platform: origin.platform ?? row.platform,
    chat_id: origin.chat_id ?? (row.chat_id || null),
    thread_id: origin.thread_id ?? (row.thread_id || null),
    user_id: origin.user_id ?? row.user_id,
  };
}
