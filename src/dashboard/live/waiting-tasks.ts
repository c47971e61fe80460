/**
 * For how many parents a task still waits is told by its own events only when it is made, linked, or let go: of the parents that finish in
 * between, the log says it under their names. So tasks that wait are read again, all on one page and seldom, after events that may have
 * changed that.
 */
import type { Client, Event, Task } from '../../client/index.ts';

/** A number on a card that nobody acts upon: what is going on elsewhere is not to pay for it. */
const PAUSE_MS = 3000;
/** A page of the API: more waiting tasks than anybody looks at. */
const TASKS_MAX = '200';

const CHANGING = new Set<Event['kind']>(['task.completed', 'task.reopened', 'task.deleted', 'task.archived']);

export class WaitingTasks {
  readonly #client: Client;
  readonly #onTask: (task: Task) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #generation = 0;

  constructor(client: Client, onTask: (task: Task) => void) {
    this.#client = client;
    this.#onTask = onTask;
  }

  onEvent({ kind }: Event): void {
    if (CHANGING.has(kind)) this.#timer ??= setTimeout(() => void this.#read(), PAUSE_MS);
  }

  /** Everything is read anew, or nothing any more. */
  stop(): void {
    this.#generation += 1;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  async #read(): Promise<void> {
    const generation = this.#generation;
    try {
      const { tasks } = await this.#client.tasks.list({ status: 'todo', limit: TASKS_MAX });
      if (generation === this.#generation) for (const task of tasks) this.#onTask(task);
    } catch {
      // Not to be had now: the next such event asks again.
    }
    if (generation === this.#generation) this.#timer = undefined;
  }
}
