/**
 * Work that waits for review is found by its lane, whoever sent it there and whatever the lane was before: a lane that has enough new work
 * must never overlook it, on any server.
 */
import { afterEach, describe, expect, test } from 'vitest';
import type { Operation } from '../../../../src/contract/bulk.ts';
import type { Claim } from '../../../../src/contract/claims.ts';
import { auditBoard } from '../../../fixtures/audit.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { eventually } from '../../../fixtures/eventually.ts';
import { gather } from '../../../fixtures/gathering.ts';
import { holdCounter, holdTask, untilStanding, untilTestEnds } from '../../../fixtures/held-lock.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();
const boards: TestBoard[] = [];

/** Whatever a test did, the log says the same as the rows. */
afterEach(async () => {
  for (const board of boards.splice(0)) await auditBoard(servers.database.sql, board.name);
});

/** Lane `review` has never reviewed, and has new work; both servers have handed out some of it, so they know the lane as it is. */
async function busyBoard(): Promise<[TestBoard, TestBoard]> {
  const [board, elsewhere] = await servers.board();
  for (const lane of ['work', 'review']) await board.lane(lane);
  boards.push(board);
  await board.tasks('review', 10, { priority: 100 });
  for (const each of [board, elsewhere]) await each.claim('review', { worker: 'bob' });
  return [board, elsewhere];
}

/** The id of a task whose work waits for review. */
async function handedOver(board: TestBoard, reviewer: string | null, worker = 'ann'): Promise<string> {
  await board.task('work');
  const claim = await board.claim('work', { worker });
  expectStatus(await endClaim(board.server, claim, 'complete', { review: true, reviewer }), 200);
  return claim.task.id;
}

async function end(board: TestBoard, claim: Claim, verb: string, body = {}): Promise<void> {
  expectStatus(await endClaim(board.server, claim, verb, body), 200);
}

/** A review is claimed before new work: for both servers' next claims there is one. */
async function expectReviews(boardsOfServers: readonly TestBoard[], ids: readonly string[]): Promise<void> {
  const claimed: string[] = [];
  for (const board of boardsOfServers) claimed.push((await board.claim('review', { worker: 'bob' })).task.id);
  expect(claimed.sort()).toEqual([...ids].sort());
}

