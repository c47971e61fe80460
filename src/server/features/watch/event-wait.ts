/**
 * Waiting for what comes next in the log: the long poll. Follows the board first and reads the table then, so that nothing is committed unseen in
 * between; never polls, and never outlasts its client or its time.
 */
import type { Event } from '../../../contract/events.ts';
import type { EventKind } from '../../../contract/statuses.ts';
import { formatId, type Uuid } from '../../kernel/ids.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { BoardRef } from '../boards/service.ts';
import type { Follower } from './followers.ts';
import { type EventFilter, passes } from './view.ts';

/** The logs of the boards, as far as a wait needs them. */
interface AwaitedLogs {
  ends(board: BoardRef): Promise<{ readonly seq: number }>;
  follow(board: BoardRef, follower: Follower): Promise<{ readonly seq: number; readonly leave: () => void }>;
  read(
    board: BoardRef,
    place: { readonly afterSeq: number },
    filter: EventFilter,
    rowsMax: number,
  ): Promise<{ readonly events: readonly Event[] }>;
}

interface EventWait {
  readonly feeds: AwaitedLogs;
  readonly board: BoardRef;
  readonly afterSeq: number;
  readonly filter: EventFilter;
  /** What the filter cannot say, of events that are yet to come; those that have come meanwhile it does not narrow. */
  readonly isMeant?: (event: Event) => boolean;
  readonly waitSeconds: number;
  readonly signal: AbortSignal;
}

/** Resolves when an event passes the filter, when the wait is over, or when the client has gone. */
export async function waitForEvent({
  feeds,
  board,
  afterSeq,
  filter,
  isMeant = () => true,
  waitSeconds,
  signal,
}: EventWait): Promise<void> {
  const waiter = new Waiter((event) => event.seq > afterSeq && passes(filter, event) && isMeant(event));
  const { seq, leave } = await feeds.follow(board, waiter);
  try {
    // What was committed before the feed took us on is in the table by now.
    const hasHappened = seq > afterSeq && (await hasEvent(feeds, board, afterSeq, filter));
    if (!hasHappened) await waiter.wait(waitSeconds, signal);
  } finally {
    leave();
  }
}

/** What has been pruned since may have been one: whoever waits looks for himself, and is told there. */
async function hasEvent(
  feeds: AwaitedLogs,
  board: BoardRef,
  afterSeq: number,
  filter: EventFilter,
): Promise<boolean> {
  try {
    const { events } = await feeds.read(board, { afterSeq }, filter, 1);
    return events.length > 0;
  } catch (error) {
    if (error instanceof ProblemError && error.code === 'cursor_expired') return true;
    throw error;
  }
}

class Waiter implements Follower {
  readonly #isAwaited: (event: Event) => boolean;
  #hasHappened = false;
  #wake: () => void = () => undefined;

  constructor(isAwaited: (event: Event) => boolean) {
    this.#isAwaited = isAwaited;
  }

  onEvents(events: readonly Event[]): void {
    if (events.some(this.#isAwaited)) this.onEnd();
  }

  onGap(): void {
    this.onEnd();
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

const DECISIONS: ReadonlySet<EventKind> = new Set(['delegation.completed']);

interface ChangeWait<T> {
  readonly feeds: AwaitedLogs;
  readonly board: BoardRef;
  /** What may have changed it: every event of a task, or that a delegation is decided. */
  readonly of: { readonly taskId: Uuid } | { readonly delegationId: Uuid };
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
    kinds: 'taskId' in of ? null : DECISIONS,
    lanes: null,
    tasks: 'taskId' in of ? new Set([formatId('task', of.taskId)]) : null,
  };
  // Of a thousand that wait for a delegation each, one reads when one is decided.
  const delegationId = 'taskId' in of ? null : formatId('deleg', of.delegationId);
  const isMeant = (event: Event): boolean => delegationId === null || event.delegation_id === delegationId;
  for (;;) {
    const { seq } = await feeds.ends(board);
    const value = await read();
    const leftSeconds = (deadline - performance.now()) / 1000;
    if (isDone(value) || leftSeconds <= 0 || signal.aborted) return value;
    await waitForEvent({ feeds, board, afterSeq: seq, filter, isMeant, waitSeconds: leftSeconds, signal });
  }
}
