/** The push link against the real server: what it is handed, holds, ends and keeps over a cut. */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { connect } from '../../../src/client/client.ts';
import { PushLink } from '../../../src/client/worker/push-link.ts';
import type { PushOptions } from '../../../src/client/worker/push-options.ts';
import type { PushedClaim } from '../../../src/contract/frames.ts';
import { makeBoard, type TestBoard } from '../../fixtures/board.ts';
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts';
import { eventually, only } from '../../fixtures/eventually.ts';
import { startProxy, type TestProxy } from '../../fixtures/proxy.ts';
import { openWorker, pushLane } from '../../fixtures/push-worker.ts';
import { ADMIN_KEY, startTestServer, type TestServer } from '../../fixtures/server.ts';

/** Instead of five seconds, so that a claim that nobody acknowledges lapses soon. */
const SHORT_ACK_MS = 400;

let database: TestDatabase;
let server: TestServer;
let proxy: TestProxy;

beforeAll(async () => {
  database = await createTestDatabase();
  server = await startTestServer(database.url, {}, { claimAckMs: SHORT_ACK_MS });
  proxy = await startProxy(server.url);
});
afterAll(async () => {
  await proxy.stop();
  await server.stop();
  await database.drop();
});

class Worker {
  readonly held = new Map<string, PushedClaim>();
  /** Everything that ever came. */
  readonly claims: PushedClaim[] = [];
  readonly link: PushLink;
  readonly running: Promise<void>;

  constructor(board: TestBoard, options: Partial<PushOptions> = {}) {
    const { transport } = connect({ url: proxy.url, token: ADMIN_KEY });
    const onClaim = (claim: PushedClaim): void => {
      this.held.set(claim.run_id, claim);
      this.claims.push(claim);
    };
    const limits = { backoffBaseMs: 10 };
    this.link = new PushLink(
      { transport, board: board.name, webSocket: undefined },
      { lane: 'work', worker: 'w', onClaim, limits, ...options },
    );
    this.running = this.link.run();
    this.running.catch(() => undefined);
    onTestFinished(() => this.link.close());
  }

  untilLive(): Promise<true> {
    return eventually('the link is live', () => this.link.state === 'live');
  }

  untilClaims(count: number): Promise<true> {
    return eventually(`${count} claims`, () => this.claims.length >= count);
  }

  async complete(runId: string): Promise<void> {
    expect(await this.link.end(runId, { verb: 'complete', body: {} })).toEqual({
      outcome: 'completed',
      taskStatus: 'done',
    });
    this.held.delete(runId);
  }
}

const board = async (): Promise<TestBoard> => pushLane(await makeBoard(server));

