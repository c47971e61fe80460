/** A delegation as the wire shows it. */
import type { Delegation, DelegationResult } from '../../../contract/delegations.ts';
import { formatId } from '../../kernel/ids.ts';
import type { BoardRef } from '../boards/service.ts';
import { textOfDelegation } from '../deliveries/service.ts';
import { originOf } from '../tasks/service.ts';
import type { DelegationRow } from './store.ts';

export function delegationOf(board: BoardRef, row: DelegationRow): Delegation {
  return {
    id: formatId('deleg', row.id),
    board: board.name,
    status: row.status,
    goal: row.goal,
    context: row.context,
    origin: row.origin === null ? null : originOf(row.origin),
    join: row.join_mode,
    on_blocked: row.on_blocked,
    on_decided: row.on_decided,
    capacity_key: row.capacity_key,
    depth: row.depth,
    deadline_at: row.deadline_at,
    tasks: row.tasks.map((id) => formatId('task', id)),
    results: row.results,
    text: row.results === null ? null : textOf(row, row.results),
    reason: row.reason,
    created_by: { type: row.created_by_type, id: row.created_by_id },
    created_at: row.created_at,
    completed_at: row.completed_at,
  };
}

function textOf(row: DelegationRow, results: readonly DelegationResult[]): string {
  const { status, reason, goal, context } = row;
  return textOfDelegation({ id: formatId('deleg', row.id), status, reason, goal, context, results });
}
