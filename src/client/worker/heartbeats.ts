/**
 * Keeps the leases of all running claims: every third of the lease, one request for all that are due together.
 * Goes on while the worker drains, and until the end of a run has been delivered. The row in the database decides
 * about a claim; the local lease clock only says how long it makes sense to keep asking a server that is away.
 * What a run has to say of its progress goes with its heartbeats, so it survives an outage as its lease does.
 */
import { LIMITS } from '../../contract/constants.ts';
import { errorOfProblem, LanekeeperError } from '../errors.ts';
import { fullJitterMs } from '../timing.ts';
import { LiveTable } from './live-table.ts';
import { type News, PendingNews } from './pending-news.ts';
import type { HeartbeatAnswer, KeptClaim, RunLine } from './run-line.ts';
import type { SteeringMessage } from './steering-message.ts';
import type { WorkerClient } from './worker-client.ts';

export interface HeartbeatListener {
  readonly onCancelRequested: () => void;
  /** Repeated until they are acknowledged. */
  readonly onMessages: (messages: readonly SteeringMessage[]) => void;
  /** The server says that the claim is gone. */
  readonly onClaimLost: (error: LanekeeperError) => void;
  /** No heartbeat has got through for a whole lease. */
  readonly onLeaseExpired: () => void;
}

interface Entry {
  readonly claim: KeptClaim;
  readonly listener: HeartbeatListener;
  readonly news: PendingNews;
  dueAtMs: number;
  leaseEndsAtMs: number;
  failures: number;
  isInFlight: boolean;
}

/** Claims due within this share of the interval go along: one request for many, at the price of being slightly early. */
const GATHER_SHARE = 0.2;

/** Between attempts while the server is away. */
const RETRY_CAP_MS = 5_000;

/** A request that takes longer is repeated rather than waited for. */
const REQUEST_TIMEOUT_MS = 10_000;

/** Answers by which the server says that this run holds nothing: the token, the run or the claim is gone. */
const LOST_STATUSES: readonly number[] = [401, 403, 404, 409, 410];

export function meansClaimLost(error: unknown): error is LanekeeperError {
  return error instanceof LanekeeperError && !error.retryable && LOST_STATUSES.includes(error.status);
}

/** What goes with the heartbeat is not what the API takes, or no JSON at all; without it the next one is taken. */
function isRefusedNews(error: unknown): boolean {
  if (error instanceof TypeError) return true;
  return error instanceof LanekeeperError && (error.status === 400 || error.status === 413);
}

interface Sent {
  readonly entry: Entry;
  readonly error: unknown;
  readonly reply: HeartbeatAnswer | null;
}

export class Heartbeats {
  readonly #client: WorkerClient;
  readonly #line: RunLine;
  readonly #leaseSeconds: number;
  readonly #entries = new LiveTable<Entry>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #wakesAtMs = Number.POSITIVE_INFINITY;
  #mayBatch = true;

  constructor(client: WorkerClient, line: RunLine, leaseSeconds: number) {
    this.#client = client;
    this.#line = line;
    this.#leaseSeconds = leaseSeconds;
  }

