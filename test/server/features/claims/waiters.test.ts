import { expect, test } from 'vitest';
import { ClaimWaiters } from '../../../../src/server/features/claims/claiming/waiters.ts';
import type { BoardFeeds, Follower } from '../../../../src/server/features/watch/service.ts';

const BOARD = { id: 1, name: 'b', incarnation: 'aaaaaaaa' };
/** Longer than a test takes: who looks again was woken. */
const WAIT_SECONDS = 4;

async function settled(): Promise<void> {
  for (let turn = 0; turn < 30; turn += 1) await Promise.resolve();
}

function setup() {
  const followers: Follower[] = [];
  const looks: string[] = [];
  const gone = new AbortController();
  const feeds = {
    follow: async (_board: unknown, follower: Follower) => {
      followers.push(follower);
      return { seq: 0, leave: () => undefined };
    },
  } as unknown as BoardFeeds;
  const waiters = new ClaimWaiters(feeds);
  const wait = (name: string): Promise<null> =>
    waiters.wait(BOARD, 'work', WAIT_SECONDS, gone.signal, async () => {
      looks.push(name);
      return null;
    });
  return { waiters, followers, looks, wait, letGo: () => gone.abort() };
}

test('all long polls look when something was missed, for its lane is not known', async () => {
  const { followers, looks, wait, letGo } = setup();
  const waits = [wait('first'), wait('second')];
  await settled();
  looks.length = 0;
  followers[0]?.onGap();
  await settled();
  expect(looks).toEqual(['first', 'second']);
  letGo();
  await Promise.all(waits);
});

test('a long poll that comes after the log has ended follows it anew, though others wait still', async () => {
  const { waiters, followers, looks, wait, letGo } = setup();
  const waits = [wait('first')];
  await settled();
  followers[0]?.onEnd();
  await settled();
  expect([looks, followers.length]).toEqual([['first', 'first'], 1]);
  waits.push(wait('second'));
  await settled();
  expect([waiters.count, followers.length]).toEqual([2, 2]);
  letGo();
  await Promise.all(waits);
});
