/**
 * One reader per board and server: after every wake-up it reads the log once from where it stands and hands the events to
 * everyone who follows the board, in order, each once. The log is dense, so the reader asserts that nothing is missing; the table
 * is the truth and a wake-up only says "look".
 */
import type { Event } from '../../../contract/events.ts';
import type { Sql } from '../../db/client.ts';
import type { Wake } from '../../db/wake.ts';
import { assert } from '../../kernel/assert.ts';
import type { Clock } from '../../kernel/clock.ts';
import type { BoardRef } from '../boards/service.ts';
import { readEvents, readLogEnds } from './store.ts';
import { eventOf } from './view.ts';

export interface Follower {
  /** Events in order, and the position after the last of them. */
  onEvents(events: readonly Event[], seq: number): void;
  /** The board is gone, or its log has been replaced: nothing more will come. */
  onEnd(): void;
}

interface FeedParts {
  readonly sql: Sql;
  readonly wake: Wake;
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
  readonly onIdle: () => void;
  readonly onLag: (seconds: number) => void;
}

/** One read: 500 events of 1 KiB are half a megabyte, read in a few milliseconds. */
const EVENTS_PER_READ_MAX = 500;
/** After a failed read the next wake-up or this retry looks again. */
const RETRY_MS = 500;
/** Empty reads are common under load; deleted boards are not. */
const GONE_CHECK_INTERVAL_MS = 2000;

export class BoardFeed {
  readonly board: BoardRef;
  readonly #parts: FeedParts;
  readonly #followers = new Set<Follower>();
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

  /** Adds a follower and resolves to the position from which on it hears everything. */
  async follow(follower: Follower): Promise<number> {
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
    assert(this.#seq !== null, 'a started feed has a position');
    return this.#seq;
  }

  leave(follower: Follower): void {
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
    const after = this.#seq ?? 0;
    const rows = await readEvents(this.#parts.sql, this.board.id, after, EVENTS_PER_READ_MAX);
    const last = rows.at(-1);
    if (last === undefined) {
      await this.#endIfGone();
      return;
    }
    assert(rows[0]?.seq === after + 1 && last.seq === after + rows.length, 'the log of a board has no gaps');
    this.#seq = last.seq;
    if (rows.length === EVENTS_PER_READ_MAX) this.#isReadDue = true;
    this.#parts.onLag(Math.max(0, this.#parts.clock.now() - Date.parse(last.at)) / 1000);
    const events = rows.map((row) => eventOf(this.board, row));
    for (const follower of [...this.#followers]) follower.onEvents(events, last.seq);
  }

  /** A wake-up without an event may mean that the board was deleted. */
  async #endIfGone(): Promise<void> {
    const now = performance.now();
    if (now - this.#goneCheckedAt < GONE_CHECK_INTERVAL_MS) return;
    this.#goneCheckedAt = now;
    if ((await readLogEnds(this.#parts.sql, this.board.id)) === null) this.#end();
  }

  #end(): void {
    for (const follower of [...this.#followers]) {
      follower.onEnd();
      this.leave(follower);
    }
  }
}