  keep(claim: KeptClaim, listener: HeartbeatListener): void {
    const nowMs = performance.now();
    const dueAtMs = nowMs + this.#intervalMs;
    this.#entries.set(claim.runId, {
      claim,
      listener,
      news: new PendingNews(),
      dueAtMs,
      leaseEndsAtMs: nowMs + this.#leaseSeconds * 1000,
      failures: 0,
      isInFlight: false,
    });
    this.#wakeAt(dueAtMs);
  }

  drop(runId: string): void {
    const news = this.#entries.get(runId)?.news;
    if (news?.isAwaited) news.fail(new Error('The run has ended'));
    this.#entries.delete(runId);
    // Else the timer finds out by itself: runs that last a millisecond must not cost a look at all others.
    if (this.#entries.size === 0) this.#sleep();
  }

  /** Something happened to the run: ask now. */
  hurry(runId: string): void {
    const entry = this.#entries.get(runId);
    if (entry === undefined) return;
    entry.dueAtMs = performance.now();
    if (!entry.isInFlight) this.#wakeAt(entry.dueAtMs);
  }

  /**
   * Sends it with a heartbeat of its own, now. What is said while one is under way goes together with the next, the later values winning.
   * Resolves when the server has it, through outages as long as the lease lasts. Throws LanekeeperError when it is refused, or the
   * claim is gone.
   */
  say(runId: string, news: News): Promise<void> {
    const entry = this.#entries.get(runId);
    if (entry === undefined) return Promise.reject(new Error('The claim of the run is not kept any more'));
    const said = entry.news.add(news);
    // A server that is away is not asked more often for it.
    if (entry.failures === 0) this.hurry(runId);
    return said;
  }

  get #intervalMs(): number {
    return (this.#leaseSeconds * 1000) / 3;
  }

  #sleep(): void {
    clearTimeout(this.#timer);
    this.#wakesAtMs = Number.POSITIVE_INFINITY;
  }

  #wakeAt(dueAtMs: number): void {
    if (dueAtMs >= this.#wakesAtMs) return;
    clearTimeout(this.#timer);
    this.#wakesAtMs = dueAtMs;
    this.#timer = setTimeout(() => this.#beat(), Math.max(0, dueAtMs - performance.now()));
  }

  #beat(): void {
    this.#sleep();
    const untilMs = performance.now() + this.#intervalMs * GATHER_SHARE;
    const due = this.#idle().filter((entry) => entry.dueAtMs <= untilMs);
    // A checkpoint may be as large as a request; only what is bare is gathered.
    for (const entry of due) if (entry.news.isWaiting) void this.#send([entry]);
    const bare = due.filter((entry) => !entry.isInFlight);
    for (let start = 0; start < bare.length; start += LIMITS.batchOperationsMax) {
      void this.#send(bare.slice(start, start + LIMITS.batchOperationsMax));
    }
    for (const { dueAtMs } of this.#idle()) this.#wakeAt(dueAtMs);
  }

  #idle(): Entry[] {
    return this.#entries.values().filter((entry) => !entry.isInFlight);
  }

  /** Never rejects: what goes wrong is told to the claims' listeners. */
  async #send(entries: readonly Entry[]): Promise<void> {
    const sentAtMs = performance.now();
    for (const entry of entries) entry.isInFlight = true;
    const answers =
      this.#mayBatch && !this.#line.isSocket && entries.length > 1
        ? await this.#sendTogether(entries)
        : await Promise.all(entries.map((entry) => this.#sendOne(entry)));
    for (const sent of answers) {
      sent.entry.isInFlight = false;
      const { runId } = sent.entry.claim;
      // Ended in the meantime: its answer concerns nobody.
      if (this.#entries.get(runId) === sent.entry) this.#take(sent, sentAtMs);
      if (this.#entries.get(runId) === sent.entry) this.#wakeAt(sent.entry.dueAtMs);
    }
  }

  async #sendOne(entry: Entry): Promise<Sent> {
    const body = { ...entry.news.take(), lease_seconds: this.#leaseSeconds };
    try {
      return { entry, error: null, reply: await this.#line.heartbeat(entry.claim, body) };
    } catch (error) {
      return { entry, error, reply: null };
    }
  }

  async #sendTogether(entries: readonly Entry[]): Promise<Sent[]> {
    const operations = entries.flatMap(({ claim: { token } }) =>
      token === null ? [] : { op: 'heartbeat' as const, token, lease_seconds: this.#leaseSeconds },
    );
    // Those without a token speak for themselves, over a socket.
    if (operations.length < entries.length) return Promise.all(entries.map((entry) => this.#sendOne(entry)));
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
      entry.dueAtMs = entry.news.isWaiting ? performance.now() : sentAtMs + this.#intervalMs;
      if (reply?.token !== undefined) entry.claim.token = reply.token;
      entry.news.settle();
      if (reply !== null && reply.messages.length > 0) entry.listener.onMessages(reply.messages);
      if (reply?.cancel_requested) entry.listener.onCancelRequested();
      return;
    }
    if (meansClaimLost(error)) {
      this.#entries.delete(entry.claim.runId);
      entry.news.fail(error);
      entry.listener.onClaimLost(error);
      return;
    }
    const nowMs = performance.now();
    if (nowMs >= entry.leaseEndsAtMs) {
      this.#entries.delete(entry.claim.runId);
      entry.news.fail(error);
      entry.listener.onLeaseExpired();
      return;
    }
    if (isRefusedNews(error) && entry.news.refuse(error)) {
      entry.dueAtMs = nowMs;
      return;
    }
    entry.news.putBack();
    entry.failures += 1;
    const bounds = { baseMs: 250, capMs: Math.min(RETRY_CAP_MS, this.#intervalMs) };
    // The last attempt falls on the end of the lease, not behind it.
    entry.dueAtMs = Math.min(entry.leaseEndsAtMs, nowMs + fullJitterMs(entry.failures, bounds, Math.random));
  }
}
