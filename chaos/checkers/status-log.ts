import type { Event } from '../../src/contract/events.ts';

/** What only somebody who means to leads out of. */
export const ENDED: readonly string[] = ['done', 'cancelled', 'archived'];

/** Which statuses each task has had, and from which event on. */
export class StatusLog {
  readonly #reached = new Map<string, { readonly status: string; readonly seq: number }[]>();

  constructor(events: readonly Event[]) {
    for (const { task_id: taskId, seq, data } of events) {
      const { status_after: status } = data;
      if (taskId === undefined || typeof status !== 'string') continue;
      const known = this.#reached.get(taskId);
      if (known === undefined) this.#reached.set(taskId, [{ status, seq }]);
      else known.push({ status, seq });
    }
  }

  hadBy(taskId: string, status: string, seq: number): boolean {
    return (this.#reached.get(taskId) ?? []).some((change) => change.status === status && change.seq < seq);
  }

  beforeArchived(taskId: string, seq: number): string {
    const before = (this.#reached.get(taskId) ?? []).filter(
      (change) => change.seq < seq && change.status !== 'archived',
    );
    return before.at(-1)?.status ?? '';
  }

  lastBefore(taskId: string, seq: number): string {
    return (this.#reached.get(taskId) ?? []).findLast((change) => change.seq < seq)?.status ?? '';
  }

  hasEndedAfter(taskId: string, seq: number): boolean {
    return (this.#reached.get(taskId) ?? []).some(
      (change) => change.seq > seq && ENDED.includes(change.status),
    );
  }
}
