/**
 * The worker behind one socket: as whom it said hello, its credits, what it can take, and its verbs. The claims pushed to it are
 * OutgoingClaims until it acknowledges them: they go back when their time is over, when the socket closes, or when the server stops. For what
 * could not even be sent it has its credits back.
 * Holds no timer of its own: the pusher sweeps all sockets.
 */
import { CLOSE_CODES, LIMITS } from '../../../../contract/constants.ts';
import type { RunFrame } from '../../../../contract/frames.ts';
import { PROBLEMS } from '../../../../contract/problems.ts';
import { actorOf, type ClaimPrincipal } from '../../../kernel/principal.ts';
import { ProblemError } from '../../../kernel/problem-error.ts';
import type { ClaimTokens } from '../../auth/service.ts';
import type {
  CloseCause,
  WorkerGreeting,
  WorkerLink,
  WorkerPort,
  WorkerSocketListener,
} from '../../watch/service.ts';
import type { HandingOver } from '../claiming/handing-over.ts';
import type { Undelivered } from '../claiming/returns.ts';
import { type FindRun, HeldRuns } from '../run/held-runs.ts';
import { isEnd, operateFrame } from '../run/run-frames.ts';
import type { RunVerbParts } from '../run/run-verbs.ts';
import type { LostClaims } from '../steering/lost-claims.ts';
import type { ClaimedRow } from '../store/claimed-row.ts';
import { OutgoingClaims } from './outgoing-claims.ts';
import { type Offer, REST_MS } from './push-lane.ts';

/** What a socket asks of the pusher; its board is known there. */
export interface PushDesk {
  /** Rejects when this lane can never be pushed to as it is. */
  admit(lane: string): Promise<void>;
  /** The offer's credits have changed, or whether it can take. */
  update(offer: Offer): void;
  /** The offer has credits back because claims could not be handed over: not again at once. */
  retryLater(offer: Offer): void;
  remove(offer: Offer): void;
  giveBack(claim: Undelivered, reason: string): void;
  /** Waited for when the server stops. */
  track(work: Promise<void>): void;
  readonly findRun: FindRun;
  onClosed(): void;
}

interface WorkerSocketParts extends RunVerbParts {
  readonly desk: PushDesk;
  readonly handingOver: HandingOver;
  readonly tokens: ClaimTokens;
  readonly claimAckMs: number;
  readonly lostClaims: Pick<LostClaims, 'hold' | 'letGo'>;
  readonly socketListeners: readonly WorkerSocketListener[];
  readonly onError: (error: unknown) => void;
}

/** Above the most that one credit frame allows; a socket that lets more lie is given nothing before it has caught up. */
const UNACKNOWLEDGED_MAX = LIMITS.creditsMax;
/**
 * Tasks asked for or being turned into frames for one socket, over all its lanes: what may still come when its peer stops reading at this
 * moment. Two full questions: the next one is on its way while the answer to the last is turned into frames.
 */
const UNDER_WAY_MAX = 2 * LIMITS.claimsMax;

export class WorkerSocket implements WorkerLink {
  readonly #port: WorkerPort;
  readonly #parts: WorkerSocketParts;
  /** By lane, the latest hello. */
  readonly #offers = new Map<string, WorkerOffer>();
  /** Of earlier hellos, while tasks are being claimed on them. */
  readonly #replaced = new Set<WorkerOffer>();
  readonly #runs: HeldRuns;
  readonly #outgoing: OutgoingClaims;
  /** An offer could not take because too much is under way: it is to be told when that changes. */
  #isHeldUp = false;
  /** It let a claim lapse, and has not been heard of since. */
  #isSilent = false;
  #isClosed = false;
  /** Null: it is open, or the listeners have been told. */
  #closeCause: CloseCause | null = null;

