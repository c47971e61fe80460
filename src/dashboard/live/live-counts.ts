/** How many tasks of each status the board has: as the server counted them at an instant, and every event since. */
import type { Event } from '../../client/index.ts';
import type { TaskStatus } from './card.ts';

export type Counts = Readonly<Record<TaskStatus, number>>;

export class LiveCounts {
  #counts: Record<TaskStatus, number> | null = null;
  /** The last event that is in the counts. */
  #cursor = '';
  /** The counts are as old as the events that come now. */
  #isCounting = false;

  /** A copy. null: not read yet. */
  read(): Counts | null {
    return this.#counts === null ? null : { ...this.#counts };
  }

  /** @param logCursor From where the log goes on. Events from there up to the counts' own instant are in them already. */
  reset(counts: Counts, cursor: string, logCursor: string): void {
    this.#counts = { ...counts };
    this.#cursor = cursor;
    this.#isCounting = cursor === logCursor;
  }

  /** Whether they changed. */
  onEvent({ kind, cursor, data }: Event): boolean {
    const counts = this.#counts;
    if (counts === null) return false;
    if (!this.#isCounting) {
      this.#isCounting = cursor === this.#cursor;
      return false;
    }
    const before = data['status_before'];
    const after = data['status_after'];
    if (before === after && kind !== 'task.deleted') return false;
    if (typeof before === 'string' && Object.hasOwn(counts, before)) counts[before as TaskStatus] -= 1;
    if (typeof after === 'string' && Object.hasOwn(counts, after)) counts[after as TaskStatus] += 1;
    return true;
  }
}
