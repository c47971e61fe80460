/**
 * Group commit: operations of one key (board and verb) are gathered and run together, one batch in flight per key while the
 * next one fills. A lone operation starts at once: the wait for a batch is the duration of the one before it, and then only as long
 * as more operations keep arriving, never a timer.
 * Results are per operation: a rejected operation fails alone; only when `run` itself throws do all of its batch fail.
 * Owns no I/O and no clock. The alternative, a fixed gathering window, taxes an idle server with its full length.
 */
import { assert } from './assert.ts';
import { FairQueue, type Group, type Queued } from './fair-queue.ts';
import { ProblemError } from './problem-error.ts';

export type Settled<R> =
  | { readonly ok: true; readonly value: R }
  | { readonly ok: false; readonly error: unknown };

export interface BatcherOptions<K, Op, R> {
  /** Operations in one batch. */
  readonly sizeMax: number;
  /**
   * Operations waiting per key; one more is refused as rate_limited. Of several groups (`fairBy`) none may hold more than is left free, so
   * that one alone never takes more than half and the others find room.
   */
  readonly waitingMax: number;
  /** Bytes in one batch; an operation that is larger by itself runs alone. Default: no bound. */
  readonly batchBytesMax?: number;
  /**
   * Bytes of all keys together, waiting or running; what would exceed it is refused as rate_limited, so memory stays bounded. A key may
   * hold no more than is left free, so that one alone never takes more than half and the others find room. Default: no bound.
   */
  readonly heldBytesMax?: number;
  readonly run: (key: K, operations: readonly Op[]) => Promise<readonly Settled<R>[]>;
  /** True: after this error of a whole batch its halves are tried, down to the bad one, which fails alone. Default: never. */
  readonly mayRunAlone?: (error: unknown) => boolean;
  /** How much of sizeMax an operation takes (a claim of 50 weighs 50). Default 1. */
  readonly weigh?: (operation: Op) => number;
  /** Groups of a key that share its batches fairly, by weight; within one, first come, first served. Default: one group. */
  readonly fairBy?: (operation: Op) => string;
}

export interface Submission {
  /** What the operation carries, as it came over the wire. */
  readonly bytes?: number;
  /** Aborted before its batch has started, the operation is taken out, never run, and rejected with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** What an operation holds beside its bytes: promise, closures, parsed fields. A round estimate, so that many small ones count as well. */
const OPERATION_BYTES = 1024;

/** More turns gather no more: what comes then comes by itself, not because of the last answers. */
const GATHERING_TURNS_MAX = 8;

/** One operation and the promise of its answer. */
class Waiting<Op, R> implements Queued<Waiting<Op, R>> {
  readonly operation: Op;
  readonly weight: number;
  readonly bytes: number;
  readonly resolve: (value: R) => void;
  readonly reject: (error: unknown) => void;
  /** Stops listening for the abort. */
  unlisten: (() => void) | null = null;
  group: Group<Waiting<Op, R>> | null = null;
  previous: Waiting<Op, R> | null = null;
  next: Waiting<Op, R> | null = null;

  constructor(
    operation: Op,
    weight: number,
    bytes: number,
    resolve: (value: R) => void,
    reject: (error: unknown) => void,
  ) {
    this.operation = operation;
    this.weight = weight;
    this.bytes = bytes;
    this.resolve = resolve;
    this.reject = reject;
  }

  get heldBytes(): number {
    return OPERATION_BYTES + this.bytes;
  }

  settle(result: Settled<R> | undefined): void {
    if (result === undefined) this.reject(new Error('no result'));
    else if (result.ok) this.resolve(result.value);
    else this.reject(result.error);
  }
}

interface Backlog<Op, R> {
  readonly queue: FairQueue<Waiting<Op, R>>;
  heldBytes: number;
}

export class Batcher<K, Op, R> {
  readonly #options: BatcherOptions<K, Op, R>;
  readonly #batchBytesMax: number;
  readonly #heldBytesMax: number;
  readonly #backlogs = new Map<K, Backlog<Op, R>>();
  readonly #running = new Set<Promise<void>>();
  #heldBytes = 0;

  constructor(options: BatcherOptions<K, Op, R>) {
    assert(options.sizeMax > 0 && options.waitingMax > 0, 'a batcher has room');
    this.#options = options;
    this.#batchBytesMax = options.batchBytesMax ?? Number.POSITIVE_INFINITY;
    this.#heldBytesMax = options.heldBytesMax ?? Number.POSITIVE_INFINITY;
  }

