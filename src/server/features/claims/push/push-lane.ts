/**
 * What workers of one push lane would take, and how much there may be to hand out. Asks for claims when both are there, in turns, and
 * never for more than the credits allow. What it knows of the work is a guess that events raise and a claim that comes back short
 * puts right; guessing too high costs an empty claim, so a count that is known is shared out, and not shouted to everybody.
 * Owns no clock, no timer and no claim: what was claimed belongs to the offer's taker, who also gives back what it cannot use.
 */
import { LIMITS } from '../../../../contract/constants.ts';
import type { EmptyClaimReason } from '../../../../contract/statuses.ts';
import { ProblemError } from '../../../kernel/problem-error.ts';
import { GATHERED_TASKS_MAX } from '../claiming/claiming.ts';
import type { ClaimedTasks } from '../claiming/slot-plan.ts';
import type { ClaimedRow } from '../store/claimed-row.ts';

/** The credits of one worker, and how it takes what they bring. */
export interface Offer {
  readonly lane: string;
  readonly worker: string;
  readonly keyId: string;
  /** What is claimed for it is taken when its socket closes. Default: false. */
  readonly isCrashOnDisconnect?: boolean;
  /** How many more tasks may be claimed for it. */
  credits: number;
  /** Rows asked for and not yet answered, 0: none; within the credits when it was asked. */
  asked: number;
  /** Not asked for before this time, by the lane's clock. */
  restUntil: number;
  /** Rows that it took, less those that it gave back; never below zero, and at most as many as the credits it may have. */
  standing: number;
  /** False: not now; the lane is told by `update` when that changes. */
  canTake(): boolean;
  take(rows: readonly ClaimedRow[]): void;
  /** Claimed on credits that were withdrawn meanwhile. */
  giveBack(rows: readonly ClaimedRow[]): void;
  /** A question was answered, and what it brought is taken: there may be room for the worker's other lanes. */
  onAnswered(): void;
  /** There is nothing more to wait for: the lane is gone, or not one to push to. */
  refuse(problem: ProblemError): void;
}

interface PushLaneParts {
  readonly ask: (offer: Offer, max: number) => Promise<ClaimedTasks>;
  /** Milliseconds that only rise. */
  readonly now: () => number;
  /** From now on only events can tell of work. */
  readonly onHungry: () => void;
  readonly onError: (error: unknown) => void;
}

/** With all offers of a lane in one gathered claim, each may ask for its share of it. */
const SHARED_SLOTS = GATHERED_TASKS_MAX;
/**
 * After a failed claim, when the database is away for example; and of an offer whose credits sank below what was being claimed on them,
 * because each such claim is written twice for nothing.
 */
export const REST_MS = 1000;
/** However well wake-ups work, a lane with credits and nothing to do looks by itself this often. */
const LOOK_INTERVAL_MS = 5000;

export class PushLane {
  readonly #parts: PushLaneParts;
  readonly #offers = new Set<Offer>();
  /** Offers that could be asked for, longest idle first. */
  readonly #idle = new Set<Offer>();
  /** Tasks that may be claimable beyond those asked for; Infinity while nobody has looked. */
  #expected = Number.POSITIVE_INFINITY;
  /** Counted from the start, so that an answer knows what came after its question. */
  #ready = 0;
  #room = 0;
  #looks = 0;
  /** The last short answer may have been due to the lane's cap: then room is as good as work. */
  #mayBeFull = false;
  /** Paused or draining: no work matters before the gate has opened. */
  #isClosed = false;
  /** The next question is a look: an answer to it that is not short means that there is more. */
  #isProbing = false;
  #lookedAt: number;
  #restUntil = 0;

  constructor(parts: PushLaneParts) {
    this.#parts = parts;
    this.#lookedAt = parts.now();
  }

  get isEmpty(): boolean {
    return this.#offers.size === 0;
  }

  /** Somebody has credits, and as far as is known there is no work: only the log can tell of some. */
  get isHungry(): boolean {
    return this.#expected <= 0 && this.#idle.size > 0;
  }

  /** The offer's credits have changed, or whether it can take. */
  update(offer: Offer): void {
    this.#place(offer);
    this.#pump();
  }

  /** What was claimed could not be handed over, and the offer has its credits back: not again at once. */
  retryLater(offer: Offer): void {
    this.#rest();
    this.update(offer);
  }

  remove(offer: Offer): void {
    offer.credits = 0;
    this.#offers.delete(offer);
    this.#idle.delete(offer);
  }

