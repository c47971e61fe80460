/** A watch that cannot be told any more what it has lost ends with its socket, and nothing of it is followed afterwards. */
import { expect, test } from 'vitest';
import type { OutputWatch } from '../../../../src/server/features/watch/service.ts';
import { SessionWatches } from '../../../../src/server/features/watch/session-watches.ts';
import { WatchPlaces } from '../../../../src/server/features/watch/watch-places.ts';

test('a watch whose losses cannot be told any more ends its socket as too slow', async () => {
  const followed: OutputWatch[] = [];
  const closings: number[] = [];
  let leaves = 0;
  const services = {
    feeds: {
      follow: async () => ({ seq: 0, leave: () => undefined }),
      position: async () => 0,
      isLiveAfter: () => true,
    },
    hints: { add: () => undefined, remove: () => undefined },
    places: new WatchPlaces(),
    followOutput: async (watch: OutputWatch) => {
      followed.push(watch);
      return () => {
        leaves += 1;
      };
    },
    onError: (error: unknown): never => {
      throw error;
    },
  };
  const port = {
    board: { id: 1, name: 'b', incarnation: 'aaaaaaaa' },
    caller: { kind: 'key', id: 'key', role: 'admin' },
    connection: { hasRoom: () => true, send: () => true },
    answer: () => undefined,
    sendError: () => expect.unreachable('an error was sent'),
    end: (code: number) => {
      closings.push(code);
      watches.stop();
    },
  };
  const watches = new SessionWatches(services as never, port as never);
  await watches.watch({ type: 'watch', id: 'w', output: true } as never);
  expect([followed.length, closings, leaves]).toEqual([1, [], 0]);
  followed[0]?.end();
  expect([closings, leaves]).toEqual([[4408], 1]);
});
