/** `available` hints: that work waits for a lane this socket cares about. Coalesced, and never a promise. */
import type { Event } from '../../../contract/events.ts';
import type { ServerFrame } from '../../../contract/frames.ts';

interface HintParts {
  readonly countReady: (lanes: readonly string[]) => Promise<ReadonlyMap<string, number>>;
  readonly send: (frame: ServerFrame) => unknown;
  readonly onError: (error: unknown) => void;
}

/** Hints of one lane are at least this far apart, so that a batch of a thousand tasks is one or two of them. */
const COALESCE_MS = 20;

export class Hints {
  readonly #parts: HintParts;
  readonly #lanes = new Set<string>();
  readonly #due = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(parts: HintParts) {
    this.#parts = parts;
  }

  /** A newly watched lane is told at once what waits for it. */
  add(lanes: readonly string[]): void {
    for (const lane of lanes) {
      this.#lanes.add(lane);
      this.#due.add(lane);
    }
    this.#schedule();
  }

  onEvents(events: readonly Event[]): void {
    if (this.#lanes.size === 0) return;
    for (const event of events) {
      if (event.lane === undefined || !this.#lanes.has(event.lane)) continue;
      if (event.data['status_after'] === 'ready' || event.kind === 'lane.resumed') this.#due.add(event.lane);
    }
    if (this.#due.size > 0) this.#schedule();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  #schedule(): void {
    if (this.#isStopped) return;
    this.#timer ??= setTimeout(() => void this.#flush(), COALESCE_MS);
  }

  async #flush(): Promise<void> {
    this.#timer = undefined;
    const lanes = [...this.#due];
    this.#due.clear();
    try {
      const counts = await this.#parts.countReady(lanes);
      if (this.#isStopped) return;
      for (const [lane, ready] of counts) if (ready > 0) this.#parts.send({ type: 'available', lane, ready });
    } catch (error) {
      this.#parts.onError(error); // A hint only: the long poll finds the work.
    }
  }
}
