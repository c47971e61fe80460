/**
 * One watch of a socket: a place in the log that only moves forward. Live events are sent as they come while the place is at the
 * end; otherwise it reads the log page by page. Each event is sent once, in order, and a bookmark only after all before it.
 */
import type { Event } from '../../../contract/events.ts';
import type { ServerFrame } from '../../../contract/frames.ts';
import type { BoardRef } from '../boards/service.ts';
import { type BoardFeeds, cursorAt } from './service.ts';
import { type EventFilter, passes } from './view.ts';

interface SubscriptionParts {
  readonly id: string;
  readonly filter: EventFilter;
  readonly feeds: BoardFeeds;
  readonly board: BoardRef;
  /** False: the socket took nothing; resume() is called when it can again. */
  readonly send: (frame: ServerFrame) => boolean;
  readonly onError: (error: unknown) => void;
}

/** Events in one frame while catching up: some 100 KiB, well below what may lie unsent. */
const CATCH_UP_EVENTS_MAX = 100;
const RETRY_MS = 1000;

export class Subscription {
  readonly #parts: SubscriptionParts;
  /** Everything up to here was sent, or does not pass the filter. */
  #seq: number;
  /** The newest position heard of; the place is at the end when they are equal. */
  #endSeq: number;
  #isReading = false;
  #isStopped = false;
  /** The socket took nothing more, until resume(). */
  #isStalled = false;

  constructor(parts: SubscriptionParts, seq: number) {
    this.#parts = parts;
    this.#seq = seq;
    this.#endSeq = seq;
  }

  onEvents(events: readonly Event[], seq: number): void {
    const first = events[0]?.seq ?? seq;
    const isNext = this.#seq === this.#endSeq && first <= this.#seq + 1;
    this.#endSeq = Math.max(this.#endSeq, seq);
    if (this.#isStopped || this.#isReading || this.#isStalled) return;
    if (isNext)
      this.#deliver(
        events.filter((event) => event.seq > this.#seq && passes(this.#parts.filter, event)),
        Math.max(this.#seq, seq),
      );
    else this.resume();
  }

  /** Catches up from the log; live events take over when the end is reached. */
  resume(): void {
    this.#isStalled = false;
    if (!this.#isReading && !this.#isStopped) void this.#catchUp();
  }

  async #catchUp(): Promise<void> {
    this.#isReading = true;
    let hasFailed = false;
    try {
      let isMore = true;
      while (isMore && !this.#isStopped && !this.#isStalled) {
        const page = await this.#parts.feeds.read(
          this.#parts.board,
          this.#seq,
          this.#parts.filter,
          CATCH_UP_EVENTS_MAX,
        );
        if (this.#isStopped) return;
        isMore = page.seq > this.#seq;
        if (isMore) this.#deliver(page.events, page.seq);
        // What came in during the read lies beyond it; a sparse filter may have found nothing so far.
        isMore &&= !page.isAtEnd || this.#endSeq > this.#seq;
        this.#endSeq = Math.max(this.#endSeq, this.#seq);
      }
    } catch (error) {
      hasFailed = true;
      this.#parts.onError(error);
      setTimeout(() => this.resume(), RETRY_MS).unref();
    } finally {
      this.#isReading = false;
    }
    const isBehind = this.#endSeq > this.#seq;
    if (!hasFailed && !this.#isStopped && !this.#isStalled && isBehind) this.resume();
  }

  #deliver(events: readonly Event[], seq: number): void {
    const frame = {
      type: 'events' as const,
      id: this.#parts.id,
      events: [...events],
      cursor: cursorAt(this.#parts.board, seq),
    };
    if (events.length > 0 && !this.#parts.send(frame)) {
      this.#isStalled = true;
      return;
    }
    this.#seq = seq;
  }

  /** Moves the client's cursor along where its filter let nothing through, and keeps idle ones fresh. */
  bookmark(): void {
    if (this.#isStopped || this.#isReading || this.#isStalled) return;
    this.#parts.send({
      type: 'bookmark',
      id: this.#parts.id,
      cursor: cursorAt(this.#parts.board, this.#seq),
    });
  }

  stop(): void {
    this.#isStopped = true;
  }
}