  submit(key: K, operation: Op, submission?: Submission): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      const entry = this.#enter(operation, submission?.bytes ?? 0, resolve, reject);
      const signal = submission?.signal;
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const backlog = this.#backlogs.get(key);
      if (!this.#hasRoom(backlog, entry)) {
        reject(tooManyWaiting());
        return;
      }
      this.#push(backlog ?? this.#open(key), entry);
      if (signal) this.#listen(key, entry, signal);
    });
  }

  /** Resolves when nothing is waiting or running any more. */
  async drain(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled([...this.#running]);
  }

  #hasRoom(backlog: Backlog<Op, R> | undefined, { operation, heldBytes: bytes }: Waiting<Op, R>): boolean {
    if (backlog !== undefined && !this.#hasPlace(backlog.queue, operation)) return false;
    return (backlog?.heldBytes ?? 0) + bytes <= this.#heldBytesMax - (this.#heldBytes + bytes);
  }

  #hasPlace(queue: FairQueue<Waiting<Op, R>>, operation: Op): boolean {
    const { waitingMax, fairBy } = this.#options;
    const free = waitingMax - queue.length;
    // Below half no group can hold more than is left, and none needs to be looked up.
    if (fairBy === undefined || queue.length < free) return free > 0;
    return queue.lengthOf(fairBy(operation)) < free;
  }

  #open(key: K): Backlog<Op, R> {
    const backlog = { queue: new FairQueue<Waiting<Op, R>>(), heldBytes: 0 };
    this.#backlogs.set(key, backlog);
    const loop = this.#runUntilEmpty(key, backlog).finally(() => this.#running.delete(loop));
    this.#running.add(loop);
    return backlog;
  }

  #enter(
    operation: Op,
    bytes: number,
    resolve: (value: R) => void,
    reject: (error: unknown) => void,
  ): Waiting<Op, R> {
    const { weigh } = this.#options;
    return new Waiting(operation, weigh === undefined ? 1 : weigh(operation), bytes, resolve, reject);
  }

  #push(backlog: Backlog<Op, R>, entry: Waiting<Op, R>): void {
    const { fairBy } = this.#options;
    backlog.queue.push(fairBy === undefined ? '' : fairBy(entry.operation), entry);
    backlog.heldBytes += entry.heldBytes;
    this.#heldBytes += entry.heldBytes;
  }

  #letGo(backlog: Backlog<Op, R>, bytes: number): void {
    backlog.heldBytes -= bytes;
    this.#heldBytes -= bytes;
  }

  #listen(key: K, entry: Waiting<Op, R>, signal: AbortSignal): void {
    const onAbort = (): void => {
      const backlog = this.#backlogs.get(key);
      if (!backlog?.queue.remove(entry)) return;
      this.#letGo(backlog, entry.heldBytes);
      entry.reject(signal.reason);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    entry.unlisten = () => signal.removeEventListener('abort', onAbort);
  }

  async #runUntilEmpty(key: K, backlog: Backlog<Op, R>): Promise<void> {
    const { queue } = backlog;
    await Promise.resolve(); // The operation that opened the queue is put into it in this very turn.
    while (queue.length > 0) {
      await this.#gather(queue);
      const batch = this.#take(queue);
      if (batch.length > 0) await this.#runBatch(key, batch); // All of it may have been aborted meanwhile.
      let bytes = 0;
      for (const entry of batch) bytes += entry.heldBytes;
      this.#letGo(backlog, bytes);
    }
    this.#backlogs.delete(key);
  }

  /**
   * Waits while more keep coming: the peers of the last batch have just been answered, and what they ask for next arrives over the
   * turns of the event loop in which the answers go out. Without it a batch of one set off before a batch of fifty, again and again:
   * with 64 clients, 40 % more of Postgres's time a cycle. A lone operation waits for a single turn, some microseconds.
   */
  async #gather(queue: FairQueue<Waiting<Op, R>>): Promise<void> {
    let seen = 0;
    for (let turn = 0; turn < GATHERING_TURNS_MAX && queue.length > seen; turn += 1) {
      seen = queue.length;
      if (seen >= this.#options.sizeMax) return;
      await nextTurn();
    }
  }

  #take(queue: FairQueue<Waiting<Op, R>>): Waiting<Op, R>[] {
    const batch: Waiting<Op, R>[] = [];
    let weight = 0;
    let bytes = 0;
    for (let next = queue.first(); next !== undefined; next = queue.first()) {
      weight += next.weight;
      bytes += next.bytes;
      const isFull = weight > this.#options.sizeMax || bytes > this.#batchBytesMax;
      if (isFull && batch.length > 0) break;
      queue.shift();
      next.unlisten?.();
      batch.push(next);
      if (isFull) break;
    }
    return batch;
  }

  async #runBatch(key: K, batch: readonly Waiting<Op, R>[]): Promise<void> {
    try {
      const results = await this.#options.run(
        key,
        batch.map((entry) => entry.operation),
      );
      assert(results.length === batch.length, 'a batch answers every operation');
      batch.forEach((entry, index) => {
        entry.settle(results[index]);
      });
    } catch (error) {
      if (batch.length > 1 && this.#options.mayRunAlone?.(error)) {
        const half = Math.ceil(batch.length / 2);
        await this.#runBatch(key, batch.slice(0, half));
        await this.#runBatch(key, batch.slice(half));
      } else for (const entry of batch) entry.reject(error);
    }
  }
}

function tooManyWaiting(): ProblemError {
  return new ProblemError('rate_limited', 'Too many requests of this kind are waiting; retry shortly.', {
    headers: { 'Retry-After': '1' },
  });
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
