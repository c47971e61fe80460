/**
 * The verdict on a task whose claim has ended: its next status, when it may be tried again, and what is counted against it. Pure. That every
 * verdict is a move of transitions.ts is tested.
 */
import type { BlockKind, FailKind, Outcome, TaskStatus } from '../../../../contract/statuses.ts';
import { unreachable } from '../../../kernel/assert.ts';
import { type BackoffPolicy, backoffSeconds } from '../../../kernel/backoff.ts';
import { startOf } from './transitions.ts';

/** A block without a kind makes a streak, too. */
export const UNTYPED = 'untyped';
/** Pinned by the domain: the third block in a row with the same kind needs a person who looks at the task itself. */
const BLOCK_STREAK_MAX = 3;

export interface BlockStreak {
  readonly length: number;
  readonly kind: string | null;
}

export const NO_STREAK: BlockStreak = { length: 0, kind: null };

/** What a held task is decided on. */
export interface Held {
  readonly claimedFrom: 'ready' | 'review';
  readonly unmetParents: number;
  /** Tasks it was ever made to wait for. */
  readonly parentCount: number;
  readonly streak: BlockStreak;
  readonly consecutiveFailures: number;
  readonly protocolViolations: number;
  readonly maxFailures: number;
  readonly backoff: BackoffPolicy;
  readonly isCancelRequested: boolean;
}

/** How a claim ends. */
export type End =
  | {
      readonly verb: 'complete';
      /** Somebody is to look at it before it counts as done. */
      readonly isForReview?: boolean;
      /** Which lane; null: people. */
      readonly reviewer?: string | null;
    }
  | { readonly verb: 'request_changes'; readonly reason: string }
  | { readonly verb: 'block'; readonly kind: BlockKind | null; readonly reason: string }
  | { readonly verb: 'release'; readonly delaySeconds: number | null }
  | {
      readonly verb: 'fail';
      readonly kind: FailKind;
      readonly error: string;
      readonly retryAfterSeconds: number | null;
      readonly isPermanent: boolean;
    }
  | { readonly verb: 'crash'; readonly reason: string }
  | { readonly verb: 'time_out'; readonly reason: string }
  | { readonly verb: 'reclaim'; readonly reason: string | null }
  | { readonly verb: 'cancel' };

export interface Verdict {
  readonly status: TaskStatus;
  readonly outcome: Outcome;
  /** Seconds from now until the task is ready, for status scheduled. */
  readonly delaySeconds: number | null;
  readonly consecutiveFailures: number;
  readonly protocolViolations: number;
  readonly blocked: { readonly kind: BlockKind | null; readonly reason: string } | null;
  /** The breaker opened. */
  readonly hasGivenUp: boolean;
  readonly streak: BlockStreak;
}

/** Pinned by the domain: the pause after being rate limited, and the streak of protocol violations that is too long. */
const RATE_LIMIT_SECONDS = 300;
const PROTOCOL_VIOLATIONS_MAX = 3;

/** Where an ended claim leaves its task. */
export function decideEnd(held: Held, end: End, random: () => number = Math.random): Verdict {
  const { consecutiveFailures, protocolViolations, streak } = held;
  const same = {
    delaySeconds: null,
    consecutiveFailures,
    protocolViolations,
    blocked: null,
    hasGivenUp: false,
    streak,
  };
  const start = startOf({ ...held, isUnderReview: held.claimedFrom === 'review' });
  if (end.verb === 'cancel' || (end.verb !== 'complete' && held.isCancelRequested))
    return { ...same, status: 'cancelled', outcome: 'cancelled' };
  switch (end.verb) {
    case 'complete':
      return {
        ...same,
        status: end.isForReview ? 'review' : 'done',
        outcome: 'completed',
        consecutiveFailures: 0,
        protocolViolations: 0,
        streak: NO_STREAK,
      };
    case 'request_changes': {
      const status = startOf({ ...held, isUnderReview: false });
      return { ...same, status, outcome: 'changes_requested' };
    }
    case 'block':
      return decideBlock(held, end, same);
    case 'release':
      if (end.delaySeconds)
        return { ...same, status: 'scheduled', outcome: 'released', delaySeconds: end.delaySeconds };
      return { ...same, status: start, outcome: 'released' };
    case 'reclaim':
      return { ...same, status: start, outcome: 'reclaimed', consecutiveFailures: 0, protocolViolations: 0 };
    case 'fail':
      return decideFailure(held, end, random);
    case 'crash':
      return countFailure(held, 'crashed', end.reason, random);
    case 'time_out':
      return countFailure(held, 'timed_out', end.reason, random);
    default:
      return unreachable(end);
  }
}

