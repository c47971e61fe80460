import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { whileReachable } from '../../../src/server/db/data-source.ts';
import { createLogger } from '../../../src/server/observability/logger.ts';

const logger = createLogger('silent', 'json');
const away = (): Error => Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('a start under which the database goes away is done again, also when the migrator wraps what happened', async () => {
  const failures = [away(), new Error('Failed query: SELECT 1', { cause: away() })];
  const started = whileReachable(
    async () => {
      const failure = failures.shift();
      if (failure !== undefined) throw failure;
      return 'started';
    },
    logger,
    new AbortController().signal,
  );
  await vi.runAllTimersAsync();
  await expect(started).resolves.toBe('started');
});

test('a database that stays away ends the start after a while', async () => {
  let tries = 0;
  const started = whileReachable(
    async () => {
      tries += 1;
      throw away();
    },
    logger,
    new AbortController().signal,
  );
  const failed = expect(started).rejects.toThrow('ECONNRESET');
  await vi.runAllTimersAsync();
  await failed;
  expect(tries).toBeGreaterThan(10);
});

test('what is no fault of the connection, and a stop, end the start at once', async () => {
  let tries = 0;
  const failing = (error: Error) => async () => {
    tries += 1;
    throw error;
  };
  const wrong = new Error('password authentication failed');
  await expect(whileReachable(failing(wrong), logger, new AbortController().signal)).rejects.toBe(wrong);
  await expect(whileReachable(failing(away()), logger, AbortSignal.abort())).rejects.toThrow('ECONNRESET');
  expect(tries).toBe(2);
});
