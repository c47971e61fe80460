/** When a failed call is made again, and how long it waits before: decided here, without I/O. */

import { LanekeeperError, UnreachableError } from './errors.ts';
import type { Repetition } from './operations.ts';
import { fullJitterMs } from './timing.ts';

export interface RetryPolicy {
  /** Attempts of one call, the first included. */
  readonly attemptsMax: number;
  /** No further attempt starts once a call has taken this long. */
  readonly totalMs: number;
  readonly baseMs: number;
  readonly capMs: number;
  /** A server that asks for a longer pause means something that waiting a little does not mend: the error is final. */
  readonly askedSecondsMax: number;
}

/**
 * Chosen so that a server restart (seconds) passes unnoticed, and a person at a terminal hears of a server that is away within half a
 * minute. It is the time that decides: full jitter makes pauses of 2.5 s on average, and a dozen of them fill it. Waits and workers, which
 * must outlive more, ask again around this.
 */
export const DEFAULT_RETRY: RetryPolicy = {
  attemptsMax: 12,
  totalMs: 30_000,
  baseMs: 200,
  capMs: 5_000,
  askedSecondsMax: Number.POSITIVE_INFINITY,
};

/** With the doubling of the first attempt, a tenth of the pause that was asked for. */
const SPREAD_MS_PER_SECOND = 50;

export interface Failure {
  readonly error: unknown;
  readonly repetition: Repetition;
  /** An Idempotency-Key went with the call. */
  readonly hasKey: boolean;
  /** Attempts made so far, this one included. */
  readonly attempts: number;
  readonly elapsedMs: number;
}

/** Milliseconds to wait before the next attempt; null when the error is final. */
export function retryDelayMs(failure: Failure, policy: RetryPolicy, random: () => number): number | null {
  const { error } = failure;
  if (failure.attempts >= policy.attemptsMax || !mayRepeat(failure)) return null;
  const askedSeconds = error instanceof LanekeeperError ? (error.retryAfterSeconds ?? 0) : 0;
  if (askedSeconds > policy.askedSecondsMax) return null;
  // Jitter on top of what the server asked for, and the longer the pause the wider, or all its clients come back in one moment.
  const baseMs = Math.max(policy.baseMs, askedSeconds * SPREAD_MS_PER_SECOND);
  const delayMs = askedSeconds * 1000 + fullJitterMs(failure.attempts, { ...policy, baseMs }, random);
  return failure.elapsedMs + delayMs > policy.totalMs ? null : delayMs;
}

function mayRepeat({ error, repetition, hasKey }: Failure): boolean {
  const isSafe = repetition === 'free' || (repetition === 'with-key' && hasKey);
  if (error instanceof UnreachableError) return isSafe;
  if (!(error instanceof LanekeeperError)) return false;
  switch (error.code) {
    case 'rate_limited':
      return true; // Refused before anything was done.
    case 'draining':
    case 'database_unavailable':
    case 'unexpected_answer':
      return error.retryable && isSafe;
    case 'idempotency_in_flight':
      return hasKey; // Our own first request, whose answer was lost.
    default:
      return false;
  }
}
