/**
 * The batcher under arbitrary histories: operations come, are aborted, batches end well or badly, in any order. What must hold is
 * checked at every step; what became of each operation, at the end.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Batcher, type Settled } from '../../../src/server/kernel/batcher.ts';

interface Operation {
  readonly key: string;
  readonly group: string;
  readonly weight: number;
  readonly bytes: number;
  /** good: answered. bad: rejected by itself. poison: fails every batch it is in. */
  readonly nature: 'good' | 'bad' | 'poison';
  readonly number: number;
}

interface Bounds {
  readonly sizeMax: number;
  readonly waitingMax: number;
  readonly batchBytesMax: number;
  readonly heldBytesMax: number;
  readonly mayRunAlone: boolean;
}

type Step =
  | { readonly kind: 'submit'; readonly operation: Omit<Operation, 'number'> }
  | { readonly kind: 'abort'; readonly at: number }
  | { readonly kind: 'end batch'; readonly at: number };

const operation = fc.record({
  key: fc.constantFrom('a', 'b'),
  group: fc.constantFrom('x', 'y', 'z'),
  weight: fc.integer({ min: 1, max: 6 }),
  bytes: fc.nat({ max: 4000 }),
  nature: fc.constantFrom(
    'good' as const,
    'good' as const,
    'good' as const,
    'bad' as const,
    'poison' as const,
  ),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('submit' as const), operation }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('abort' as const), at: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('end batch' as const), at: fc.nat() }) },
);
const bounds: fc.Arbitrary<Bounds> = fc.record({
  sizeMax: fc.integer({ min: 1, max: 10 }),
  waitingMax: fc.integer({ min: 1, max: 12 }),
  batchBytesMax: fc.integer({ min: 0, max: 9000 }),
  heldBytesMax: fc.integer({ min: 6000, max: 30_000 }),
  mayRunAlone: fc.boolean(),
});

const POISONED = new Error('poisoned');
/** What an operation counts beside its bytes. */
const OWN_BYTES = 1024;
/** Above the turns that a batcher gathers for. */
const TURNS = 10;
const GONE = new Error('the client has gone');

const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);
/** Everything that can happen without a batch ending has happened. */
const settle = async (): Promise<void> => {
  for (let turn = 0; turn < TURNS; turn += 1) await nextTurn();
};

/** A batcher whose batches end when the history says so, watched from outside. */
class History {
  readonly batcher: Batcher<string, Operation, number>;
  readonly #bounds: Bounds;
  readonly #operations: Operation[] = [];
  readonly #aborts: AbortController[] = [];
  readonly #answers = new Map<Operation, PromiseSettledResult<number>>();
  readonly #promises: Promise<void>[] = [];
  /** How often each operation was run. More than once only where halves of a poisoned batch are tried. */
  readonly #runs = new Map<Operation, number>();
  readonly #aborted = new Set<Operation>();
  readonly #inFlight = new Map<string, () => void>();
  /** What a run found wrong; thrown there it would only fail the batch. */
  #wrong: unknown = null;

  constructor(limits: Bounds) {
    this.#bounds = limits;
    const { mayRunAlone, ...rest } = limits;
    this.batcher = new Batcher({
      ...rest,
      weigh: ({ weight }) => weight,
      fairBy: ({ group }) => group,
      mayRunAlone: (error) => mayRunAlone && error === POISONED,
      run: (key, operations) => {
        try {
          this.#checkBatch(key, operations);
        } catch (error) {
          this.#wrong ??= error;
        }
        return this.#run(key, operations);
      },
    });
  }

