/**
 * Long polls that wait for work, in the order they came. The board's feed says what has become claimable, and only as many waiters
 * are woken; one that finds nothing keeps its place. A configuration change wakes all of its lane: the gate may have opened.
 */
import type { Event } from '../../../../contract/events.ts';
import { pause } from '../../../kernel/lifecycle.ts';
import { ProblemError } from '../../../kernel/problem-error.ts';
import type { BoardRef } from '../../boards/service.ts';
import type { BoardFeeds, Follower } from '../../watch/service.ts';
import { claimableOf } from './claimable.ts';

/** However well wake-ups work, a waiter looks for itself this often. */
const LOOK_INTERVAL_MS = 5000;
/** Open long polls of one server; each is a connection of its own anyway. */
const WAITERS_MAX = 10_000;

interface Waiter {
  readonly lane: string;
  /** Looks that are due; a wake-up during a look is not lost. */
  isDue: boolean;
  wake: () => void;
}

class BoardWaiters implements Follower {
  readonly waiters = new Set<Waiter>();
  leave: (() => void) | undefined;

  onEvents(events: readonly Event[]): void {
    const { ready, room, changed } = claimableOf(events);
    for (const lane of changed) this.#wakeAll(lane);
    for (const [lane, count] of ready) this.wakeFirst(lane, count);
    for (const [lane, count] of room) this.wakeFirst(lane, count);
  }

  onGap(): void {
    this.#wakeAll(null);
  }

  onEnd(): void {
    // Nothing is followed any more: who comes later has to begin again.
    this.leave = undefined;
    this.#wakeAll(null);
  }

  wakeFirst(lane: string, count: number): void {
    let left = count;
    for (const waiter of this.waiters) {
      if (left === 0) return;
      if (waiter.lane !== lane || waiter.isDue) continue;
      left -= 1;
      waiter.isDue = true;
      waiter.wake();
    }
  }

  #wakeAll(lane: string | null): void {
    for (const waiter of this.waiters) {
      if (lane !== null && waiter.lane !== lane) continue;
      waiter.isDue = true;
      waiter.wake();
    }
  }
}

export class ClaimWaiters {
  readonly #feeds: BoardFeeds;
  readonly #boards = new Map<number, BoardWaiters>();
  #count = 0;

  constructor(feeds: BoardFeeds) {
    this.#feeds = feeds;
  }

  get count(): number {
    return this.#count;
  }

  /** Calls `look` whenever there may be work, until it returns a result, the time is over (null), or the signal ends it (null). */
  async wait<T>(
    board: BoardRef,
    lane: string,
    waitSeconds: number,
    signal: AbortSignal,
    look: () => Promise<T | null>,
  ): Promise<T | null> {
    if (this.#count >= WAITERS_MAX)
      throw new ProblemError('rate_limited', 'This server has all the long polls it can serve.', {
        headers: { 'Retry-After': '5' },
      });
    const deadline = performance.now() + waitSeconds * 1000;
    const group = this.#groupOf(board);
    const waiter: Waiter = { lane, isDue: true, wake: () => undefined };
    group.waiters.add(waiter);
    this.#count += 1;
    try {
      await this.#follow(board, group);
      while (!signal.aborted) {
        waiter.isDue = false;
        const found = await look().catch((error: unknown) => {
          waiter.isDue = true; // It did not get to what it was woken for.
          throw error;
        });
        const leftMs = deadline - performance.now();
        if (found !== null || leftMs <= 0) return found;
        if (!waiter.isDue) await sleepUntilWoken(waiter, Math.min(leftMs, LOOK_INTERVAL_MS), signal);
        if (performance.now() >= deadline && !waiter.isDue) return null;
      }
      return null;
    } finally {
      this.#count -= 1;
      group.waiters.delete(waiter);
      // Woken while it was already being served, or when it had gone: the work it was woken for is somebody else's.
      if (waiter.isDue) group.wakeFirst(lane, 1);
      this.#leaveWhenEmpty(board, group);
    }
  }

  #groupOf(board: BoardRef): BoardWaiters {
    const known = this.#boards.get(board.id);
    if (known !== undefined) return known;
    const group = new BoardWaiters();
    this.#boards.set(board.id, group);
    return group;
  }

  /** Looking only after following has begun means that nothing can become ready unseen in between. */
  async #follow(board: BoardRef, group: BoardWaiters): Promise<void> {
    if (group.leave !== undefined) return;
    const { leave } = await this.#feeds.follow(board, group);
    // Two first waiters may both get here; following twice is harmless, because the feed keeps a set.
    group.leave = leave;
    this.#leaveWhenEmpty(board, group);
  }

  #leaveWhenEmpty(board: BoardRef, group: BoardWaiters): void {
    if (group.waiters.size > 0) return;
    group.leave?.();
    group.leave = undefined;
    if (this.#boards.get(board.id) === group) this.#boards.delete(board.id);
  }
}

async function sleepUntilWoken(waiter: Waiter, ms: number, signal: AbortSignal): Promise<void> {
  const woken = new AbortController();
  waiter.wake = () => woken.abort();
  await pause(ms, AbortSignal.any([signal, woken.signal]));
  waiter.wake = () => undefined;
}
