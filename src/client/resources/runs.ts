/**
 * Runs: `client.runs`. Renewing and ending a claim; every call speaks with the claim's own token. All of them are
 * idempotent: the same end with the same body answers the same again, so a lost answer is simply asked for again.
 */
import type { BodyOf, OperationId, ReplyOf } from '../operation-types.ts';
import type { CallOptions, Transport } from '../transport.ts';

/** The token that came with the claim. */
export interface RunCallOptions extends CallOptions {
  readonly token: string;
}

type Reply<Id extends OperationId> = Promise<ReplyOf<Id>>;

export class Runs {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** The record of one attempt; `outcome` is null while the claim is held. With any key, or the token of the claim itself. */
  get(run: string, options?: CallOptions): Reply<'getRun'> {
    return this.#transport.request('getRun', { params: { run } }, options);
  }

  /**
   * Extends the lease (of `lease_seconds`, else the lane's) and says whether a cancel was requested. `progress` (any rising number), `note` and
   * `checkpoint` are kept for people and for the next attempt. A `token` in the answer replaces the claim's. `claim_lost`: stop; it is another's by now.
   */
  heartbeat(
    run: string,
    body: NonNullable<BodyOf<'heartbeatRun'>>,
    options: RunCallOptions,
  ): Reply<'heartbeatRun'> {
    return this.#transport.request('heartbeatRun', { params: { run }, body }, options);
  }

  /** Appends lines to the output of the task. Not repeated by itself when its answer is lost: lines are no log. */
  output(run: string, lines: readonly string[], options: RunCallOptions): Reply<'appendOutput'> {
    return this.#transport.request('appendOutput', { params: { run }, body: { lines: [...lines] } }, options);
  }

  /** Acknowledges steering messages, which heartbeats repeat until then. */
  acknowledge(run: string, ids: readonly string[], options: RunCallOptions): Reply<'acknowledgeMessages'> {
    return this.#transport.request(
      'acknowledgeMessages',
      { params: { run }, body: { ids: [...ids] } },
      options,
    );
  }

  /** With `review: true` the task waits for its review instead of being done: by the lane `reviewer`, or by people. */
  complete(
    run: string,
    body: NonNullable<BodyOf<'completeRun'>>,
    options: RunCallOptions,
  ): Reply<'completeRun'> {
    return this.#transport.request('completeRun', { params: { run }, body }, options);
  }

  /** Of a claim that was taken from review: the work goes back to the lane that did it, with the reason. */
  requestChanges(
    run: string,
    body: BodyOf<'requestRunChanges'>,
    options: RunCallOptions,
  ): Reply<'requestRunChanges'> {
    return this.#transport.request('requestRunChanges', { params: { run }, body }, options);
  }

  /** Ends it: the task needs something before it can go on, and waits for somebody to unblock it with an answer. */
  block(run: string, body: BodyOf<'blockRun'>, options: RunCallOptions): Reply<'blockRun'> {
    return this.#transport.request('blockRun', { params: { run }, body }, options);
  }

  /** Ends it without a verdict: ready again, now or after `delay_seconds`. Counts as no failure. */
  release(
    run: string,
    body: NonNullable<BodyOf<'releaseRun'>>,
    options: RunCallOptions,
  ): Reply<'releaseRun'> {
    return this.#transport.request('releaseRun', { params: { run }, body }, options);
  }

  /** Ends it: this attempt failed. Tried again with backoff (or after `retry_after_seconds`) until its failures in a row are too many, or it is `permanent`. */
  fail(run: string, body: BodyOf<'failRun'>, options: RunCallOptions): Reply<'failRun'> {
    return this.#transport.request('failRun', { params: { run }, body }, options);
  }

  /**
   * Up to 500 operations in one request, made as the lane; each carries its own claim token. Results in order. With output among them
   * it is not repeated by itself: the lines could stand there twice.
   */
  batch(operations: BodyOf<'batchRuns'>['operations'], options?: CallOptions): Reply<'batchRuns'> {
    const isRepeatable = operations.every(({ op }) => op !== 'output');
    const once = { ...options, retry: { ...options?.retry, attemptsMax: 1 } };
    return this.#transport.request('batchRuns', { body: { operations } }, isRepeatable ? options : once);
  }
}
