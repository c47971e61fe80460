import { connect } from 'node:net';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Claim } from '../../../../src/contract/claims.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { changeTimers } from '../../../fixtures/changed-timers.ts';
import { eventually, only } from '../../../fixtures/eventually.ts';
import { ADMIN_KEY, type CallAnswer, type TestServer } from '../../../fixtures/server.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();

const WAIT_SECONDS = 20;
/** However well wake-ups work, a waiter looks for itself this often: the documented floor. */
const LOOK_INTERVAL_MS = 5000;

/** Turned off: who is served here before the end of its wait was woken. */
beforeAll(() => changeTimers(LOOK_INTERVAL_MS, WAIT_SECONDS * 1000));

async function sumOf(server: TestServer, metric: string): Promise<number> {
  const { body } = await server.call('GET', '/metrics');
  const values = [...body.matchAll(new RegExp(`^${metric}(?:{[^}]*})? (\\d+)$`, 'gm'))];
  return values.reduce((sum, [, value]) => sum + Number(value), 0);
}

const untilWaiting = (server: TestServer, count: number) =>
  eventually(`${count} waiters`, async () => (await sumOf(server, 'lanekeeper_claim_waiters')) === count);

/** A long poll that has looked twice in vain: before it waits, and once it would be woken. */
async function startWaiting(board: TestBoard): Promise<{ readonly answer: Promise<CallAnswer> }> {
  const tries = () => sumOf(board.server, 'lanekeeper_empty_claims_total');
  const before = await tries();
  const answer = board.claims('work', {}, { waitSeconds: WAIT_SECONDS });
  await untilWaiting(board.server, 1);
  await eventually('it has looked', async () => (await tries()) >= before + 2);
  return { answer };
}

/** A statement with this tag waits for a lock. */
const untilBlocked = (tag: string) =>
  eventually(`${tag} waits for a lock`, async () => {
    const rows = await servers.database.sql`
      SELECT FROM pg_stat_activity
      WHERE wait_event_type = 'Lock' AND query LIKE ${`%/* ${tag} */%`} AND datname = current_database()`;
    return rows.length > 0;
  });

describe('a long poll', () => {
  test.each(['the same server', 'the other server'])('wakes on a task created through %s', async (which) => {
    const [board, elsewhere] = await servers.board();
    await board.lane('work');
    const waiting = await startWaiting(board);
    const task = await (which === 'the same server' ? board : elsewhere).task('work');
    const answer = await waiting.answer;
    expect(only(answer.body.claims as Claim[]).task.id).toBe(task.id);
    expect(answer.headers.get('Preference-Applied')).toBe(`wait=${WAIT_SECONDS}`);
  });

  test.each([
    ['released', (board: TestBoard, claim: Claim) => endClaim(board.server, claim, 'release')],
    [
      'ended, which makes room under the cap',
      (board: TestBoard, claim: Claim) => endClaim(board.server, claim, 'complete'),
    ],
    [
      'unblocked',
      async (board: TestBoard, claim: Claim) => {
        await endClaim(board.server, claim, 'block', { reason: 'x' });
        return board.operate(claim.task.id, 'unblock');
      },
    ],
  ])('wakes when a task is %s through the other server', async (_what, act) => {
    const [board, elsewhere] = await servers.board();
    await board.lane('work', { max_concurrent_claims: 1 });
    await board.tasks('work', 2);
    const held = await board.claim('work');
    const waiting = await startWaiting(board);
    expectStatus(await act(elsewhere, held), 200);
    expect((await waiting.answer).body.claims).toHaveLength(1);
  });

  test('wakes when its lane is resumed, and when the lane is registered after it was removed it is told', async () => {
    const [board, elsewhere] = await servers.board();
    await board.lane('work');
    await board.task('work');
    await board.call('POST', '/lanes/work/pause');
    const waiting = await startWaiting(board);
    expectStatus(await elsewhere.call('POST', '/lanes/work/resume'), 200);
    expect((await waiting.answer).body.claims).toHaveLength(1);
  });

  test('is told at once when its lane is deregistered meanwhile', async () => {
    const [board, elsewhere] = await servers.board();
    await board.lane('work');
    const waiting = await startWaiting(board);
    expectStatus(await elsewhere.call('DELETE', '/lanes/work'), 204, 200);
    expect((await waiting.answer).code).toBe('lane_not_found');
  });

  test('answers empty with the reason at the end of its wait, not before', async () => {
    const [board] = await servers.board();
    await board.lane('work');
    const startedAt = performance.now();
    const answer = await board.claims('work', {}, { waitSeconds: 1 });
    expect(answer.body).toMatchObject({ claims: [], reason: 'none_ready' });
    expect(performance.now() - startedAt).toBeGreaterThan(990);
    await board.call('POST', '/lanes/work/pause');
    expect((await board.claims('work', {}, { waitSeconds: 1 })).body.reason).toBe('lane_paused');
  });

  test('holds no database connection: far more than the pool wait, and others are served', async () => {
    const [board] = await servers.board();
    await board.lane('work');
    const waiting = Array.from({ length: 60 }, () => board.claims('work', {}, { waitSeconds: WAIT_SECONDS }));
    await untilWaiting(board.server, 60);
    await board.tasks('work', 60);
    const claims = (await Promise.all(waiting)).flatMap((answer) => answer.body.claims as Claim[]);
    expect(new Set(claims.map((claim) => claim.task.id)).size).toBe(60);
  });

  test('serves its waiters in the order they came', async () => {
    const [board] = await servers.board();
    await board.lane('work');
    const answers: Promise<CallAnswer>[] = [];
    for (const worker of ['first', 'second', 'third']) {
      answers.push(board.claims('work', { worker }, { waitSeconds: WAIT_SECONDS }));
      await untilWaiting(board.server, answers.length);
    }
    const served: string[] = [];
    for (let left = 3; left > 0; left -= 1) {
      await board.task('work');
      await untilWaiting(board.server, left - 1);
    }
    for (const answer of await Promise.all(answers))
      served.push(...answer.body.claims.map((claim: Claim) => claim.task.id));
    expect([...served].sort()).toEqual(served);
  });

  test('passes a wake-up on that came while it was being given another task', async () => {
    const [board, elsewhere] = await servers.board();
    await board.lane('work', { max_concurrent_claims: 10 });
    const waiting = [board.claims('work', {}, { waitSeconds: WAIT_SECONDS })];
    await untilWaiting(board.server, 1);
    waiting.push(board.claims('work', {}, { waitSeconds: WAIT_SECONDS }));
    await untilWaiting(board.server, 2);
    await servers.database.sql.begin(async (tx) => {
      // The first waiter's claim waits for its lane; tasks can be created all the while.
      await tx`SELECT FROM lanes l JOIN boards b ON b.id = l.board_id WHERE b.name = ${board.name} FOR UPDATE OF l`;
      await elsewhere.task('work');
      await untilBlocked('claims.lock_lanes');
      const { cursor } = (await board.call('GET', '')).body.board;
      const heard = board.call('GET', `/events?after=${cursor}`, { headers: { Prefer: 'wait=10' } });
      await elsewhere.task('work');
      expect((await heard).body.events).toHaveLength(1);
    });
    for (const answer of await Promise.all(waiting)) expect(answer.body.claims).toHaveLength(1);
  });
});

