/**
 * The log as server-sent events: what the watch socket sends, for clients that speak only HTTP. A stream is one subscription, so the
 * guarantees are the same ones; here it is only written down as the HTML standard has it. An `id` is always the cursor after the event,
 * which makes `Last-Event-ID` the way to go on. Where the filter lets nothing through, an `id` alone moves it along: by that standard it
 * changes the client's last id and hands the client nothing, whereas a bookmark of its own kind would be one more thing to know.
 */
import type { Event } from '../../../contract/events.ts';
import type { AnswerStream } from '../../http/answer-stream.ts';
import { STALLED_MS_MAX } from '../../kernel/peer-patience.ts';
import type { BoardRef } from '../boards/service.ts';
import type { EventBatch, EventsPortion } from './event-batch.ts';
import type { BatchFollower } from './followers.ts';
import { RECONNECT_SPREAD_MS } from './live-bounds.ts';
import { type BoardFeeds, isStart, type LogPlace } from './service.ts';
import { Subscription, type SubscriptionOwner } from './subscription.ts';
import { cursorAt, type EventFilter } from './view.ts';

interface EventStreamParts {
  readonly board: BoardRef;
  /** As sharedFilter gives it. */
  readonly filter: EventFilter;
  readonly feeds: BoardFeeds;
  readonly onClose: () => void;
  readonly onError: (error: unknown) => void;
}

/** A client comes back no sooner, and within the spread of all that reconnect. */
const RETRY_MS_MIN = 500;

export class EventStream implements BatchFollower, SubscriptionOwner {
  readonly board: BoardRef;
  readonly feeds: BoardFeeds;
  readonly #parts: EventStreamParts;
  #outlet: AnswerStream | undefined;
  #subscription: Subscription | undefined;
  #leaveFeed: (() => void) | undefined;
  #isClosed = false;

  constructor(parts: EventStreamParts) {
    this.board = parts.board;
    this.feeds = parts.feeds;
    this.#parts = parts;
  }

  /** Joins the log and resolves to the position that the client named, or rejects with why there is none. */
  async start(after: string | null): Promise<LogPlace> {
    try {
      // In this order, so that nothing comes between the position and the first event that is heard.
      const { leave } = await this.feeds.follow(this.board, this);
      this.#leaveFeed = leave;
      if (this.#isClosed) leave();
      return { afterSeq: await this.feeds.position(this.board, after), isFromStart: isStart(after) };
    } catch (error) {
      this.#letGo();
      throw error;
    }
  }

  /** @param outlet May have closed already. */
  begin(outlet: AnswerStream, place: LogPlace): void {
    outlet.onClose(() => this.#letGo());
    if (this.#isClosed) {
      outlet.end();
      return;
    }
    const subscription = new Subscription(this, '', this.#parts.filter, place);
    this.#outlet = outlet;
    this.#subscription = subscription;
    const retryMs = RETRY_MS_MIN + Math.round(Math.random() * RECONNECT_SPREAD_MS);
    // With an id, so that a client that is cut off before the first event does not miss it.
    outlet.send(`retry: ${retryMs}\nid: ${cursorAt(this.board, place.afterSeq)}\n\n`);
    outlet.onWritable(() => subscription.resume());
    subscription.start();
  }

  /** Called every few seconds: a client that does not read is cut off, all others hear that the stream lives, and where it stands. */
  tick(): void {
    if (this.#outlet === undefined || this.#isClosed) return;
    if (this.#outlet.stalledMs() > STALLED_MS_MAX) {
      this.end();
      return;
    }
    this.#outlet.send(': still here\n\n');
    this.#subscription?.bookmark();
  }

  /** At once for everything here, however long the client takes to read what it was sent. */
  end(): void {
    this.#letGo();
    this.#outlet?.end();
  }

  onBatch(batch: EventBatch): void {
    this.#subscription?.onBatch(batch);
  }

  // Whatever ends a stream, its client comes back with its last id, and is told the reason by the answer to that.

  onEnd(): void {
    this.end();
  }

  onExpired(): void {
    this.end();
  }

  onOverload(): void {
    this.end();
  }

  onError(error: unknown): void {
    this.#parts.onError(error);
  }

  sendEvents(_id: string, portion: EventsPortion): boolean {
    return this.#outlet?.send(messagesOf(portion)) ?? true;
  }

  sendBookmark(_id: string, cursor: string): void {
    this.#outlet?.send(`id: ${cursor}\n\n`);
  }

  #letGo(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#subscription?.stop();
    this.#leaveFeed?.();
    this.#parts.onClose();
  }
}

/** The streams of a board that share a filter are handed the same portions: their text is made once. */
const messages = new WeakMap<EventsPortion, Buffer>();

function messagesOf(portion: EventsPortion): Buffer {
  const known = messages.get(portion);
  if (known !== undefined) return known;
  const made = Buffer.from(portion.events.map(messageOf).join(''));
  messages.set(portion, made);
  return made;
}

/** JSON has no line breaks of its own, so it is one line of data. */
function messageOf(event: Event): string {
  return `id: ${event.cursor}\nevent: ${event.kind}\ndata: ${JSON.stringify(event)}\n\n`;
}
