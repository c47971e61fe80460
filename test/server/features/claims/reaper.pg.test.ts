import { describe, expect, test, vi } from 'vitest';
import type { Claim } from '../../../../src/contract/claims.ts';
import type { Event } from '../../../../src/contract/events.ts';
import { parseId } from '../../../../src/server/kernel/ids.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { CountedRounds } from '../../../fixtures/counted-rounds.ts';
import { eventually, only } from '../../../fixtures/eventually.ts';
import { Fold } from '../../../fixtures/fold.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const rounds = new CountedRounds();
vi.mock(import('../../../../src/server/kernel/lifecycle.ts'), async (importOriginal) => {
  const original = await importOriginal();
  return { ...original, createLifecycle: (report) => rounds.counting(original.createLifecycle)(report) };
});

const servers = useTwoServers();

/** The bar, from the moment a limit passes to the verdict. */
const REAPED_WITHIN_MS = 2000;
/** Longer than a test. */
const LIVE_SECONDS = 600;

/** Of worker w. */
async function claimedTask(task: object = {}, leaseSeconds = LIVE_SECONDS): Promise<[TestBoard, Claim]> {
  const [board] = await servers.board();
  await board.lane('work');
  await board.task('work', { backoff: { base_seconds: 3600 }, ...task });
  return [board, await board.claim('work', { lease_seconds: leaseSeconds, worker: 'w' })];
}

/** Waits for the next event of these kinds: a long poll on the log, not a sleep. */
async function nextEvent(board: TestBoard, kinds: string): Promise<Event> {
  const answer = await board.call('GET', `/events?kinds=${kinds}`, { headers: { Prefer: 'wait=30' } });
  return only(answer.body.events as Event[]);
}

async function runIdOf(claim: Claim): Promise<string> {
  const { sql } = servers.database;
  return only(
    await sql<
      { id: string }[]
    >`SELECT run_id AS id FROM claims WHERE task_id = ${parseId('task', claim.task.id)}`,
  ).id;
}

const evidenceOf = (event: Event) => event.data['evidence'] as Record<string, string>;

