import { describe, expect, test } from 'vitest';
import type { Claim } from '../../../../src/contract/claims.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();

const ENDS = [
  {
    verb: 'complete',
    body: { summary: 'ok', result: { n: [1, null] }, metadata: { b: 1, a: 2 } },
    other: { summary: 'no' },
  },
  {
    verb: 'block',
    body: { reason: 'why?', kind: 'needs_input', metadata: { a: 1 } },
    other: { reason: 'no' },
  },
  { verb: 'release', body: { reason: 'later', delay_seconds: 3600 }, other: { delay_seconds: 60 } },
  { verb: 'fail', body: { error: 'broke', retry_after_seconds: 3600 }, other: { error: 'no' } },
] as const;

async function claimedTask(): Promise<[TestBoard, TestBoard, Claim]> {
  const [board, elsewhere] = await servers.board();
  await board.lane('work');
  await board.task('work');
  return [board, elsewhere, await board.claim('work')];
}

const endEvents = async (board: TestBoard) =>
  (await board.events()).filter((event) => event.data['status_before'] === 'running');

describe.each(ENDS)('$verb', ({ verb, body, other }) => {
  test('repeated with the same body gets the same answer, on any server and through the batch', async () => {
    const [board, elsewhere, claim] = await claimedTask();
    const first = expectStatus(await endClaim(board.server, claim, verb, body), 200);
    for (const through of [board, elsewhere])
      expect((await endClaim(through.server, claim, verb, body)).body).toEqual(first.body);
    const operations = [{ op: verb, token: claim.token, ...body }];
    const batch = await elsewhere.server.call('POST', '/v1/runs/batch', { body: { operations } });
    expect(batch.body.results).toEqual([{ ok: true, ...first.body }]);
    expect(await endEvents(board)).toHaveLength(1);
  });

  test('repeated with its fields in another order, or null for absent, is the same end', async () => {
    const [board, elsewhere, claim] = await claimedTask();
    const first = expectStatus(await endClaim(board.server, claim, verb, body), 200);
    const reordered = { ...Object.fromEntries(Object.entries(body).reverse()), metadata: null };
    if (!('metadata' in body))
      expect((await endClaim(elsewhere.server, claim, verb, reordered)).body).toEqual(first.body);
    const reversed = Object.fromEntries(Object.entries(body).reverse());
    expect((await endClaim(elsewhere.server, claim, verb, reversed)).body).toEqual(first.body);
  });

  test('with another body, or after another verb, is claim_lost and changes nothing', async () => {
    const [board, elsewhere, claim] = await claimedTask();
    const first = expectStatus(await endClaim(board.server, claim, verb, body), 200);
    const attempts = [
      [verb, other] as const,
      ...ENDS.filter((end) => end.verb !== verb).map((end) => [end.verb, end.body] as const),
    ];
    for (const [attempted, attemptedBody] of attempts) {
      const answer = await endClaim(elsewhere.server, claim, attempted, attemptedBody);
      expect(answer.body, attempted).toMatchObject({
        code: 'claim_lost',
        outcome: first.body.run.outcome,
        at: first.body.run.ended_at,
        by: { type: 'claim', id: claim.run_id },
      });
    }
    expect(await endEvents(board)).toHaveLength(1);
    expect((await endClaim(board.server, claim, verb, body)).body).toEqual(first.body);
  });

  test('sent many times at the same instant to both servers ends the claim once and answers all alike', async () => {
    const [board, elsewhere, claim] = await claimedTask();
    const operations = [1, 2].map(() => ({ op: verb, token: claim.token, ...body }));
    const [batch, ...singles] = await Promise.all([
      board.server.call('POST', '/v1/runs/batch', { body: { operations } }),
      ...[board, elsewhere, board, elsewhere].map((through) => endClaim(through.server, claim, verb, body)),
    ]);
    const answers = [
      ...batch.body.results,
      ...singles.map((answer) => ({ ok: answer.status === 200, ...answer.body })),
    ];
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(answers[0]).toMatchObject({ ok: true });
    expect(await endEvents(board)).toHaveLength(1);
  });

  test('whose answer was lost gets it when it is sent again', async () => {
    const [board, elsewhere, claim] = await claimedTask();
    const cut = new AbortController();
    // The end waits for its row, so the client is surely gone before there is an answer.
    await servers.database.sql.begin(async (tx) => {
      await tx`SELECT FROM tasks t JOIN boards b ON b.id = t.board_id WHERE b.name = ${board.name} FOR UPDATE OF t`;
      const lost = endClaim(board.server, claim, verb, body, cut.signal);
      cut.abort();
      await expect(lost).rejects.toThrow();
    });
    const again = await endClaim(elsewhere.server, claim, verb, body);
    expect(again.status).toBe(200);
    expect((await endClaim(board.server, claim, verb, body)).body).toEqual(again.body);
    expect(await endEvents(board)).toHaveLength(1);
  });
});

test('two different ends at the same instant: exactly one wins, the other learns which', async () => {
  for (let round = 0; round < 20; round += 1) {
    const [board, elsewhere, claim] = await claimedTask();
    const answers = await Promise.all([
      endClaim(board.server, claim, 'complete', { summary: 'ok' }),
      endClaim(elsewhere.server, claim, 'fail', { error: 'broke' }),
    ]);
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, 409]);
    const [won, lost] = answers[0]?.status === 200 ? answers : [...answers].reverse();
    expect(lost?.body.outcome).toBe(won?.body.run.outcome);
    expect(await endEvents(board)).toHaveLength(1);
  }
});
