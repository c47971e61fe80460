/**
 * Waiting for what comes next in the log: the long poll. Follows the board first and reads the table then, so that nothing is committed unseen in
 * between; never polls, and never outlasts its client or its time.
 */
import type { Event } from '../../../contract/events.ts';
import type { EventKind } from '../../../contract/statuses.ts';
import { formatId, type Uuid } from '../../kernel/ids.ts';
import type { BoardRef } from '../boards/service.ts';
import type { Follower } from './feed.ts';
import { type EventFilter, passes } from './view.ts';

/** The logs of the boards, as far as a wait needs them. */
interface AwaitedLogs {
  ends(board: BoardRef): Promise<{ readonly seq: number }>;
  follow(board: BoardRef, follower: Follower): Promise<{ readonly seq: number; readonly leave: () => void }>;
  read(
    board: BoardRef,
    afterSeq: number,
    filter: EventFilter,
    rowsMax: number,
  ): Promise<{ readonly events: readonly Event[] }>;
}

interface EventWait {
  readonly feeds: AwaitedLogs;
  readonly board: BoardRef;
  readonly afterSeq: number;
  readonly filter: EventFilter;
  readonly waitSeconds: number;
  readonly signal: AbortSignal;
}

/** Resolves when an event passes the filter, when the wait is over, or when the client has gone. */
export async function waitForEvent({
  feeds,
  board,
  afterSeq,
  filter,
  waitSeconds,
  signal,
}: EventWait): Promise<void> {
  const waiter = new Waiter(filter, afterSeq);
  const { seq, leave } = await feeds.follow(board, waiter);
  try {
    // What was committed before the feed took us on is in the table by now.
    const page = seq > afterSeq ? await feeds.read(board, afterSeq, filter, 1) : null;
    if (page === null || page.events.length === 0) await waiter.wait(waitSeconds, signal);
  } finally {
    leave();
  }
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
  readonly feeds: AwaitedLogs;
  readonly board: BoardRef;
  /** What may have changed it: every event of a task, or those of some kind. */
  readonly of: { readonly taskId: Uuid } | { readonly kind: EventKind };
  readonly waitSeconds: number;
  readonly signal: AbortSignal;
  readonly read: () => Promise<T>;
  readonly isDone: (value: T) => boolean;
}

/** Reads again after every event that may have changed it until it is done; at the end of the wait, as it is then. */
export async function waitForChange<T>({
  feeds,
  board,
  of,
  waitSeconds,
  signal,
  read,
  isDone,
}: ChangeWait<T>): Promise<T> {
  const deadline = performance.now() + waitSeconds * 1000;
  const filter: EventFilter = {
    kinds: 'kind' in of ? new Set([of.kind]) : null,
    lanes: null,
    tasks: 'taskId' in of ? new Set([formatId('task', of.taskId)]) : null,
  };
  for (;;) {
    const { seq } = await feeds.ends(board);
    const value = await read();
    const leftSeconds = (deadline - performance.now()) / 1000;
    if (isDone(value) || leftSeconds <= 0 || signal.aborted) return value;
    await waitForEvent({ feeds, board, afterSeq: seq, filter, waitSeconds: leftSeconds, signal });
  }
}
