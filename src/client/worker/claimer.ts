/**
 * Asks for claims, one request at a time, each under an Idempotency-Key that is kept until it is answered: a claim
 * whose answer was lost is handed out again instead of staying behind without an owner.
 */
import type { Claim } from '../../contract/claims.ts';
import { LIMITS } from '../../contract/constants.ts';
import { LanekeeperError, UnreachableError } from '../errors.ts';
import type { BodyOf, ReplyOf } from '../operation-types.ts';
import type { BoardCallOptions } from '../resources/resource.ts';
import { randomKey } from '../transport.ts';
import { isTransient } from './availability.ts';
import type { WorkerClient } from './worker-client.ts';

type ClaimReply = ReplyOf<'claimTasks'>;

interface Claimed extends ClaimReply {
  /** Asked for before, without an answer: the leases may have begun then. */
  readonly isRepeat: boolean;
}

interface PendingClaim {
  readonly key: string;
  readonly body: BodyOf<'claimTasks'>;
}

/** On leaving: how long the answer to a claim that is still open is sought. */
const SETTLE_MS = 5_000;

/** Short: on leaving, the server is either there or not. */
const SETTLE_TIMEOUT_MS = 2_000;

/** The server notices within milliseconds that nobody waits for a request any more, and asks for a whole second all the same. */
const UNDER_WAY_PAUSE_MS = 50;
/** A server that is just being restarted is met a few times. */
const AWAY_PAUSE_MS = 500;

export interface ClaimerOptions {
  readonly client: WorkerClient;
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

  /** At most `max`. Throws LanekeeperError or UnreachableError; calling again asks for the same claim again. */
  async claim(max: number, waitSeconds: number | undefined, signal: AbortSignal): Promise<Claimed> {
    const { worker, leaseSeconds } = this.#options;
    const body = { max: Math.min(max, LIMITS.claimsMax), worker, lease_seconds: leaseSeconds };
    const isRepeat = this.#pending !== undefined;
    this.#pending ??= { key: randomKey(), body };
    try {
      const reply = await this.#send(this.#pending, { waitSeconds, signal, retry: { attemptsMax: 1 } });
      return { ...reply, isRepeat };
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
    const { timing } = this.#options.client.transport;
    const untilMs = timing.now() + SETTLE_MS;
    const options = { timeoutMs: SETTLE_TIMEOUT_MS, retry: { attemptsMax: 1 } };
    for (;;) {
      try {
        return (await this.#send(pending, options)).claims;
      } catch (error) {
        const pauseMs = pauseBeforeSettling(error);
        if (pauseMs === null || timing.now() + pauseMs > untilMs) throw error;
        await timing.wait(pauseMs);
      }
    }
  }

  async #send(pending: PendingClaim, options: BoardCallOptions): Promise<ClaimReply> {
    const { client, lane } = this.#options;
    const reply = await client.claims.claim(lane, pending.body, { ...options, idempotencyKey: pending.key });
    this.#forget();
    return reply;
  }

  #forget(): void {
    this.#pending = undefined;
    this.#mayHaveClaimed = false;
  }
}

/** null: asking again would not help. */
function pauseBeforeSettling(error: unknown): number | null {
  if (error instanceof LanekeeperError && error.code === 'idempotency_in_flight') return UNDER_WAY_PAUSE_MS;
  if (!isTransient(error)) return null;
  const askedSeconds = error instanceof LanekeeperError ? (error.retryAfterSeconds ?? 0) : 0;
  return Math.max(AWAY_PAUSE_MS, askedSeconds * 1000);
}
