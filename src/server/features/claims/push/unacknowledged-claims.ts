/** Claims that were sent to one socket and not heard of yet, and those that had to be taken back. Holds no timer: its owner asks. */
import { LIMITS } from '../../../../contract/constants.ts';
import type { Undelivered } from '../claiming/returns.ts';

interface Unacknowledged {
  readonly claim: Undelivered;
  readonly sentAt: number;
}

export interface TakenBack {
  readonly runId: string;
  readonly claim: Undelivered;
}

/** Released claims remembered so that a late claim_ack is told: a full window of them. */
const LAPSED_MAX = LIMITS.creditsMax;

export class UnacknowledgedClaims {
  /** In the order in which they were sent, so the oldest is first. */
  readonly #sent = new Map<string, Unacknowledged>();
  readonly #lapsed = new Set<string>();

  get size(): number {
    return this.#sent.size;
  }

  /** @param sentAt In ms, of the clock that `takeOverdue` is asked by. */
  add(runId: string, claim: Undelivered, sentAt: number): void {
    this.#sent.set(runId, { claim, sentAt });
  }

  /** The claim has arrived. */
  hear(runId: string): void {
    this.#sent.delete(runId);
  }

  hasLapsed(runId: string): boolean {
    return this.#lapsed.has(runId);
  }

  /** Those that were sent at or before this moment: from here on they have lapsed. */
  takeOverdue(sentBefore: number): TakenBack[] {
    const overdue: TakenBack[] = [];
    for (const [runId, { claim, sentAt }] of this.#sent) {
      if (sentAt > sentBefore) break;
      overdue.push({ runId, claim });
    }
    for (const { runId } of overdue) this.#lapse(runId);
    return overdue;
  }

  takeAll(): TakenBack[] {
    return this.takeOverdue(Number.POSITIVE_INFINITY);
  }

  #lapse(runId: string): void {
    this.#sent.delete(runId);
    this.#lapsed.add(runId);
    if (this.#lapsed.size <= LAPSED_MAX) return;
    const [oldest] = this.#lapsed;
    if (oldest !== undefined) this.#lapsed.delete(oldest);
  }
}
