import { expect, test } from 'vitest';
import { GivenUp } from '../../src/server/features/mcp/given-up.ts';
import type { Exchange } from '../../src/server/http/exchange.ts';
import type { Principal } from '../../src/server/kernel/principal.ts';

const keyOf = (keyId: string) => ({ kind: 'key', keyId }) as Principal;

function start() {
  const connection = new AbortController();
  const exchange = {
    signal: connection.signal,
    isConnected: () => !connection.signal.aborted,
    onUndelivered: () => undefined,
  } as unknown as Exchange;
  const givenUp = new GivenUp();
  /** The exchange as the work sees it, which goes on until `finish`. */
  const begin = async (keyId: string, id: unknown) => {
    let finish: () => void = () => undefined;
    const seen = await new Promise<Exchange>((resolve) => {
      void givenUp.during(keyOf(keyId), exchange, id, (leavable) => {
        resolve(leavable);
        return new Promise<void>((end) => {
          finish = end;
        });
      });
    });
    return { seen, finish: () => finish() };
  };
  return { connection, givenUp, begin };
}

test('a call that is given up is as one whose client has gone, and its answer is not delivered', async () => {
  const { givenUp, begin } = start();
  const [mine, other] = [await begin('a', 1), await begin('a', '1')];
  givenUp.giveUp(keyOf('a'), 1);
  expect([mine, other].map(({ seen }) => [seen.signal.aborted, seen.isConnected()])).toEqual([
    [true, false],
    [false, true],
  ]);
  let isUndelivered = false;
  mine.seen.onUndelivered(() => {
    isUndelivered = true;
  });
  expect(isUndelivered).toBe(true);
});

test('nobody gives up the call of another key, and of several with one id none is ended', async () => {
  const { givenUp, begin } = start();
  const calls = [await begin('a', 1), await begin('b', 2), await begin('b', 2)];
  givenUp.giveUp(keyOf('b'), 1);
  givenUp.giveUp(keyOf('b'), 2);
  givenUp.giveUp(keyOf('a'), { toString: () => '1' });
  expect(calls.map(({ seen }) => seen.signal.aborted)).toEqual([false, false, false]);
  // One of the two is over: now it is clear which is meant.
  calls[1]?.finish();
  await new Promise((resolve) => setImmediate(resolve));
  givenUp.giveUp(keyOf('b'), 2);
  expect(calls.map(({ seen }) => seen.signal.aborted)).toEqual([false, false, true]);
});

test('a client that has gone is seen to be gone', async () => {
  const { connection, begin } = start();
  const { seen } = await begin('a', 1);
  connection.abort();
  expect([seen.signal.aborted, seen.isConnected()]).toEqual([true, false]);
});
