/** The log as clients read it: pages and positions. Live followers come through the board's feed, long polls wait in event-wait.ts. */
import type { Event } from '../../../contract/events.ts';
import type { Runner, Sql } from '../../db/client.ts';
import { withinDeadline } from '../../db/tx.ts';
import type { Wake } from '../../db/wake.ts';
import type { Clock } from '../../kernel/clock.ts';
import { type CursorPosition, parseCursor } from '../../kernel/cursor.ts';
import type { Uuid } from '../../kernel/ids.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import { Slots } from '../../kernel/slots.ts';
import { boardNotFound } from '../auth/service.ts';
import type { BoardRef } from '../boards/service.ts';
import { EventBatch } from './event-batch.ts';
import { BoardFeed } from './feed.ts';
import type { AnyFollower } from './followers.ts';
import {
  type LogEnds,
  type LogRead,
  readEvents,
  readEventsBack,
  readLastSeqOf,
  readLogEnds,
  readTaskEvents,
} from './store.ts';
import { cursorAt, type EventFilter, eventOf, passes } from './view.ts';

export { waitForChange, waitForEvent } from './event-wait.ts';
export type { Follower } from './followers.ts';
export type { FollowOutput, OutputWatch } from './output-link.ts';
export { findEvents } from './store.ts';
export { cursorAt, eventOf } from './view.ts';
export type {
  CloseCause,
  OpenWorkerLink,
  WorkerGreeting,
  WorkerLink,
  WorkerPort,
  WorkerSocketListener,
} from './worker-link.ts';

/** Where a read begins. */
export interface LogPlace {
  readonly afterSeq: number;
  /** The client wants whatever there is, and named no cursor. */
  readonly isFromStart?: boolean;
}

/** What a client says who wants the log from its beginning. */
export function isStart(after: string | null): after is 'start' | null {
  return after === null || after === 'start';
}

export interface LogPage {
  readonly events: Event[];
  readonly cursor: string;
}

export interface FilteredPage extends LogPage {
  readonly seq: number;
  /** False: there is more to read, though this page may hold nothing. */
  readonly isAtEnd: boolean;
}

/** Pages of the log read for one request with a sparse filter; then the answer is what was found so far. */
const PAGES_PER_REQUEST_MAX = 20;
const EVENTS_PER_PAGE_MAX = 1000;
/**
 * Of one page, in answers and when watches catch up: a thousand ordinary events. An event may carry half a megabyte, and a page of a
 * thousand such would be more than a server has. The page ends where the bytes do, and its cursor says where.
 */
const BYTES_PER_PAGE_MAX = 1024 * 1024;
/** Pages read for watches that catch up: a quarter of the connections for all but the claim path, so that a herd of them delays nobody. */
const CATCH_UPS_MAX = 2;
/** Every socket of a server with a few watches; who asks for the same page waits with those who have. */
const CATCH_UPS_WAITING_MAX = 50_000;
/** What hears nothing for so long may take its connection for dead; it had better ask another server then. */
const CATCH_UP_WAIT_MS_MAX = 30_000;

interface FeedParts {
  readonly sql: Sql;
  readonly wake: Wake;
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
  /** Seconds from an event's time to its arrival here. */
  readonly onLag: (seconds: number) => void;
}

