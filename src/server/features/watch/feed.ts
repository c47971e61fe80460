/**
 * One reader per board and server: after every wake-up it reads the log once from where it stands and hands the events to
 * everyone who follows the board, in order, each once. The log is dense, so the reader asserts that nothing is missing; the table
 * is the truth and a wake-up only says "look".
 */
import type { Event } from '../../../contract/events.ts';
import type { Sql } from '../../db/client.ts';
import type { Wake } from '../../db/wake.ts';
import { assert, present } from '../../kernel/assert.ts';
import type { Clock } from '../../kernel/clock.ts';
import { isSliceOver, nextTurn } from '../../kernel/time-slice.ts';
import type { BoardRef } from '../boards/service.ts';
import { EventBatch } from './event-batch.ts';
import { readEvents, readLogEnds } from './store.ts';

/** `gone`: the board is. `replaced`: it is there, with another log than the one that was followed. */
export type EndCause = 'gone' | 'replaced';

export interface Follower {
  /** Events in order, and the position after the last of them. */
  onEvents(events: readonly Event[], seq: number): void;
  /** Some were pruned before they were read here, so far behind is this server: what they said is to be looked at. */
  onGap?(): void;
  /** Nothing more will come. */
  onEnd(): void;
}

/** As a follower, for those who hand events on: what they become is made once for all of them. A batch that begins behind what they have says that there is a gap. */
export interface BatchFollower {
  onBatch(batch: EventBatch): void;
  onEnd(cause: EndCause): void;
}

interface FeedParts {
  readonly sql: Sql;
  readonly wake: Wake;
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
  readonly onIdle: () => void;
  readonly onLag: (seconds: number) => void;
}

/** One read: 500 events of 1 KiB are half a megabyte, read in a few milliseconds. Fewer when they are large: all of it is held at once. */
const EVENTS_PER_READ_MAX = 500;
const BYTES_PER_READ_MAX = 1024 * 1024;
/** After a failed read the next wake-up or this retry looks again. */
const RETRY_MS = 500;
/** Empty reads are common under load; deleted boards are not. */
const GONE_CHECK_INTERVAL_MS = 2000;

export class BoardFeed {
  readonly board: BoardRef;
  readonly #parts: FeedParts;
  readonly #followers = new Set<Follower | BatchFollower>();
  readonly #unsubscribe: () => void;
  #seq: number | null = null;
  #isReading = false;
  #isReadDue = false;
  #started: Promise<number> | undefined;
  #goneCheckedAt = Number.NEGATIVE_INFINITY;

  constructor(board: BoardRef, parts: FeedParts) {
    this.board = board;
    this.#parts = parts;
    this.#unsubscribe = parts.wake.subscribe(board.id, () => void this.#read());
  }

  /** How far it has read. */
  get #position(): number {
    assert(this.#seq !== null, 'a feed that is followed has a position');
    return this.#seq;
  }

  /** Whether its followers hear of every event after this position. */
  isLiveAfter(seq: number): boolean {
    return this.#seq !== null && this.#seq <= seq;
  }

  /** Adds a follower and resolves to the position from which on it hears everything. */
  async follow(follower: Follower | BatchFollower): Promise<number> {
    this.#followers.add(follower);
    this.#started ??= this.#start();
    try {
      await this.#started;
    } catch (error) {
      this.#started = undefined;
      this.leave(follower);
      throw error;
    }
    // No await between here and the caller's next line: it hears every event after this one.
    return this.#position;
  }

  leave(follower: Follower | BatchFollower): void {
    // Once only: a feed that was given up must not unsubscribe the one that has followed it.
    if (!this.#followers.delete(follower) || this.#followers.size > 0) return;
    this.#unsubscribe();
    this.#parts.onIdle();
  }

  async #start(): Promise<number> {
    const ends = await readLogEnds(this.#parts.sql, this.board.id);
    this.#seq = ends?.seq ?? 0;
    return this.#seq;
  }

  async #read(): Promise<void> {
    this.#isReadDue = true;
    if (this.#isReading || this.#seq === null) return;
    this.#isReading = true;
    try {
      while (this.#isReadDue && this.#followers.size > 0) {
        this.#isReadDue = false;
        await this.#readOnce();
      }
    } catch (error) {
      this.#parts.onError(error);
      setTimeout(() => void this.#read(), RETRY_MS).unref();
    } finally {
      this.#isReading = false;
    }
  }

  async #readOnce(): Promise<void> {
    const afterSeq = this.#position;
    const range = { afterSeq, rowsMax: EVENTS_PER_READ_MAX, bytesMax: BYTES_PER_READ_MAX };
    const read = await readEvents(this.#parts.sql, this.board.id, range);
    const [first] = read.rows;
    if (first === undefined) {
      await this.#lookAround();
      return;
    }
    const startSeq = first.seq - 1;
    if (startSeq > afterSeq) await this.#passOver(startSeq);
    const batch = new EventBatch(this.board, startSeq, read);
    const { events, seq } = batch;
    const last = present(events.at(-1), 'a row is an event');
    assert(seq === startSeq + events.length, 'the log of a board has no gaps');
    this.#seq = seq;
    this.#isReadDue ||= !batch.isAtEnd;
    this.#parts.onLag(Math.max(0, this.#parts.clock.now() - Date.parse(last.at)) / 1000);
    await this.#handOn(batch);
  }

  /** What lies between was pruned before it was read here. */
  async #passOver(startSeq: number): Promise<void> {
    const ends = await readLogEnds(this.#parts.sql, this.board.id);
    assert(
      ends === null || ends.pruned_seq >= startSeq,
      'the log of a board has no gaps but at its beginning',
    );
    this.#seq = startSeq;
    for (const follower of [...this.#followers]) if ('onEvents' in follower) follower.onGap?.();
  }

  /** Who joins meanwhile begins behind it, and has no need of it. */
  async #handOn(batch: EventBatch): Promise<void> {
    for (const follower of [...this.#followers]) {
      if (isSliceOver()) await nextTurn();
      if (!this.#followers.has(follower)) continue;
      if ('onBatch' in follower) follower.onBatch(batch);
      else follower.onEvents(batch.events, batch.seq);
    }
  }

  /** A wake-up without an event may mean that the board was deleted, its log replaced by an older one, or pruned as far as it goes. */
  async #lookAround(): Promise<void> {
    const now = performance.now();
    if (now - this.#goneCheckedAt < GONE_CHECK_INTERVAL_MS) return;
    this.#goneCheckedAt = now;
    const ends = await readLogEnds(this.#parts.sql, this.board.id);
    if (ends === null) this.end('gone');
    else if (ends.incarnation !== this.board.incarnation || ends.seq < this.#position) this.end('replaced');
    else if (ends.pruned_seq > this.#position) {
      await this.#passOver(ends.pruned_seq);
      await this.#handOn(new EventBatch(this.board, ends.pruned_seq, { rows: [], isAtEnd: true }));
    }
  }

  /** Nobody follows it afterwards. */
  end(cause: EndCause): void {
    for (const follower of [...this.#followers]) {
      follower.onEnd(cause);
      this.leave(follower);
    }
  }
}
