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
  /** Something happened while a heartbeat was under way that it may not have seen: another follows. */
  isHurried: boolean;
}

/** Claims due within this share of the interval go along: one request for many, at the price of being slightly early. */
const GATHER_SHARE = 0.2;

/** Between attempts while the server is away. */
const RETRY_CAP_MS = 5_000;

/** A request that takes longer is repeated rather than waited for. */
const REQUEST_TIMEOUT_MS = 10_000;

/** A timer that is later was held up with the whole process: answers may lie there that have not been read. */
const LATE_MS = 100;

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

interface HeartbeatOperation {
  readonly op: 'heartbeat';
  readonly token: string;
  readonly lease_seconds: number;
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
      isHurried: false,
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
    if (entry.isInFlight) {
      entry.isHurried = true;
      return;
    }
    entry.dueAtMs = performance.now();
    this.#wakeAt(entry.dueAtMs);
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
    const nowMs = performance.now();
    const isLate = nowMs - this.#wakesAtMs > LATE_MS;
    this.#sleep();
    this.#expireOverdue(nowMs, isLate);
    const untilMs = nowMs + this.#intervalMs * GATHER_SHARE;
    const due = this.#idle().filter((entry) => entry.dueAtMs <= untilMs);
    // A checkpoint may be as large as a request; only what is bare is gathered.
    for (const entry of due) if (entry.news.isWaiting) this.#send([entry]);
    const bare = due.filter((entry) => !entry.isInFlight);
    for (let start = 0; start < bare.length; start += LIMITS.batchOperationsMax) {
      this.#send(bare.slice(start, start + LIMITS.batchOperationsMax));
    }
    for (const entry of this.#entries.values())
      this.#wakeAt(entry.isInFlight ? Math.max(entry.leaseEndsAtMs, nowMs + LATE_MS) : entry.dueAtMs);
  }

  /** No answer may come at all, or long after the lease: its holder is told when that ends, and not when somebody gives up waiting. */
  #expireOverdue(nowMs: number, isLate: boolean): void {
    if (isLate) return;
    for (const entry of this.#entries.values())
      if (entry.isInFlight && nowMs >= entry.leaseEndsAtMs)
        this.#expire(entry, new Error('No heartbeat was answered for a whole lease'));
  }

  #expire(entry: Entry, error: unknown): void {
    this.#entries.delete(entry.claim.runId);
    entry.news.fail(error);
    entry.listener.onLeaseExpired();
  }

  #idle(): Entry[] {
    return this.#entries.values().filter((entry) => !entry.isInFlight);
  }

  /** What goes wrong is told to the claims' listeners. Each answer is taken when it comes: one that does not come holds up no other. */
  #send(entries: readonly Entry[]): void {
    const sentAtMs = performance.now();
    for (const entry of entries) {
      entry.isInFlight = true;
      entry.isHurried = false;
    }
    // Those without a token speak for themselves, over a socket.
    const mayBatch = this.#mayBatch && !this.#line.isSocket && entries.length > 1;
    const operations = mayBatch ? entries.flatMap((entry) => this.#operationOf(entry)) : [];
    if (mayBatch && operations.length === entries.length)
      void this.#sendTogether(entries, operations, sentAtMs);
    else for (const entry of entries) void this.#sendOne(entry, sentAtMs);
  }

  /** Never rejects. */
  async #sendOne(entry: Entry, sentAtMs: number): Promise<void> {
    const body = { ...entry.news.take(), lease_seconds: this.#leaseSeconds };
    let sent: Sent;
    try {
      sent = { entry, error: null, reply: await this.#line.heartbeat(entry.claim, body) };
    } catch (error) {
      sent = { entry, error, reply: null };
    }
    this.#settle(sent, sentAtMs);
  }

  #operationOf({ claim: { token } }: Entry): HeartbeatOperation[] {
    return token === null ? [] : [{ op: 'heartbeat', token, lease_seconds: this.#leaseSeconds }];
  }

  /** Never rejects. */
  async #sendTogether(
    entries: readonly Entry[],
    operations: HeartbeatOperation[],
    sentAtMs: number,
  ): Promise<void> {
    let sents: Sent[];
    try {
      const options = { retry: { attemptsMax: 1 }, timeoutMs: REQUEST_TIMEOUT_MS };
      const { results } = await this.#client.runs.batch(operations, options);
      sents = entries.map((entry, index) => {
        const result = results[index];
        if (result === undefined) return { entry, error: new Error('The batch left it out'), reply: null };
        if (!result.ok) return { entry, error: errorOfProblem(result.problem), reply: null };
        const reply = 'cancel_requested' in result ? result : null;
        return { entry, error: null, reply };
      });
    } catch (error) {
      if (error instanceof LanekeeperError && !error.retryable && error.status < 500) {
        // The lane key is not accepted for batches (any more). Each claim's own token still speaks for itself.
        this.#mayBatch = false;
        for (const entry of entries) void this.#sendOne(entry, sentAtMs);
        return;
      }
      sents = entries.map((entry) => ({ entry, error, reply: null }));
    }
    for (const sent of sents) this.#settle(sent, sentAtMs);
  }

  #settle(sent: Sent, sentAtMs: number): void {
    const { entry } = sent;
    const { runId } = entry.claim;
    entry.isInFlight = false;
    // Ended in the meantime: its answer concerns nobody.
    if (this.#entries.get(runId) === entry) this.#take(sent, sentAtMs);
    if (this.#entries.get(runId) === entry) this.#wakeAt(entry.dueAtMs);
  }

  #take({ entry, error, reply }: Sent, sentAtMs: number): void {
    if (error === null) {
      entry.failures = 0;
      entry.leaseEndsAtMs = sentAtMs + this.#leaseSeconds * 1000;
      const isDue = entry.isHurried || entry.news.isWaiting;
      entry.dueAtMs = isDue ? performance.now() : sentAtMs + this.#intervalMs;
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
      this.#expire(entry, error);
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
