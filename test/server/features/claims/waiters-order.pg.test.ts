/** Long polls of one lane: served in the order they came, and no more of them woken than there is work. */
import { expect, test } from 'vitest';
import { expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { eventually } from '../../../fixtures/eventually.ts';
import type { CallAnswer, TestServer } from '../../../fixtures/server.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();

const WAITERS = 12;
/** On another lane of the board, and in line before all of them. */
const OTHERS = 3;
/** Longer than any test here takes. */
const WAIT_SECONDS = 30;
/** However well wake-ups work, a waiter looks for itself this often: the documented floor. */
const LOOK_INTERVAL_MS = 5000;

async function metric(server: TestServer, name: string): Promise<number> {
  const { body } = await server.call('GET', '/metrics');
  const escaped = name.replaceAll(/[{}]/g, '\\$&');
  return Number(new RegExp(`^${escaped} (\\d+)$`, 'm').exec(body)?.[1] ?? 0);
}

/** Tries that found nothing, by any request of this server. */
const emptyTries = (server: TestServer) =>
  metric(server, 'lanekeeper_empty_claims_total{reason="none_ready"}');

const waitersOf = (server: TestServer) => metric(server, 'lanekeeper_claim_waiters');

const untilWaiting = (server: TestServer, count: number) =>
  eventually(`${count} waiters`, async () => (await waitersOf(server)) === count);

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

/** One after the other, each of them waiting and asleep before the next comes: two tries and nothing. */
async function startWaiters(
  board: TestBoard,
  lane: string,
  count: number,
): Promise<{ served: number[]; all: Promise<CallAnswer>[] }> {
  const served: number[] = [];
  const all: Promise<CallAnswer>[] = [];
  for (let index = 0; index < count; index += 1) {
    const [before, waiting] = [await emptyTries(board.server), await waitersOf(board.server)];
    const answer = board.claims(lane, {}, { waitSeconds: WAIT_SECONDS });
    all.push(answer.finally(() => served.push(index)));
    await untilWaiting(board.server, waiting + 1);
    await eventually('it has looked again', async () => (await emptyTries(board.server)) >= before + 2);
  }
  return { served, all };
}

test.each(['the same server', 'the other server'])(
  'tasks created through %s go to the first in line, the oldest task to the first, and wake nobody else',
  async (which) => {
    const [board, elsewhere] = await servers.board();
    const creator = which === 'the same server' ? board : elsewhere;
    for (const lane of ['work', 'other']) await board.lane(lane);
    const startedAt = performance.now();
    const others = await startWaiters(board, 'other', OTHERS);
    const { served, all } = await startWaiters(board, 'work', WAITERS);
    const triesBefore = await emptyTries(board.server);
    let given = 0;
    for (const count of [1, 4, 2, 5]) {
      const tasks = await creator.tasks('work', count);
      const answers = await Promise.all(all.slice(given, given + count));
      expect(answers.map((answer) => expectStatus(answer, 200).body.claims[0].task.id)).toEqual(
        tasks.map((task) => task.id),
      );
      given += count;
      expect([...served].sort((left, right) => left - right)).toEqual(upTo(given));
      await untilWaiting(board.server, OTHERS + WAITERS - given);
    }
    // Each woken one found its task: whoever tried in vain was woken for nothing, or has looked on its own after a while.
    const ownLooks = (OTHERS + WAITERS) * Math.floor((performance.now() - startedAt) / LOOK_INTERVAL_MS);
    expect((await emptyTries(board.server)) - triesBefore).toBeLessThanOrEqual(ownLooks);
    expect(others.served).toEqual([]);
    await board.tasks('other', OTHERS);
    await Promise.all(others.all);
  },
);

test('who is woken in vain keeps its place', async () => {
  const [board, elsewhere] = await servers.board();
  await board.lane('work');
  const { served, all } = await startWaiters(board, 'work', 5);
  // A configuration change wakes the whole lane: the gate may have opened.
  expectStatus(await elsewhere.call('POST', '/lanes/work/pause'), 200);
  const triesBefore = await emptyTries(board.server);
  expectStatus(await elsewhere.call('POST', '/lanes/work/resume'), 200);
  await eventually('all have looked', async () => (await emptyTries(board.server)) >= triesBefore + 5);
  for (let index = 0; index < 5; index += 1) {
    const task = await elsewhere.task('work');
    expect((await all[index])?.body.claims[0].task.id).toBe(task.id);
    expect(served).toEqual(upTo(index + 1));
  }
});
