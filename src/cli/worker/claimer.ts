/**
 * Asks for claims, one request at a time, each under an Idempotency-Key that is kept until it is answered: a claim
 * whose answer was lost is handed out again instead of staying behind without an owner.
 */
import type { Client } from '../../client/client.ts';
import { LanekeeperError, UnreachableError } from '../../client/errors.ts';
import type { BodyOf, ReplyOf } from '../../client/operation-types.ts';
import { randomKey } from '../../client/transport.ts';
import type { Claim } from '../../contract/claims.ts';

type ClaimReply = ReplyOf<'claimTasks'>;

interface PendingClaim {
  readonly key: string;
  readonly body: BodyOf<'claimTasks'>;
}

/** On leaving: how long the answer to a claim that is still open is sought. */
const SETTLE_MS = 5_000;

/** Short: on leaving, the server is either there or not. */
const SETTLE_TIMEOUT_MS = 2_000;

export interface ClaimerOptions {
  readonly client: Client;
  readonly lane: string;
  readonly worker: string;
  readonly leaseSeconds: number;
}

export class Claimer {
  readonly #options: ClaimerOptions;
  /** Not answered yet. */
  #pending: PendingClaim | undefined;
  /** It has been sent: the server may have claimed for it. */
  #mayHaveClaimed = false;

  constructor(options: ClaimerOptions) {
    this.#options = options;
  }

  /** Throws LanekeeperError or UnreachableError; calling again asks for the same claim again. */
  async claim(max: number, waitSeconds: number | undefined, signal: AbortSignal): Promise<ClaimReply> {
    const { worker, leaseSeconds } = this.#options;
    this.#pending ??= { key: randomKey(), body: { max, worker, lease_seconds: leaseSeconds } };
    try {
      return await this.#send(this.#pending, { waitSeconds, signal });
    } catch (error) {
      const isVerdict = error instanceof LanekeeperError && !error.retryable && error.status < 500;
      if (isVerdict) this.#forget();
      else this.#mayHaveClaimed ||= !(error instanceof UnreachableError) || error.mayHaveTakenEffect;
      throw error;
    }
  }

  /** Claims that the server may have made for a request whose answer never came; they must be given back. */
  async settle(): Promise<readonly Claim[]> {
    const pending = this.#pending;
    if (pending === undefined || !this.#mayHaveClaimed) return [];
    const retry = { totalMs: SETTLE_MS };
    const { claims } = await this.#send(pending, { timeoutMs: SETTLE_TIMEOUT_MS, retry });
    return claims;
  }

  async #send(pending: PendingClaim, options: Parameters<Client['claims']['claim']>[2]): Promise<ClaimReply> {
    const { client, lane } = this.#options;
    const retry = { attemptsMax: 1, ...options?.retry };
    const reply = await client.claims.claim(lane, pending.body, {
      ...options,
      idempotencyKey: pending.key,
      retry: options?.retry === undefined ? retry : options.retry,
    });
    this.#forget();
    return reply;
  }

  #forget(): void {
    this.#pending = undefined;
    this.#mayHaveClaimed = false;
  }
}

/** The server is away or busy; the same request may succeed later. */
export function isTransient(error: unknown): boolean {
  if (error instanceof UnreachableError) return true;
  return error instanceof LanekeeperError && (error.retryable || error.status >= 500);
}
