/**
 * What the verbs of one transaction have to say to the log, written as its last statement. Written verb by verb, the counter row would be
 * held while the next task is worked on, and every claim and end of the board would wait for that.
 */
import type { Tx } from '../../db/client.ts';
import type { NewEvent, StatusCounts } from '../../db/event-log.ts';
import { addCounts, appendChange, type TaskChange } from '../tasks/service.ts';

export class GatheredLog {
  #changes: TaskChange[] = [];

  get length(): number {
    return this.#changes.length;
  }

  readonly append = (change: TaskChange): Promise<void> => {
    this.#changes.push(change);
    return Promise.resolve();
  };

  /** Forgets what came after the first so many: it was rolled back. */
  cut(length: number): void {
    this.#changes = this.#changes.slice(0, length);
  }

  async write(tx: Tx, boardId: number): Promise<void> {
    const events: NewEvent[] = this.#changes.flatMap((change) => change.events);
    if (events.length === 0) return;
    const counts = this.#changes.reduce<StatusCounts>(
      (sum, change) => addCounts(sum, change.counts ?? {}),
      {},
    );
    const departures = this.#changes.flatMap((change) => change.departures ?? []);
    await appendChange(tx, boardId, { events, counts, departures });
  }
}
