/**
 * One reader per board and server: after every wake-up it reads the log once from where it stands and hands the events to
 * everyone who follows the board, in order, each once. The log is dense, so the reader asserts that nothing is missing; the table
 * is the truth and a wake-up only says "look".
 */
import type { Sql } from '../../db/client.ts';
import type { Wake } from '../../db/wake.ts';
import { assert, present } from '../../kernel/assert.ts';
import type { Clock } from '../../kernel/clock.ts';
import type { BoardRef } from '../boards/service.ts';
import { EventBatch } from './event-batch.ts';
import { type AnyFollower, type EndCause, Followers } from './followers.ts';
import { type LogEnds, type LogTip, markOf, readEvents, readLogTip } from './store.ts';

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
/** After a failed read: whatever rings before that waits for it, because it reads all there is. */
const RETRY_MS = 500;
/** Empty reads are common under load; deleted boards are not. */
const GONE_CHECK_INTERVAL_MS = 2000;

export class BoardFeed {
  #board: BoardRef;
  readonly #parts: FeedParts;
  readonly #followers: Followers;
  readonly #unsubscribe: () => void;
  #seq: number | null = null;
  /**
   * Of the event at the position. A log that was cut back and has grown past it since is as dense as ever, and only another event at this place
   * gives it away. Null: there is none, or it is pruned; then another log is told by its incarnation and its ends alone.
   */
  #mark: string | null = null;
  /** The last read did not find the event that was handed on last. */
  #wasMissing = false;
  #isReading = false;
  #isReadDue = false;
  /** It may be another log by now: that is looked at before anything more is read of it. */
  #isDoubted = false;
  /** Set after a failed read, until the next one. */
  #retryTimer: NodeJS.Timeout | undefined;
  /** Set for a look around that came too soon. */
  #lookTimer: NodeJS.Timeout | undefined;
  #started: Promise<number> | undefined;
  #goneCheckedAt = Number.NEGATIVE_INFINITY;

