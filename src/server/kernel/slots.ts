/**
 * Room for so many at a time: the others wait for a slot, in turns between their groups, so that who brings a thousand does not stand
 * before who brings one. Waiting is bounded in number and in time: past either the answer is rate_limited and nothing was begun.
 * A slot is held until the work itself has ended, not until its caller has lost patience: what still runs still costs.
 */
import { assert } from './assert.ts';
import { FairQueue, type Group, type Queued } from './fair-queue.ts';
import { ProblemError } from './problem-error.ts';

export interface SlotsOptions {
  readonly runningMax: number;
  readonly waitingMax: number;
  readonly waitMsMax: number;
  /** What the refused are told. */
  readonly refusal: string;
}

class Waiter implements Queued<Waiter> {
  readonly weight = 1;
  readonly start: () => void;
  timer: NodeJS.Timeout | undefined;
  group: Group<Waiter> | null = null;
  previous: Waiter | null = null;
  next: Waiter | null = null;

  constructor(start: () => void) {
    this.start = start;
  }
}

export class Slots {
  readonly #options: SlotsOptions;
  readonly #queue = new FairQueue<Waiter>();
  #running = 0;

  constructor(options: SlotsOptions) {
    assert(options.runningMax > 0, 'there is a slot');
    this.#options = options;
  }

  get waiting(): number {
    return this.#queue.length;
  }

  async run<T>(group: string, work: () => Promise<T>): Promise<T> {
    await this.#enter(group);
    try {
      return await work();
    } finally {
      this.#leave();
    }
  }

  #enter(group: string): Promise<void> {
    const { runningMax, waitingMax, waitMsMax } = this.#options;
    if (this.#running < runningMax) {
      this.#running += 1;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      if (this.#queue.length >= waitingMax) {
        reject(this.#refusal());
        return;
      }
      const waiter = new Waiter(resolve);
      this.#queue.push(group, waiter);
      waiter.timer = setTimeout(() => {
        if (this.#queue.remove(waiter)) reject(this.#refusal());
      }, waitMsMax);
    });
  }

  /** Hands the slot on, or gives it back. */
  #leave(): void {
    const next = this.#queue.shift();
    if (next === undefined) {
      this.#running -= 1;
      return;
    }
    clearTimeout(next.timer);
    next.start();
  }

  #refusal(): ProblemError {
    return new ProblemError('rate_limited', this.#options.refusal, { headers: { 'Retry-After': '1' } });
  }
}
