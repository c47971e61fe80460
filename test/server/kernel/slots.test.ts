import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Slots } from '../../../src/server/kernel/slots.ts';

const FAR_MS = 60_000;
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Work that ends when the test says so. */
class Stage {
  readonly started: string[] = [];
  readonly #ends: (() => void)[] = [];

  readonly work = (name: string) => (): Promise<string> => {
    this.started.push(name);
    return new Promise((resolve) => this.#ends.push(() => resolve(name)));
  };

  async endFirst(): Promise<void> {
    this.#ends.shift()?.();
    await settle();
  }
}

describe('slots', () => {
  test('run so many at a time and no more, every work once, each answered with its own', async () => {
    const works = fc.array(fc.record({ group: fc.constantFrom('a', 'b'), fails: fc.boolean() }), {
      maxLength: 40,
      size: 'max',
    });
    await fc.assert(
      fc.asyncProperty(works, fc.integer({ min: 1, max: 5 }), async (list, runningMax) => {
        const slots = new Slots({ runningMax, waitingMax: 100, waitMsMax: FAR_MS, refusal: 'no' });
        let running = 0;
        const answers = await Promise.allSettled(
          list.map(({ group, fails }, index) =>
            slots.run(group, async () => {
              running += 1;
              expect(running).toBeLessThanOrEqual(runningMax);
              await settle();
              running -= 1;
              if (fails) throw new Error(String(index));
              return index;
            }),
          ),
        );
        for (const [index, answer] of answers.entries())
          if (answer.status === 'fulfilled') expect(answer.value).toBe(index);
          else expect([list[index]?.fails, answer.reason.message]).toEqual([true, String(index)]);
        expect(slots.waiting).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  test('are given in turns: who brings one waits for one of each other, not for all that a busy one has brought', async () => {
    const slots = new Slots({ runningMax: 1, waitingMax: 100, waitMsMax: FAR_MS, refusal: 'no' });
    const stage = new Stage();
    const busy = Array.from({ length: 20 }, (_, index) => slots.run('busy', stage.work(`busy ${index}`)));
    const quiet = slots.run('quiet', stage.work('quiet'));
    await settle();
    while (stage.started.length < 21) await stage.endFirst();
    await stage.endFirst();
    await Promise.all([...busy, quiet]);
    expect(stage.started.indexOf('quiet')).toBeLessThanOrEqual(2);
  });

  test('refuse one more than may wait, and who has waited too long, without ever running it', async () => {
    const slots = new Slots({ runningMax: 1, waitingMax: 1, waitMsMax: 20, refusal: 'too many' });
    const stage = new Stage();
    const first = slots.run('a', stage.work('first'));
    const late = slots.run('a', stage.work('late'));
    const refused = {
      code: 'rate_limited',
      status: 429,
      message: 'too many',
      headers: { 'Retry-After': '1' },
    };
    await expect(slots.run('a', stage.work('one too many'))).rejects.toMatchObject(refused);
    await expect(late).rejects.toMatchObject(refused);
    expect(slots.waiting).toBe(0);
    await stage.endFirst();
    await expect(first).resolves.toBe('first');
    const next = slots.run('a', stage.work('next'));
    await settle();
    await stage.endFirst();
    await expect(next).resolves.toBe('next');
    expect(stage.started).toEqual(['first', 'next']);
  });
});
