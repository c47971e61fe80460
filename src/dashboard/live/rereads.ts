/**
 * When what was read of the server is read again because events touched it. One state for each thing that is read, however many views show
 * it: while a read is under way it is only remembered that it has to be repeated. A read under way is never cancelled, else a busy log would
 * keep a slow answer away for ever.
 */

interface Entry {
  views: number;
  underWay: number;
  /** When the last read settled, on the page's own clock. */
  settledAtMs: number;
  /** Touched since the last read began: the longest of the pauses asked for since then. null: not touched. */
  leastMs: number | null;
  timer: ReturnType<typeof setTimeout> | undefined;
}

export class Rereads {
  readonly #entries = new Map<string, Entry>();
  readonly #readAgain: (key: readonly unknown[]) => void;
  readonly #isPaused: () => boolean;

  /** @param isPaused While nothing moves nothing is read again: going on reads everything. */
  constructor(readAgain: (key: readonly unknown[]) => void, isPaused: () => boolean) {
    this.#readAgain = readAgain;
    this.#isPaused = isPaused;
  }

  /** A view shows it, until the returned function is called. */
  show(name: string): () => void {
    const entry = this.#entry(name);
    entry.views += 1;
    return () => {
      entry.views -= 1;
      this.#forget(name, entry);
    };
  }

  /** Around every read of it, whatever it was begun for. */
  async during<Data>(name: string, read: () => Promise<Data>): Promise<Data> {
    const entry = this.#entry(name);
    entry.underWay += 1;
    // What is read from here on has happened already.
    entry.leastMs = null;
    clearTimeout(entry.timer);
    entry.timer = undefined;
    try {
      return await read();
    } finally {
      entry.underWay -= 1;
      entry.settledAtMs = performance.now();
      this.#plan(name, entry);
      this.#forget(name, entry);
    }
  }

  /** @param leastMs Between the end of a read and the next one. */
  touch(name: string, leastMs: number): void {
    const entry = this.#entries.get(name);
    if (entry === undefined) return;
    entry.leastMs = Math.max(entry.leastMs ?? 0, leastMs);
    this.#plan(name, entry);
  }

  #plan(name: string, entry: Entry): void {
    if (entry.leastMs === null || entry.underWay > 0 || entry.timer !== undefined) return;
    const waitMs = Math.max(0, entry.settledAtMs + entry.leastMs - performance.now());
    entry.timer = setTimeout(() => {
      entry.timer = undefined;
      entry.leastMs = null;
      if (entry.views > 0 && !this.#isPaused()) this.#readAgain(JSON.parse(name) as unknown[]);
    }, waitMs);
  }

  #entry(name: string): Entry {
    let entry = this.#entries.get(name);
    if (entry === undefined) {
      entry = {
        views: 0,
        underWay: 0,
        settledAtMs: Number.NEGATIVE_INFINITY,
        leastMs: null,
        timer: undefined,
      };
      this.#entries.set(name, entry);
    }
    return entry;
  }

  #forget(name: string, entry: Entry): void {
    if (entry.views > 0 || entry.underWay > 0) return;
    clearTimeout(entry.timer);
    if (this.#entries.get(name) === entry) this.#entries.delete(name);
  }
}