  constructor(board: BoardRef, parts: FeedParts) {
    this.#board = board;
    this.#parts = parts;
    this.#followers = new Followers(parts.onError);
    this.#unsubscribe = parts.wake.subscribe(board.id, (isDoubt = false) => {
      this.#isDoubted ||= isDoubt;
      void this.#read();
    });
  }

  /** With the incarnation of the log that is read. */
  get board(): BoardRef {
    return this.#board;
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

  /** Adds a follower, who knows the board like this, and resolves to the position from which on it hears everything. */
  async follow(board: BoardRef, follower: AnyFollower): Promise<number> {
    this.#followers.add(follower);
    this.#started ??= this.#start();
    try {
      await this.#started;
    } catch (error) {
      this.#started = undefined;
      this.leave(follower);
      throw error;
    }
    if (board.incarnation !== this.#board.incarnation) this.#onOtherLog(follower);
    // No await between here and the caller's next line: it hears every event after this one.
    return this.#position;
  }

  leave(follower: AnyFollower): void {
    // Once only: a feed that was given up must not unsubscribe the one that has followed it.
    if (!this.#followers.remove(follower) || !this.#followers.isEmpty) return;
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#lookTimer);
    this.#unsubscribe();
    this.#parts.onIdle();
  }

  async #start(): Promise<number> {
    const tip = await readLogTip(this.#parts.sql, this.#board.id);
    this.#seq = tip?.seq ?? 0;
    this.#mark = tip?.mark ?? null;
    if (tip !== null) this.#keepIncarnation(tip);
    // Who rang meanwhile may have meant something behind this position, and nobody else may ring for a while.
    if (this.#isReadDue) void this.#read();
    return this.#seq;
  }

  /** Either this feed or the follower has an old idea of the board. The feed looks which it is, and whoever goes by positions comes again after that. */
  #onOtherLog(follower: AnyFollower): void {
    this.#isDoubted = true;
    void this.#read();
    if ('onBatch' in follower) this.#sendAway(follower, 'replaced');
  }

  async #read(): Promise<void> {
    this.#isReadDue = true;
    if (this.#isReading || this.#retryTimer !== undefined || this.#seq === null) return;
    this.#isReading = true;
    try {
      while (this.#isReadDue && !this.#followers.isEmpty) {
        this.#isReadDue = false;
        await this.#readOnce();
      }
    } catch (error) {
      // The database may come back as a standby that lagged, whose log is a shorter one.
      this.#isDoubted = true;
      this.#parts.onError(error);
      if (!this.#followers.isEmpty) this.#retryTimer = setTimeout(() => this.#retry(), RETRY_MS).unref();
    } finally {
      this.#isReading = false;
    }
  }

  #retry(): void {
    this.#retryTimer = undefined;
    void this.#read();
  }

  async #readOnce(): Promise<void> {
    const hasLooked = this.#isDoubted;
    if (hasLooked) await this.#look();
    const afterSeq = this.#position;
    const range = { afterSeq, rowsMax: EVENTS_PER_READ_MAX, bytesMax: BYTES_PER_READ_MAX };
    const read = await readEvents(this.#parts.sql, this.#board.id, range);
    if (this.#mark !== null && read.markBefore !== this.#mark) {
      await this.#look(read.markBefore);
      const isMissing = this.#position === afterSeq && read.markBefore === null;
      // Twice, and neither pruned nor replaced: nobody can say any more what stood there.
      if (isMissing && this.#wasMissing) this.#mark = null;
      this.#wasMissing = isMissing;
      this.#isReadDue = true;
      return;
    }
    this.#wasMissing = false;
    const [first] = read.rows;
    if (first === undefined) {
      if (!hasLooked) await this.#lookAround();
      return;
    }
    const startSeq = first.seq - 1;
    if (startSeq > afterSeq) await this.#passOver(startSeq);
    const batch = new EventBatch(this.#board, startSeq, read);
    const { events, seq } = batch;
    const last = present(read.rows[events.length - 1], 'an event is a row');
    assert(seq === startSeq + events.length, 'the log of a board has no gaps');
    this.#seq = seq;
    this.#mark = markOf(last);
    this.#isReadDue ||= !batch.isAtEnd;
    this.#parts.onLag(Math.max(0, this.#parts.clock.now() - Date.parse(last.at)) / 1000);
    await this.#followers.handOn(batch);
  }

  /** What lies between was pruned before it was read here. */
  async #passOver(startSeq: number): Promise<void> {
    const tip = await readLogTip(this.#parts.sql, this.#board.id);
    assert(tip === null || tip.pruned_seq >= startSeq, 'the log of a board has no gaps but at its beginning');
    this.#seq = startSeq;
    this.#mark = null;
    this.#followers.tellGap();
  }

  /** A wake-up without an event may mean that the board was deleted, its log replaced by an older one, or pruned as far as it goes. */
  async #lookAround(): Promise<void> {
    const restMs = this.#goneCheckedAt + GONE_CHECK_INTERVAL_MS - performance.now();
    if (restMs > 0) this.#lookLater(restMs);
    else await this.#look();
  }

  /** @param mark What was read at the position, if that is not what is to be there. */
  async #look(mark = this.#mark): Promise<void> {
    this.#goneCheckedAt = performance.now();
    this.#isDoubted = false;
    const tip = await readLogTip(this.#parts.sql, this.#board.id);
    if (tip === null) this.#end();
    else if (this.#isOther(tip, mark)) this.#goOnIn(tip);
    else if (tip.pruned_seq > this.#position) {
      await this.#passOver(tip.pruned_seq);
      await this.#followers.handOn(new EventBatch(this.#board, tip.pruned_seq, { rows: [], isAtEnd: true }));
    } else if (tip.pruned_seq === this.#position) this.#mark = null;
  }

  /** An event that is missing may have been pruned. If the log was cut before it and has grown since, the next read finds another one. */
  #isOther(tip: LogTip, mark: string | null): boolean {
    const isAnother = mark !== null && mark !== this.#mark;
    return isAnother || tip.incarnation !== this.#board.incarnation || tip.seq < this.#position;
  }

  /** What this wake-up meant may be told by no other: a log that was replaced can stay as it is for long. */
  #lookLater(delayMs: number): void {
    this.#lookTimer ??= setTimeout(() => {
      this.#lookTimer = undefined;
      this.#isDoubted = true;
      void this.#read();
    }, delayMs).unref();
  }

  /**
   * In the log that has taken the place of the one that was followed. Who keeps no position stays: those who were ended with the old log went on
   * believing that they followed, and heard nothing more.
   */
  #goOnIn(tip: LogTip): void {
    this.#keepIncarnation(tip);
    this.#seq = tip.seq;
    this.#mark = tip.mark;
    for (const follower of this.#followers) if ('onBatch' in follower) this.#sendAway(follower, 'replaced');
    this.#followers.tellGap();
  }

  #keepIncarnation({ incarnation }: LogEnds): void {
    if (incarnation !== this.#board.incarnation) this.#board = { ...this.#board, incarnation };
  }

  /** Nobody follows it afterwards. */
  #end(): void {
    for (const follower of this.#followers) this.#sendAway(follower, 'gone');
  }

  #sendAway(follower: AnyFollower, cause: EndCause): void {
    this.#followers.tellEnd(follower, cause);
    this.leave(follower);
  }
}
