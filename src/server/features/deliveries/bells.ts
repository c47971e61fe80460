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
import { type DueTarget, findNextDueMs, listDueTargets } from './store/lease.ts';

interface BellParts {
  readonly sql: Sql;
  readonly wake: Wake;
  readonly onError: (error: unknown) => void;
}

/** However well wake-ups work, a waiter looks for itself this often. */
const LOOK_INTERVAL_MS = 5000;
/** Open long polls of one server. */
const WAITERS_MAX = 10_000;
/** Of the oldest that are due; more are behind them, and are looked at when these have been given out. */
const TARGETS_ROWS_MAX = 1000;
/** A lease or a pause that ends is noticed this much later at most; many of them at once cost one look. */
const DUE_GRAIN_MS = 50;

export interface DeliveryWait {
  readonly board: BoardRef;
  readonly owner: string | null;
  readonly platforms: readonly string[] | null;
  readonly waitSeconds: number;
  readonly signal: AbortSignal;
}

interface Waiter extends Pick<DeliveryWait, 'owner' | 'platforms'> {
  /** A wake-up during a look is not lost. */
  isDue: boolean;
  wake: () => void;
}

function isFor({ owner, platforms }: Waiter, target: DueTarget): boolean {
  return target.owner === owner && (platforms === null || platforms.includes(target.platform));
}

class Bell {
  readonly waiters = new Set<Waiter>();
  readonly #board: BoardRef;
  readonly #parts: BellParts;
  #isLooking = false;
  #isLookDue = false;
  #timer: NodeJS.Timeout | undefined;
  readonly #leave: () => void;

  constructor(board: BoardRef, parts: BellParts) {
    this.#board = board;
    this.#parts = parts;
    this.#leave = parts.wake.subscribe(board.id, () => void this.look());
  }

  /** One look at a time; what comes meanwhile makes one more. */
  async look(): Promise<void> {
    this.#isLookDue = true;
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      while (this.#isLookDue && this.waiters.size > 0) {
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
    const { sql } = this.#parts;
    const targets = await withinDeadline(listDueTargets(sql, this.#board.id, TARGETS_ROWS_MAX));
    for (const waiter of this.waiters) if (targets.some((target) => isFor(waiter, target))) wake(waiter);
    const nextMs = await withinDeadline(findNextDueMs(sql, this.#board.id));
    clearTimeout(this.#timer);
    if (nextMs === null || nextMs > LOOK_INTERVAL_MS) return;
    this.#timer = setTimeout(() => void this.#onTime(), Math.max(nextMs, 0) + DUE_GRAIN_MS);
    this.#timer.unref();
  }

  /** A lease that has ended is due, but not among the pending: whoever waits looks for it. */
  async #onTime(): Promise<void> {
    for (const waiter of this.waiters) wake(waiter);
    await this.look();
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
    const waiter: Waiter = { owner, platforms, isDue: true, wake: () => undefined };
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
