/**
 * The worker behind one socket: its credits, the claims pushed to it until it acknowledges them, and its verbs. A claim that nobody has
 * acknowledged goes back when its time is over, when the socket closes, or when the server stops: it is released, never failed.
 * Holds no timer of its own: the pusher sweeps all sockets.
 */
import { CLOSE_CODES, LIMITS } from '../../../contract/constants.ts';
import type { PushedClaim, RunFrame } from '../../../contract/frames.ts';
import { PROBLEMS } from '../../../contract/problems.ts';
import { actorOf } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { ClaimTokens } from '../auth/service.ts';
import type { WorkerGreeting, WorkerLink, WorkerPort } from '../watch/service.ts';
import type { HandingOver } from './handing-over.ts';
import { type FindRun, HeldRuns, socketClaim } from './held-runs.ts';
import type { Offer } from './push-lane.ts';
import { operateRun } from './run-verbs.ts';
import type { Running } from './running.ts';
import type { ClaimedRow } from './store/claim.ts';
import type { HoldRef } from './store/end.ts';

/** What a socket asks of the pusher; its board is known there. */
export interface PushDesk {
  /** Rejects when this lane can never be pushed to as it is. */
  admit(lane: string): Promise<void>;
  /** The offer's credits have changed, or whether it can take. */
  update(offer: Offer): void;
  remove(offer: Offer): void;
  release(hold: HoldRef, reason: string): void;
  /** Waited for when the server stops. */
  track(work: Promise<void>): void;
  readonly findRun: FindRun;
  onClosed(): void;
}

interface WorkerSocketParts {
  readonly desk: PushDesk;
  readonly running: Running;
  readonly handingOver: HandingOver;
  readonly tokens: ClaimTokens;
  readonly claimAckMs: number;
  readonly onError: (error: unknown) => void;
}

interface Unacknowledged {
  readonly hold: HoldRef;
  readonly sentAt: number;
}

/** Above the most that one credit frame allows; a socket that lets more lie is given nothing before it has caught up. */
const UNACKNOWLEDGED_MAX = LIMITS.creditsMax;
/** Released claims remembered so that a late claim_ack is told: a full window of them. */
const LAPSED_MAX = LIMITS.creditsMax;

const GONE = 'The socket closed before the claim was sent.';

export class WorkerSocket implements WorkerLink {
  readonly #port: WorkerPort;
  readonly #parts: WorkerSocketParts;
  /** By lane, the latest hello. */
  readonly #offers = new Map<string, WorkerOffer>();
  readonly #runs: HeldRuns;
  /** In the order in which they were sent, so the oldest is first. */
  readonly #unacknowledged = new Map<string, Unacknowledged>();
  readonly #lapsed = new Set<string>();
  /** Claims that are being turned into frames. */
  #delivering: Promise<void> = Promise.resolve();
  /** It let a claim lapse, and has not been heard of since. */
  #isSilent = false;
  #isClosed = false;

