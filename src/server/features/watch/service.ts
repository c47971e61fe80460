/** The log as clients read it: pages, long polls, positions. Live followers come through the board's feed. */
import type { Event } from '../../../contract/events.ts';
import type { Runner, Sql } from '../../db/client.ts';
import { withinDeadline } from '../../db/tx.ts';
import type { Wake } from '../../db/wake.ts';
import type { Clock } from '../../kernel/clock.ts';
import { formatCursor, parseCursor } from '../../kernel/cursor.ts';
import type { Uuid } from '../../kernel/ids.ts';
import { formatId } from '../../kernel/ids.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import { boardNotFound } from '../auth/service.ts';
import type { BoardRef } from '../boards/service.ts';
import { BoardFeed, type Follower } from './feed.ts';
import { type LogEnds, readEvents, readLogEnds, readTaskEvents } from './store.ts';
import { type EventFilter, eventOf, passes } from './view.ts';

export type { Follower } from './feed.ts';
export type { OpenWorkerLink, WorkerGreeting, WorkerLink, WorkerPort } from './worker-link.ts';

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

  constructor(parts: FeedParts) {
    this.#parts = parts;
  }

  /** Follows the board from now on. Resolves to the position it starts after, and the way to leave. */
  async follow(board: BoardRef, follower: Follower): Promise<{ seq: number; leave: () => void }> {
    const feed = this.#feedOf(board);
    const seq = await feed.follow(follower);
    return { seq, leave: () => feed.leave(follower) };
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

  /** The position a client named: a cursor, "start", or "now". */
  async position(board: BoardRef, after: string | null): Promise<number> {
    const ends = await this.ends(board);
    if (after === 'now') return ends.seq;
    if (after === null || after === 'start') return ends.pruned_seq;
    const position = parseCursor(after);
    if (position === null)
      throw new ProblemError('invalid_cursor', 'The cursor was not made by this server.');
    if (position.boardId !== board.id)
      throw new ProblemError('invalid_cursor', 'The cursor belongs to another board.');
    if (position.incarnation !== board.incarnation || position.seq < ends.pruned_seq) {
      throw new ProblemError(
        'cursor_expired',
        'The log no longer reaches back to this cursor. Read the snapshot and watch from its cursor.',
      );
    }
    if (position.seq > ends.seq)
      throw new ProblemError('invalid_cursor', 'The cursor lies beyond the end of the log.');
    return position.seq;
  }

  /** Matching events after `seq`, at most `rowsMax`; reads on while a sparse filter finds nothing. */
  async read(
    board: BoardRef,
    afterSeq: number,
    filter: EventFilter,
    rowsMax: number,
    runner: Runner = this.#parts.sql,
  ): Promise<FilteredPage> {
    const found: Event[] = [];
    let seq = afterSeq;
    let isAtEnd = false;
    for (let page = 0; page < PAGES_PER_REQUEST_MAX && found.length < rowsMax; page += 1) {
      const rows = await withinDeadline(readEvents(runner, board.id, seq, EVENTS_PER_PAGE_MAX));
      for (const row of rows) {
        const event = eventOf(board, row);
        if (found.length === rowsMax) break;
        seq = row.seq;
        if (passes(filter, event)) found.push(event);
      }
      isAtEnd = rows.length < EVENTS_PER_PAGE_MAX && seq === (rows.at(-1)?.seq ?? seq);
      if (isAtEnd) break;
    }
    return { events: found, seq, cursor: cursorAt(board, seq), isAtEnd };
  }

  async readTask(
    board: BoardRef,
    taskId: Uuid,
    afterSeq: number,
    rowsMax: number,
    runner: Runner,
  ): Promise<LogPage> {
    const { seq: upToSeq } = await this.ends(board, runner);
    const rows = await withinDeadline(
      readTaskEvents(runner, board.id, taskId, { afterSeq, upToSeq }, rowsMax),
    );
    const seq = rows.length === rowsMax ? (rows.at(-1)?.seq ?? upToSeq) : upToSeq;
    return { events: rows.map((row) => eventOf(board, row)), cursor: cursorAt(board, seq) };
  }

  /** Resolves when an event passes the filter, when the wait is over, or when the client has gone. */
  async waitForEvent(
    board: BoardRef,
    afterSeq: number,
    filter: EventFilter,
    waitSeconds: number,
    signal: AbortSignal,
  ): Promise<void> {
    const waiter = new Waiter(filter, afterSeq);
    const { seq, leave } = await this.follow(board, waiter);
    try {
      // What was committed before the feed took us on is in the table by now.
      const page = seq > afterSeq ? await this.read(board, afterSeq, filter, 1) : null;
      if (page === null || page.events.length === 0) await waiter.wait(waitSeconds, signal);
    } finally {
      leave();
    }
  }
}

export function cursorAt(board: BoardRef, seq: number): string {
  return formatCursor({ boardId: board.id, incarnation: board.incarnation, seq });
}

class Waiter implements Follower {
  readonly #filter: EventFilter;
  readonly #afterSeq: number;
  #hasHappened = false;
  #wake: () => void = () => undefined;

  constructor(filter: EventFilter, afterSeq: number) {
    this.#filter = filter;
    this.#afterSeq = afterSeq;
  }

  onEvents(events: readonly Event[]): void {
    if (events.some((event) => event.seq > this.#afterSeq && passes(this.#filter, event))) this.onEnd();
  }

  onEnd(): void {
    this.#hasHappened = true;
    this.#wake();
  }

  wait(waitSeconds: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (this.#hasHappened || signal.aborted) {
        resolve();
        return;
      }
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, waitSeconds * 1000);
      signal.addEventListener('abort', done);
      this.#wake = done;
    });
  }
}

interface ChangeWait<T> {
  readonly feeds: BoardFeeds;
  readonly board: BoardRef;
  readonly taskId: Uuid;
  readonly waitSeconds: number;
  readonly signal: AbortSignal;
  readonly read: () => Promise<T>;
  readonly isDone: (value: T) => boolean;
}

/** Reads again after every event of the task until it is done; at the end of the wait, as it is then. */
export async function waitForChange<T>({
  feeds,
  board,
  taskId,
  waitSeconds,
  signal,
  read,
  isDone,
}: ChangeWait<T>): Promise<T> {
  const deadline = performance.now() + waitSeconds * 1000;
  const filter: EventFilter = { kinds: null, lanes: null, tasks: new Set([formatId('task', taskId)]) };
  for (;;) {
    const { seq } = await feeds.ends(board);
    const value = await read();
    const leftSeconds = (deadline - performance.now()) / 1000;
    if (isDone(value) || leftSeconds <= 0 || signal.aborted) return value;
    await feeds.waitForEvent(board, seq, filter, leftSeconds, signal);
  }
}
