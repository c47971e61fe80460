/**
 * Claims on their way to the worker behind one socket: rows that are being turned into frames, and claims that were sent until they are
 * acknowledged. What could not be sent goes back, and what was not acknowledged in time, or before the end, is taken back: released, never
 * failed. Decides nothing about credits, and holds no timer: its owner asks.
 */
import type { PushedClaim } from '../../../../contract/frames.ts';
import { present } from '../../../kernel/assert.ts';
import type { ClaimTokens } from '../../auth/service.ts';
import type { WorkerPort } from '../../watch/service.ts';
import type { HandingOver } from '../claiming/handing-over.ts';
import { type Undelivered, undeliveredOf } from '../claiming/returns.ts';
import { type HeldRuns, socketClaim } from '../run/held-runs.ts';
import type { LostClaims } from '../steering/lost-claims.ts';
import type { ClaimedRow } from '../store/claimed-row.ts';
import { type TakenBack, UnacknowledgedClaims } from './unacknowledged-claims.ts';

interface OutgoingClaimsParts {
  readonly port: WorkerPort;
  /** Gets those that have become the worker's. */
  readonly runs: HeldRuns;
  readonly handingOver: HandingOver;
  readonly tokens: ClaimTokens;
  readonly claimAckMs: number;
  readonly lostClaims: Pick<LostClaims, 'hold' | 'letGo'>;
  readonly giveBack: (claim: Undelivered, reason: string) => void;
  /** Waited for when the server stops. */
  readonly track: (work: Promise<void>) => void;
  /** Rows were being turned into frames, and are not any more. */
  readonly onPresented: () => void;
  readonly onError: (error: unknown) => void;
}

interface Sending {
  /** The worker wants a token with each claim. */
  readonly hasTokens: boolean;
  /** So many of the rows went back. */
  readonly onUnsent: (count: number) => void;
}

const GONE = 'The socket closed before the claim was sent.';

export class OutgoingClaims {
  readonly #parts: OutgoingClaimsParts;
  readonly #unacknowledged = new UnacknowledgedClaims();
  /** Claims that are being turned into frames. */
  #delivering: Promise<void> = Promise.resolve();
  #presentingCount = 0;
  #isStopped = false;

  constructor(parts: OutgoingClaimsParts) {
    this.#parts = parts;
  }

  /** Rows that are being turned into frames. */
  get presentingCount(): number {
    return this.#presentingCount;
  }

  get unacknowledgedCount(): number {
    return this.#unacknowledged.size;
  }

  /** Resolves when every claim that was to be sent until now was sent, or has gone back. */
  presented(): Promise<void> {
    return this.#delivering;
  }

  send(rows: readonly ClaimedRow[], { hasTokens, onUnsent }: Sending): void {
    const unsent = new Set(rows);
    this.#presentingCount += rows.length;
    const delivering = this.#deliver(rows, unsent, hasTokens)
      .catch((error: unknown) => {
        this.#giveBack([...unsent], 'The claim could not be handed over.');
        onUnsent(unsent.size);
        this.#parts.onError(error);
      })
      .finally(() => {
        this.#presentingCount -= rows.length;
        this.#parts.onPresented();
      });
    this.#delivering = Promise.all([this.#delivering, delivering]).then(() => undefined);
    this.#parts.track(delivering);
  }

  /** Claimed on credits that were withdrawn meanwhile: never sent. */
  withdraw(rows: readonly ClaimedRow[]): void {
    this.#giveBack(rows, this.#isStopped ? GONE : 'The worker withdrew its credits.');
  }

  /** The claim has arrived. */
  hear(runId: string): void {
    this.#unacknowledged.hear(runId);
  }

  /** It was not acknowledged in time. */
  hasLapsed(runId: string): boolean {
    return this.#unacknowledged.hasLapsed(runId);
  }

  /** True: there were some. */
  releaseOverdue(now: number): boolean {
    const overdue = this.#unacknowledged.takeOverdue(now - this.#parts.claimAckMs);
    for (const taken of overdue) this.#takeBack(taken, 'The claim was not acknowledged in time.');
    return overdue.length > 0;
  }

  /** Nothing is sent any more, and what has not been acknowledged goes back. */
  stop(reason: string): void {
    this.#isStopped = true;
    for (const taken of this.#unacknowledged.takeAll()) this.#takeBack(taken, reason);
  }

  /** @param unsent Loses the rows that have become the worker's. */
  async #deliver(rows: readonly ClaimedRow[], unsent: Set<ClaimedRow>, hasTokens: boolean): Promise<void> {
    const { port, runs, handingOver, tokens, lostClaims } = this.#parts;
    const { board } = port;
    const claims: PushedClaim[] = hasTokens
      ? await handingOver.present(board, rows)
      : await handingOver.presentUnsigned(board, rows);
    // Signed a moment ago, so known: who speaks for a run here has its token's life, and a heartbeat can renew it.
    const signed = await Promise.all(claims.flatMap(({ token }) => (token ? [tokens.verify(token)] : [])));
    if (this.#isStopped) {
      this.#giveBack(rows, GONE);
      return;
    }
    const sentAt = performance.now();
    rows.forEach((row, index) => {
      const claim = present(claims[index], 'every row is presented');
      runs.remember(signed[index] ?? socketClaim(board.name, claim));
      port.send({ type: 'claim', claim });
      lostClaims.hold(port, claim.run_id);
      this.#unacknowledged.add(claim.run_id, undeliveredOf(row), sentAt);
      unsent.delete(row);
    });
  }

  #takeBack({ runId, claim }: TakenBack, reason: string): void {
    this.#parts.lostClaims.letGo(this.#parts.port, runId);
    this.#parts.giveBack(claim, reason);
  }

  #giveBack(rows: readonly ClaimedRow[], reason: string): void {
    for (const row of rows) this.#parts.giveBack(undeliveredOf(row), reason);
  }
}
