import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PushCredits } from '../../../src/client/worker/push-credits.ts';

function grantOf(room: number): PushCredits {
  const credits = new PushCredits();
  credits.setRoom(room);
  credits.next();
  credits.onAnswered();
  return credits;
}

describe('credits', () => {
  test('are asked for once, for all the room there is', () => {
    const credits = new PushCredits();
    expect(credits.next()).toBeNull();
    credits.setRoom(3);
    expect([credits.next(), credits.next()]).toEqual([3, null]);
    credits.onAnswered();
    expect(credits.next()).toBeNull();
  });

  test('are not topped up while some that were granted have not come', () => {
    const credits = grantOf(4);
    credits.onClaim();
    credits.setRoom(4);
    expect(credits.next()).toBeNull();
    for (const _ of [1, 2, 3]) credits.onClaim();
    expect(credits.next(), 'all have come, and one has ended').toBe(1);
  });

  test('sink by way of 0, whose answer says how many of them came', () => {
    const credits = grantOf(5);
    credits.setRoom(2);
    expect(credits.next()).toBe(0);
    credits.onClaim(); // It was on its way.
    expect([credits.next(), credits.isDry]).toEqual([null, false]);
    credits.onAnswered();
    expect([credits.isDry, credits.next()]).toEqual([true, 1]);
  });

  test('that are refused count for nothing, and so does a refused 0', () => {
    const credits = new PushCredits();
    credits.setRoom(2);
    credits.next();
    credits.onRefused();
    expect([credits.isDry, credits.next()]).toEqual([true, 2]);
    credits.onAnswered();
    credits.setRoom(0);
    credits.next();
    credits.onRefused();
    expect([credits.isDry, credits.next()]).toEqual([false, 0]);
  });

  test('are gone with the socket, and the room is not', () => {
    const credits = grantOf(3);
    credits.onClaim();
    credits.reset();
    expect([credits.isDry, credits.next()]).toEqual([true, 2]);
  });

  test('do not grow by claims that came when there was no room, and were forgotten', () => {
    const credits = grantOf(2);
    credits.onClaim();
    credits.setRoom(-1);
    credits.reset();
    credits.onForgotten(1);
    expect(credits.next()).toBeNull();
    credits.onForgotten(1);
    expect(credits.next()).toBe(1);
  });

  test('are at most as many as count, and never a fraction or less than none', () => {
    for (const [room, granted] of [
      [5000, 1000],
      [2.7, 2],
      [-3, null],
    ] as const) {
      const credits = new PushCredits();
      credits.setRoom(room);
      expect(credits.next()).toBe(granted);
    }
  });

  test('never bring more than a worker can hold, and in the end all it can hold, however frames cross', () => {
    const steps = fc.array(fc.constantFrom('claim', 'to worker', 'to server', 'end'), { maxLength: 300 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), steps, (concurrency, chosen) => {
        const pipe = new Pipe(concurrency);
        for (const step of chosen) {
          pipe.step(step);
          expect(pipe.held).toBeLessThanOrEqual(concurrency);
        }
        while (pipe.held < concurrency) {
          expect(pipe.hasMore, 'something moves').toBe(true);
          for (const step of ['to server', 'claim', 'to worker'] as const) pipe.step(step);
        }
      }),
    );
  });
});

/** A worker and a server with endless work, and what is on its way between them. */
class Pipe {
  readonly #credits = new PushCredits();
  readonly #concurrency: number;
  readonly #toServer: number[] = [];
  readonly #toWorker: ('claim' | 'reply')[] = [];
  #granted = 0;
  held = 0;

  constructor(concurrency: number) {
    this.#concurrency = concurrency;
    this.#look();
  }

  get hasMore(): boolean {
    return this.#granted > 0 || this.#toServer.length > 0 || this.#toWorker.length > 0;
  }

  step(step: 'claim' | 'to worker' | 'to server' | 'end'): void {
    if (step === 'claim' && this.#granted > 0) {
      this.#granted -= 1;
      this.#toWorker.push('claim');
    } else if (step === 'to server') {
      const credits = this.#toServer.shift();
      if (credits === undefined) return;
      this.#granted = credits;
      this.#toWorker.push('reply');
    } else if (step === 'to worker') {
      const frame = this.#toWorker.shift();
      if (frame === 'reply') this.#credits.onAnswered();
      else if (frame === 'claim') {
        this.#credits.onClaim();
        this.held += 1;
      }
    } else if (step === 'end' && this.held > 0) this.held -= 1;
    this.#look();
  }

  #look(): void {
    this.#credits.setRoom(this.#concurrency - this.held);
    const credits = this.#credits.next();
    if (credits !== null) this.#toServer.push(credits);
  }
}
