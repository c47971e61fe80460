import { describe, expect, test } from 'vitest';
import { LanekeeperError, parseRetryAfter, UnreachableError } from '../../src/client/errors.ts';
import type { Failure } from '../../src/client/retry.ts';
import { DEFAULT_RETRY, retryDelayMs } from '../../src/client/retry.ts';
import { fullJitterMs } from '../../src/client/timing.ts';

const unreachable = new UnreachableError('refused', { url: 'http://x', cause: undefined });
const problem = (code: LanekeeperError['code'], status: number, retryAfterSeconds?: number) =>
  new LanekeeperError({ code, status, title: 't', detail: 'd', retryAfterSeconds });
const failure = (more: Partial<Failure>): Failure => ({
  error: unreachable,
  repetition: 'free',
  hasKey: false,
  attempts: 1,
  elapsedMs: 0,
  ...more,
});
const isRetried = (more: Partial<Failure>) => retryDelayMs(failure(more), DEFAULT_RETRY, () => 0.5) !== null;

describe('a failed call', () => {
  test('outlives a restart of ten seconds: it is the time that decides, not the count', () => {
    // Dice that fall low: two fifths of each pause, where half is the average.
    let elapsedMs = 0;
    for (let attempts = 1; elapsedMs < 10_000; attempts += 1) {
      const delayMs = retryDelayMs(failure({ attempts, elapsedMs }), DEFAULT_RETRY, () => 0.4);
      expect(delayMs, `after ${elapsedMs} ms`).not.toBeNull();
      elapsedMs += delayMs ?? 0;
    }
  });

  test('is repeated after a lost answer only where that is safe', () => {
    expect(isRetried({ repetition: 'free' })).toBe(true);
    expect(isRetried({ repetition: 'with-key', hasKey: true })).toBe(true);
    expect(isRetried({ repetition: 'with-key', hasKey: false })).toBe(false);
    expect(isRetried({ repetition: 'never' })).toBe(false);
  });

  test('is not repeated when the server asks for a longer pause than the caller has use for', () => {
    const error = problem('rate_limited', 429, 10);
    const policy = { ...DEFAULT_RETRY, askedSecondsMax: 5 };
    expect(retryDelayMs(failure({ error }), policy, () => 0.5)).toBeNull();
    expect(
      retryDelayMs(failure({ error: problem('rate_limited', 429, 1) }), policy, () => 0.5),
    ).not.toBeNull();
  });

  test('is repeated by the code of its problem', () => {
    expect(isRetried({ error: problem('database_unavailable', 503) })).toBe(true);
    expect(isRetried({ error: problem('draining', 503) })).toBe(true);
    expect(isRetried({ error: problem('database_unavailable', 503), repetition: 'never' })).toBe(false);
    expect(isRetried({ error: problem('rate_limited', 429), repetition: 'never' })).toBe(true);
    expect(
      isRetried({ error: problem('idempotency_in_flight', 409), repetition: 'with-key', hasKey: true }),
    ).toBe(true);
    expect(isRetried({ error: problem('unexpected_answer', 502) })).toBe(true);
    expect(isRetried({ error: problem('unexpected_answer', 404) })).toBe(false);
    expect(isRetried({ error: problem('claim_lost', 409) })).toBe(false);
    expect(isRetried({ error: problem('internal', 500) })).toBe(false);
    expect(isRetried({ error: new Error('a bug') })).toBe(false);
  });

  test('is given up after the last attempt and when its time is used up', () => {
    expect(isRetried({ attempts: DEFAULT_RETRY.attemptsMax - 1 })).toBe(true);
    expect(isRetried({ attempts: DEFAULT_RETRY.attemptsMax })).toBe(false);
    expect(isRetried({ elapsedMs: DEFAULT_RETRY.totalMs })).toBe(false);
    expect(isRetried({ error: problem('rate_limited', 429, 3600) })).toBe(false);
  });

  test('waits at least as long as Retry-After asks', () => {
    const delayMs = retryDelayMs(failure({ error: problem('rate_limited', 429, 7) }), DEFAULT_RETRY, () => 0);
    expect(delayMs).toBe(7000);
  });

  test('comes back spread over a tenth of the pause at least, so that a fleet does not come back at once', () => {
    const delays = [0, 0.5, 0.999].map((dice) =>
      retryDelayMs(failure({ error: problem('rate_limited', 429, 20) }), DEFAULT_RETRY, () => dice),
    );
    expect(delays).toEqual([20_000, 21_000, 21_998]);
    const short = retryDelayMs(failure({ error: problem('draining', 503, 1) }), DEFAULT_RETRY, () => 0.5);
    expect(short).toBe(1200);
  });
});

test('jitter is full and capped', () => {
  const bounds = { baseMs: 100, capMs: 1000 };
  expect(fullJitterMs(2, bounds, () => 0)).toBe(0);
  expect(fullJitterMs(2, bounds, () => 0.5)).toBe(200);
  expect(fullJitterMs(500, bounds, () => 0.5)).toBe(500);
});

test('Retry-After is read as seconds or as a date', () => {
  const nowMs = Date.parse('2026-01-01T00:00:00Z');
  expect(parseRetryAfter('3', nowMs)).toBe(3);
  expect(parseRetryAfter('Thu, 01 Jan 2026 00:00:05 GMT', nowMs)).toBe(5);
  expect(parseRetryAfter('Wed, 31 Dec 2025 00:00:00 GMT', nowMs)).toBe(0);
  expect(parseRetryAfter('soon', nowMs)).toBeUndefined();
  expect(parseRetryAfter(null, nowMs)).toBeUndefined();
});
