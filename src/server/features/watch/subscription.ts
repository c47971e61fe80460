/**
 * One watch of a socket: a place in the log that only moves forward. Live events are sent as they come while the place is at the
 * end; otherwise it reads the log page by page. Each event is sent once, in order, and a bookmark only after all before it.
 */
import { ProblemError } from '../../kernel/problem-error.ts';
import type { BoardRef } from '../boards/service.ts';
import type { EventBatch, EventsPortion } from './event-batch.ts';
import type { BoardFeeds } from './service.ts';
import { cursorAt, type EventFilter } from './view.ts';

/** Who sends what a watch brings: a socket, or a stream over HTTP. Each writes it down in its own way. */
export interface SubscriptionOwner {
  readonly board: BoardRef;
  readonly feeds: Pick<BoardFeeds, 'isLiveAfter' | 'readOn'>;
  /** False: nothing was taken; resume() is called when it can be again. */
  sendEvents(id: string, portion: EventsPortion): boolean;
  /** Everything that matches, up to this position, has been sent. */
  sendBookmark(id: string, cursor: string): void;
  /** The watch can never go on from where it stands. */
  onExpired(id: string, problem: ProblemError): void;
  /** The log cannot be read soon enough: another server may have more time. */
  onOverload(): void;
  onError(error: unknown): void;
}

const RETRY_MS = 1000;

export class Subscription {
  readonly #owner: SubscriptionOwner;
  readonly #id: string;
  readonly #filter: EventFilter;
  /** Everything up to here was sent, or does not pass the filter. */
  #seq: number;
  /** The newest position heard of; the place is at the end when they are equal. */
  #endSeq: number;
  /** What was sent last ended inside a transaction: its position is nothing to bookmark. */
  #isInside = false;
  #isReading = false;
  #isStopped = false;
  /** The socket took nothing more, until resume(). */
  #isStalled = false;

  /** @param filter As sharedFilter gives it. */
  constructor(owner: SubscriptionOwner, id: string, filter: EventFilter, seq: number) {
    this.#owner = owner;
    this.#id = id;
    this.#filter = filter;
    this.#seq = seq;
    this.#endSeq = seq;
  }

  /** From now on it hears of all that its board's feed reads. */
  start(): void {
    const { feeds, board } = this.#owner;
    if (!feeds.isLiveAfter(board, this.#seq)) this.#goOn();
  }

  onBatch(batch: EventBatch): void {
    const isNext = this.#seq === this.#endSeq && batch.afterSeq <= this.#seq;
    this.#endSeq = Math.max(this.#endSeq, batch.seq);
    if (this.#isStopped || this.#isReading || this.#isStalled) return;
    if (isNext) this.#deliver(batch);
    else this.#goOn();
  }

  /** There is room again, which matters only where there was none. */
  resume(): void {
    if (!this.#isStalled) return;
    this.#isStalled = false;
    this.#goOn();
  }

  /** Catches up from the log; live events take over when the end is reached. */
  #goOn(): void {
    if (!this.#isReading && !this.#isStopped) void this.#catchUp();
  }

  async #catchUp(): Promise<void> {
    const { feeds, board } = this.#owner;
    this.#isReading = true;
    let hasFailed = false;
    try {
      let isMore = true;
      while (isMore && !this.#isStopped && !this.#isStalled) {
        const batch = await feeds.readOn(board, this.#seq);
        if (this.#isStopped) return;
        this.#deliver(batch);
        // What came in during the read lies beyond it. Nothing does where the log is shorter than it was: then the feed ends all this.
        const isOver = batch.seq === batch.afterSeq;
        isMore = !isOver && (!batch.isAtEnd || this.#endSeq > this.#seq);
        this.#endSeq = isOver ? this.#seq : Math.max(this.#endSeq, this.#seq);
      }
    } catch (error) {
      hasFailed = true;
      this.#onFailure(error);
    } finally {
      this.#isReading = false;
    }
    const isBehind = this.#endSeq > this.#seq;
    if (!hasFailed && !this.#isStopped && !this.#isStalled && isBehind) this.#goOn();
  }

  #onFailure(error: unknown): void {
    if (error instanceof ProblemError && error.code === 'cursor_expired')
      this.#owner.onExpired(this.#id, error);
    else if (error instanceof ProblemError && error.code === 'rate_limited') this.#owner.onOverload();
    else {
      this.#owner.onError(error);
      setTimeout(() => this.#goOn(), RETRY_MS).unref();
    }
  }

  /** As far as the socket takes it: the first portion that does not fit is where the log is read from again. */
  #deliver(batch: EventBatch): void {
    for (const portion of batch.portionsFor(this.#filter, this.#seq)) {
      if (!this.#owner.sendEvents(this.#id, portion)) {
        this.#isStalled = true;
        return;
      }
      this.#seq = portion.seq;
      this.#isInside = portion.isPartial;
    }
    this.#seq = Math.max(this.#seq, batch.seq);
    if (!this.#isInside || !batch.isWhole) return;
    // The rest of a change that was begun let nothing through, and only this says that it is over.
    this.#isInside = false;
    this.#sendBookmark();
  }

  /** Moves the client's cursor along where its filter let nothing through, and keeps idle ones fresh. */
  bookmark(): void {
    if (!this.#isStopped && !this.#isReading && !this.#isStalled && !this.#isInside) this.#sendBookmark();
  }

  #sendBookmark(): void {
    this.#owner.sendBookmark(this.#id, cursorAt(this.#owner.board, this.#seq));
  }

  stop(): void {
    this.#isStopped = true;
  }
}
