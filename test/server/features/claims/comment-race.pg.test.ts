/** A comment that comes before a claim in the log is in the claim's handoff, however the two cross. */
import { expect, test } from 'vitest';
import type { Claim } from '../../../../src/contract/claims.ts';
import { auditBoard } from '../../../fixtures/audit.ts';
import { expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { only } from '../../../fixtures/eventually.ts';
import { holdCounter, untilStanding, untilTestEnds } from '../../../fixtures/held-lock.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();

/** Of the random interleaving; some of them cross. */
const ROUNDS = 40;

const textsOf = (claim: Claim): string[] => claim.handoff.comments.map(({ body }) => body);

test('a comment that is just being committed when its task is claimed is handed over with the claim', async () => {
  const [board, elsewhere] = await servers.board();
  const { sql } = servers.database;
  await board.lane('work');
  const task = await board.task('work');
  const counter = await untilTestEnds(holdCounter(sql, board.name));
  const commenting = board.operate(task.id, 'comments', { body: 'mind the gap' });
  await untilStanding(sql, 'log.append', 'row');
  // Named, so that it waits for the task; it has looked already, and seen a task without comments.
  const claiming = elsewhere.claims('work', { task_id: task.id });
  await untilStanding(sql, 'claims.claim', 'row');
  await counter.release();
  expectStatus(await commenting, 201);
  const claim = only(expectStatus(await claiming, 200).body.claims as Claim[]);
  expect(textsOf(claim)).toEqual(['mind the gap']);
  expect(claim.task).toMatchObject({ version: task.version + 1, attempt: 1 });
  await auditBoard(sql, board.name);
});

test('of comments and claims at once on two servers, each claim has what the log has before it', async () => {
  const [board, elsewhere] = await servers.board();
  await board.lane('work');
  const claimOf = async (through: TestBoard, task: string): Promise<Claim> => {
    for (;;) {
      // A named task that somebody is just commenting on may be skipped or changed under the claim.
      const answer = await through.claims('work', { task_id: task });
      if (answer.status === 200) return only(answer.body.claims as Claim[]);
      expectStatus(answer, 409);
    }
  };
  const tasks = await board.tasks('work', ROUNDS);
  const claims = await Promise.all(
    tasks.map(async ({ id }, index) => {
      const [commenter, claimer] = index % 2 ? [board, elsewhere] : [elsewhere, board];
      const [, claim] = await Promise.all([
        commenter.operate(id, 'comments', { body: id }),
        claimOf(claimer, id),
      ]);
      return claim;
    }),
  );
  const { events } = await auditBoard(servers.database.sql, board.name);
  for (const claim of claims) {
    const kinds = events.filter((event) => event.task_id === claim.task.id).map((event) => event.kind);
    const isBefore = kinds.indexOf('task.commented') < kinds.indexOf('task.claimed');
    // What was committed in between the claim and its answer may be there as well.
    if (isBefore) expect(textsOf(claim)).toEqual([claim.task.id]);
  }
});