describe('a lane that never reviewed, and has enough to do, reviews', () => {
  test('what is assigned to it', async () => {
    const [board, elsewhere] = await busyBoard();
    const ids = [await handedOver(board, null), await handedOver(board, null)];
    for (const id of ids) expectStatus(await board.operate(id, 'assign', { lane: 'review' }), 200);
    await expectReviews([board, elsewhere], ids);
  });

  test('what is assigned to it in bulk, also when the last of it could not be', async () => {
    const [board, elsewhere] = await busyBoard();
    const ids = [await handedOver(board, null), await handedOver(board, null)];
    const finished = await handedOver(board, null);
    expectStatus(await board.operate(finished, 'cancel'), 200);
    const body = { action: 'assign', lane: 'review', ids: [...ids, finished] };
    const { operation } = expectStatus(await board.call('POST', '/tasks/bulk', { body }), 202).body;
    const path = `/operations/${(operation as Operation).id}`;
    const done = expectStatus(await board.call('GET', path, { headers: { Prefer: 'wait=30' } }), 200).body;
    expect(done.operation).toMatchObject({ status: 'done', succeeded: 2 });
    await expectReviews([board, elsewhere], ids);
  });

  test('what was assigned to it while it was blocked under review', async () => {
    const [board, elsewhere] = await busyBoard();
    await board.lane('first');
    const ids = [await handedOver(board, 'first'), await handedOver(board, 'first')];
    for (const id of ids) {
      await end(board, await board.claim('first', { worker: 'carl', task_id: id }), 'block', { reason: '?' });
      expectStatus(await board.operate(id, 'assign', { lane: 'review' }), 200);
      expectStatus(await board.operate(id, 'unblock'), 200);
    }
    await expectReviews([board, elsewhere], ids);
  });

  test('what waited for it before it was registered', async () => {
    const [board, elsewhere] = await busyBoard();
    const ids = [await handedOver(board, 'late'), await handedOver(board, 'late')];
    await board.lane('late');
    await board.tasks('late', 3, { priority: 100 });
    const claimed = [await board.claim('late'), await elsewhere.claim('late')];
    expect(claimed.map(({ task }) => task.id).sort()).toEqual([...ids].sort());
  });

  test('what is handed over to it, though the first who did so had lost the claim', async () => {
    const [board, elsewhere] = await busyBoard();
    await board.task('work');
    const lost = await board.claim('work', { worker: 'ann' });
    expectStatus(await board.operate(lost.task.id, 'reclaim', {}), 200);
    const late = await endClaim(board.server, lost, 'complete', { review: true, reviewer: 'review' });
    expect(late.code).toBe('claim_lost');
    await end(board, await board.claim('work', { worker: 'ann' }), 'complete');
    const ids = [await handedOver(board, 'review'), await handedOver(board, 'review')];
    await expectReviews([board, elsewhere], ids);
  });

  test('what is handed over just when it is assigned to it', async () => {
    const [board, elsewhere] = await busyBoard();
    await board.task('work');
    const claim = await board.claim('work', { worker: 'ann' });
    const { sql } = servers.database;
    const counter = await untilTestEnds(holdCounter(sql, board.name));
    const ended = endClaim(board.server, claim, 'complete', { review: true });
    await untilStanding(sql, 'log.append', 'row');
    const assigned = board.operate(claim.task.id, 'assign', { lane: 'review' });
    await untilStanding(sql, 'tasks.lock_many', 'row');
    await counter.release();
    for (const answer of [await ended, await assigned]) expectStatus(answer, 200);
    await expectReviews([elsewhere], [claim.task.id]);
  });

  describe('what is handed over just when it is registered', () => {
    /** The second waits for the first, which waits for its last step; then a review has to come before new work. */
    async function both(first: 'registered' | 'handed over'): Promise<{ claimed: string; expected: string }> {
      const [board, elsewhere] = await busyBoard();
      await board.task('work');
      const claim = await board.claim('work', { worker: 'ann' });
      const { sql } = servers.database;
      const register = () => elsewhere.call('PUT', '/lanes/late', { body: {} });
      const handOver = () => endClaim(board.server, claim, 'complete', { review: true, reviewer: 'late' });
      const counter = await untilTestEnds(holdCounter(sql, board.name));
      const before = first === 'registered' ? register() : handOver();
      await untilStanding(sql, 'log.append', 'row');
      const after = first === 'registered' ? handOver() : register();
      await untilStanding(sql, 'lanes.lock_unknown_reviewers', 'row');
      await counter.release();
      for (const answer of [await before, await after]) expectStatus(answer, 200, 201);
      await board.tasks('late', 2, { priority: 100 });
      return { claimed: (await board.claim('late', { worker: 'bob' })).task.id, expected: claim.task.id };
    }

    test('and the registration comes first', async () => {
      const { claimed, expected } = await both('registered');
      expect(claimed).toBe(expected);
    });

    test('and comes first itself', async () => {
      const { claimed, expected } = await both('handed over');
      expect(claimed).toBe(expected);
    });
  });

  describe('what is handed over just when it is registered anew', () => {
    /** It is known to review; whoever hands work over to it comes to that task last. */
    async function handingOver() {
      const [board, elsewhere] = await servers.board();
      for (const lane of ['work', 'review']) await board.lane(lane);
      boards.push(board);
      await handedOver(board, 'review');
      await end(board, await board.claim('review', { worker: 'carl' }), 'complete');
      await board.task('work');
      const claim = await board.claim('work', { worker: 'ann' });
      const task = await untilTestEnds(holdTask(servers.database.sql, claim.task.id));
      return {
        board,
        task,
        handOver: () => end(board, claim, 'complete', { review: true, reviewer: 'review' }),
        deregister: () => elsewhere.call('DELETE', '/lanes/review'),
        register: () => elsewhere.call('PUT', '/lanes/review', { body: {} }),
        expectReviewed: async () => {
          await board.tasks('review', 2, { priority: 100 });
          expect((await board.claim('review', { worker: 'bob' })).task.id).toBe(claim.task.id);
        },
      };
    }

    /** It waits for a lock by a statement whose tag begins so, or has been answered. */
    async function untilStandingOrDone(answer: Promise<unknown>, tag: string): Promise<void> {
      let isDone = false;
      const noteDone = () => {
        isDone = true;
      };
      answer.then(noteDone, noteDone);
      await eventually(`${tag} stands, or is done`, async () => {
        const rows = await servers.database.sql`
          SELECT FROM pg_stat_activity
          WHERE wait_event_type = 'Lock' AND query LIKE ${`%/* ${tag}%`} AND datname = current_database()`;
        return isDone || rows.length === 1;
      });
    }

    test('and comes first itself', async () => {
      const { task, handOver, deregister, register, expectReviewed } = await handingOver();
      const handed = handOver();
      await untilStandingOrDone(handed, 'claims.');
      const anew = deregister().then(register);
      await untilStandingOrDone(anew, 'lanes.lock_for_end');
      await task.release();
      await handed;
      expectStatus(await anew, 201);
      await expectReviewed();
    });

    test('and comes when it has been deregistered', async () => {
      const { board, task, handOver, deregister, register, expectReviewed } = await handingOver();
      const { sql } = servers.database;
      const counter = await untilTestEnds(holdCounter(sql, board.name));
      const deregistered = deregister();
      await untilStanding(sql, 'log.append', 'row');
      const handed = handOver();
      await untilStanding(sql, 'lanes.mark_reviewers', 'row');
      await counter.release();
      expectStatus(await deregistered, 204);
      await untilStandingOrDone(handed, 'claims.');
      const registered = register();
      await untilStandingOrDone(registered, 'lanes.lock_unknown_reviewers');
      await task.release();
      await handed;
      expectStatus(await registered, 201);
      await expectReviewed();
    });
  });

  test('what is handed over in one batch to a lane that is known and to one that is not', async () => {
    const [board, elsewhere] = await busyBoard();
    await board.tasks('work', 2);
    const claims = [
      await board.claim('work', { worker: 'ann' }),
      await board.claim('work', { worker: 'ann' }),
    ];
    const operations = claims.map(({ token }, index) => {
      return { op: 'complete', token, review: true, reviewer: ['review', 'late'][index] };
    });
    const ended = await board.server.call('POST', '/v1/runs/batch', { body: { operations } });
    expect(expectStatus(ended, 200).body.results).toMatchObject([{ ok: true }, { ok: true }]);
    await expectReviews([elsewhere], [claims[0]?.task.id ?? '']);
    await board.lane('late');
    await board.task('late', { priority: 100 });
    expect((await elsewhere.claim('late', { worker: 'bob' })).task.id).toBe(claims[1]?.task.id);
  });

  describe('what comes back to it after it was deregistered and registered again', () => {
    /** Work under review that no lane is marked for. */
    async function unmarked(board: TestBoard): Promise<string> {
      await board.lane('again');
      const id = await handedOver(board, 'again');
      await end(board, await board.claim('again', { worker: 'bob' }), 'release', { delay_seconds: 3600 });
      expectStatus(await board.call('DELETE', '/lanes/again'), 204);
      await board.lane('again');
      expectStatus(await board.operate(id, 'promote'), 200);
      return id;
    }

    test('beside lanes that get new work', async () => {
      const [board, elsewhere] = await busyBoard();
      await board.lane('opener');
      const ids = [await unmarked(board)];
      const { answers } = await gather({
        database: servers.database,
        opener: () => board.claims('opener'),
        openerTag: 'claims.claim',
        requests: ['review', 'again'].map((lane) => () => board.claims(lane, { worker: 'bob' })),
      });
      const claims = (await Promise.all(answers)).map((answer) => expectStatus(answer, 200).body.claims);
      expect(claims.map((each) => each.length)).toEqual([1, 1]);
      expect(claims[1][0].task.id).toBe(ids[0]);
      // And from then on reviews come first there, also on the other server.
      ids.push(await handedOver(board, 'again'));
      await board.task('again', { priority: 100 });
      expect((await elsewhere.claim('again', { worker: 'bob' })).task.id).toBe(ids[1]);
    });

    test('when it is named, and for a claim that is remembered by its key', async () => {
      const [board] = await busyBoard();
      const named = await unmarked(board);
      expect((await board.claim('again', { worker: 'bob', task_id: named })).task.id).toBe(named);
      const kept = await handedOver(board, 'again');
      const headers = { 'Idempotency-Key': 'once' };
      for (const again of [1, 2]) {
        const answer = expectStatus(await board.claims('again', { worker: 'bob' }, { headers }), 200);
        expect([again, answer.body.claims[0]?.task.id]).toEqual([again, kept]);
      }
    });

    test('for a claim that is remembered by its key, and is the first to ask', async () => {
      const [board] = await busyBoard();
      const id = await unmarked(board);
      const headers = { 'Idempotency-Key': 'first' };
      const answer = expectStatus(await board.claims('again', { worker: 'bob' }, { headers }), 200);
      expect(answer.body.claims[0]?.task.id).toBe(id);
    });
  });
});

test('in one batch nobody gets his own work, however much of it stands before the others', async () => {
  const [board] = await servers.board();
  boards.push(board);
  for (const lane of ['team', 'opener']) await board.lane(lane);
  const handOver = async (worker: string, count: number): Promise<string[]> => {
    const tasks = await board.tasks('team', count);
    const { claims } = expectStatus(await board.claims('team', { worker, max: count }), 200).body;
    for (const claim of claims) await end(board, claim, 'complete', { review: true, reviewer: 'team' });
    return tasks.map(({ id }) => id);
  };
  const own = await handOver('ann', 8);
  const others = await handOver('carl', 3);
  const fresh = (await board.tasks('team', 10)).map(({ id }) => id);
  const { answers } = await gather({
    database: servers.database,
    opener: () => board.claims('opener'),
    openerTag: 'claims.claim',
    requests: [
      () => board.claims('team', { worker: 'ann', max: 5 }),
      () => board.claims('team', { worker: 'dora', max: 1 }),
    ],
  });
  const [ofAnn, ofDora] = (await Promise.all(answers)).map((answer) =>
    expectStatus(answer, 200).body.claims.map((claim: Claim) => claim.task.id),
  );
  // All reviews there are for ann, then what is new; dora has ann's oldest.
  expect([...ofAnn].sort()).toEqual([...others, ...fresh.slice(0, 2)].sort());
  expect(ofDora).toEqual([own[0]]);
  // One statement made these claims, so the counter row was held for that one: those of one statement carry one moment.
  const moments = await servers.database.sql`
    SELECT DISTINCT last.at FROM (
      SELECT e.at FROM events e JOIN boards b ON b.id = e.board_id
      WHERE b.name = ${board.name} AND e.kind = 'task.claimed' ORDER BY e.seq DESC LIMIT 6) AS last`;
  expect(moments).toHaveLength(1);
});