/**
 * Parked for its parents, a task waits for them; when they were all done before it could say so, nothing would ever wake it, so it goes on
 * at once. Parking is no streak: an orchestrating worker may wait for one batch of helpers after the other.
 */
function decideBlock(
  held: Held,
  end: Extract<End, { verb: 'block' }>,
  same: Omit<Verdict, 'status' | 'outcome'>,
): Verdict {
  const outcome = 'blocked';
  const isPark = end.kind === 'dependency' && held.claimedFrom === 'ready';
  if (isPark && held.unmetParents > 0) return { ...same, status: 'todo', outcome };
  const kind = end.kind ?? UNTYPED;
  const streak = { length: held.streak.kind === kind ? held.streak.length + 1 : 1, kind };
  if (streak.length >= BLOCK_STREAK_MAX) return { ...same, status: 'triage', outcome, streak };
  if (isPark && held.parentCount > 0) return { ...same, status: 'ready', outcome, streak };
  return { ...same, status: 'blocked', outcome, streak, blocked: { kind: end.kind, reason: end.reason } };
}

function decideFailure(held: Held, end: Extract<End, { verb: 'fail' }>, random: () => number): Verdict {
  const { consecutiveFailures } = held;
  const outcome = 'failed';
  if (end.isPermanent) return giveUp(held, outcome, end.error, consecutiveFailures + 1);
  switch (end.kind) {
    case 'rate_limited': {
      const delaySeconds = end.retryAfterSeconds ?? RATE_LIMIT_SECONDS;
      return {
        ...retry(held, outcome, delaySeconds),
        consecutiveFailures,
        protocolViolations: held.protocolViolations,
      };
    }
    case 'protocol_violation': {
      const protocolViolations = held.protocolViolations + 1;
      if (protocolViolations >= PROTOCOL_VIOLATIONS_MAX)
        return { ...giveUp(held, outcome, end.error, consecutiveFailures), protocolViolations };
      return {
        ...retry(held, outcome, backoffSeconds(held.backoff, protocolViolations, random)),
        consecutiveFailures,
        protocolViolations,
      };
    }
    case 'error':
      return countFailure(held, outcome, end.error, random, end.retryAfterSeconds);
    default:
      return unreachable(end.kind);
  }
}

function countFailure(
  held: Held,
  outcome: Outcome,
  reason: string,
  random: () => number,
  delaySeconds: number | null = null,
): Verdict {
  const failures = held.consecutiveFailures + 1;
  if (failures >= held.maxFailures) return giveUp(held, outcome, reason, failures);
  return {
    ...retry(held, outcome, delaySeconds ?? backoffSeconds(held.backoff, failures, random)),
    consecutiveFailures: failures,
  };
}

/**
 * Pauses, or whoever fails at once would be given the task again at once: a reviewer, too. Pinned by the domain: a reviewer that crashed is
 * the exception, its review waits for the next one. Crashes come as slowly as leases lapse, or, of a worker that wants to be taken for dead
 * when its socket closes, as fast as it connects again; either way it is only the breaker that ends them, which counts each.
 */
function retry(held: Held, outcome: Outcome, delaySeconds: number): Verdict {
  const isBackAtOnce = held.claimedFrom === 'review' && outcome === 'crashed';
  return {
    status: isBackAtOnce ? 'review' : 'scheduled',
    outcome,
    delaySeconds: isBackAtOnce ? null : delaySeconds,
    consecutiveFailures: held.consecutiveFailures,
    protocolViolations: 0,
    blocked: null,
    hasGivenUp: false,
    streak: held.streak,
  };
}

function giveUp(held: Held, outcome: Outcome, reason: string, consecutiveFailures: number): Verdict {
  const blocked = { kind: 'gave_up' as const, reason };
  return {
    status: 'blocked',
    outcome,
    delaySeconds: null,
    consecutiveFailures,
    protocolViolations: held.protocolViolations,
    blocked,
    hasGivenUp: true,
    streak: held.streak,
  };
}
