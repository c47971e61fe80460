/**
 * The life of a task, as data: which verb leads from which status to which. Pure. The CHECK constraints of the tasks table mirror
 * the statuses, and a test walks every cell.
 */
import type { BlockKind, FailKind, Outcome, TaskStatus } from '../../../contract/statuses.ts';
import { unreachable } from '../../kernel/assert.ts';
import { type BackoffPolicy, backoffSeconds } from '../../kernel/backoff.ts';

export const VERBS = [
  'claim',
  'complete',
  'block',
  'release',
  'fail',
  'crash',
  'time_out',
  'reclaim',
  'cancel',
  'wake',
  'promote',
  'unblock',
  'assign',
  'operator_complete',
  'archive',
  'reopen',
  'accept',
  'request_changes',
] as const;
export type Verb = (typeof VERBS)[number];

type Exits = Partial<Record<Verb, readonly TaskStatus[]>>;

/** Nobody holds the task: what a person may do with it wherever it stands. */
const unheld = (status: TaskStatus): Exits => ({
  cancel: ['cancelled'],
  assign: [status],
  operator_complete: ['done'],
  archive: ['archived'],
});

/** A failed attempt: retried after a pause, given up, or no longer wanted. A reviewer's attempt goes back to review. */
const FAILED_EXITS: readonly TaskStatus[] = ['scheduled', 'blocked', 'review', 'cancelled'];

export const TRANSITIONS: Readonly<Record<TaskStatus, Exits>> = {
  triage: { ...unheld('triage'), promote: ['ready'] },
  todo: { ...unheld('todo'), promote: ['ready'], wake: ['ready'] },
  scheduled: { ...unheld('scheduled'), promote: ['ready'], wake: ['ready'] },
  ready: { ...unheld('ready'), claim: ['running'] },
  running: {
    complete: ['done', 'review'],
    request_changes: ['ready', 'cancelled'],
    block: ['blocked', 'todo', 'triage', 'cancelled'],
    release: ['ready', 'scheduled', 'review', 'cancelled'],
    fail: FAILED_EXITS,
    crash: FAILED_EXITS,
    time_out: FAILED_EXITS,
    reclaim: ['ready', 'review', 'cancelled'],
    cancel: ['running', 'cancelled'],
  },
  blocked: { ...unheld('blocked'), unblock: ['ready', 'todo'] },
  review: { ...unheld('review'), claim: ['running'], accept: ['done'], request_changes: ['ready'] },
  done: { archive: ['archived'], reopen: ['ready', 'todo'] },
  cancelled: { archive: ['archived'], reopen: ['ready', 'todo'] },
  archived: { reopen: ['ready', 'todo'] },
};

export function mayMove(from: TaskStatus, verb: Verb, to: TaskStatus): boolean {
  return TRANSITIONS[from][verb]?.includes(to) ?? false;
}

/** What a held task is decided on. */
export interface Held {
  readonly claimedFrom: 'ready' | 'review';
  readonly consecutiveFailures: number;
  readonly protocolViolations: number;
  readonly maxFailures: number;
  readonly backoff: BackoffPolicy;
  readonly isCancelRequested: boolean;
}

/** How a claim ends. */
export type End =
  | { readonly verb: 'complete' }
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
}

/** Pinned by the domain: the pause after being rate limited, and the streak of protocol violations that is too long. */
const RATE_LIMIT_SECONDS = 300;
const PROTOCOL_VIOLATIONS_MAX = 3;

/** Where an ended claim leaves its task. */
export function decideEnd(held: Held, end: End, random: () => number = Math.random): Verdict {
  const { consecutiveFailures, protocolViolations } = held;
  const same = {
    delaySeconds: null,
    consecutiveFailures,
    protocolViolations,
    blocked: null,
    hasGivenUp: false,
  };
  if (end.verb === 'cancel' || (end.verb !== 'complete' && held.isCancelRequested))
    return { ...same, status: 'cancelled', outcome: 'cancelled' };
  switch (end.verb) {
    case 'complete':
      return { ...same, status: 'done', outcome: 'completed', consecutiveFailures: 0, protocolViolations: 0 };
    case 'block':
      return {
        ...same,
        status: 'blocked',
        outcome: 'blocked',
        blocked: { kind: end.kind, reason: end.reason },
      };
    case 'release':
      if (end.delaySeconds)
        return { ...same, status: 'scheduled', outcome: 'released', delaySeconds: end.delaySeconds };
      return { ...same, status: held.claimedFrom, outcome: 'released' };
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

/** A reviewer's task waits in review for another reviewer: the work itself has not failed. */
function retry(held: Held, outcome: Outcome, delaySeconds: number): Verdict {
  const isReview = held.claimedFrom === 'review';
  return {
    status: isReview ? 'review' : 'scheduled',
    outcome,
    delaySeconds: isReview ? null : delaySeconds,
    consecutiveFailures: held.consecutiveFailures,
    protocolViolations: 0,
    blocked: null,
    hasGivenUp: false,
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
  };
}