describe('over the push link', () => {
  test.each([true, false])(
    'all work comes once, never more than the worker can hold (tokens: %s)',
    async (tokens) => {
      const here = await board();
      const tasks = await here.tasks('work', 15);
      const concurrency = 3;
      let most = 0;
      const ending: Promise<void>[] = [];
      const worker: Worker = new Worker(here, {
        tokens,
        onClaim: (claim) => {
          expect(claim.token !== undefined).toBe(tokens);
          worker.claims.push(claim);
          worker.held.set(claim.run_id, claim);
          most = Math.max(most, worker.held.size);
          // The later of two is ended first, so that what is held changes in turns.
          if (worker.claims.length % 2 === 1 && worker.claims.length < tasks.length) return;
          for (const runId of [...worker.held.keys()].reverse())
            ending.push(
              worker.complete(runId).then(() => worker.link.setCredits(concurrency - worker.held.size)),
            );
        },
      });
      worker.link.setCredits(concurrency);
      await worker.untilClaims(tasks.length);
      await Promise.allSettled(ending);
      expect(most).toBeLessThanOrEqual(concurrency);
      const done = await Promise.all(tasks.map((task) => here.read(task.id)));
      expect(new Set(done.map((task) => `${task.status} ${task.attempt}`))).toEqual(new Set(['done 1']));
    },
  );

  test('a claim is acknowledged by itself: it stays where another that is not goes back', async () => {
    const here = await board();
    const worker = new Worker(here);
    worker.link.setCredits(1);
    const kept = await here.task('work');
    await worker.untilClaims(1);
    const silent = await openWorker(here, { worker: 'silent' });
    await silent.credit(1);
    const lost = await here.task('work');
    // Pushed after ours: when it has lapsed, ours would have too.
    await here.until(lost.id, (task) => task.attempt === 1 && task.status === 'ready', 'has gone back');
    expect(await here.read(kept.id)).toMatchObject({ status: 'running', attempt: 1 });
  });

  test('claims that are held go on after the socket was cut, and so do the credits', async () => {
    const here = await board();
    const worker = new Worker(here, { tokens: false });
    worker.link.setCredits(2);
    const [first] = await here.tasks('work', 1);
    await worker.untilClaims(1);
    const { run_id } = only(worker.claims);
    // Answered, so the acknowledgement before it has been read.
    await worker.link.heartbeat(run_id, {});
    proxy.cut();
    await eventually('the cut is noticed', () => worker.link.state !== 'live');
    await expect(worker.link.heartbeat(run_id, {})).rejects.toMatchObject({ code: 'unreachable' });
    proxy.pass();
    await worker.untilLive();
    expect(await worker.link.heartbeat(run_id, { note: 'still here' })).toMatchObject({
      cancel_requested: false,
    });
    await here.tasks('work', 2);
    await worker.untilClaims(2);
    await worker.complete(run_id);
    expect(await here.read(first?.id ?? '')).toMatchObject({ status: 'done', attempt: 1 });
    expect(worker.claims, 'room for two').toHaveLength(2);
    worker.link.setCredits(1);
    await worker.untilClaims(3);
  });

  test('every verb of a holder reaches the server, and its refusals come back as problems', async () => {
    const here = await board();
    const heard: string[] = [];
    const worker = new Worker(here, {
      onCancel: ({ run_id }) => heard.push(run_id),
      onSteer: ({ message }) => heard.push(message.text),
    });
    worker.link.setCredits(3);
    const [a, b, c] = await here.tasks('work', 3);
    await worker.untilClaims(3);
    const runOf = (id = ''): string => worker.claims.find((claim) => claim.task.id === id)?.run_id ?? '';
    await worker.link.output(runOf(a?.id), ['a line']);
    const steered = await here.operate(a?.id ?? '', 'steer', { message: 'faster' });
    await here.operate(a?.id ?? '', 'cancel', {});
    await eventually('both are heard', () => heard.length === 2);
    expect(heard).toEqual(['faster', runOf(a?.id)]);
    await worker.link.acknowledge(runOf(a?.id), [steered.body.message.id]);
    expect(await worker.link.end(runOf(a?.id), { verb: 'release', body: {} })).toEqual({
      outcome: 'cancelled',
      taskStatus: 'cancelled',
    });
    const block = { verb: 'block', body: { reason: 'which one?', kind: 'needs_input' } } as const;
    expect(await worker.link.end(runOf(b?.id), block)).toMatchObject({ taskStatus: 'blocked' });
    const fail = { verb: 'fail', body: { error: 'jammed', permanent: true } } as const;
    expect(await worker.link.end(runOf(c?.id), fail)).toMatchObject({ outcome: 'failed' });
    const again = worker.link.end(runOf(c?.id), { verb: 'complete', body: {} });
    await expect(again).rejects.toMatchObject({ name: 'LanekeeperError', code: 'claim_lost' });
    const bad = worker.link.heartbeat(runOf(c?.id), { progress: Number.POSITIVE_INFINITY });
    await expect(bad).rejects.toMatchObject({ name: 'LanekeeperError' });
    expect(worker.link.state).toBe('live');
  });

  test('what others do to its claims, and who takes its lane over, is heard without asking', async () => {
    const here = await board();
    const heard: string[] = [];
    const worker = new Worker(here, {
      onClaimLost: (runId, { code, problem }) => heard.push(`${code} ${problem['reason']} ${runId}`),
      onTakenOver: (taker) => heard.push(taker),
    });
    worker.link.setCredits(1);
    const [task] = await here.tasks('work', 1);
    await worker.untilClaims(1);
    await here.operate(task?.id ?? '', 'reclaim', {});
    const { run_id: runId } = only(worker.claims);
    await eventually('the reclaim', () => heard.includes(`claim_lost reclaimed ${runId}`));
    await here.call('POST', '/lanes/work/takeover', { body: { mode: 'release', worker: 'other' } });
    await eventually('the takeover', () => heard.includes('other'));
    expect(worker.link.state).toBe('live');
  });

  test('nothing comes after claims were stopped, and the worker leaves with run resolved', async () => {
    const here = await board();
    const worker = new Worker(here);
    worker.link.setCredits(5);
    await here.tasks('work', 2);
    await worker.untilClaims(2);
    await worker.link.stopClaims();
    const { length } = worker.claims;
    const [late] = await here.tasks('work', 1);
    const other = await openWorker(here, { worker: 'other' });
    await other.credit(1);
    expect((await other.claim()).task.id).toBe(late?.id);
    expect(worker.claims).toHaveLength(length);
    worker.link.close();
    await worker.running;
  });

  test.each([
    ['another socket says hello as the same worker', 'superseded'],
    ['there is no such lane', 'lane_not_found'],
  ])('it ends for good when %s', async (_, code) => {
    const here = await makeBoard(server);
    if (code === 'superseded') await here.lane('work', { claim_mode: 'push' });
    const worker = new Worker(here);
    worker.link.setCredits(1);
    if (code === 'superseded') {
      await worker.untilLive();
      await openWorker(here, { worker: 'w' });
    }
    await expect(worker.running).rejects.toMatchObject({ name: 'LanekeeperError', code });
  });

  test('a lane that is none to push to any more brings no claims, and the one that is held ends over it', async () => {
    const here = await board();
    const ended: string[] = [];
    const worker = new Worker(here, { tokens: false, onCreditsEnded: ({ code }) => ended.push(code) });
    worker.link.setCredits(1);
    await here.tasks('work', 1);
    await worker.untilClaims(1);
    worker.link.setCredits(1);
    await here.lane('work', { claim_mode: 'pull' });
    await eventually('it is said', () => ended.length > 0);
    expect(ended).toEqual(['claim_mode_mismatch']);
    await worker.complete(only(worker.claims).run_id);
  });
});
