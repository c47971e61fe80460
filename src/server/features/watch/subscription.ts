/**
 * One watch of a socket: a place in the log that only moves forward. Live events are sent as they come while the place is at the
 * end; otherwise it reads the log page by page. Each event is sent once, in order, and a bookmark only after all before it.
 */
import { ProblemError } from '../../kernel/problem-error.ts';
import type { BoardRef } from '../boards/service.ts';
import type { EventBatch, EventsPortion } from './event-batch.ts';
import type { BoardFeeds, LogPlace } from './service.ts';
import { cursorAt, type EventFilter } from './view.ts';

/** Who sends what a watch brings: a socket, or a stream over HTTP. Each writes it down in its own way. */
export interface SubscriptionOwner {
  readonly board: BoardRef;
  readonly feeds: Pick<BoardFeeds, 'isLiveAfter' | 'readOn' | 'position'>;
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
/** Where the log begins moves on while somebody begins there: a few times at the most, each within milliseconds. */
const STARTS_MAX = 5;

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

  /** How often it may yet begin where the log begins by then: as long as it has brought nothing, and its client has named no cursor. */
  #startsLeft: number;

  /** @param filter As sharedFilter gives it. */
  constructor(
    owner: SubscriptionOwner,
    id: string,
    filter: EventFilter,
    { afterSeq, isFromStart = false }: LogPlace,
  ) {
    this.#owner = owner;
    this.#id = id;
    this.#filter = filter;
    this.#seq = afterSeq;
    this.#endSeq = afterSeq;
    this.#startsLeft = isFromStart ? STARTS_MAX : 0;
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
    this.#isReading = true;
    let hasFailed = false;
    try {
      let isMore = true;
      while (isMore && !this.#isStopped && !this.#isStalled) {
        const batch = await this.#readOn();
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

  async #readOn(): Promise<EventBatch> {
    const { feeds, board } = this.#owner;
    for (;;) {
      try {
        return await feeds.readOn(board, this.#seq);
      } catch (error) {
        if (!isExpired(error) || this.#startsLeft === 0) throw error;
        this.#startsLeft -= 1;
        const startSeq = await feeds.position(board, 'start');
        if (startSeq <= this.#seq) throw error;
        this.#seq = startSeq;
        // Its client was told another beginning.
        this.#sendBookmark();
      }
    }
  }

  #onFailure(error: unknown): void {
    if (isExpired(error)) this.#owner.onExpired(this.#id, error);
    else if (error instanceof ProblemError && error.code === 'rate_limited') this.#owner.onOverload();
    else {
      this.#owner.onError(error);
      setTimeout(() => this.#goOn(), RETRY_MS).unref();
    }
  }

  /** As far as the socket takes it: the first portion that does not fit is where the log is read from again. */
  #deliver(batch: EventBatch): void {
    this.#startsLeft = 0;
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

function isExpired(error: unknown): error is ProblemError {
  return error instanceof ProblemError && error.code === 'cursor_expired';
}
