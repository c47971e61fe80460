/** Who waits for one delegation reads it again when that one is decided, and not whenever any is. */
import { expect, test } from 'vitest';
import type { Event } from '../../../../src/contract/events.ts';
import { waitForChange } from '../../../../src/server/features/watch/service.ts';
import { formatId, type Uuid } from '../../../../src/server/kernel/ids.ts';

const [OWN, OTHER] = [
  '01890000-0000-7000-8000-000000000001',
  '01890000-0000-7000-8000-000000000002',
] as Uuid[];

interface Follower {
  readonly onEvents: (events: readonly Event[]) => void;
}

test('a decision of another delegation wakes nobody', async () => {
  let seq = 5;
  let reads = 0;
  let onFollowed: (follower: Follower) => void = () => undefined;
  const followed = new Promise<Follower>((resolve) => {
    onFollowed = resolve;
  });
  const wait = waitForChange({
    feeds: {
      ends: async () => ({ seq }),
      follow: async (_board: unknown, follower: Follower) => {
        onFollowed(follower);
        return { seq, leave: () => undefined };
      },
      read: async () => ({ events: [] }),
    },
    board: { id: 1, name: 'b', incarnation: 'x' },
    of: { delegationId: OWN as Uuid },
    waitSeconds: 20,
    signal: new AbortController().signal,
    read: async () => {
      reads += 1;
      return seq;
    },
    isDone: (value: number) => value === 7,
  } as never);
  const follower = await followed;
  const decide = async (id: Uuid | undefined): Promise<void> => {
    seq += 1;
    const delegation = formatId('deleg', id as Uuid);
    follower.onEvents([{ seq, kind: 'delegation.completed', delegation_id: delegation } as unknown as Event]);
    // Whoever was woken has read by then.
    await new Promise((resolve) => setImmediate(resolve));
  };
  await decide(OTHER);
  expect(reads).toBe(1);
  await decide(OWN);
  expect(await wait).toBe(7);
  expect(reads).toBe(2);
});
