/**
 * Claims that never reached a worker, given back: ready again at once instead of after their lease. A release that fails because the
 * database is away stays owed and is tried again until it is answered, or until the lease has certainly passed and the reaper has done
 * it. Never takes a claim from a worker that has it after all: a claim that was heard of by a heartbeat is left alone, and the attempt
 * fences every later one. What is owed lives in memory only: a server that is killed leaves it to the lease.
 */
import { ProblemError } from '../../../kernel/problem-error.ts';
import type { BoardRef } from '../../boards/service.ts';
import { undeliveredEnd } from '../run/run-operation.ts';
import type { Running } from '../run/running.ts';
import type { ClaimedRow } from '../store/claimed-row.ts';
import type { HoldRef } from '../store/end.ts';

/** A claim as it was handed out. */
export interface Undelivered {
  readonly hold: HoldRef;
  readonly leaseMs: number;
}

interface ReturnsParts {
  readonly running: Pick<Running, 'end'>;
  /** Milliseconds that only rise. */
  readonly now: () => number;
  readonly onError: (error: unknown) => void;
}

interface Owed extends Undelivered {
  readonly board: BoardRef;
  readonly reason: string;
  /** Nobody holds it on this claim any more. */
  readonly until: number;
  isTrying: boolean;
}

/** Ten full windows of credits, at some 0.5 KiB each; what comes on top is left to the lease. */
const OWED_MAX = 10_000;
/** Tried again in one sweep: one gathered statement of ends. */
const RETRIED_MAX = 250;
/** After a release that failed, all of them wait: the next one would fail alike. */
const REST_MS = 1000;

export class Returns {
  readonly #parts: ReturnsParts;
  /** By run, the oldest first. */
  readonly #owed = new Map<string, Owed>();
  #restUntil = 0;

  constructor(parts: ReturnsParts) {
    this.#parts = parts;
  }

  /** Releases that have not been answered. */
  get size(): number {
    return this.#owed.size;
  }

  /** The claim was never taken on, and its release has not been answered. */
  owes(runId: string): boolean {
    return this.#owed.has(runId);
  }

  give(board: BoardRef, { hold, leaseMs }: Undelivered, reason: string): void {
    const until = this.#parts.now() + leaseMs;
    const owed: Owed = { board, hold, leaseMs, reason, until, isTrying: false };
    if (this.#owed.size < OWED_MAX) this.#owed.set(hold.runId, owed);
    void this.#try(owed);
  }

  /** Called a few times a second. */
  sweep(): void {
    const now = this.#parts.now();
    if (now < this.#restUntil) return;
    let tried = 0;
    for (const owed of this.#owed.values()) {
      if (owed.isTrying) continue;
      if (now >= owed.until) this.#owed.delete(owed.hold.runId);
      else if (tried < RETRIED_MAX) {
        tried += 1;
        void this.#try(owed);
      }
    }
  }

  async #try(owed: Owed): Promise<void> {
    const { board, hold, reason } = owed;
    owed.isTrying = true;
    try {
      await this.#parts.running.end(board, undeliveredEnd(hold, reason));
      this.#owed.delete(hold.runId);
    } catch (error) {
      if (isAnswer(error)) this.#owed.delete(hold.runId);
      else this.#restUntil = this.#parts.now() + REST_MS;
      // Ended meanwhile, or held by a worker that has it after all.
      const isOver = error instanceof ProblemError && error.code === 'claim_lost';
      if (!isOver) this.#parts.onError(error);
    } finally {
      owed.isTrying = false;
    }
  }
}

/** It was decided: asking again would be told the same. */
function isAnswer(error: unknown): boolean {
  return error instanceof ProblemError && error.status < 500 && error.code !== 'rate_limited';
}

export function undeliveredOf(row: ClaimedRow): Undelivered {
  const hold = { taskId: row.id, runId: row.run_id, attempt: row.claim_attempt ?? row.attempt };
  return { hold, leaseMs: Date.parse(row.lease_expires_at) - Date.parse(row.claimed_at) };
}
