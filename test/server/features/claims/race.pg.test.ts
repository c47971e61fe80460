import { describe, expect, test } from 'vitest';
import type { Claim } from '../../../../src/contract/claims.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { Fold } from '../../../fixtures/fold.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

/** The bar. */
const WORKERS = 50;
const TASKS = 1000;

const servers = useTwoServers();

/** Workers, half of them through each server, until the lane has nothing more. */
async function runWorkers(
  boards: readonly TestBoard[],
  work: (board: TestBoard, worker: string) => Promise<readonly Claim[]>,
): Promise<Claim[]> {
  const claimed: Claim[] = [];
  await Promise.all(
    Array.from({ length: WORKERS }, async (_, index) => {
      const board = boards[index % boards.length];
      if (board === undefined) throw new Error('there is a board for every worker');
      for (;;) {
        const claims = await work(board, `worker-${index}`);
        if (claims.length === 0) return;
        claimed.push(...claims);
      }
    }),
  );
  return claimed;
}

async function expectAllDoneOnce(
  board: TestBoard,
  claimed: readonly Claim[],
  attemptsOf: (index: number) => number,
) {
  const holds = claimed.map((claim) => `${claim.task.id} ${claim.attempt}`);
  expect(new Set(holds).size).toBe(holds.length);
  // The fold refuses gaps, a claim on a held task and an attempt that does not rise by one.
  const events = await board.events();
  const fold = Fold.of(events);
  expect(fold.counts).toMatchObject({ done: TASKS, ready: 0, running: 0, scheduled: 0 });
  const answer = await board.call('GET', '');
  expect(answer.body.board.counts).toEqual(fold.counts);
  expect(events.filter((event) => event.kind === 'task.claimed')).toHaveLength(claimed.length);
  expect(events.filter((event) => event.kind === 'task.completed')).toHaveLength(TASKS);
  const titles = new Map(claimed.map((claim) => [claim.task.id, Number(claim.task.title.split(' ')[1])]));
  for (const [id, task] of fold.tasks) expect(task.attempt).toBe(attemptsOf(titles.get(id) ?? -1));
}

describe('50 workers on two servers', () => {
  test('claim each of 1,000 tasks once per attempt, one by one, and complete them all', async () => {
    const boards = await servers.board();
    const [board] = boards;
    await board.lane('race');
    await board.tasks('race', TASKS);
    const isReleasedFirst = (title: string) => Number(title.split(' ')[1]) % 10 === 0;
    const claimed = await runWorkers(boards, async (through, worker) => {
      const { claims } = expectStatus(await through.claims('race', { worker }), 200).body;
      for (const claim of claims as Claim[]) {
        const verb = claim.attempt === 1 && isReleasedFirst(claim.task.title) ? 'release' : 'complete';
        expectStatus(await endClaim(through.server, claim, verb), 200);
      }
      return claims;
    });
    await expectAllDoneOnce(board, claimed, (index) => (index % 10 === 0 ? 2 : 1));
  });

  test('claim each of 1,000 tasks once, many at a time, and end them in batches', async () => {
    const boards = await servers.board();
    const [board] = boards;
    await board.lane('race');
    await board.tasks('race', TASKS);
    const claimed = await runWorkers(boards, async (through, worker) => {
      const max = 1 + Math.floor(Math.random() * 12);
      const { claims } = expectStatus(await through.claims('race', { worker, max }), 200).body;
      const tokens = (claims as Claim[]).map((claim) => claim.token);
      expect(tokens.length).toBeLessThanOrEqual(max);
      if (tokens.length === 0) return [];
      const operations = tokens.flatMap((token) => [
        { op: 'heartbeat', token },
        { op: 'complete', token, summary: worker },
      ]);
      // Every end twice: the second copy stands for a client that retries at the same moment.
      const ends = operations.filter((operation) => operation.op === 'complete');
      const body = { operations: [...operations, ...ends] };
      const { results } = expectStatus(
        await through.server.call('POST', '/v1/runs/batch', { body }),
        200,
      ).body;
      const ofEnds = results.filter((_: unknown, index: number) => body.operations[index]?.op === 'complete');
      expect(ofEnds.every((result: { ok: boolean }) => result.ok)).toBe(true);
      return claims;
    });
    await expectAllDoneOnce(board, claimed, () => 1);
  });
});