  async apply(one: Step): Promise<void> {
    if (one.kind === 'submit') this.#submit({ ...one.operation, number: this.#operations.length });
    else if (one.kind === 'abort') this.#abort(one.at);
    else this.#endBatch(one.at);
    await settle();
    if (this.#wrong !== null) throw this.#wrong;
    const held = this.#operations.filter((entry) => !this.#answers.has(entry));
    expect(sum(held.map(({ bytes }) => bytes))).toBeLessThanOrEqual(this.#bounds.heldBytesMax);
    for (const key of ['a', 'b']) {
      const waiting = held.filter((entry) => entry.key === key && !this.#runs.has(entry));
      expect(waiting.length).toBeLessThanOrEqual(this.#bounds.waitingMax);
      // Nothing waits without a batch in front of it.
      if (waiting.length > 0) expect(this.#inFlight.has(key)).toBe(true);
    }
  }

  /** Drained: by then every operation has its answer, and the right one. */
  async finish(): Promise<void> {
    let isDrained = false;
    const drained = this.batcher.drain().then(() => {
      isDrained = true;
    });
    while (this.#inFlight.size > 0) {
      expect(isDrained).toBe(false);
      this.#endBatch(0);
      await settle();
    }
    await drained;
    if (this.#wrong !== null) throw this.#wrong;
    expect(this.#answers.size).toBe(this.#operations.length);
    for (const entry of this.#operations) this.#checkAnswer(entry);
    await Promise.all(this.#promises);
    // And all room is given back: the largest operation that ever fits still does.
    const bytes = Math.floor(this.#bounds.heldBytesMax / 2) - OWN_BYTES;
    const largest = { key: 'a', group: 'x', weight: 1, bytes };
    const entry = { ...largest, nature: 'good' as const, number: this.#operations.length };
    const answer = this.batcher.submit('a', entry, { bytes: entry.bytes });
    await settle();
    this.#endBatch(0);
    await expect(answer).resolves.toBe(entry.number);
  }

  #submit(entry: Operation): void {
    const abort = new AbortController();
    this.#operations.push(entry);
    this.#aborts.push(abort);
    const { bytes, key } = entry;
    const note = (answer: PromiseSettledResult<number>): void => {
      this.#answers.set(entry, answer);
    };
    this.#promises.push(
      this.batcher.submit(key, entry, { bytes, signal: abort.signal }).then(
        (value) => note({ status: 'fulfilled', value }),
        (reason) => note({ status: 'rejected', reason }),
      ),
    );
  }

  #abort(at: number): void {
    // Mostly of those that wait, now and then of those for which it is too late.
    const waiting = this.#operations.filter((other) => !this.#runs.has(other) && !this.#answers.has(other));
    const from = at % 4 === 0 ? this.#operations : waiting;
    const entry = from[Math.floor(at / 4) % Math.max(1, from.length)];
    if (entry === undefined) return;
    const isWaiting = waiting.includes(entry);
    this.#aborts[entry.number]?.abort(GONE);
    if (isWaiting) this.#aborted.add(entry);
  }

  #endBatch(at: number): void {
    const keys = [...this.#inFlight.keys()];
    const key = keys[at % Math.max(1, keys.length)];
    if (key !== undefined) this.#inFlight.get(key)?.();
  }

  #checkBatch(key: string, operations: readonly Operation[]): void {
    expect(this.#inFlight.has(key)).toBe(false);
    expect(operations.length).toBeGreaterThan(0);
    const { sizeMax, batchBytesMax } = this.#bounds;
    if (operations.length > 1) {
      expect(sum(operations.map(({ weight }) => weight))).toBeLessThanOrEqual(sizeMax);
      expect(sum(operations.map(({ bytes }) => bytes))).toBeLessThanOrEqual(batchBytesMax);
    }
    for (const entry of operations) this.#checkTurn(key, entry);
  }

  async #run(key: string, operations: readonly Operation[]): Promise<Settled<number>[]> {
    await new Promise<void>((resolve) => this.#inFlight.set(key, resolve));
    this.#inFlight.delete(key);
    if (operations.some(({ nature }) => nature === 'poison')) throw POISONED;
    return operations.map(({ nature, number }) =>
      nature === 'good' ? { ok: true, value: number } : { ok: false, error: new Error(String(number)) },
    );
  }

  /** Nothing of its group that came before it may still wait, nothing may be run after it was aborted or answered, or twice. */
  #checkTurn(key: string, entry: Operation): void {
    const runs = this.#runs.get(entry) ?? 0;
    expect(entry.key).toBe(key);
    expect(this.#aborted.has(entry) || this.#answers.has(entry)).toBe(false);
    if (!this.#bounds.mayRunAlone) expect(runs).toBe(0);
    const earlier = this.#operations
      .slice(0, entry.number)
      .filter((other) => other.key === key && other.group === entry.group);
    for (const other of earlier)
      expect(this.#runs.has(other) || this.#aborted.has(other) || this.#answers.has(other)).toBe(true);
    this.#runs.set(entry, runs + 1);
  }

  #checkAnswer(entry: Operation): void {
    const answer = this.#answers.get(entry);
    if (answer?.status === 'fulfilled') {
      expect([entry.nature, answer.value]).toEqual(['good', entry.number]);
      return;
    }
    const reason: unknown = answer?.reason;
    if (this.#aborted.has(entry)) {
      expect([reason, this.#runs.has(entry)]).toEqual([GONE, false]);
    } else if (this.#runs.has(entry)) {
      if (reason === POISONED) expect(entry.nature === 'poison' || !this.#bounds.mayRunAlone).toBe(true);
      else expect([entry.nature, reason]).toEqual(['bad', new Error(String(entry.number))]);
    } else expect(reason).toMatchObject({ code: 'rate_limited' });
  }
}

describe('a batcher, whatever happens', () => {
  test('keeps order, isolation and bounds, runs nothing aborted and nothing twice, answers everything once', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60, size: 'max' }), bounds, async (list, limits) => {
        const history = new History(limits);
        for (const one of list) await history.apply(one);
        await history.finish();
      }),
      { numRuns: 150 },
    );
  });

  test('runs each operation by the batch that its place among the groups entitles it to', async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 6, size: 'max' });
    await fc.assert(
      fc.asyncProperty(sizes, fc.integer({ min: 1, max: 8 }), async (groups, sizeMax) => {
        const batches: { group: number; place: number }[][] = [];
        const batcher = new Batcher<string, { group: number; place: number }, boolean>({
          sizeMax,
          waitingMax: 1000,
          fairBy: ({ group }) => String(group),
          run: (_key, operations) => {
            batches.push([...operations]);
            return Promise.resolve(operations.map(() => ({ ok: true, value: true })));
          },
        });
        // Group after group, so that first come, first served would put the last group behind all the others.
        const all = groups.flatMap((size, group) =>
          Array.from({ length: size }, (_, place) => batcher.submit('a', { group, place })),
        );
        await Promise.all(all);
        for (const [index, batch] of batches.entries())
          for (const { place } of batch)
            expect(index).toBeLessThan(Math.ceil(((place + 1) * groups.length) / sizeMax));
        expect(batches.length).toBe(Math.ceil(sum(groups) / sizeMax));
      }),
      { numRuns: 100 },
    );
  });

  test('takes a quiet group’s single operation into the very next batch, however many a busy one has queued', async () => {
    const batches: string[][] = [];
    let open: () => void = () => undefined;
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    const batcher = new Batcher<string, { group: string; weight: number }, boolean>({
      sizeMax: 300,
      waitingMax: 10_000,
      weigh: ({ weight }) => weight,
      fairBy: ({ group }) => group,
      run: async (_key, operations) => {
        batches.push(operations.map(({ group }) => group));
        if (batches.length === 1) await opened;
        return operations.map(() => ({ ok: true, value: true }));
      },
    });
    const busy = ['a', 'b', 'c', 'd'].flatMap((group) =>
      Array.from({ length: 500 }, () => batcher.submit('board', { group, weight: 100 })),
    );
    await settle();
    const quiet = batcher.submit('board', { group: 'quiet', weight: 1 });
    open();
    await quiet;
    expect(batches).toHaveLength(2);
    expect(batches[1]).toContain('quiet');
    await Promise.all(busy);
  });
});