/** The feeds of the boards that somebody follows here. */
export class BoardFeeds {
  readonly #parts: FeedParts;
  readonly #feeds = new Map<number, BoardFeed>();
  /** Pages that are being read for watches, by board and position. */
  readonly #pages = new Map<string, Promise<EventBatch>>();
  readonly #catchUps = new Slots({
    runningMax: CATCH_UPS_MAX,
    waitingMax: CATCH_UPS_WAITING_MAX,
    waitMsMax: CATCH_UP_WAIT_MS_MAX,
    refusal: 'The server is busy with watches that catch up; retry shortly.',
  });

  constructor(parts: FeedParts) {
    this.#parts = parts;
  }

  /** Follows the board from now on. Resolves to the position it starts after, and the way to leave. */
  async follow(board: BoardRef, follower: AnyFollower): Promise<{ seq: number; leave: () => void }> {
    const feed = this.#feedOf(board);
    const seq = await feed.follow(board, follower);
    return { seq, leave: () => feed.leave(follower) };
  }

  /** Whether a follower of the board hears of every event after this position. */
  isLiveAfter(board: BoardRef, seq: number): boolean {
    const feed = this.#feeds.get(board.id);
    return feed?.board.incarnation === board.incarnation && feed.isLiveAfter(seq);
  }

  #feedOf(board: BoardRef): BoardFeed {
    const known = this.#feeds.get(board.id);
    if (known !== undefined) return known;
    const feed = new BoardFeed(board, { ...this.#parts, onIdle: () => this.#forget(board.id, feed) });
    this.#feeds.set(board.id, feed);
    return feed;
  }

  #forget(boardId: number, feed: BoardFeed): void {
    if (this.#feeds.get(boardId) === feed) this.#feeds.delete(boardId);
  }

  async ends(board: BoardRef, runner: Runner = this.#parts.sql): Promise<LogEnds> {
    const ends = await withinDeadline(readLogEnds(runner, board.id));
    if (ends === null) throw boardNotFound(board.name);
    return ends;
  }

  /** The board's newest position, as this runner sees it. */
  async cursor(runner: Runner | undefined, board: BoardRef): Promise<string> {
    return cursorAt(board, (await this.ends(board, runner)).seq);
  }

  /** The position a client named: a cursor, "start", or "now". At the pruned end itself nothing is missing yet. */
  async position(board: BoardRef, after: string | null): Promise<number> {
    const ends = await this.ends(board);
    if (after === 'now') return ends.seq;
    if (isStart(after)) return ends.pruned_seq;
    const position = parseCursor(after);
    if (position === null)
      throw new ProblemError('invalid_cursor', 'The cursor was not made by this server.');
    if (position.boardId !== board.id)
      throw new ProblemError('invalid_cursor', 'The cursor belongs to another board.');
    if (position.incarnation !== ends.incarnation) await this.#checkPast(board, position);
    if (position.seq < ends.pruned_seq) throw cursorExpired();
    if (position.seq > ends.seq)
      throw new ProblemError('invalid_cursor', 'The cursor lies beyond the end of the log.');
    return position.seq;
  }

  /** A cursor from before the moment that a restore went back to is as good as ever; a later one is of events that are no more. */
  async #checkPast(board: BoardRef, { incarnation, seq }: CursorPosition): Promise<void> {
    const lastSeq = await withinDeadline(readLastSeqOf(this.#parts.sql, board.id, incarnation));
    if (lastSeq === null || seq > lastSeq) throw cursorExpired();
  }

  /** Matching events up to and including `fromSeq`, the newest first; bounds as for `read`. Its cursor is where to go further back from. */
  async readBack(
    board: BoardRef,
    fromSeq: number,
    filter: EventFilter,
    rowsMax: number,
    runner: Runner,
  ): Promise<LogPage> {
    const found: Event[] = [];
    let bytes = 0;
    let seq = fromSeq;
    let isOver = false;
    for (let page = 0; page < PAGES_PER_REQUEST_MAX && !isOver; page += 1) {
      const range = { fromSeq: seq, rowsMax: EVENTS_PER_PAGE_MAX, bytesMax: BYTES_PER_PAGE_MAX };
      const part = await withinDeadline(readEventsBack(runner, board.id, range));
      for (const row of part.rows) {
        const event = eventOf(board, row);
        const isWanted = passes(filter, event);
        isOver =
          found.length === rowsMax || (isWanted && bytes > 0 && bytes + row.bytes > BYTES_PER_PAGE_MAX);
        if (isOver) break;
        seq = row.seq - 1;
        if (!isWanted) continue;
        found.push(event);
        bytes += row.bytes;
      }
      isOver ||= part.isAtEnd;
    }
    return { events: found, cursor: cursorAt(board, seq) };
  }

  /**
   * Matching events after `seq`, at most `rowsMax` and about a megabyte; reads on while a sparse filter finds nothing. What has been pruned since the
   * position was looked up is told, unless it was only where the log began.
   */
  async read(
    board: BoardRef,
    { afterSeq, isFromStart = false }: LogPlace,
    filter: EventFilter,
    rowsMax: number,
    runner: Runner = this.#parts.sql,
  ): Promise<FilteredPage> {
    const found: Event[] = [];
    let bytes = 0;
    let seq = afterSeq;
    let isAtEnd = false;
    let isFull = false;
    for (let page = 0; page < PAGES_PER_REQUEST_MAX && !isFull && !isAtEnd; page += 1) {
      const range = { afterSeq: seq, rowsMax: EVENTS_PER_PAGE_MAX, bytesMax: BYTES_PER_PAGE_MAX };
      const part = await withinDeadline(readEvents(runner, board.id, range));
      const startSeq = await this.#startOf(board, part, seq, runner);
      if (startSeq > seq && !(isFromStart && page === 0)) throw cursorExpired();
      seq = Math.max(seq, startSeq);
      for (const row of part.rows) {
        const event = eventOf(board, row);
        const isWanted = passes(filter, event);
        isFull =
          found.length === rowsMax || (isWanted && bytes > 0 && bytes + row.bytes > BYTES_PER_PAGE_MAX);
        if (isFull) break;
        seq = row.seq;
        if (!isWanted) continue;
        found.push(event);
        bytes += row.bytes;
      }
      isAtEnd = !isFull && part.isAtEnd;
    }
    return { events: found, seq, cursor: cursorAt(board, seq), isAtEnd };
  }

  /**
   * The next part of the log for a watch. Whoever asks for the same while it is being read gets the same one, because watchers that were cut
   * off together come back together. Rejects with cursor_expired where the log has been pruned, and with rate_limited where too many ask.
   */
  readOn(board: BoardRef, afterSeq: number): Promise<EventBatch> {
    const key = `${board.id} ${board.incarnation} ${afterSeq}`;
    const reading = this.#pages.get(key);
    if (reading !== undefined) return reading;
    const page = this.#catchUps
      .run(String(board.id), () => withinDeadline(this.#readBatch(board, afterSeq)))
      .finally(() => this.#pages.delete(key));
    this.#pages.set(key, page);
    return page;
  }

  async #readBatch(board: BoardRef, afterSeq: number): Promise<EventBatch> {
    const range = { afterSeq, rowsMax: EVENTS_PER_PAGE_MAX, bytesMax: BYTES_PER_PAGE_MAX };
    const part = await readEvents(this.#parts.sql, board.id, range);
    if ((await this.#startOf(board, part, afterSeq, this.#parts.sql)) > afterSeq) throw cursorExpired();
    return new EventBatch(board, afterSeq, part);
  }

  /**
   * Where the log began when this part of it was read: behind the position, if something after that is gone. A part that begins with the very next
   * event says so itself, in its own snapshot; of an empty one it is asked later, when it may only have become more.
   */
  async #startOf(board: BoardRef, { rows }: LogRead, afterSeq: number, runner: Runner): Promise<number> {
    const [first] = rows;
    return first === undefined
      ? (await this.ends(board, runner)).pruned_seq
      : Math.max(afterSeq, first.seq - 1);
  }

  async readTask(
    board: BoardRef,
    taskId: Uuid,
    { afterSeq, isFromStart = false }: LogPlace,
    rowsMax: number,
    runner: Runner,
  ): Promise<LogPage> {
    const { seq: upToSeq } = await this.ends(board, runner);
    const range = { afterSeq, upToSeq, rowsMax, bytesMax: BYTES_PER_PAGE_MAX };
    const { rows, isAtEnd } = await withinDeadline(readTaskEvents(runner, board.id, taskId, range));
    // A task's events have gaps between them: only the mark tells whether one of them is a gap in the log.
    if (!isFromStart && (await this.ends(board, runner)).pruned_seq > afterSeq) throw cursorExpired();
    const seq = isAtEnd ? upToSeq : (rows.at(-1)?.seq ?? upToSeq);
    return { events: rows.map((row) => eventOf(board, row)), cursor: cursorAt(board, seq) };
  }
}

function cursorExpired(): ProblemError {
  return new ProblemError(
    'cursor_expired',
    'The log no longer reaches back to this cursor. Read the snapshot and watch from its cursor.',
  );
}
