/**
 * Keeps the leases of all running claims: every third of the lease, one request for all that are due together.
 * Goes on while the worker drains, and until the end of a run has been delivered. The row in the database decides
 * about a claim; the local lease clock only says how long it makes sense to keep asking a server that is away.
 */
import type { Client } from '../../client/client.ts';
import { errorOfProblem, LanekeeperError } from '../../client/errors.ts';
import type { ReplyOf } from '../../client/operation-types.ts';
import { fullJitterMs } from '../../client/timing.ts';
import { LIMITS } from '../../contract/constants.ts';
import type { SteeringMessage } from './steering-file.ts';

export interface HeartbeatListener {
  readonly onCancelRequested: () => void;
  /** Repeated until they are acknowledged. */
  readonly onMessages: (messages: readonly SteeringMessage[]) => void;
  /** The server says that the claim is gone. */
  readonly onClaimLost: (error: LanekeeperError) => void;
  /** No heartbeat has got through for a whole lease. */
  readonly onLeaseExpired: () => void;
}

/** A claim whose lease is kept. The token is replaced when the server sends a fresh one. */
export interface KeptClaim {
  readonly runId: string;
  token: string;
}

interface Entry {
  readonly claim: KeptClaim;
  readonly listener: HeartbeatListener;
  dueAtMs: number;
  leaseEndsAtMs: number;
  failures: number;
  isInFlight: boolean;
}

/** Claims due within this share of the interval go along: one request for many, at the price of being slightly early. */
const GATHER_SHARE = 0.2;

/** Between attempts while the server is away. */
const RETRY_CAP_MS = 5_000;

/** A heartbeat that takes longer is repeated rather than waited for. */
const REQUEST_TIMEOUT_MS = 10_000;

/** Answers by which the server says that this run holds nothing: the token, the run or the claim is gone. */
const LOST_STATUSES: readonly number[] = [401, 403, 404, 409, 410];

export function meansClaimLost(error: unknown): error is LanekeeperError {
  return error instanceof LanekeeperError && !error.retryable && LOST_STATUSES.includes(error.status);
}

interface Sent {
  readonly entry: Entry;
  readonly error: unknown;
  readonly reply: Pick<ReplyOf<'heartbeatRun'>, 'cancel_requested' | 'messages' | 'token'> | null;
}

export class Heartbeats {
  readonly #client: Client;
  readonly #leaseSeconds: number;
  readonly #entries = new Map<string, Entry>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #mayBatch = true;

  constructor(client: Client, leaseSeconds: number) {
    this.#client = client;
    this.#leaseSeconds = leaseSeconds;
  }

