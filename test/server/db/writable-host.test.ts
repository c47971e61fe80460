import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { isDatabaseAway } from '../../../src/server/db/failures.ts';
import { type Probe, WritableHost } from '../../../src/server/db/writable-host.ts';

const ONE = 'postgres://me:secret@one/lanes';
const TWO = 'postgres://me:secret@two/lanes';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** What each host says now, and how often it was asked. */
function hosts(said: Record<string, Awaited<ReturnType<Probe>> | ReturnType<Probe> | Error>): {
  host: WritableHost;
  asked: string[];
  promotions: () => number;
} {
  const asked: string[] = [];
  let promotions = 0;
  const probe: Probe = async (url) => {
    asked.push(url);
    const answer = await said[url];
    if (answer instanceof Error) throw answer;
    return answer ?? 'unknown';
  };
  const onPromotion = (): void => {
    promotions += 1;
  };
  return { host: new WritableHost([ONE, TWO], { probe, onPromotion }), asked, promotions: () => promotions };
}

test('the host that takes writes is found wherever it stands, by one search for all who ask at the same time', async () => {
  const { host, asked } = hosts({ [ONE]: 'a standby', [TWO]: { timeline: 1 } });
  const found = Promise.all([host.find(), host.find(), host.find()]);
  await vi.runAllTimersAsync();
  expect(await found).toEqual([TWO, TWO, TWO]);
  expect(asked).toEqual([ONE, TWO]);
  expect(await host.find()).toBe(TWO);
  expect(asked).toHaveLength(2);
});

test('of two that take writes the one that was promoted later is it', async () => {
  const { host } = hosts({ [ONE]: { timeline: 1 }, [TWO]: { timeline: 2 } });
  const found = host.find();
  await vi.runAllTimersAsync();
  expect(await found).toBe(TWO);
});

test('a host that is silent holds up nobody who has an answer, and ends the search of the others after seconds', async () => {
  const silent = new Promise<never>(() => undefined);
  const { host } = hosts({ [ONE]: silent, [TWO]: { timeline: 1 } });
  const found = host.find();
  await vi.advanceTimersByTimeAsync(200);
  expect(await found).toBe(TWO);

  const none = hosts({ [ONE]: silent, [TWO]: 'a standby' }).host.find();
  const refused = expect(none).rejects.toThrow('two: a standby; one: no answer within 3000 ms');
  await vi.advanceTimersByTimeAsync(3000);
  await refused;
});

test('without one it is like a database that is away; who asks again at once is not asked for, and a doubt changes nothing', async () => {
  const said: Record<string, Awaited<ReturnType<Probe>> | Error> = {
    [ONE]: new Error('connection refused'),
    [TWO]: 'a standby',
  };
  const { host, asked } = hosts(said);
  const failure = await host.find().catch((error: unknown) => error);
  expect(isDatabaseAway(failure)).toBe(true);
  expect(String(failure)).toContain('one: connection refused');
  expect(String(failure)).not.toContain('secret');
  said[TWO] = { timeline: 2 };
  host.doubt();
  await expect(host.find()).rejects.toThrow();
  expect(asked).toHaveLength(2);
  vi.advanceTimersByTime(250);
  const found = host.find();
  await vi.runAllTimersAsync();
  expect(await found).toBe(TWO);
});

test('a lost connection is a doubt: the next one is not opened to where the last one was without asking', async () => {
  const said: Record<string, Awaited<ReturnType<Probe>>> = { [ONE]: { timeline: 1 }, [TWO]: 'a standby' };
  const { host } = hosts(said);
  const first = host.find();
  await vi.runAllTimersAsync();
  expect(await first).toBe(ONE);
  said[ONE] = 'no answer';
  said[TWO] = { timeline: 2 };
  expect(await host.find()).toBe(ONE);
  host.doubt();
  const second = host.find();
  await vi.runAllTimersAsync();
  expect(await second).toBe(TWO);
});

describe('an old primary', () => {
  const searched = async (host: WritableHost): Promise<string> => {
    host.doubt();
    const found = host.find();
    found.catch(() => undefined);
    await vi.advanceTimersByTimeAsync(3000);
    return found;
  };

  test('that answers alone after a failover is refused, in words; only a server that is started anew would take it', async () => {
    const said: Record<string, Awaited<ReturnType<Probe>>> = { [ONE]: { timeline: 1 }, [TWO]: 'a standby' };
    const { host, promotions } = hosts(said);
    expect(await searched(host)).toBe(ONE);
    said[TWO] = { timeline: 2 };
    expect(await searched(host)).toBe(TWO);
    expect(promotions()).toBe(1);
    said[TWO] = 'no answer';
    await expect(searched(host)).rejects.toThrow('one: an old primary (timeline 1; 2 was in use)');
    said[TWO] = { timeline: 2 };
    expect(await searched(host)).toBe(TWO);
    said[TWO] = 'no answer';
    said[ONE] = { timeline: 3 };
    expect(await searched(host)).toBe(ONE);
    expect(promotions()).toBe(2);
    expect(await searched(hosts({ [ONE]: { timeline: 1 }, [TWO]: 'no answer' }).host)).toBe(ONE);
  });

  test('that answers far sooner than the one that was promoted is given up when that one has answered', async () => {
    const later = (ms: number): ReturnType<Probe> =>
      new Promise((resolve) => setTimeout(() => resolve({ timeline: 2 }), ms));
    const said: Record<string, Awaited<ReturnType<Probe>> | ReturnType<Probe>> = {
      [ONE]: { timeline: 1 },
      [TWO]: later(500),
    };
    const { host, promotions } = hosts(said);
    const first = host.find();
    await vi.advanceTimersByTimeAsync(200);
    expect([await first, promotions()]).toEqual([ONE, 0]);
    await vi.advanceTimersByTimeAsync(300);
    expect(promotions()).toBe(1);
    said[TWO] = later(500);
    const second = host.find();
    await vi.advanceTimersByTimeAsync(500);
    expect([await second, promotions()]).toEqual([TWO, 1]);
  });

  test('cannot be told where timelines are kept from us: the host that takes writes is used', async () => {
    const said: Record<string, Awaited<ReturnType<Probe>>> = { [ONE]: { timeline: 0 }, [TWO]: 'a standby' };
    const { host, promotions } = hosts(said);
    expect(await searched(host)).toBe(ONE);
    Object.assign(said, { [ONE]: 'a standby', [TWO]: { timeline: 0 } });
    expect(await searched(host)).toBe(TWO);
    Object.assign(said, { [ONE]: { timeline: 4 } });
    expect(await searched(host)).toBe(ONE);
    expect(promotions()).toBe(0);
  });
});