  constructor(port: WorkerPort, parts: WorkerSocketParts) {
    this.#port = port;
    this.#parts = parts;
    this.#runs = new HeldRuns({
      port,
      tokens: parts.tokens,
      findRun: parts.desk.findRun,
      workerOf: (lane) => this.#offers.get(lane)?.worker ?? null,
    });
  }

  greet(greeting: WorkerGreeting): void {
    const earlier = this.#offers.get(greeting.lane);
    if (earlier !== undefined) this.#parts.desk.remove(earlier);
    this.#offers.set(greeting.lane, {
      ...greeting,
      keyId: actorOf(this.#port.caller).id,
      credits: 0,
      isAsking: false,
      canTake: () => this.#canTake(),
      take: (rows) => this.#take(greeting, rows),
      giveBack: (rows) => this.#giveBack(rows, this.#isClosed ? GONE : 'The worker withdrew its credits.'),
      refuse: (problem) => this.#refuse(problem),
    });
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
    if (this.#isSilent) {
      this.#isSilent = false;
      this.#updateOffers();
    } else this.#parts.desk.update(offer);
    // Whoever has the reply has every claim that was made before it.
    await this.#delivering;
    return granted;
  }

  acknowledge(runId: string): void {
    this.#hear(runId);
    if (!this.#lapsed.has(runId)) return;
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
    const said = await operateRun(this.#parts.running, this.#port.board, { claim, frame, bytes });
    if (frame.type !== 'heartbeat') this.#runs.forget(frame.run_id);
    return said;
  }

  onWritable(): void {
    this.#updateOffers();
  }

  onClose(): void {
    this.stop('The socket closed before the claim was acknowledged.');
    this.#parts.desk.onClosed();
  }

  /** Nothing is taken any more, and what has not been acknowledged goes back. */
  stop(reason: string): void {
    this.#isClosed = true;
    for (const offer of this.#offers.values()) this.#parts.desk.remove(offer);
    for (const [runId, { hold }] of this.#unacknowledged) {
      this.#lapse(runId);
      this.#parts.desk.release(hold, reason);
    }
    this.#unacknowledged.clear();
  }

  releaseOverdue(now: number): void {
    for (const [runId, { hold, sentAt }] of this.#unacknowledged) {
      if (now - sentAt < this.#parts.claimAckMs) return;
      this.#unacknowledged.delete(runId);
      this.#lapse(runId);
      // It would be given the same task again, and again not take it.
      this.#isSilent = true;
      this.#parts.desk.release(hold, 'The claim was not acknowledged in time.');
    }
  }

  #canTake(): boolean {
    return (
      !this.#isClosed &&
      !this.#isSilent &&
      this.#unacknowledged.size < UNACKNOWLEDGED_MAX &&
      this.#port.hasRoom()
    );
  }

  #hear(runId: string): void {
    const couldNotTake = this.#isSilent || this.#unacknowledged.size >= UNACKNOWLEDGED_MAX;
    this.#isSilent = false;
    this.#unacknowledged.delete(runId);
    if (couldNotTake) this.#updateOffers();
  }

  #updateOffers(): void {
    for (const offer of this.#offers.values()) if (offer.credits > 0) this.#parts.desk.update(offer);
  }

  #lapse(runId: string): void {
    this.#lapsed.add(runId);
    if (this.#lapsed.size <= LAPSED_MAX) return;
    const [oldest] = this.#lapsed;
    if (oldest !== undefined) this.#lapsed.delete(oldest);
  }

  #take(greeting: WorkerGreeting, rows: readonly ClaimedRow[]): void {
    const delivering = this.#deliver(greeting, rows).catch((error: unknown) => {
      this.#giveBack(rows, 'The claim could not be handed over.');
      this.#parts.onError(error);
    });
    this.#delivering = Promise.all([this.#delivering, delivering]).then(() => undefined);
    this.#parts.desk.track(delivering);
  }

  async #deliver({ hasTokens }: WorkerGreeting, rows: readonly ClaimedRow[]): Promise<void> {
    const { handingOver, tokens } = this.#parts;
    const { board } = this.#port;
    const claims: PushedClaim[] = hasTokens
      ? await handingOver.present(board, rows)
      : await handingOver.presentUnsigned(board, rows);
    // Signed a moment ago, so known: who speaks for a run here has its token's life, and a heartbeat can renew it.
    const signed = await Promise.all(claims.flatMap(({ token }) => (token ? [tokens.verify(token)] : [])));
    if (this.#isClosed) {
      this.#giveBack(rows, GONE);
      return;
    }
    const sentAt = performance.now();
    rows.forEach((row, index) => {
      const claim = claims[index];
      if (claim === undefined) return;
      this.#runs.remember(signed[index] ?? socketClaim(board.name, claim));
      this.#unacknowledged.set(claim.run_id, { hold: holdOfRow(row), sentAt });
      this.#port.send({ type: 'claim', claim });
    });
  }

  #giveBack(rows: readonly ClaimedRow[], reason: string): void {
    for (const row of rows) this.#parts.desk.release(holdOfRow(row), reason);
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

interface WorkerOffer extends Offer, WorkerGreeting {}

function holdOfRow(row: ClaimedRow): HoldRef {
  return { taskId: row.id, runId: row.run_id, attempt: row.claim_attempt ?? row.attempt };
}
