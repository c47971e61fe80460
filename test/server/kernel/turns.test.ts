import { describe, expect, test } from 'vitest';
import { takeTurns } from '../../../src/server/kernel/turns.ts';

const FAR = { roundsMax: 100, durationMsMax: 60_000, signal: new AbortController().signal };

/** Places with so many portions each, and the order in which they were taken. */
function places(portions: Readonly<Record<string, number>>) {
  const left = new Map(Object.entries(portions));
  const taken: string[] = [];
  const take = (place: string): Promise<boolean> => {
    taken.push(place);
    const more = (left.get(place) ?? 0) - 1;
    left.set(place, more);
    return Promise.resolve(more > 0);
  };
  return { names: [...left.keys()], taken, take };
}

describe('turns', () => {
  test('go round: nobody gets a second one before everybody has had the first', async () => {
    const { names, taken, take } = places({ a: 3, b: 1, c: 2 });
    await takeTurns(names, FAR, take);
    expect(taken).toEqual(['a', 'b', 'c', 'a', 'c', 'a']);
  });

  test('end at the most rounds, when the time is over, and when the signal is aborted', async () => {
    const many = places({ a: 1000, b: 1000 });
    await takeTurns(many.names, { ...FAR, roundsMax: 3 }, many.take);
    expect(many.taken).toHaveLength(6);

    const slow = places({ a: 1000 });
    const startedAt = performance.now();
    await takeTurns(slow.names, { ...FAR, roundsMax: 1e9, durationMsMax: 20 }, (place) => {
      return new Promise((resolve) => setImmediate(() => resolve(slow.take(place).then(() => true))));
    });
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(20);

    const stop = new AbortController();
    const stopped = places({ a: 1000, b: 1000 });
    await takeTurns(stopped.names, { ...FAR, signal: stop.signal }, (place) => {
      if (stopped.taken.length === 4) stop.abort();
      return stopped.take(place);
    });
    expect(stopped.taken).toHaveLength(5);
  });

  test('of a place that fails end there; the others have theirs, and then the error is told', async () => {
    const { names, taken, take } = places({ a: 2, b: 2, c: 2 });
    const turns = takeTurns(names, FAR, (place) =>
      place === 'a' ? Promise.reject(new Error('a is broken')) : take(place),
    );
    await expect(turns).rejects.toThrow('a is broken');
    expect(taken).toEqual(['b', 'c', 'b', 'c']);
  });
});