  constructor(port: WorkerPort, parts: WorkerSocketParts) {
    this.#port = port;
    this.#parts = parts;
    this.#runs = new HeldRuns({
      port,
      tokens: parts.tokens,
      findRun: parts.desk.findRun,
      workerOf: (lane) => this.#offers.get(lane)?.worker ?? null,
    });
    this.#outgoing = new OutgoingClaims({
      ...parts,
      port,
      runs: this.#runs,
      giveBack: (claim, reason) => parts.desk.giveBack(claim, reason),
      track: (work) => parts.desk.track(work),
      onPresented: () => this.#onLessUnderWay(),
    });
  }

  async greet(greeting: WorkerGreeting): Promise<void> {
    for (const listener of this.#parts.socketListeners) {
      await listener.onHello(this.#port, greeting);
      if (this.#isClosed) return;
    }
    const earlier = this.#offers.get(greeting.lane);
    if (earlier !== undefined) {
      this.#parts.desk.remove(earlier);
      if (earlier.asked > 0) this.#replaced.add(earlier);
    }
    // What is being claimed for the earlier hello goes back: to say hello is no way around the rest.
    const restUntil = earlier && earlier.asked > 0 ? performance.now() + REST_MS : (earlier?.restUntil ?? 0);
    const offer: WorkerOffer = {
      ...greeting,
      keyId: actorOf(this.#port.caller).id,
      credits: 0,
      creditFrames: 0,
      asked: 0,
      restUntil,
      standing: earlier?.standing ?? 0,
      canTake: () => this.#canTake(),
      take: (rows) => this.#take(offer, rows),
      giveBack: (rows) => this.#outgoing.withdraw(rows),
      onAnswered: () => {
        this.#replaced.delete(offer);
        this.#onLessUnderWay();
      },
      refuse: (problem) => this.#refuse(problem),
    };
    this.#offers.set(greeting.lane, offer);
  }

  async setCredits(lane: string, credits: number): Promise<number> {
    const offer = this.#offers.get(lane);
    if (offer === undefined)
      throw new ProblemError(
        'invalid_request',
        `Say hello as a worker of lane ${JSON.stringify(lane)} on this socket before giving it credits.`,
      );
    if (credits > 0) await this.#parts.desk.admit(lane);
    if (this.#isClosed) return 0;
    const granted = Math.min(credits, LIMITS.creditsMax);
    offer.credits = granted;
    offer.creditFrames += 1;
    if (this.#isSilent) {
      this.#isSilent = false;
      this.#updateOffers();
    } else this.#parts.desk.update(offer);
    // Whoever has the reply has every claim that was made before it.
    await this.#outgoing.presented();
    return granted;
  }

  acknowledge(runId: string): void {
    this.#hear(runId);
    if (!this.#outgoing.hasLapsed(runId)) return;
    this.#port.send({
      type: 'error',
      run_id: runId,
      code: 'claim_lost',
      title: PROBLEMS.claim_lost.title,
      detail: 'The claim had been released before its claim_ack came.',
      fatal: false,
    });
  }

  async operate(frame: RunFrame, bytes: number): Promise<Readonly<Record<string, unknown>>> {
    const claim = await this.#runs.speakerOf(frame);
    // A verb shows as well as a claim_ack that the claim has arrived.
    this.#hear(frame.run_id);
    const said = await this.#operate(claim, frame, bytes);
    if (isEnd(frame)) {
      this.#runs.forget(frame.run_id);
      this.#parts.lostClaims.letGo(this.#port, frame.run_id);
    } else if (!this.#isClosed) this.#parts.lostClaims.hold(this.#port, frame.run_id);
    return said;
  }

  async #operate(
    claim: ClaimPrincipal,
    frame: RunFrame,
    bytes: number,
  ): Promise<Readonly<Record<string, unknown>>> {
    try {
      return await operateFrame(this.#parts, this.#port.board, claim, frame, bytes);
    } catch (error) {
      // With this answer it knows.
      if (error instanceof ProblemError && error.code === 'claim_lost')
        this.#parts.lostClaims.letGo(this.#port, frame.run_id);
      throw error;
    }
  }

  onWritable(): void {
    this.#updateOffers();
  }

  onClose(cause: CloseCause): void {
    this.stop('The socket closed before the claim was acknowledged.');
    this.#parts.desk.onClosed();
    this.#closeCause = cause;
    this.#takeLeave();
  }

  /**
   * The listeners hear of the close when all that this socket never took on is on its way back: what they do about its claims is then
   * about those that it had.
   */
  #takeLeave(): void {
    const cause = this.#closeCause;
    if (cause === null || this.#underWay() > 0 || this.#replaced.size > 0) return;
    this.#closeCause = null;
    for (const listener of this.#parts.socketListeners) listener.onClose(this.#port, cause);
  }

  /** Nothing is taken any more, and what has not been acknowledged goes back. */
  stop(reason: string): void {
    this.#isClosed = true;
    for (const offer of this.#offers.values()) this.#parts.desk.remove(offer);
    this.#outgoing.stop(reason);
  }

  releaseOverdue(now: number): void {
    // It would be given the same task again, and again not take it.
    if (this.#outgoing.releaseOverdue(now)) this.#isSilent = true;
  }

  #canTake(): boolean {
    if (this.#isClosed || this.#isSilent) return false;
    const underWay = this.#underWay();
    const isFull =
      underWay >= UNDER_WAY_MAX || this.#outgoing.unacknowledgedCount + underWay >= UNACKNOWLEDGED_MAX;
    this.#isHeldUp ||= isFull;
    return !isFull && this.#port.hasRoom();
  }

  #underWay(): number {
    let rows = this.#outgoing.presentingCount;
    for (const { asked } of this.#offers.values()) rows += asked;
    return rows;
  }

  #onLessUnderWay(): void {
    this.#takeLeave();
    if (!this.#isHeldUp) return;
    this.#isHeldUp = false;
    this.#updateOffers();
  }

  #hear(runId: string): void {
    const couldNotTake = this.#isSilent || this.#isHeldUp;
    this.#isSilent = false;
    this.#isHeldUp = false;
    this.#outgoing.hear(runId);
    if (couldNotTake) this.#updateOffers();
  }

  #updateOffers(): void {
    for (const offer of this.#offers.values()) if (offer.credits > 0) this.#parts.desk.update(offer);
  }

  #take(offer: WorkerOffer, rows: readonly ClaimedRow[]): void {
    const { hasTokens, creditFrames } = offer;
    this.#outgoing.send(rows, {
      hasTokens,
      onUnsent: (count) => this.#restoreCredits(offer, creditFrames, count),
    });
  }

  /** A newer credit frame has said what counts, so then nothing is restored. */
  #restoreCredits(offer: WorkerOffer, creditFrames: number, count: number): void {
    const isLatest = this.#offers.get(offer.lane) === offer && offer.creditFrames === creditFrames;
    if (this.#isClosed || !isLatest) return;
    offer.credits += count;
    this.#parts.desk.retryLater(offer);
  }

  #refuse(problem: ProblemError): void {
    const { code } = problem;
    this.#port.send({
      type: 'error',
      code,
      title: PROBLEMS[code].title,
      detail: problem.message,
      fatal: false,
    });
    if (code === 'not_found') this.#port.end(CLOSE_CODES.policy, 'the board is gone');
  }
}

interface WorkerOffer extends Offer, WorkerGreeting {
  readonly lane: string;
  readonly worker: string;
  readonly isCrashOnDisconnect: boolean;
  /** How many have come: what was claimed on an earlier one's credits belongs to that one. */
  creditFrames: number;
}