describe('the reaper', () => {
  test('ends a run whose lease has lapsed as crashed, no earlier, with evidence', async () => {
    const [board, claim] = await claimedTask({}, 1);
    const event = await nextEvent(board, 'task.crashed');
    const { lease_expires_at: leaseExpiresAt, amnesty_seconds: amnestySeconds = 0 } = event.data[
      'evidence'
    ] as { lease_expires_at: string; amnesty_seconds?: number };
    expect(Date.parse(event.at)).toBeGreaterThanOrEqual(Date.parse(leaseExpiresAt));
    // A machine that stands still for seconds has an outage, which gives the lease so much more.
    const extendedMs = Date.parse(leaseExpiresAt) - Date.parse(claim.lease_expires_at);
    expect(Math.abs(extendedMs - amnestySeconds * 1000)).toBeLessThan(20);
    expect(event).toMatchObject({
      run_id: claim.run_id,
      worker: 'w',
      actor: { type: 'system', id: 'reaper' },
      data: {
        status_before: 'running',
        status_after: 'scheduled',
        outcome: 'crashed',
        consecutive_failures: 1,
      },
    });
    const evidence = { limit: 'lease', lease_expires_at: leaseExpiresAt, last_heartbeat_at: null };
    expect(event.data['evidence']).toMatchObject(evidence);
    expect(only(await board.runs(claim.task.id))).toMatchObject({ outcome: 'crashed', evidence });
  });

  test('looks often enough to end each within 2 s', async () => {
    const [board, claim] = await claimedTask();
    // So long ago that no outage gives it time.
    await servers.database.sql`
      UPDATE claims SET lease_expires_at = clock_timestamp() - interval '1 hour' WHERE run_id = ${await runIdOf(claim)}`;
    // The round under way may have looked before, and a machine that stood still needs one for its pulse.
    const roundsMax = REAPED_WITHIN_MS / rounds.intervalMs('reaper') - 1;
    expect(roundsMax).toBeGreaterThanOrEqual(2);
    const isRunning = async () => (await board.read(claim.task.id)).status === 'running';
    for (let round = 0; round < roundsMax && (await isRunning()); round += 1)
      await rounds.untilWhole('reaper');
    expect(await isRunning()).toBe(false);
  });

  test('ends a run past its max_runtime as timed_out, no earlier, however alive it is', async () => {
    const [board, claim] = await claimedTask({ max_runtime_seconds: LIVE_SECONDS });
    expectStatus(await endClaim(board.server, claim, 'heartbeat', { lease_seconds: LIVE_SECONDS }), 200);
    // It counts from the claim; from here on there is a second left.
    const { sql } = servers.database;
    const runId = await runIdOf(claim);
    expect(
      await sql`SELECT date_part('epoch', runtime_expires_at - claimed_at) AS seconds FROM claims WHERE run_id = ${runId}`,
    ).toEqual([{ seconds: LIVE_SECONDS }]);
    await sql`UPDATE claims SET runtime_expires_at = clock_timestamp() + interval '1 s' WHERE run_id = ${runId}`;
    const event = await nextEvent(board, 'task.timed_out');
    const limit = Date.parse(evidenceOf(event)['runtime_expires_at'] ?? '');
    expect(Date.parse(event.at)).toBeGreaterThanOrEqual(limit);
    expect(evidenceOf(event)).toMatchObject({ limit: 'max_runtime', last_heartbeat_at: expect.any(String) });
  });

  test('ends a run without progress as timed_out; a heartbeat alone is none, a rising number is', async () => {
    const [board, claim] = await claimedTask({ no_progress_seconds: LIVE_SECONDS });
    const beat = (body: object) =>
      endClaim(board.server, claim, 'heartbeat', { lease_seconds: LIVE_SECONDS, ...body });
    const { sql } = servers.database;
    const runId = await runIdOf(claim);
    const progressAt = async () =>
      only(
        await sql<{ at: string }[]>`SELECT last_progress_at::text AS at FROM claims WHERE run_id = ${runId}`,
      ).at;
    expect(await sql`SELECT no_progress_seconds AS seconds FROM claims WHERE run_id = ${runId}`).toEqual([
      { seconds: LIVE_SECONDS },
    ]);
    // None for now: an outage would move what there is.
    await sql`UPDATE claims SET no_progress_seconds = NULL WHERE run_id = ${runId}`;
    const claimed = await progressAt();
    expectStatus(await beat({ progress: 5 }), 200);
    const risen = await progressAt();
    expect(risen > claimed).toBe(true);
    expectStatus(await beat({ progress: 5 }), 200);
    expectStatus(await beat({ note: 'alive' }), 200);
    // It counts from the first time the number rose, not from the last heartbeat.
    expect(await progressAt()).toBe(risen);
    await sql`UPDATE claims SET no_progress_seconds = 1 WHERE run_id = ${runId}`;
    const event = await nextEvent(board, 'task.timed_out');
    const evidence = evidenceOf(event);
    expect(evidence['limit']).toBe('no_progress');
    const limit = Date.parse(evidence['last_progress_at'] ?? '') + 1000;
    expect(Date.parse(event.at)).toBeGreaterThanOrEqual(limit);
  });

  test('takes the limits of the lane where the task has none, and the task’s own first', async () => {
    const [board] = await servers.board();
    await board.lane('work', { max_runtime_seconds: 1 });
    const patient = await board.task('work', { max_runtime_seconds: 600 });
    const plain = await board.task('work');
    const { claims } = (await board.claims('work', { max: 2, lease_seconds: 600 })).body;
    expect(claims).toHaveLength(2);
    expect((await nextEvent(board, 'task.timed_out')).task_id).toBe(plain.id);
    expect((await board.read(patient.id)).status).toBe('running');
  });

  test('on two servers takes every lapsed claim exactly once, and leaves the living alone', async () => {
    const [board, elsewhere] = await servers.board();
    await board.lane('work');
    await board.tasks('work', 120, { max_failures: 10, backoff: { base_seconds: 3600 } });
    const take = async (worker: string, max: number) =>
      (await elsewhere.claims('work', { worker, max, lease_seconds: 600 })).body.claims as Claim[];
    const dying = await take('dying', 100);
    const living = await take('living', 20);
    await servers.database.sql`
      UPDATE claims SET lease_expires_at = clock_timestamp()
      WHERE worker = 'dying' AND board_id = (SELECT id FROM boards WHERE name = ${board.name})`;
    await eventually('all of them are reaped', async () => {
      const left = await servers.database.sql`
        SELECT FROM claims WHERE worker = 'dying' AND board_id = (SELECT id FROM boards WHERE name = ${board.name})`;
      return left.length === 0 && dying.length > 0;
    });
    const fold = Fold.of(await board.events());
    expect(fold.counts).toMatchObject({ scheduled: 100, running: 20 });
    const crashed = await board.events('&kinds=task.crashed');
    expect(new Set(crashed.map((event) => event.run_id)).size).toBe(100);
    expect(crashed).toHaveLength(100);
    for (const claim of living) expectStatus(await endClaim(board.server, claim, 'complete'), 200);
  });
});

