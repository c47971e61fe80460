import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Batcher, type Settled } from '../../../src/server/kernel/batcher.ts';

/** A step at which the test lets a batch go on. */
function makeGate() {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

/** Everything that needs nobody else has happened. */
const settled = (): Promise<undefined> => new Promise((resolve) => setImmediate(() => resolve(undefined)));

const echo = (_key: string, operations: readonly number[]): Promise<Settled<number>[]> =>
  Promise.resolve(operations.map((value) => ({ ok: true, value })));

interface Submission {
  readonly key: string;
  readonly value: number;
  readonly isBad: boolean;
}
const submissions = fc.array(
  fc.record({ key: fc.constantFrom('a', 'b', 'c'), value: fc.nat({ max: 9 }), isBad: fc.boolean() }),
  { maxLength: 60 },
);

describe('a batcher', () => {
  test('answers every operation with its own result, each key in order, one batch at a time, none too large', async () => {
    await fc.assert(
      fc.asyncProperty(submissions, fc.integer({ min: 1, max: 7 }), async (list, sizeMax) => {
        const order: Submission[] = [];
        const inFlight = new Map<string, number>();
        const batcher = new Batcher<string, Submission, number>({
          sizeMax,
          waitingMax: 1000,
          run: async (key, operations) => {
            inFlight.set(key, (inFlight.get(key) ?? 0) + 1);
            expect(inFlight.get(key)).toBe(1);
            expect(operations.length).toBeGreaterThan(0);
            expect(operations.length).toBeLessThanOrEqual(sizeMax);
            await new Promise((resolve) => setImmediate(resolve));
            order.push(...operations);
            inFlight.set(key, 0);
            return operations.map((operation) =>
              operation.isBad
                ? { ok: false, error: new Error(String(operation.value)) }
                : { ok: true, value: operation.value },
            );
          },
        });
        const answers = await Promise.allSettled(list.map((entry) => batcher.submit(entry.key, entry)));
        answers.forEach((answer, index) => {
          const asked = list[index];
          if (answer.status === 'fulfilled')
            expect([asked?.isBad, asked?.value]).toEqual([false, answer.value]);
          else expect([asked?.isBad, String(asked?.value)]).toEqual([true, answer.reason.message]);
        });
        for (const key of ['a', 'b', 'c'])
          expect(order.filter((entry) => entry.key === key)).toEqual(
            list.filter((entry) => entry.key === key),
          );
      }),
      { numRuns: 60 },
    );
  });

  test('starts a lone operation within a turn of the event loop, and gathers what comes meanwhile into the next batch', async () => {
    const gate = makeGate();
    const batches: number[][] = [];
    const batcher = new Batcher<string, number, number>({
      sizeMax: 100,
      waitingMax: 100,
      run: async (key, operations) => {
        batches.push([...operations]);
        if (batches.length === 1) await gate.opened;
        return echo(key, operations);
      },
    });
    const first = batcher.submit('a', 1);
    await nextTurn();
    await nextTurn();
    const others = [2, 3, 4].map((value) => batcher.submit('a', value));
    expect(batches).toEqual([[1]]);
    gate.open();
    await Promise.all([first, ...others]);
    expect(batches).toEqual([[1], [2, 3, 4]]);
  });

  test('waits while more keep coming, but not for ever', async () => {
    const batches: number[][] = [];
    const batcher = new Batcher<string, number, number>({
      sizeMax: 100,
      waitingMax: 100,
      run: async (key, operations) => {
        batches.push([...operations]);
        return echo(key, operations);
      },
    });
    const answers: Promise<number>[] = [];
    while (batches.length < 2 && answers.length < 100) {
      answers.push(batcher.submit('a', answers.length));
      await nextTurn();
    }
    await Promise.all(answers);
    const [first] = batches;
    expect(first?.length).toBeGreaterThan(2);
    expect(first?.length).toBeLessThan(20);
  });

  test('one key never waits for another', async () => {
    const gate = makeGate();
    const batcher = new Batcher<string, number, number>({
      sizeMax: 10,
      waitingMax: 10,
      run: async (key, operations) => {
        if (key === 'slow') await gate.opened;
        return echo(key, operations);
      },
    });
    const slow = batcher.submit('slow', 1);
    await expect(batcher.submit('quick', 2)).resolves.toBe(2);
    gate.open();
    await slow;
  });

  test('refuses one more than may wait, and takes new ones when there is room again', async () => {
    const gate = makeGate();
    const batcher = new Batcher<string, number, number>({
      sizeMax: 1,
      waitingMax: 3,
      run: async (key, operations) => {
        await gate.opened;
        return echo(key, operations);
      },
    });
    const running = batcher.submit('a', 0);
    await Promise.resolve();
    await Promise.resolve();
    const waiting = [1, 2, 3].map((value) => batcher.submit('a', value));
    await expect(batcher.submit('a', 4)).rejects.toMatchObject({ code: 'rate_limited', status: 429 });
    gate.open();
    await expect(Promise.all([running, ...waiting])).resolves.toEqual([0, 1, 2, 3]);
    await expect(batcher.submit('a', 5)).resolves.toBe(5);
  });

  test('holds so many bytes and no more, and one key never takes what the others need', async () => {
    let gate = makeGate();
    const batcher = new Batcher<string, number, number>({
      sizeMax: 10,
      waitingMax: 1000,
      heldBytesMax: 100_000,
      run: async (key, operations) => {
        await gate.opened;
        return echo(key, operations);
      },
    });
    const held: Promise<number>[] = [];
    const fill = async (key: string): Promise<number> => {
      for (let taken = 0; ; taken += 1) {
        const answer = batcher.submit(key, taken, { bytes: 9000 });
        const refusal = await Promise.race([answer.catch((error: unknown) => error), settled()]);
        if (refusal !== undefined) {
          expect(refusal).toMatchObject({ code: 'rate_limited', headers: { 'Retry-After': '1' } });
          return taken;
        }
        held.push(answer);
      }
    };
    // 10,024 bytes each, with what an operation takes by itself: half for the first, half of the rest for the second, …
    expect([await fill('greedy'), await fill('second'), await fill('third')]).toEqual([4, 2, 1]);
    gate.open();
    await Promise.all(held);
    gate = makeGate();
    expect(await fill('later')).toBe(4);
    gate.open();
    await batcher.drain();
  });

  test('a batch carries so many bytes and no more, and one too large for any runs alone', async () => {
    const batches: number[][] = [];
    const batcher = new Batcher<string, number, number>({
      sizeMax: 100,
      waitingMax: 100,
      batchBytesMax: 1000,
      run: (key, operations) => {
        batches.push([...operations]);
        return echo(key, operations);
      },
    });
    await Promise.all([400, 600, 1, 5000, 999, 1, 1].map((bytes) => batcher.submit('a', bytes, { bytes })));
    expect(batches).toEqual([[400, 600], [1], [5000], [999, 1], [1]]);
  });

  test('what is aborted before its batch is rejected at once with the reason and never run; later it is too late', async () => {
    const gate = makeGate();
    const run: number[] = [];
    const batcher = new Batcher<string, number, number>({
      sizeMax: 1,
      waitingMax: 10,
      run: async (key, operations) => {
        run.push(...operations);
        await gate.opened;
        return echo(key, operations);
      },
    });
    const [first, second, third] = [new AbortController(), new AbortController(), new AbortController()];
    const running = batcher.submit('a', 1, { signal: first.signal });
    const waiting = batcher.submit('a', 2, { signal: second.signal });
    const last = batcher.submit('a', 3, { signal: third.signal });
    await settled();
    const reason = new Error('the client has gone');
    second.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    first.abort(reason);
    await expect(batcher.submit('a', 4, { signal: first.signal })).rejects.toBe(reason);
    gate.open();
    await expect(Promise.all([running, last])).resolves.toEqual([1, 3]);
    third.abort(reason);
    expect(run).toEqual([1, 3]);
  });

  test('a batch that fails as a whole fails its own operations and no later one', async () => {
    let runs = 0;
    const batcher = new Batcher<string, number, number>({
      sizeMax: 2,
      waitingMax: 10,
      run: (key, operations) => {
        runs += 1;
        return runs === 1 ? Promise.reject(new Error('away')) : echo(key, operations);
      },
    });
    const answers = await Promise.allSettled([1, 2, 3].map((value) => batcher.submit('a', value)));
    expect(answers.map((answer) => answer.status)).toEqual(['rejected', 'rejected', 'fulfilled']);
  });

  test('where operations may run alone, the one that poisons its batch fails alone', async () => {
    const batcher = new Batcher<string, number, number>({
      sizeMax: 10,
      waitingMax: 10,
      mayRunAlone: (error) => error instanceof TypeError,
      run: (key, operations) =>
        operations.includes(13) ? Promise.reject(new TypeError('13')) : echo(key, operations),
    });
    const answers = await Promise.allSettled([1, 13, 2].map((value) => batcher.submit('a', value)));
    expect(answers).toMatchObject([{ value: 1 }, { status: 'rejected' }, { value: 2 }]);
  });

  test('a result that is missing is an error, never somebody else’s answer', async () => {
    const batcher = new Batcher<string, number, number>({
      sizeMax: 10,
      waitingMax: 10,
      run: (key, operations) => echo(key, operations.slice(1)),
    });
    const answers = await Promise.allSettled([1, 2].map((value) => batcher.submit('a', value)));
    expect(answers.map((answer) => answer.status)).toEqual(['rejected', 'rejected']);
  });

  test('a heavy operation takes the room of many, and one too heavy for any batch runs alone', async () => {
    const batches: number[][] = [];
    const batcher = new Batcher<string, number, number>({
      sizeMax: 10,
      waitingMax: 100,
      weigh: (operation) => operation,
      run: (key, operations) => {
        batches.push([...operations]);
        return echo(key, operations);
      },
    });
    await Promise.all([4, 6, 1, 50, 9, 1].map((value) => batcher.submit('a', value)));
    expect(batches).toEqual([[4, 6], [1], [50], [9, 1]]);
  });

  test('drain ends when nothing waits or runs, also for what was submitted meanwhile', async () => {
    const gate = makeGate();
    const batcher = new Batcher<string, number, number>({
      sizeMax: 1,
      waitingMax: 100,
      run: async (key, operations) => {
        await gate.opened;
        return echo(key, operations);
      },
    });
    const done: number[] = [];
    const submit = (value: number) => batcher.submit('a', value).then((result) => done.push(result));
    const all = [1, 2].map(submit);
    const drained = batcher.drain().then(() => done.push(99));
    all.push(submit(3));
    gate.open();
    await Promise.all([...all, drained]);
    expect(done).toEqual([1, 2, 3, 99]);
    await batcher.drain();
  });
});

test('a busy group never takes all the places: a quiet one is heard, and alone a group has half', async () => {
  const gate = makeGate();
  const batcher = new Batcher<string, string, number>({
    sizeMax: 1,
    waitingMax: 10,
    fairBy: (group) => group,
    run: async (_key, operations) => {
      await gate.opened;
      return operations.map(() => ({ ok: true, value: 1 }));
    },
  });
  const running = batcher.submit('board', 'busy');
  await settled();
  const answers = await Promise.allSettled([
    ...Array.from({ length: 20 }, () => Promise.race([batcher.submit('board', 'busy'), settled()])),
  ]);
  expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(5);
  const quiet = batcher.submit('board', 'quiet');
  await expect(batcher.submit('board', 'busy')).rejects.toMatchObject({ code: 'rate_limited' });
  gate.open();
  await expect(Promise.all([running, quiet])).resolves.toEqual([1, 1]);
  await batcher.drain();
});