  onWork(ready: number, room: number): void {
    this.#ready += ready;
    this.#room += room;
    if (this.#isClosed) return;
    this.#expected += ready + (this.#mayBeFull ? room : 0);
    this.#pump();
  }

  /** Nothing is known any more: the gate may have opened, or events were missed. */
  look(): void {
    this.#looks += 1;
    this.#isClosed = false;
    this.#expected = Number.POSITIVE_INFINITY;
    this.#pump();
  }

  /** Called now and then: a rest may be over, or a look be due. */
  sweep(): void {
    const now = this.#parts.now();
    if (this.isHungry && now - this.#lookedAt >= LOOK_INTERVAL_MS) {
      this.#lookedAt = now;
      this.#isClosed = false;
      this.#isProbing = true;
      this.#expected = 1;
    }
    for (const offer of this.#offers) {
      if (offer.restUntil === 0 || now < offer.restUntil) continue;
      offer.restUntil = 0;
      this.#place(offer);
    }
    this.#pump();
  }

  refuseAll(problem: ProblemError): void {
    for (const offer of [...this.#offers]) this.#refuse(offer, problem);
  }

  #place(offer: Offer): void {
    const isAsking = offer.asked > 0;
    if (offer.credits > 0 || isAsking) this.#offers.add(offer);
    else this.#offers.delete(offer);
    const isResting = this.#parts.now() < offer.restUntil;
    if (offer.credits > 0 && !isAsking && !isResting && offer.canTake()) this.#idle.add(offer);
    else this.#idle.delete(offer);
  }

  #pump(): void {
    if (this.#expected > 0 && this.#idle.size > 0 && this.#parts.now() >= this.#restUntil) this.#askInTurns();
    if (this.isHungry) this.#parts.onHungry();
  }

  #askInTurns(): void {
    const share = Math.min(
      LIMITS.claimsMax,
      Math.max(1, Math.floor(SHARED_SLOTS / this.#offers.size)),
      Math.ceil(this.#expected / this.#idle.size),
    );
    for (const offer of this.#idle) {
      if (this.#expected <= 0) return;
      this.#idle.delete(offer);
      if (offer.canTake()) void this.#ask(offer, Math.min(share, offer.credits, this.#expected));
    }
  }

  async #ask(offer: Offer, max: number): Promise<void> {
    const asked = { ready: this.#ready, room: this.#room, looks: this.#looks };
    const isProbe = this.#isProbing;
    this.#isProbing = false;
    this.#expected -= max;
    offer.asked = max;
    let claimed: ClaimedTasks;
    try {
      claimed = await this.#parts.ask(offer, max);
    } catch (error) {
      offer.asked = 0;
      this.#onFailure(offer, error);
      offer.onAnswered();
      return;
    }
    offer.asked = 0;
    if (claimed.rows.length < max) this.#onShort(claimed, asked);
    else if (isProbe) this.#expected = Number.POSITIVE_INFINITY;
    const taken = claimed.rows.slice(0, offer.credits);
    const surplus = claimed.rows.slice(offer.credits);
    offer.credits -= taken.length;
    this.#judge(offer, taken.length, surplus.length);
    // The next question is on its way before this answer is turned into frames.
    this.update(offer);
    if (taken.length > 0) offer.take(taken);
    if (surplus.length > 0) offer.giveBack(surplus);
    offer.onAnswered();
  }

  /** Who gives back more than it takes rests; a worker whose credits cross with its claims now and then does not. */
  #judge(offer: Offer, taken: number, surplus: number): void {
    offer.standing = Math.min(offer.standing + taken, LIMITS.creditsMax) - surplus;
    if (offer.standing >= 0) return;
    offer.standing = 0;
    offer.restUntil = this.#parts.now() + REST_MS;
  }

  /** There was no more at that time; what has been heard of since the question may have come after it. */
  #onShort({ rows, reason, isPassedOver }: ClaimedTasks, asked: Asked): void {
    if (asked.looks !== this.#looks) return;
    this.#lookedAt = this.#parts.now();
    if (isPassedOver === true) {
      // It was not looked at from its start: there may be more in front.
      this.#expected = Number.POSITIVE_INFINITY;
      return;
    }
    const wasFull = this.#mayBeFull;
    this.#mayBeFull = rows.length > 0 || reason === 'at_capacity';
    this.#isClosed = reason !== null && CLOSED_REASONS.has(reason);
    const ready = this.#ready - asked.ready;
    const room = this.#mayBeFull ? this.#room - asked.room : 0;
    const uncounted = wasFull ? 0 : room;
    this.#expected = this.#isClosed ? 0 : Math.min(this.#expected + uncounted, ready + room);
  }

  #onFailure(offer: Offer, error: unknown): void {
    const isRefused = error instanceof ProblemError && error.status < 500 && error.code !== 'rate_limited';
    if (isRefused) {
      this.#refuse(offer, error);
      return;
    }
    this.#rest();
    this.#place(offer);
    this.#parts.onError(error);
  }

  #rest(): void {
    this.#expected = Number.POSITIVE_INFINITY;
    this.#restUntil = this.#parts.now() + REST_MS;
  }

  #refuse(offer: Offer, problem: ProblemError): void {
    if (!this.#offers.has(offer)) return;
    this.remove(offer);
    offer.refuse(problem);
  }
}

/** What was known when a question went out. */
interface Asked {
  readonly ready: number;
  readonly room: number;
  readonly looks: number;
}

const CLOSED_REASONS: ReadonlySet<EmptyClaimReason> = new Set([
  'board_paused',
  'lane_paused',
  'lane_draining',
]);
