import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FairQueue, type Group, type Queued } from '../../../src/server/kernel/fair-queue.ts';

class Item implements Queued<Item> {
  readonly lane: string;
  readonly weight: number;
  readonly number: number;
  group: Group<Item> | null = null;
  previous: Item | null = null;
  next: Item | null = null;

  constructor(lane: string, weight: number, number: number) {
    this.lane = lane;
    this.weight = weight;
    this.number = number;
  }
}

const WEIGHT_MAX = 9;
const LANES = 6;
type Step = [{ readonly kind: 'push' | 'shift' | 'remove'; readonly at: number }, number];
const kind = fc.constantFrom(
  'push' as const,
  'push' as const,
  'push' as const,
  'shift' as const,
  'remove' as const,
);
const steps = fc.array(fc.tuple(fc.record({ kind, at: fc.nat() }), fc.integer({ min: 1, max: WEIGHT_MAX })), {
  maxLength: 200,
  // By default histories stay far shorter than they may be.
  size: 'max',
});

/** A queue beside what it should be: a list per lane, and how much each other lane was given while a head waited. */
class Checked {
  readonly queue = new FairQueue<Item>();
  readonly #lanes = new Map<string, Item[]>();
  readonly #passedOver = new Map<Item, Map<string, number>>();

  get items(): Item[] {
    return [...this.#lanes.values()].flat();
  }

  push(item: Item): void {
    this.queue.push(item.lane, item);
    this.#lanes.set(item.lane, [...(this.#lanes.get(item.lane) ?? []), item]);
  }

  remove(pick: number): void {
    const items = this.items;
    const item = items[pick % Math.max(1, items.length)];
    if (item === undefined) return;
    expect(this.queue.remove(item)).toBe(true);
    expect(this.queue.remove(item)).toBe(false);
    this.#forget(item);
  }

  shift(): Item | undefined {
    const first = this.queue.first();
    const item = this.queue.shift();
    expect(item).toBe(first);
    expect(item === undefined).toBe(this.items.length === 0);
    if (item === undefined) return item;
    expect(this.#lanes.get(item.lane)?.[0]).toBe(item);
    this.#forget(item);
    for (const gain of this.#passedOver.get(item)?.values() ?? [])
      expect(gain).toBeLessThanOrEqual(item.weight + WEIGHT_MAX);
    for (const [head] of this.#lanes.values()) if (head) this.#note(head, item);
    return item;
  }

  #note(head: Item, { lane, weight }: Item): void {
    if (head.lane === lane) return;
    const gains = this.#passedOver.get(head) ?? new Map<string, number>();
    this.#passedOver.set(head, gains.set(lane, (gains.get(lane) ?? 0) + weight));
  }

  #forget(item: Item): void {
    const left = (this.#lanes.get(item.lane) ?? []).filter((other) => other !== item);
    if (left.length === 0) this.#lanes.delete(item.lane);
    else this.#lanes.set(item.lane, left);
  }
}

describe('a fair queue', () => {
  test('keeps the order of each group, loses and repeats nothing, and lets no group pass a waiting head by more than its share', () => {
    const apply = (checked: Checked, [{ kind, at }, weight]: Step, index: number): void => {
      if (kind === 'push') checked.push(new Item(`lane ${at % LANES}`, weight, index));
      else if (kind === 'shift') checked.shift();
      else checked.remove(at);
      expect(checked.queue.length).toBe(checked.items.length);
    };
    fc.assert(
      fc.property(steps, (list) => {
        const checked = new Checked();
        for (const [index, one] of list.entries()) apply(checked, one, index);
        while (checked.shift() !== undefined);
        expect(checked.items).toEqual([]);
        expect(checked.queue.length).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  test('of one group is first come, first served', () => {
    const queue = new FairQueue<Item>();
    for (let number = 0; number < 100; number += 1)
      queue.push('', new Item('', 1 + (number % WEIGHT_MAX), number));
    for (let number = 0; number < 100; number += 1) expect(queue.shift()?.number).toBe(number);
  });

  test('of equal things takes turns between the groups', () => {
    const queue = new FairQueue<Item>();
    for (const lane of ['a', 'b', 'c'])
      for (let number = 0; number < 3; number += 1) queue.push(lane, new Item(lane, 1, number));
    const taken = Array.from({ length: 9 }, () => queue.shift()?.lane).join('');
    expect(taken).toBe('abcabcabc');
  });

  test('gives a group of light things as much weight as one of heavy things', () => {
    const queue = new FairQueue<Item>();
    for (let number = 0; number < 100; number += 1) queue.push('heavy', new Item('heavy', 100, number));
    for (let number = 0; number < 1000; number += 1) queue.push('light', new Item('light', 1, number));
    const taken = { heavy: 0, light: 0 };
    for (let count = 0; count < 505; count += 1) {
      const item = queue.shift();
      if (item) taken[item.lane as 'heavy' | 'light'] += item.weight;
    }
    expect(taken).toEqual({ heavy: 500, light: 500 });
  });

  test('lets no newcomer pass because another group was given the place of something heavy', () => {
    const queue = new FairQueue<Item>();
    const heavy = new Item('fickle', 1000, 0);
    queue.push('fickle', heavy);
    queue.push('fickle', new Item('fickle', 1, 1));
    for (let number = 0; number < 100; number += 1) queue.push('steady', new Item('steady', 10, number));
    for (let number = 0; number < 50; number += 1) expect(queue.shift()?.lane).toBe('steady');
    queue.remove(heavy);
    expect(queue.shift()?.lane).toBe('fickle');
    for (let number = 0; number < 100; number += 1) queue.push('newcomer', new Item('newcomer', 10, number));
    const next = Array.from({ length: 6 }, () => queue.shift()?.lane);
    expect(next.filter((lane) => lane === 'steady')).toHaveLength(3);
  });

  test('charges a group nothing for what was removed', () => {
    const queue = new FairQueue<Item>();
    const gone = Array.from({ length: 1000 }, (_, number) => new Item('fickle', 100, number));
    for (const item of gone) queue.push('fickle', item);
    queue.push('steady', new Item('steady', 2, 0));
    queue.push('fickle', new Item('fickle', 1, 1000));
    for (const item of gone) queue.remove(item);
    expect(queue.shift()?.lane).toBe('fickle');
    expect(queue.shift()?.lane).toBe('steady');
  });
});
