/**
 * Gateways that wait. One bell per board and server: whatever is committed on the board, one look at the outbox says for whom there is
 * something, and only those are woken. The alternative, each of them looking after every change, costs a hundred gateways on a busy board a hundred
 * statements per batch of events.
 */
import type { Sql } from '../../db/client.ts';
import { withinDeadline } from '../../db/tx.ts';
import type { Wake } from '../../db/wake.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { BoardRef } from '../boards/service.ts';
import { type DeliveryWish, findDueWishes } from './store/wishes.ts';

interface BellParts {
  readonly sql: Sql;
  readonly wake: Wake;
  readonly onError: (error: unknown) => void;
}

/** However well wake-ups work, a waiter looks for itself this often. */
const LOOK_INTERVAL_MS = 5000;
/** Open long polls of one server. */
const WAITERS_MAX = 10_000;
/** From one look to the next at least, whatever is committed meanwhile: a busy board's are put together. Not felt beside sending it. */
const LOOK_GRAIN_MS = 20;
/** A lease or a pause that ends is noticed this much later at most; many of them at once cost one look. */
const DUE_GRAIN_MS = 50;

export interface DeliveryWait extends DeliveryWish {
  readonly board: BoardRef;
  readonly waitSeconds: number;
  readonly signal: AbortSignal;
}

interface Waiter {
  /** The same for all that wait for the same. */
  readonly wishKey: string;
  readonly wish: DeliveryWish;
  /** A wake-up during a look is not lost. */
  isDue: boolean;
  wake: () => void;
}

class Bell {
  readonly waiters = new Set<Waiter>();
  readonly #board: BoardRef;
  readonly #parts: BellParts;
  #isLooking = false;
  #isLookDue = false;
  #nextLookAt = 0;
  #timer: NodeJS.Timeout | undefined;
  readonly #leave: () => void;

  constructor(board: BoardRef, parts: BellParts) {
    this.#board = board;
    this.#parts = parts;
    this.#leave = parts.wake.subscribe(board.id, () => void this.look());
  }

  /** One look at a time; what comes meanwhile makes one more, a moment later. */
  async look(): Promise<void> {
    this.#isLookDue = true;
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      while (this.#isLookDue && this.waiters.size > 0) {
        const leftMs = this.#nextLookAt - performance.now();
        if (leftMs > 0) await pause(leftMs);
        this.#nextLookAt = performance.now() + LOOK_GRAIN_MS;
        this.#isLookDue = false;
        await this.#lookOnce();
      }
    } catch (error) {
      this.#parts.onError(error);
    } finally {
      this.#isLooking = false;
    }
  }

  async #lookOnce(): Promise<void> {
    const wishes = new Map([...this.waiters].map(({ wishKey, wish }) => [wishKey, wish]));
    if (wishes.size === 0) return;
    const keys = [...wishes.keys()];
    const looked = findDueWishes(this.#parts.sql, this.#board.id, [...wishes.values()]);
    const { due, next_ms: nextMs } = await withinDeadline(looked);
    const dueKeys = new Set(due.map((place) => keys[place]));
    for (const waiter of this.waiters) if (dueKeys.has(waiter.wishKey)) wake(waiter);
    clearTimeout(this.#timer);
    if (nextMs === null || nextMs > LOOK_INTERVAL_MS || this.waiters.size === 0) return;
    this.#timer = setTimeout(() => void this.look(), Math.max(nextMs, 0) + DUE_GRAIN_MS);
    this.#timer.unref();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#leave();
  }
}

function wake(waiter: Waiter): void {
  waiter.isDue = true;
  waiter.wake();
}

export class DeliveryBells {
  readonly #parts: BellParts;
  readonly #bells = new Map<number, Bell>();
  #count = 0;

  constructor(parts: BellParts) {
    this.#parts = parts;
  }

  /** Calls `look` until it finds something, the wait is over, or the client has gone (null). */
  async wait<T>(wish: DeliveryWait, look: () => Promise<T | null>): Promise<T | null> {
    if (this.#count >= WAITERS_MAX) throw tooManyWaiters();
    this.#count += 1;
    const { board, owner, platforms, signal } = wish;
    const wishKey = JSON.stringify([owner, platforms]);
    const waiter: Waiter = { wishKey, wish: { owner, platforms }, isDue: true, wake: () => undefined };
    const bell = this.#enter(board, waiter);
    try {
      const endsAt = performance.now() + wish.waitSeconds * 1000;
      for (;;) {
        if (waiter.isDue) {
          waiter.isDue = false;
          const found = await look();
          if (found !== null) return found;
        }
        const leftMs = endsAt - performance.now();
        if (leftMs <= 0 || signal.aborted) return null;
        void bell.look();
        if (!waiter.isDue) await sleep(waiter, Math.min(leftMs, LOOK_INTERVAL_MS), signal);
      }
    } finally {
      this.#count -= 1;
      this.#leave(board, bell, waiter);
    }
  }

  #enter(board: BoardRef, waiter: Waiter): Bell {
    const bell = this.#bells.get(board.id) ?? new Bell(board, this.#parts);
    this.#bells.set(board.id, bell);
    bell.waiters.add(waiter);
    return bell;
  }

  #leave(board: BoardRef, bell: Bell, waiter: Waiter): void {
    bell.waiters.delete(waiter);
    if (bell.waiters.size > 0) return;
    bell.close();
    if (this.#bells.get(board.id) === bell) this.#bells.delete(board.id);
  }
}

const pause = (durationMs: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, durationMs));

/** Until it is woken, has waited long enough, or its client has gone. */
function sleep(waiter: Waiter, durationMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      waiter.wake = () => undefined;
      resolve();
    };
    const timer = setTimeout(() => {
      waiter.isDue = true;
      done();
    }, durationMs);
    signal.addEventListener('abort', done);
    waiter.wake = done;
  });
}

function tooManyWaiters(): ProblemError {
  return new ProblemError('rate_limited', 'Too many gateways wait on this server; retry shortly.', {
    headers: { 'Retry-After': '1' },
  });
}
