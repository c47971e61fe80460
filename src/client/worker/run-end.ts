/** How a run ends, and why its holder was told to stop: what every kind of worker says to the server. */
import type { BodyOf } from '../operation-types.ts';

/** Why we stopped the work on a claim, when we did. */
export type StopReason =
  | { readonly kind: 'cancel_requested' }
  | { readonly kind: 'timed_out'; readonly seconds: number }
  | { readonly kind: 'draining' }
  /** Nobody knows whether the claim is still ours: the server decides, when it is asked to take it back. */
  | { readonly kind: 'lease_expired' }
  /** Somebody else decides over the task now; there is no end to report. */
  | { readonly kind: 'claim_lost'; readonly detail: string };

export type RunEnd =
  | { readonly verb: 'complete'; readonly body: NonNullable<BodyOf<'completeRun'>> }
  | { readonly verb: 'request-changes'; readonly body: BodyOf<'requestRunChanges'> }
  | { readonly verb: 'block'; readonly body: BodyOf<'blockRun'> }
  | { readonly verb: 'fail'; readonly body: BodyOf<'failRun'> }
  | { readonly verb: 'release'; readonly body: NonNullable<BodyOf<'releaseRun'>> };

/** What the server recorded: the outcome of the run, and what has become of its task. */
export interface EndAnswer {
  readonly outcome: string | null;
  readonly taskStatus: string;
}