describe('a client that has gone while it waited', () => {
  test('never gets a task: it stays ready for another', async () => {
    const [board, elsewhere] = await servers.board();
    await board.lane('work');
    const gone = new AbortController();
    const lost = board.claims('work', { worker: 'gone' }, { waitSeconds: WAIT_SECONDS, signal: gone.signal });
    await untilWaiting(board.server, 1);
    gone.abort();
    await expect(lost).rejects.toThrow();
    // By the closing of its connection, not by the next time it would have looked.
    await untilWaiting(board.server, 0);
    const task = await elsewhere.task('work');
    expect((await elsewhere.claim('work', { worker: 'other' })).task.id).toBe(task.id);
    const claims = await board.events('&kinds=task.claimed');
    expect(claims.map((event) => event.worker)).toEqual(['other']);
  });

  test('does not keep a task that was ready at the very moment it went', async () => {
    const [board, elsewhere] = await servers.board();
    await board.lane('work');
    for (let round = 0; round < 10; round += 1) {
      const gone = new AbortController();
      const lost = board.claims(
        'work',
        { worker: 'gone' },
        { waitSeconds: WAIT_SECONDS, signal: gone.signal },
      );
      await untilWaiting(board.server, 1);
      const [task] = await Promise.all([elsewhere.task('work'), gone.abort(), lost.catch(() => undefined)]);
      const next = await elsewhere.claims('work', { worker: 'other' }, { waitSeconds: WAIT_SECONDS });
      expect(only(next.body.claims as Claim[]).task.id).toBe(task.id);
      expectStatus(await endClaim(elsewhere.server, only(next.body.claims), 'complete'), 200);
    }
  });

  test('gets nothing it could not be sent: the claim is released at once, and is no failure', async () => {
    const [board, elsewhere] = await servers.board();
    await board.lane('work');
    const task = await board.task('work');
    // The claim waits for the counter row, its last step; the client goes between the request and the answer.
    await servers.database.sql.begin(async (tx) => {
      await tx`SELECT FROM board_seq s JOIN boards b ON b.id = s.board_id WHERE b.name = ${board.name} FOR UPDATE OF s`;
      const { hostname, port } = new URL(board.server.url);
      const socket = connect({ host: hostname, port: Number(port) });
      socket.write(
        `POST ${board.path('/lanes/work/claims')} HTTP/1.1\r\nHost: ${hostname}\r\nAuthorization: Bearer ${ADMIN_KEY}\r\nContent-Length: 0\r\n\r\n`,
      );
      await untilBlocked('claims.claim');
      socket.destroy();
    });
    const next = await elsewhere.claims('work', { worker: 'other' }, { waitSeconds: WAIT_SECONDS });
    const claim = only(next.body.claims as Claim[]);
    expect(claim).toMatchObject({ attempt: 2, task: { id: task.id, consecutive_failures: 0 } });
    expect(claim.handoff.attempts).toMatchObject([{ outcome: 'released' }]);
    const released = only(await board.events('&kinds=task.released'));
    expect(released.actor).toEqual({ type: 'system', id: 'delivery' });
  });
});
