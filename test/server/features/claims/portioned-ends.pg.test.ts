/** Many tasks that others wait for end at once: each of them wakes its children, and no transaction wakes more than one end alone may. */
import { expect, test } from 'vitest';
import type { Claim } from '../../../../src/contract/claims.ts';
import { LIMITS } from '../../../../src/contract/constants.ts';
import { auditBoard } from '../../../fixtures/audit.ts';
import { expectStatus } from '../../../fixtures/board.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();

/** So that some of them fit together, and all of them in no two transactions. Which are gathered together is for the load of the machine to say. */
const PARENTS = 7;
const CHILDREN = 400;
/** Tasks that nobody waits for, ended in the same request by other verbs. */
const OTHERS = 3;

test('all that was asked for is done, in transactions that wake no more than a task may have children', async () => {
  const [board] = await servers.board();
  await board.lane('work');
  const parents = await board.tasks('work', PARENTS, { priority: 1 });
  await board.tasks('work', OTHERS, { priority: 1 });
  for (const { id } of parents) await board.tasks('later', CHILDREN, { parents: [id] });
  const { claims } = expectStatus(await board.claims('work', { max: PARENTS + OTHERS }), 200).body;
  const ends = claims.map((claim: Claim) => ({
    op: parents.some(({ id }) => id === claim.task.id) ? 'complete' : 'release',
    token: claim.token,
  }));
  // The last word on a run that has ended by then is the same again.
  const operations = [...ends, ends[0]];
  const { results } = expectStatus(
    await board.server.call('POST', '/v1/runs/batch', { body: { operations } }),
    200,
  ).body;
  expect(results.filter((result: { ok: boolean }) => !result.ok)).toEqual([]);
  const { fold } = await auditBoard(servers.database.sql, board.name);
  expect(fold.counts).toMatchObject({ done: PARENTS, ready: PARENTS * CHILDREN + OTHERS });
  // Those of one transaction carry one moment.
  const transactions = await servers.database.sql<{ woken: number }[]>`
    SELECT count(*)::int AS woken FROM events e JOIN boards b ON b.id = e.board_id
    WHERE b.name = ${board.name} AND e.kind = 'task.ready' GROUP BY e.at`;
  expect(Math.max(...transactions.map(({ woken }) => woken))).toBeLessThanOrEqual(LIMITS.childrenMax);
  const transactionsMin = Math.ceil(PARENTS / Math.floor(LIMITS.childrenMax / CHILDREN));
  expect(transactions.length).toBeGreaterThanOrEqual(transactionsMin);
  expect(transactions.length, 'none of them shared').toBeLessThan(PARENTS);
});
