/**
 * Waiting for longer than one request may: by long polls, one after the other, until the answer is what is waited for or the time is over.
 * Once the server has answered, its absences (a restart, an outage) are sat out as long as the wait lasts. Before that, they are an error as
 * for any other call: a wrong address does not become right by waiting.
 */
import { LIMITS } from '../contract/constants.ts';
import { LanekeeperError, UnreachableError } from './errors.ts';
import { fullJitterMs, type Timing } from './timing.ts';
import type { CallOptions } from './transport.ts';

/** What each request is given, beside whatever else it takes. */
export type PollOptions = Pick<CallOptions, 'waitSeconds' | 'retry'>;

export interface LongWait<Reply> {
  readonly ask: (options: PollOptions) => Promise<Reply>;
  /** Called with each answer. */
  readonly isOver: (reply: Reply) => boolean;
  /** Of the timing's clock. */
  readonly endsAtMs: number;
  /** Of one request; default: as long as the server may wait. */
  readonly pollSeconds?: number | undefined;
  /** It has answered before. */
  readonly hasAnswered?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Between two attempts while the server is away: a restart is met within a second or two, an outage costs a few requests a minute. */
const AWAY_BOUNDS = { baseMs: 500, capMs: 10_000 };

/** An answer that came faster and is not the end was not held back, by a proxy for example: slow down. */
const HELD_MS_MIN = 1_000;

/** Resolves with the last answer: whether it is what was waited for, the caller sees. Asks at least once. */
export async function waitLong<Reply>(timing: Timing, wait: LongWait<Reply>): Promise<Reply> {
  const { endsAtMs, pollSeconds = LIMITS.waitSecondsMax, signal } = wait;
  let hasAnswered = wait.hasAnswered ?? false;
  let failures = 0;
  for (;;) {
    const leftSeconds = Math.max(0, Math.ceil((endsAtMs - timing.now()) / 1000));
    const waitSeconds = Math.min(pollSeconds, leftSeconds);
    // From the second answer on this loop is what repeats, with its own time limit.
    const once = hasAnswered ? { retry: { attemptsMax: 1 } } : {};
    const askedAtMs = timing.now();
    try {
      const reply = await wait.ask(waitSeconds === 0 ? once : { ...once, waitSeconds });
      if (wait.isOver(reply) || timing.now() >= endsAtMs) return reply;
      hasAnswered = true;
      failures = 0;
      const earlyMs = askedAtMs + HELD_MS_MIN - timing.now();
      if (earlyMs > 0) await timing.wait(Math.min(earlyMs, endsAtMs - timing.now()), signal);
    } catch (error) {
      const leftMs = endsAtMs - timing.now();
      if (!hasAnswered || !isAbsence(error) || leftMs <= 0) throw error;
      failures += 1;
      await timing.wait(Math.min(pauseMsAfter(error, failures, timing), leftMs), signal);
    }
  }
}

function pauseMsAfter(error: unknown, failures: number, { random }: Timing): number {
  const askedSeconds = error instanceof LanekeeperError ? (error.retryAfterSeconds ?? 0) : 0;
  return askedSeconds * 1000 + fullJitterMs(failures, AWAY_BOUNDS, random);
}

function isAbsence(error: unknown): boolean {
  return error instanceof UnreachableError || (error instanceof LanekeeperError && error.retryable);
}
