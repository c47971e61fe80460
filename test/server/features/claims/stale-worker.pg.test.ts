import { beforeAll, describe, expect, test } from 'vitest';
import type { Claim } from '../../../../src/contract/claims.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { only } from '../../../fixtures/eventually.ts';
import { ADMIN_KEY } from '../../../fixtures/server.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();

/** Every verb of a holder, with a body that the rightful holder could send. */
const VERBS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  heartbeat: { note: 'still here', checkpoint: { step: 9 } },
  complete: { summary: 'stale', result: 1 },
  block: { reason: 'stale' },
  release: {},
  fail: { error: 'stale', permanent: true },
};

/** A claim whose lease has run out, taken by the reaper, and then claimed by another worker. */
async function makeStale(board: TestBoard): Promise<{ stale: Claim; live: Claim }> {
  await board.lane('work');
  const task = await board.task('work', { backoff: { base_seconds: 0 }, max_failures: 100 });
  const stale = await board.claim('work', { worker: 'stale', lease_seconds: 1 });
  await expireLease(stale);
  await board.untilStatus(task.id, 'ready');
  const live = await board.claim('work', { worker: 'live' });
  expect([live.task.id, live.attempt]).toEqual([task.id, stale.attempt + 1]);
  return { stale, live };
}

async function expireLease(claim: Claim): Promise<void> {
  await servers.database.sql`
    UPDATE claims SET lease_expires_at = clock_timestamp() - interval '1 second'
    WHERE worker = ${claim.worker} AND attempt = ${claim.attempt}`;
}

/** All that a stale worker could have changed. */
async function stateOf(board: TestBoard, live: Claim) {
  const { sql } = servers.database;
  const claims = await sql`
    SELECT c.* FROM claims c JOIN boards b ON b.id = c.board_id WHERE b.name = ${board.name} ORDER BY c.task_id`;
  return {
    claims: [...claims],
    task: await board.read(live.task.id),
    runs: await board.runs(live.task.id),
    // Who comes and goes is written by a sweep, whatever the stale worker does.
    events: (await board.events()).filter(({ kind }) => kind !== 'lane.online'),
  };
}

describe('a worker whose claim was reaped and given to another', () => {
  let board: TestBoard;
  let elsewhere: TestBoard;
  let stale: Claim;
  let live: Claim;
  beforeAll(async () => {
    [board, elsewhere] = await servers.board();
    ({ stale, live } = await makeStale(board));
  });

  const expectedProblem = {
    status: 409,
    code: 'claim_lost',
    reason: 'crashed',
    outcome: 'crashed',
    by: { type: 'system', id: 'reaper' },
    at: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
  };

  test.each(Object.keys(VERBS))('is refused to %s, is told why, and changes nothing', async (verb) => {
    const before = await stateOf(board, live);
    for (const through of [board, elsewhere]) {
      const answer = await endClaim(through.server, stale, verb, VERBS[verb]);
      expect(answer.body).toMatchObject(expectedProblem);
    }
    expect(await stateOf(board, live)).toEqual(before);
  });

  test.each(Object.keys(VERBS))(
    'is refused to %s through the batch, which harms no neighbour',
    async (op) => {
      const other = await board.task('work');
      const rightful = await board.claim('work', { worker: 'neighbour' });
      expect(rightful.task.id).toBe(other.id);
      const before = await stateOf(board, live);
      const operations = [
        { op, token: stale.token, ...VERBS[op] },
        { op: 'complete', token: rightful.token },
      ];
      const { results } = (await board.server.call('POST', '/v1/runs/batch', { body: { operations } })).body;
      expect(results[0]).toMatchObject({ ok: false, problem: expectedProblem });
      expect(results[1]).toMatchObject({ ok: true, run: { outcome: 'completed' } });
      const after = await stateOf(board, live);
      expect({ ...after, events: [], claims: [] }).toEqual({ ...before, events: [], claims: [] });
      expect(after.claims.filter((row) => row['worker'] === 'live')).toEqual(
        before.claims.filter((row) => row['worker'] === 'live'),
      );
    },
  );

  test.each(Object.keys(VERBS))('never takes the holder’s own %s down with it', async (op) => {
    const [own] = await servers.board();
    const pair = await makeStale(own);
    const operations = [
      { op, token: pair.stale.token, ...VERBS[op] },
      { op, token: pair.live.token, ...VERBS[op] },
    ];
    const { results } = (await own.server.call('POST', '/v1/runs/batch', { body: { operations } })).body;
    expect(results[0]).toMatchObject({ ok: false, problem: expectedProblem });
    expect(results[1]).toMatchObject({ ok: true });
  });

  test('still has its own run on record, ended by the reaper with evidence', async () => {
    const run = (await board.runs(live.task.id)).find((candidate) => candidate.run_id === stale.run_id);
    expect(run).toMatchObject({
      outcome: 'crashed',
      evidence: { limit: 'lease', last_heartbeat_at: null },
      ended_by: { type: 'system', id: 'reaper' },
    });
  });
});

