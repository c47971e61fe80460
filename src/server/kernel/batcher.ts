/**
 * Group commit: operations of one key (board and verb) are gathered and run together, one batch in flight per key while the
 * next one fills. A lone operation starts at once: the wait for a batch is the duration of the one before it, never a timer.
 * Results are per operation: a rejected operation fails alone; only when `run` itself throws do all of its batch fail.
 * Owns no I/O and no clock. The alternative, a fixed gathering window, taxes an idle server with its full length.
 */
import { assert } from './assert.ts';
import { ProblemError } from './problem-error.ts';

export type Settled<R> =
  | { readonly ok: true; readonly value: R }
  | { readonly ok: false; readonly error: unknown };

export interface BatcherOptions<K, Op, R> {
  /** Operations in one batch. */
  readonly sizeMax: number;
  /** Operations waiting per key; one more is refused as rate_limited, so memory stays bounded. */
  readonly waitingMax: number;
  readonly run: (key: K, operations: readonly Op[]) => Promise<readonly Settled<R>[]>;
  /** True: after this error of a whole batch each operation is tried alone, so that the bad one fails alone. Default: never. */
  readonly mayRunAlone?: (error: unknown) => boolean;
  /** How much of sizeMax an operation takes (a claim of 50 weighs 50). Default 1. */
  readonly weigh?: (operation: Op) => number;
}

interface Waiting<Op, R> {
  readonly operation: Op;
  readonly resolve: (value: R) => void;
  readonly reject: (error: unknown) => void;
}

export class Batcher<K, Op, R> {
  readonly #options: BatcherOptions<K, Op, R>;
  readonly #queues = new Map<K, Waiting<Op, R>[]>();
  readonly #running = new Set<Promise<void>>();

  constructor(options: BatcherOptions<K, Op, R>) {
    assert(options.sizeMax > 0 && options.waitingMax > 0, 'a batcher has room');
    this.#options = options;
  }

  submit(key: K, operation: Op): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      const entry = { operation, resolve, reject };
      const queue = this.#queues.get(key);
      if (queue === undefined) {
        const fresh = [entry];
        this.#queues.set(key, fresh);
        this.#start(key, fresh);
      } else if (queue.length >= this.#options.waitingMax) {
        reject(
          new ProblemError('rate_limited', 'Too many requests of this kind are waiting; retry shortly.', {
            headers: { 'Retry-After': '1' },
          }),
        );
      } else {
        queue.push(entry);
      }
    });
  }

  /** Resolves when nothing is waiting or running any more. */
  async drain(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled([...this.#running]);
  }

  #start(key: K, queue: Waiting<Op, R>[]): void {
    const loop = this.#runUntilEmpty(key, queue).finally(() => this.#running.delete(loop));
    this.#running.add(loop);
  }

  async #runUntilEmpty(key: K, queue: Waiting<Op, R>[]): Promise<void> {
    // Requests that arrived in the same turn of the event loop share the first batch.
    await Promise.resolve();
    while (queue.length > 0) await this.#runBatch(key, this.#take(queue));
    this.#queues.delete(key);
  }

  #take(queue: Waiting<Op, R>[]): Waiting<Op, R>[] {
    const weigh = this.#options.weigh;
    let weight = 0;
    let count = 0;
    for (const entry of queue) {
      weight += weigh ? weigh(entry.operation) : 1;
      if (count > 0 && weight > this.#options.sizeMax) break;
      count += 1;
    }
    return queue.splice(0, count);
  }

  async #runBatch(key: K, batch: readonly Waiting<Op, R>[]): Promise<void> {
    try {
      const results = await this.#options.run(
        key,
        batch.map((entry) => entry.operation),
      );
      assert(results.length === batch.length, 'a batch answers every operation');
      batch.forEach((entry, index) => {
        const result = results[index];
        if (result === undefined) entry.reject(new Error('no result'));
        else if (result.ok) entry.resolve(result.value);
        else entry.reject(result.error);
      });
    } catch (error) {
      if (batch.length > 1 && this.#options.mayRunAlone?.(error))
        for (const entry of batch) await this.#runBatch(key, [entry]);
      else for (const entry of batch) entry.reject(error);
    }
  }
}
