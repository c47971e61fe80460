import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { isDatabaseAway } from '../../../src/server/db/failures.ts';
import { type Probe, WritableHost } from '../../../src/server/db/writable-host.ts';

const ONE = 'postgres://me:secret@one/lanes';
const TWO = 'postgres://me:secret@two/lanes';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** What each host says now, and how often it was asked. */
function hosts(said: Record<string, Awaited<ReturnType<Probe>> | Promise<never> | Error>): {
  host: WritableHost;
  asked: string[];
} {
  const asked: string[] = [];
  const probe: Probe = async (url) => {
    asked.push(url);
    const answer = await said[url];
    if (answer instanceof Error) throw answer;
    return answer ?? 'unknown';
  };
  return { host: new WritableHost([ONE, TWO], probe), asked };
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
