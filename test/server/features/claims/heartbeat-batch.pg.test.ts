/** A fleet's heartbeats in one request: who has lost its claim hears it, and costs the others nothing. */
import { expect, test } from 'vitest';
import type { Claim } from '../../../../src/contract/claims.ts';
import { LIMITS } from '../../../../src/contract/constants.ts';
import { formatId, parseId } from '../../../../src/server/kernel/ids.ts';
import { auditBoard } from '../../../fixtures/audit.ts';
import { endClaim, expectStatus } from '../../../fixtures/board.ts';
import { eventually } from '../../../fixtures/eventually.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();

const FLEET = LIMITS.batchOperationsMax;
/** Short against what the heartbeats ask for, long against the test. */
const LEASE_SECONDS = 120;
const LONGER_SECONDS = 3600;
/** One, when all tokens are known; a server that has yet to verify them gathers them as they come. */
const STATEMENTS_MAX = 10;

test('500 heartbeats in one call: those whose claim is lost are told how, every other lease is extended', async () => {
  const [board, elsewhere] = await servers.board();
  const { sql } = servers.database;
  await board.lane('work', { lease_seconds: LEASE_SECONDS });
  await board.tasks('work', FLEET);
  const claims: Claim[] = [];
  while (claims.length < FLEET)
    claims.push(...expectStatus(await board.claims('work', { max: LIMITS.claimsMax }), 200).body.claims);
  const at = (index: number): Claim => claims[index] as Claim;

  // Lost in every way there is, on either server, spread over the batch.
  expectStatus(await endClaim(board.server, at(0), 'complete'), 200);
  expectStatus(await endClaim(elsewhere.server, at(17), 'release'), 200);
  const successor = await board.claim('work', { worker: 'successor' });
  expect(successor.task.id).toBe(at(17).task.id);
  expectStatus(
    await endClaim(elsewhere.server, at(123), 'fail', { error: 'x', retry_after_seconds: 3600 }),
    200,
  );
  expectStatus(await board.operate(at(250).task.id, 'cancel', { deadline_seconds: 0 }), 200);
  const crashedId = parseId('run', at(499).run_id);
  await sql`UPDATE claims SET lease_expires_at = clock_timestamp() WHERE run_id = ${crashedId}`;
  const reasons = new Map([
    [0, 'ended'],
    [17, 'released'],
    [123, 'ended'],
    [250, 'cancelled'],
    [499, 'crashed'],
  ]);
  await eventually('the reaper has taken two', async () => {
    const rows = await sql`SELECT FROM runs WHERE outcome IN ('cancelled', 'crashed')`;
    return rows.length === 2;
  });
  // One holder is asked to stop; its heartbeat is where it hears of it.
  expectStatus(await elsewhere.operate(at(400).task.id, 'cancel', { deadline_seconds: 3600 }), 200);

  const operations = claims.map((claim) => ({
    op: 'heartbeat',
    token: claim.token,
    lease_seconds: LONGER_SECONDS,
  }));
  const answer = await elsewhere.server.call('POST', '/v1/runs/batch', { body: { operations } });
  const { results } = expectStatus(answer, 200).body as { results: Record<string, unknown>[] };
  expect(results).toHaveLength(FLEET);
  for (const [index, result] of results.entries()) {
    const reason = reasons.get(index);
    if (reason !== undefined)
      expect(result, String(index)).toMatchObject({
        ok: false,
        problem: { code: 'claim_lost', status: 409, reason },
      });
    else
      expect(result, String(index)).toMatchObject({
        ok: true,
        cancel_requested: index === 400,
        messages: [],
      });
  }
  const rows = await sql<{ run_id: string; seconds: number; lease: string }[]>`
    SELECT run_id, extract(epoch FROM lease_expires_at - clock_timestamp())::int AS seconds,
      to_char(lease_expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS lease
    FROM claims c JOIN boards b ON b.id = c.board_id WHERE b.name = ${board.name}`;
  const leases = new Map(rows.map((row) => [formatId('run', row.run_id), row]));
  expect(leases.size).toBe(FLEET - reasons.size + 1);
  // The stale heartbeat of its predecessor did nothing for it.
  expect(leases.get(successor.run_id)?.seconds).toBeLessThanOrEqual(LEASE_SECONDS);
  for (const [index, claim] of claims.entries()) {
    if (reasons.has(index)) continue;
    expect(leases.get(claim.run_id)?.seconds).toBeGreaterThan(LONGER_SECONDS - 60);
    expect(leases.get(claim.run_id)?.lease).toBe(results[index]?.['lease_expires_at']);
  }
  // Events of one statement carry one moment.
  const { events } = await auditBoard(sql, board.name);
  const heartbeats = events.filter((event) => event.kind === 'task.heartbeat');
  expect(heartbeats).toHaveLength(FLEET - reasons.size);
  const [moments] = await sql<{ count: number }[]>`
    SELECT count(DISTINCT e.at)::int AS count FROM events e JOIN boards b ON b.id = e.board_id
    WHERE b.name = ${board.name} AND e.kind = 'task.heartbeat'`;
  expect(moments?.count).toBeLessThanOrEqual(STATEMENTS_MAX);

  // The next round is due in the log only much later: five hundred leases, not one event.
  const again = await board.server.call('POST', '/v1/runs/batch', { body: { operations } });
  const held = again.body.results.filter((result: { ok: boolean }) => result.ok);
  expect(held).toHaveLength(FLEET - reasons.size);
  const later = (await auditBoard(sql, board.name)).events.slice(events.length);
  expect(later.filter((event) => event.kind === 'task.heartbeat')).toEqual([]);
});
