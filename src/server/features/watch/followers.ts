/**
 * Who follows a board's log, and how each is told. They are many and know nothing of each other, so what one of them does wrong is no
 * reason that another hears less: it is noted down, and the next one is told.
 */
import type { Event } from '../../../contract/events.ts';
import { isSliceOver, nextTurn } from '../../kernel/time-slice.ts';
import type { EventBatch } from './event-batch.ts';

/** `gone`: the board is. `replaced`: it is there, with another log than the one that was followed. */
export type EndCause = 'gone' | 'replaced';

/** Whoever wants to hear of news and keeps no position: it follows whatever log the board has. */
export interface Follower {
  /** Events in order, and the position after the last of them. */
  onEvents(events: readonly Event[], seq: number): void;
  /** What some events said is to be looked at: they were pruned before they were read here, or the log has been replaced. What comes next is heard. */
  onGap(): void;
  /** The board is gone, and nothing more will come. */
  onEnd(): void;
}

/**
 * As a follower, for those who hand events on: what they become is made once for all of them. A batch that begins behind what they have says that
 * there is a gap. Positions of a log that was replaced mean nothing in the next one, so they are ended with it.
 */
export interface BatchFollower {
  onBatch(batch: EventBatch): void;
  onEnd(cause: EndCause): void;
}

export type AnyFollower = Follower | BatchFollower;

export class Followers {
  readonly #members = new Set<AnyFollower>();
  readonly #onError: (error: unknown) => void;

  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  get isEmpty(): boolean {
    return this.#members.size === 0;
  }

  add(follower: AnyFollower): void {
    this.#members.add(follower);
  }

  /** False: it was none of them. */
  remove(follower: AnyFollower): boolean {
    return this.#members.delete(follower);
  }

  /** Those of now: who comes or leaves meanwhile changes nothing about it. */
  [Symbol.iterator](): Iterator<AnyFollower> {
    return [...this.#members].values();
  }

  /** Who joins meanwhile begins behind it, and has no need of it. */
  async handOn(batch: EventBatch): Promise<void> {
    for (const follower of this) {
      if (isSliceOver()) await nextTurn();
      if (!this.#members.has(follower)) continue;
      this.#tell(() => {
        if ('onBatch' in follower) follower.onBatch(batch);
        else follower.onEvents(batch.events, batch.seq);
      });
    }
  }

  /** Those who go by positions see a gap by themselves. */
  tellGap(): void {
    for (const follower of this) if ('onEvents' in follower) this.#tell(() => follower.onGap());
  }

  tellEnd(follower: AnyFollower, cause: EndCause): void {
    this.#tell(() => follower.onEnd(cause));
  }

  #tell(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#onError(error);
    }
  }
}
