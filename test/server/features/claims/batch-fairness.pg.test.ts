/** Who gets what when many ask at once: lanes side by side, requests of a lane in turns. */
import { expect, test } from 'vitest';
import { auditBoard } from '../../../fixtures/audit.ts';
import { expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { gather } from '../../../fixtures/gathering.ts';
import type { CallAnswer } from '../../../fixtures/server.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();

/** All of them in the backlog before the first is served, in this order. */
async function claimInOrder(
  board: TestBoard,
  requests: readonly (() => Promise<CallAnswer>)[],
): Promise<CallAnswer[]> {
  await board.lane('opener');
  const { answers } = await gather({
    database: servers.database,
    opener: () => board.claims('opener'),
    openerTag: 'claims.claim',
    requests,
    isInOrder: true,
  });
  return (await Promise.all(answers)).map((answer) => expectStatus(answer, 200));
}

/** Lanes served by each statement, in the order of the log: events of one statement carry one moment. */
async function batchesOf(board: TestBoard): Promise<Set<string>[]> {
  const rows = await servers.database.sql<{ lanes: string[] }[]>`
    SELECT json_agg(DISTINCT e.lane) AS lanes FROM events e JOIN boards b ON b.id = e.board_id
    WHERE b.name = ${board.name} AND e.kind = 'task.claimed' GROUP BY e.at ORDER BY min(e.seq)`;
  return rows.map((row) => new Set(row.lanes));
}

test('ten small lanes behind a greedy one are all served in the batch that was gathered, or in the next', async () => {
  const [board] = await servers.board();
  const small = Array.from({ length: 10 }, (_, index) => `small-${index}`);
  for (const lane of ['greedy', ...small]) await board.lane(lane);
  await board.tasks('greedy', 1000);
  for (const lane of small) await board.task(lane);
  const greedy = Array.from({ length: 10 }, () => () => board.claims('greedy', { max: 100 }));
  const answers = await claimInOrder(board, [...greedy, ...small.map((lane) => () => board.claims(lane))]);
  // The greedy lane gets all that it asked for, too.
  expect(answers.map((answer) => answer.body.claims.length)).toEqual([
    ...greedy.map(() => 100),
    ...small.map(() => 1),
  ]);
  const batches = await batchesOf(board);
  expect(batches.length).toBeGreaterThan(3);
  expect(
    small.map((lane) => batches.findIndex((lanes) => lanes.has(lane))).filter((batch) => batch > 1),
  ).toEqual([]);
  await auditBoard(servers.database.sql, board.name);
});

test.each([
  { ready: 3, asked: [5, 5, 1, 1, 5], given: [1, 1, 1, 0, 0] },
  { ready: 7, asked: [5, 5, 1, 1, 5], given: [2, 2, 1, 1, 1] },
  { ready: 9, asked: [100, 1, 2], given: [6, 1, 2] },
])(
  'requests of a lane in one batch share $ready tasks in turns: $asked asked for get $given',
  async ({ ready, asked, given }) => {
    const [board] = await servers.board();
    await board.lane('work');
    const tasks = await board.tasks('work', ready);
    const answers = await claimInOrder(
      board,
      asked.map((max) => () => board.claims('work', { max })),
    );
    expect(answers.map((answer) => answer.body.claims.length)).toEqual(given);
    expect(await batchesOf(board)).toHaveLength(1);
    // Who came first also gets the task that has waited longest; who gets nothing is told why.
    expect(answers[0]?.body.claims[0].task.id).toBe(tasks[0]?.id);
    for (const [index, answer] of answers.entries())
      expect(answer.body.reason).toBe(given[index] === 0 ? 'none_ready' : undefined);
  },
);

test('a cap is shared in turns as well, and who finds it full is told so', async () => {
  const [board] = await servers.board();
  await board.lane('work', { max_concurrent_claims: 4 });
  await board.tasks('work', 20);
  const answers = await claimInOrder(
    board,
    [10, 10, 10, 10, 10].map((max) => () => board.claims('work', { max })),
  );
  expect(answers.map((answer) => answer.body.claims.length)).toEqual([1, 1, 1, 1, 0]);
  expect(answers.at(-1)?.body.reason).toBe('at_capacity');
});