  keep(claim: KeptClaim, listener: HeartbeatListener): void {
    const nowMs = performance.now();
    this.#entries.set(claim.runId, {
      claim,
      listener,
      dueAtMs: nowMs + this.#intervalMs,
      leaseEndsAtMs: nowMs + this.#leaseSeconds * 1000,
      failures: 0,
      isInFlight: false,
    });
    this.#arm();
  }

  drop(runId: string): void {
    this.#entries.delete(runId);
    this.#arm();
  }

  /** Something happened to the run: ask now. */
  hurry(runId: string): void {
    const entry = this.#entries.get(runId);
    if (entry === undefined) return;
    entry.dueAtMs = performance.now();
    this.#arm();
  }

  get #intervalMs(): number {
    return (this.#leaseSeconds * 1000) / 3;
  }

  #arm(): void {
    clearTimeout(this.#timer);
    const idle = [...this.#entries.values()].filter((entry) => !entry.isInFlight);
    if (idle.length === 0) return;
    const dueAtMs = Math.min(...idle.map((entry) => entry.dueAtMs));
    this.#timer = setTimeout(() => this.#beat(), Math.max(0, dueAtMs - performance.now()));
  }

  #beat(): void {
    const untilMs = performance.now() + this.#intervalMs * GATHER_SHARE;
    const due = [...this.#entries.values()].filter((entry) => !entry.isInFlight && entry.dueAtMs <= untilMs);
    for (let start = 0; start < due.length; start += LIMITS.batchOperationsMax) {
      void this.#send(due.slice(start, start + LIMITS.batchOperationsMax));
    }
    this.#arm();
  }

  /** Never rejects: what goes wrong is told to the claims' listeners. */
  async #send(entries: readonly Entry[]): Promise<void> {
    const sentAtMs = performance.now();
    for (const entry of entries) entry.isInFlight = true;
    const answers =
      this.#mayBatch && entries.length > 1
        ? await this.#sendTogether(entries)
        : await Promise.all(entries.map((entry) => this.#sendOne(entry)));
    for (const sent of answers) {
      sent.entry.isInFlight = false;
      // Ended in the meantime: its answer concerns nobody.
      if (this.#entries.get(sent.entry.claim.runId) === sent.entry) this.#take(sent, sentAtMs);
    }
    this.#arm();
  }

  async #sendOne(entry: Entry): Promise<Sent> {
    const { runId, token } = entry.claim;
    const options = { token, retry: { attemptsMax: 1 }, timeoutMs: REQUEST_TIMEOUT_MS };
    try {
      const body = { lease_seconds: this.#leaseSeconds };
      return { entry, error: null, reply: await this.#client.runs.heartbeat(runId, body, options) };
    } catch (error) {
      return { entry, error, reply: null };
    }
  }

  async #sendTogether(entries: readonly Entry[]): Promise<Sent[]> {
    const operations = entries.map(({ claim }) => ({
      op: 'heartbeat' as const,
      token: claim.token,
      lease_seconds: this.#leaseSeconds,
    }));
    try {
      const options = { retry: { attemptsMax: 1 }, timeoutMs: REQUEST_TIMEOUT_MS };
      const { results } = await this.#client.runs.batch(operations, options);
      return entries.map((entry, index) => {
        const result = results[index];
        if (result === undefined) return { entry, error: new Error('The batch left it out'), reply: null };
        if (!result.ok) return { entry, error: errorOfProblem(result.problem), reply: null };
        const reply = 'cancel_requested' in result ? result : null;
        return { entry, error: null, reply };
      });
    } catch (error) {
      if (!(error instanceof LanekeeperError) || error.retryable || error.status >= 500) {
        return entries.map((entry) => ({ entry, error, reply: null }));
      }
      // The lane key is not accepted for batches (any more). Each claim's own token still speaks for itself.
      this.#mayBatch = false;
      return Promise.all(entries.map((entry) => this.#sendOne(entry)));
    }
  }

  #take({ entry, error, reply }: Sent, sentAtMs: number): void {
    if (error === null) {
      entry.failures = 0;
      entry.leaseEndsAtMs = sentAtMs + this.#leaseSeconds * 1000;
      entry.dueAtMs = sentAtMs + this.#intervalMs;
      if (reply?.token !== undefined) entry.claim.token = reply.token;
      if (reply !== null && reply.messages.length > 0) entry.listener.onMessages(reply.messages);
      if (reply?.cancel_requested) entry.listener.onCancelRequested();
      return;
    }
    if (meansClaimLost(error)) {
      this.#entries.delete(entry.claim.runId);
      entry.listener.onClaimLost(error);
      return;
    }
    const nowMs = performance.now();
    if (nowMs >= entry.leaseEndsAtMs) {
      this.#entries.delete(entry.claim.runId);
      entry.listener.onLeaseExpired();
      return;
    }
    entry.failures += 1;
    const bounds = { baseMs: 250, capMs: Math.min(RETRY_CAP_MS, this.#intervalMs) };
    // The last attempt falls on the end of the lease, not behind it.
    entry.dueAtMs = Math.min(entry.leaseEndsAtMs, nowMs + fullJitterMs(entry.failures, bounds, Math.random));
  }
}
