/**
 * Reads tasks one by one, a few at a time, each once however often it is asked for while it waits; asked for while it is read, once more after
 * that. An answer that is no longer wanted when it comes is dropped: it is older than what made it so.
 */
import type { Client, Task } from '../../client/index.ts';

/** Fewer than the six connections that a browser opens to one server: what people click on must not queue behind these. */
const AT_ONCE = 4;
/** Beyond it the whole board is read anew, which is cheaper. */
const WAITING_MAX = 500;

interface Reading {
  isWanted: boolean;
}

export class TaskReads {
  readonly #client: Client;
  readonly #onTask: (task: Task) => void;
  readonly #waiting = new Set<string>();
  readonly #underWay = new Map<string, Reading>();
  #workers = 0;

  constructor(client: Client, onTask: (task: Task) => void) {
    this.#client = client;
    this.#onTask = onTask;
  }

  /** false: too many wait already. */
  ask(id: string): boolean {
    if (this.#waiting.size >= WAITING_MAX) return false;
    this.#waiting.add(id);
    if (this.#workers < AT_ONCE) void this.#work();
    return true;
  }

  /** The task is gone: what the server said of it before is not to be heard. */
  forget(id: string): void {
    this.#waiting.delete(id);
    this.#drop(id);
  }

  /** Everything is read anew. */
  clear(): void {
    this.#waiting.clear();
    for (const id of [...this.#underWay.keys()]) this.#drop(id);
  }

  #drop(id: string): void {
    const reading = this.#underWay.get(id);
    if (reading !== undefined) reading.isWanted = false;
    this.#underWay.delete(id);
  }

  /** Two answers about one task could overtake each other. */
  #next(): string | undefined {
    for (const id of this.#waiting) if (!this.#underWay.has(id)) return id;
    return undefined;
  }

  async #work(): Promise<void> {
    this.#workers += 1;
    for (let id = this.#next(); id !== undefined; id = this.#next()) {
      this.#waiting.delete(id);
      await this.#read(id);
    }
    this.#workers -= 1;
  }

  async #read(id: string): Promise<void> {
    const reading: Reading = { isWanted: true };
    this.#underWay.set(id, reading);
    try {
      const { task } = await this.#client.tasks.get(id);
      if (reading.isWanted) this.#onTask(task);
    } catch {
      // Deleted meanwhile, or not to be had now: the card stays as the log has it.
    }
    if (this.#underWay.get(id) === reading) this.#underWay.delete(id);
  }
}