describe('the breaker', () => {
  test('opens at max_failures: blocked gave_up with its event; unblock resets the streak', async () => {
    const [board, claim] = await claimedTask({ max_failures: 2, backoff: { base_seconds: 0 } }, 1);
    const { id } = claim.task;
    await board.untilStatus(id, 'ready');
    const again = await board.claim('work', { lease_seconds: 60 });
    const failed = expectStatus(await endClaim(board.server, again, 'fail', { error: 'no good' }), 200);
    expect(failed.body.task).toMatchObject({
      status: 'blocked',
      blocked: { kind: 'gave_up', reason: 'no good' },
      consecutive_failures: 2,
    });
    const [last, gaveUp] = (await board.events('&kinds=task.*')).slice(-2);
    expect([last?.kind, gaveUp?.kind]).toEqual(['task.failed', 'task.gave_up']);
    expect(gaveUp).toMatchObject({ run_id: again.run_id, data: { failures: 2, reason: 'no good' } });

    const unblocked = expectStatus(await board.operate(id, 'unblock', { answer: 'try the other door' }), 200);
    expect(unblocked.body.task).toMatchObject({ status: 'ready', blocked: null, consecutive_failures: 0 });
    const third = await board.claim('work');
    expect(third.handoff.comments).toMatchObject([{ body: 'try the other door' }]);
    expect(third.handoff.attempts.map((attempt) => attempt.outcome)).toEqual(['crashed', 'failed']);
    expect((await endClaim(board.server, third, 'fail', { error: 'x' })).body.task.status).not.toBe(
      'blocked',
    );
  });

  test('a completion and a reassignment reset it as well, a release does not', async () => {
    const [board, claim] = await claimedTask({ max_failures: 5, backoff: { base_seconds: 0 } });
    const { id } = claim.task;
    await endClaim(board.server, claim, 'fail', { error: 'x' });
    await board.untilStatus(id, 'ready');
    const released = await endClaim(board.server, await board.claim('work'), 'release');
    expect(released.body.task.consecutive_failures).toBe(1);
    await board.lane('other');
    expect((await board.operate(id, 'assign', { lane: 'other' })).body.task.consecutive_failures).toBe(0);
    const done = await endClaim(board.server, await board.claim('other'), 'complete');
    expect(done.body.task.consecutive_failures).toBe(0);
  });

  test('a failed task waits between nothing and its backoff, never longer', async () => {
    const [board] = await servers.board();
    await board.lane('work');
    await board.tasks('work', 30, {
      max_failures: 10,
      backoff: { base_seconds: 100, factor: 3, cap_seconds: 150 },
    });
    const { claims } = (await board.claims('work', { max: 30 })).body;
    for (const claim of claims as Claim[]) {
      const { task, run } = expectStatus(
        await endClaim(board.server, claim, 'fail', { error: 'x' }),
        200,
      ).body;
      const delayMs = Date.parse(task.run_at) - Date.parse(run.ended_at);
      // The two moments are some statements apart.
      expect(delayMs).toBeGreaterThan(-5000);
      expect(delayMs).toBeLessThanOrEqual(105_000);
    }
  });
});
