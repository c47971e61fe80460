/** At the end of a run a watcher gets the rest of the log. That one does not get it in time is said of the run, and not held against the log. */
import { expect, test } from 'vitest';
import { catchUp } from '../../chaos/catch-up.ts';
import type { PartyOrder } from '../../chaos/workload/party-channel.ts';

/** A watcher that is further by so many events each time it is asked how far it is. */
class Watcher {
  readonly process: string;
  readonly orders: PartyOrder['order'][] = [];
  seq = 0;
  isKilled = false;
  readonly #step: number;

  constructor(process: string, step: number) {
    this.process = process;
    this.#step = step;
  }

  order({ order }: PartyOrder): void {
    this.orders.push(order);
    if (order === 'report') this.seq += this.#step;
  }

  async kill(): Promise<void> {
    this.isKilled = true;
  }
}

async function catchUpTo(seq: number, watchers: readonly Watcher[]): Promise<string[]> {
  const troubles: string[] = [];
  await catchUp(watchers, seq, (detail) => void troubles.push(detail), 1);
  return troubles;
}

test('who has the last event has caught up, and is left alone', async () => {
  const watchers = [new Watcher('watcher-1.1', 9), new Watcher('watcher-2.1', 10)];
  expect(await catchUpTo(9, watchers)).toEqual([]);
  expect(watchers.map(({ isKilled }) => isKilled)).toEqual([false, false]);
  expect(watchers[0]?.orders).toEqual(['quiet', 'report']);
});

test('who has not got it in time is a trouble, and ended before it could say that it has seen all', async () => {
  const watchers = [new Watcher('watcher-1.1', 9), new Watcher('watcher-2.1', 0)];
  expect(await catchUpTo(9, watchers)).toEqual([
    'watcher-2.1 had only come to event 0 of 9 after 0.001 s of catching up',
  ]);
  expect(watchers.map(({ isKilled }) => isKilled)).toEqual([false, true]);
});
