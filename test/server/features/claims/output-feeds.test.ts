/** The feeds of all boards: who follows one waits for it, and the last that leaves lets go of it. */
import { expect, test } from 'vitest';
import { OutputFeeds } from '../../../../src/server/features/claims/output/output-feeds.ts';
import { eventually } from '../../../fixtures/eventually.ts';
import { AT, neverEnded } from './output-scene.ts';

test('a watch stands when the database has said from when on, and is let go of when it cannot', async () => {
  const asked: ((rows: unknown[]) => void)[] = [];
  let isAway = true;
  const sql = (strings: TemplateStringsArray): Promise<unknown[]> => {
    if (!strings[0]?.includes('outputs.read_clock')) return Promise.resolve([]);
    return isAway ? Promise.reject(new Error('away')) : new Promise((resolve) => asked.push(resolve));
  };
  let listeners = 0;
  const wake = {
    subscribeNudges: () => {
      listeners += 1;
      return () => {
        listeners -= 1;
      };
    },
  };
  const feeds = new OutputFeeds({ sql: sql as never, wake: wake as never, onError: () => undefined });
  const filter = { kinds: null, lanes: null, tasks: null };
  const watch = { board: { id: 1 } as never, filter, hasRoom: () => true, send: () => true, end: neverEnded };
  await expect(feeds.follow(watch)).rejects.toThrow('away');
  expect(listeners).toBe(0);

  isAway = false;
  let isStanding = false;
  const following = feeds.follow(watch).then((leave) => {
    isStanding = true;
    return leave;
  });
  await eventually('the clock is asked for', () => asked.length > 0);
  expect([isStanding, listeners]).toEqual([false, 1]);
  asked[0]?.([{ at: AT }]);
  (await following)();
  expect(listeners).toBe(0);
});
