import { describe, expect, test } from 'vitest';
import type { PushedClaim } from '../../../../src/contract/frames.ts';
import type { TestBoard } from '../../../fixtures/board.ts';
import { eventually } from '../../../fixtures/eventually.ts';
import { Fold } from '../../../fixtures/fold.ts';
import { openWorker, type PushWorker, pushLane } from '../../../fixtures/push-worker.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

/** The brief of the race: several sockets on each of two servers. */
const SOCKETS = 8;
const TASKS = 500;
const CREDITS = 20;

const servers = useTwoServers();

/** Sockets on both servers that end whatever they are given by `verbOf` and keep their credits filled; resolves when all tasks are done. */
async function runSockets(
  boards: readonly TestBoard[],
  verbOf: (claim: PushedClaim) => string,
): Promise<PushWorker[]> {
  const workers = await Promise.all(
    Array.from({ length: SOCKETS }, (_, index) => {
      const board = boards[index % boards.length];
      if (board === undefined) throw new Error('there is a board for every worker');
      return openWorker(board, { tokens: index % 4 === 0 });
    }),
  );
  const [board] = boards;
  let isDone = false;
  const work = async (worker: PushWorker): Promise<void> => {
    let handled = 0;
    await worker.credit(CREDITS);
    while (!isDone) {
      const fresh = worker.claims.slice(handled);
      handled += fresh.length;
      const replies = await Promise.all(fresh.map((claim) => worker.verb(verbOf(claim), claim)));
      expect(replies.filter((reply) => !reply.ok)).toEqual([]);
      if (fresh.length > 0) await worker.credit(CREDITS);
      else await eventually('work or the end', () => isDone || worker.claims.length > handled);
    }
  };
  const working = Promise.all(workers.map(work));
  await eventually(
    'all tasks are done',
    async () => (await board?.call('GET', ''))?.body.board.counts.done === TASKS,
    30_000,
  );
  isDone = true;
  await working;
  return workers;
}

async function expectAllDoneOnce(board: TestBoard, workers: readonly PushWorker[]): Promise<Fold> {
  const claims = workers.flatMap((worker) => worker.claims);
  const holds = claims.map((claim) => `${claim.task.id} ${claim.attempt}`);
  expect(new Set(holds).size).toBe(holds.length);
  // The fold refuses gaps, a claim on a held task and an attempt that does not rise by one.
  const events = await board.events();
  const fold = Fold.of(events);
  expect(fold.counts).toMatchObject({ done: TASKS, ready: 0, running: 0 });
  expect((await board.call('GET', '')).body.board.counts).toEqual(fold.counts);
  expect(events.filter((event) => event.kind === 'task.claimed')).toHaveLength(claims.length);
  expect(events.filter((event) => event.kind === 'task.completed')).toHaveLength(TASKS);
  return fold;
}

describe('eight sockets on two servers', () => {
  test('are pushed each of 500 tasks once per attempt and complete them all', async () => {
    const boards = await servers.board();
    const [board] = boards;
    await pushLane(board);
    await board.tasks('work', TASKS);
    const isReleasedFirst = ({ task, attempt }: PushedClaim) =>
      attempt === 1 && Number(task.title.split(' ')[1]) % 10 === 0;
    const workers = await runSockets(boards, (claim) => (isReleasedFirst(claim) ? 'release' : 'complete'));
    await expectAllDoneOnce(board, workers);
    for (const worker of workers) expect(worker.claims.length).toBeGreaterThan(0);
  });

  test('never hold more than the cap of the lane, and all work is done under it', async () => {
    const cap = 7;
    const boards = await servers.board();
    const [board] = boards;
    await pushLane(board, { max_concurrent_claims: cap });
    await board.tasks('work', TASKS);
    const fold = await expectAllDoneOnce(board, await runSockets(boards, () => 'complete'));
    expect(fold.peaks.get('work')).toBe(cap);
  });
});
