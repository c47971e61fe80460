/** Deliveries with all that a gateway needs: what happened, said as text, and to whom. */
import type { LeasedDelivery } from '../../../contract/deliveries.ts';
import type { Runner, Sql } from '../../db/client.ts';
import { withinDeadline } from '../../db/tx.ts';
import { present } from '../../kernel/assert.ts';
import { formatId, type Uuid } from '../../kernel/ids.ts';
import type { BoardRef } from '../boards/service.ts';
import { findSubscriptions, subscriptionOf } from '../subscriptions/service.ts';
import { eventOf, findEvents } from '../watch/service.ts';
import type { DeliveryRow } from './store/row.ts';
import { findToldDelegations, findToldTasks } from './store/told.ts';
import { textOfDelegation, textOfTask } from './text.ts';

export class Telling {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  async textsOf(runner: Runner, board: BoardRef, rows: readonly DeliveryRow[]): Promise<Map<Uuid, string>> {
    if (rows.length === 0) return new Map();
    const ofTasks = rows.filter((row) => !row.kind.startsWith('delegation.'));
    const tasks = await findToldTasks(
      runner,
      board.id,
      ofTasks.map(({ id }) => id),
    );
    const delegationIds = rows.flatMap((row) =>
      row.kind.startsWith('delegation.') && row.delegation_id !== null ? [row.delegation_id] : [],
    );
    const delegations = await findToldDelegations(runner, board.id, [...new Set(delegationIds)]);
    const events = await findEvents(
      runner,
      board.id,
      ofTasks.map(({ seq }) => seq),
    );
    return new Map(
      rows.map((row) => {
        const delegation = row.delegation_id === null ? undefined : delegations.get(row.delegation_id);
        if (delegation !== undefined && row.kind.startsWith('delegation.')) {
          const { id, ...told } = delegation;
          const results = delegation.results ?? [];
          return [row.id, textOfDelegation({ ...told, results, id: formatId('deleg', id) })];
        }
        const task = tasks.get(row.id);
        const data = events.get(row.seq)?.data ?? {};
        const text = (name: string): string | null => (typeof data[name] === 'string' ? data[name] : null);
        return [
          row.id,
          textOfTask({
            kind: row.kind,
            id: row.task_id === null ? '' : formatId('task', row.task_id),
            title: task?.title ?? '',
            lane: task?.lane ?? null,
            summary: task?.summary ?? text('summary'),
            result:
              row.kind === 'task.completed' || row.kind === 'task.review_requested' ? task?.result : null,
            reason: text('reason') ?? task?.blocked_reason ?? task?.error ?? text('error'),
            blockKind: text('kind') ?? task?.blocked_kind ?? null,
            reviewer: row.kind === 'task.review_requested' ? (task?.reviewer ?? null) : null,
          }),
        ];
      }),
    );
  }

  async present(board: BoardRef, rows: readonly DeliveryRow[]): Promise<LeasedDelivery[]> {
    if (rows.length === 0) return [];
    const subscriptionIds = [...new Set(rows.map((row) => row.subscription_id))];
    const [subscriptions, events] = await withinDeadline(
      Promise.all([
        findSubscriptions(this.#sql, board.id, subscriptionIds),
        findEvents(
          this.#sql,
          board.id,
          rows.map(({ seq }) => seq),
        ),
      ]),
    );
    return rows.flatMap((row): LeasedDelivery[] => {
      const subscription = subscriptions.get(row.subscription_id);
      // Ended since: nobody is to be told any more.
      if (subscription === undefined) return [];
      const shown = subscriptionOf(board, subscription);
      const event = events.get(row.seq);
      return [
        {
          id: formatId('dlv', row.id),
          lease_id: present(row.lease_id, 'it is leased'),
          lease_expires_at: present(row.lease_expires_at, 'it is leased'),
          attempt: row.attempt,
          subscription: shown,
          mode: row.mode,
          wake: row.wake,
          text: row.text ?? '',
          is_fallback: row.is_fallback,
          events: event === undefined ? [] : [eventOf(board, event)],
          origin: shown.origin,
        },
      ];
    });
  }
}
