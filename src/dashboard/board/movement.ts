/** What has moved on the board, in a sentence for people who cannot see it move. Pure. */
import type { Event } from '../../client/index.ts';
import type { TaskStatus } from '../live/card.ts';
import { STATUS_LABELS } from '../ui/status-chip.tsx';

/** Where tasks have gone, each counted once, where it went last. */
export class Movement {
  readonly #went = new Map<string, TaskStatus>();

  add(events: readonly Event[]): void {
    for (const { task_id: id, data } of events) {
      const after = data['status_after'];
      if (id === undefined || typeof after !== 'string' || after === data['status_before']) continue;
      if (Object.hasOwn(STATUS_LABELS, after)) this.#went.set(id, after as TaskStatus);
    }
  }

  /** "3 tasks moved: 1 running, 2 done"; null: nothing has. Starts anew. */
  take(): string | null {
    if (this.#went.size === 0) return null;
    const counts = new Map<TaskStatus, number>();
    for (const status of this.#went.values()) counts.set(status, (counts.get(status) ?? 0) + 1);
    const parts = [...counts].map(([status, count]) => `${count} ${STATUS_LABELS[status].toLowerCase()}`);
    const { size } = this.#went;
    this.#went.clear();
    return `${size} ${size === 1 ? 'task' : 'tasks'} moved: ${parts.join(', ')}`;
  }
}