describe('a holder', () => {
  test('whose lease has run out unreaped still holds the claim, and a heartbeat saves it', async () => {
    const [board] = await servers.board();
    await board.lane('work');
    await board.task('work');
    const claim = await board.claim('work', { worker: 'late' });
    // Locked rows are skipped by the reaper: the moment between expiry and reaping, held open.
    await servers.database.sql.begin(async (tx) => {
      await tx`SELECT FROM tasks t JOIN boards b ON b.id = t.board_id WHERE b.name = ${board.name} FOR UPDATE OF t`;
      await expireLease(claim);
      expect((await endClaim(board.server, claim, 'heartbeat')).status).toBe(200);
    });
    expect((await endClaim(board.server, claim, 'complete')).status).toBe(200);
  });

  test('of one run is refused on every other, of its own lane or another', async () => {
    const [board] = await servers.board();
    await board.lane('work');
    await board.lane('other');
    await board.tasks('work', 2);
    await board.task('other');
    const [mine, sibling] = [await board.claim('work'), await board.claim('work')];
    const foreign = await board.claim('other');
    const before = await stateOf(board, mine);
    for (const claim of [sibling, foreign])
      for (const [verb, body] of Object.entries(VERBS)) {
        const answer = await endClaim(board.server, { run_id: mine.run_id, token: claim.token }, verb, body);
        expect([answer.status, answer.code], verb).toEqual([403, 'not_your_claim']);
      }
    expect(await stateOf(board, mine)).toEqual(before);
  });

  test('cannot be impersonated with an API key, whatever its role', async () => {
    const [board] = await servers.board();
    await board.lane('work');
    await board.task('work');
    const claim = await board.claim('work');
    const laneKey = expectStatus(await board.call('POST', '/lanes/work/keys', { body: {} }), 201).body.secret;
    const before = await stateOf(board, claim);
    for (const token of [ADMIN_KEY, laneKey])
      for (const [verb, body] of Object.entries(VERBS)) {
        const answer = await endClaim(board.server, { run_id: claim.run_id, token }, verb, body);
        expect([answer.status, answer.code], verb).toEqual([403, 'claim_token_required']);
      }
    const operations = [{ op: 'complete', token: laneKey }];
    const batch = await board.server.call('POST', '/v1/runs/batch', { body: { operations } });
    expect(only(batch.body.results as unknown[])).toMatchObject({ ok: false, problem: { status: 401 } });
    expect(await stateOf(board, claim)).toEqual(before);
  });

  test.each([
    ['release', {}, 'released'],
    ['fail', { error: 'x' }, 'ended'],
    ['block', { reason: 'x' }, 'ended'],
    ['complete', {}, 'ended'],
  ])('that ended its claim by %s is told so when it goes on', async (verb, body, reason) => {
    const [board] = await servers.board();
    await board.lane('work');
    await board.task('work');
    const claim = await board.claim('work');
    const ended = expectStatus(await endClaim(board.server, claim, verb, body), 200).body.run;
    expect((await endClaim(board.server, claim, 'heartbeat')).body).toMatchObject({
      code: 'claim_lost',
      reason,
      outcome: ended.outcome,
      at: ended.ended_at,
      by: { type: 'claim', id: claim.run_id },
    });
  });
});
