import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { Turns } from '../../../src/server/kernel/turns.ts';

const FAR = { roundsMax: 100, durationMsMax: 60_000 };
const NEVER = new AbortController().signal;
/** Those of places that are well. */
const PATIENCE_MS = 200;
const TROUBLED_PATIENCE_MS = 500;

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
    await new Turns<string>(FAR).take(names, NEVER, take);
    expect(taken).toEqual(['a', 'b', 'c', 'a', 'c', 'a']);
  });

  test('end at the most rounds, when the time is over, and when the signal is aborted', async () => {
    const many = places({ a: 1000, b: 1000 });
    await new Turns<string>({ ...FAR, roundsMax: 3 }).take(many.names, NEVER, many.take);
    expect(many.taken).toHaveLength(6);

    const slow = places({ a: 1000 });
    const startedAt = performance.now();
    await new Turns<string>({ roundsMax: 1e9, durationMsMax: 20 }).take(slow.names, NEVER, (place) => {
      return new Promise((resolve) => setImmediate(() => resolve(slow.take(place).then(() => true))));
    });
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(20);

    const stop = new AbortController();
    const stopped = places({ a: 1000, b: 1000 });
    await new Turns<string>(FAR).take(stopped.names, stop.signal, (place) => {
      if (stopped.taken.length === 4) stop.abort();
      return stopped.take(place);
    });
    expect(stopped.taken).toHaveLength(5);
  });

  test('of a place that fails end there; the others have theirs, and then the error is told', async () => {
    const { names, taken, take } = places({ a: 2, b: 2, c: 2 });
    const turns = new Turns<string>(FAR).take(names, NEVER, (place) =>
      place === 'a' ? Promise.reject(new Error('a is broken')) : take(place),
    );
    await expect(turns).rejects.toThrow('a is broken');
    expect(taken).toEqual(['b', 'c', 'b', 'c']);
  });
});

/** Sweeps in which the stuck places fail after all the time they are given. On a clock of its own. */
function stuckPlaces(...stuck: string[]) {
  vi.useFakeTimers({ toFake: ['performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const turns = new Turns<string>({ roundsMax: 10, durationMsMax: 1000 });
  const broken = new Set(stuck);
  /** What was tried, in order, and whether an error was told. */
  const sweep = async (...listed: string[]): Promise<{ tried: string[]; isTold: boolean; ms: number }> => {
    const tried: string[] = [];
    const startedAt = performance.now();
    const taking = turns.take(listed, NEVER, (place, patienceMs) => {
      tried.push(`${place} ${patienceMs}`);
      if (!broken.has(place)) return Promise.resolve(false);
      vi.advanceTimersByTime(patienceMs);
      return Promise.reject(new Error(place));
    });
    const isTold = await taking.then(
      () => false,
      () => true,
    );
    return { tried, isTold, ms: performance.now() - startedAt };
  };
  return { turns, broken, sweep };
}

describe('a place in trouble', () => {
  test('comes behind those that are well in every sweep until it succeeds, and is tried in turn with the others in trouble', async () => {
    const { turns, broken, sweep } = stuckPlaces('a', 'b', 'c');
    const all = ['a', 'b', 'c', 'well'];
    await sweep(...all);
    expect(turns.troubled).toEqual(['a', 'b', 'c']);
    const last: string[] = [];
    for (let count = 0; count < 4; count += 1) {
      const { tried, ms } = await sweep(...all);
      expect(tried[0]).toBe(`well ${PATIENCE_MS}`);
      // A single one of them keeps the next sweep waiting.
      expect(ms).toBe(TROUBLED_PATIENCE_MS);
      last.push(...tried.slice(1));
    }
    expect(last).toEqual(['a', 'b', 'c', 'a'].map((name) => `${name} ${TROUBLED_PATIENCE_MS}`));
    broken.clear();
    // Not even listed, and all of them, as none takes its time.
    expect((await sweep()).tried).toHaveLength(3);
    expect(turns.troubled).toEqual([]);
    expect((await sweep(...all)).tried).toEqual(all.map((name) => `${name} ${PATIENCE_MS}`));
  });

  test('is found out soon enough for several new ones in one sweep, and tried even when the well ones take all the time', async () => {
    const { turns, broken, sweep } = stuckPlaces('a', 'b', 'c', 'd');
    expect((await sweep('a', 'b', 'c', 'd', 'well')).tried).toContain(`well ${PATIENCE_MS}`);
    const busy = Array.from({ length: 10 }, (_, index) => `busy ${index}`);
    for (const name of busy) broken.add(name);
    const { tried } = await sweep(...busy);
    expect(tried).toContain(`a ${TROUBLED_PATIENCE_MS}`);
    expect(tried).not.toContain(`busy 9 ${PATIENCE_MS}`);
    expect(turns.troubled).not.toContain('busy 9');
  });

  test('is told at once, and then every ten seconds', async () => {
    const { sweep } = stuckPlaces('a');
    const told: boolean[] = [];
    for (let count = 0; count < 15; count += 1) {
      told.push((await sweep('a')).isTold);
      vi.advanceTimersByTime(500);
    }
    expect(told.slice(0, 3)).toEqual([true, false, false]);
    expect(told.filter(Boolean)).toHaveLength(2);
  });

  test('is remembered among a thousand', async () => {
    const { turns, sweep } = stuckPlaces();
    const failing = Array.from({ length: 1001 }, (_, index) => `failing ${index}`);
    await turns.take(failing, NEVER, () => Promise.reject(new Error('at once'))).catch(() => undefined);
    expect(turns.troubled).toHaveLength(1000);
    expect(turns.troubled).not.toContain(failing[0]);
    expect((await sweep()).tried).toHaveLength(1000);
  });
});
