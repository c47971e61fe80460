/** Workers of the SDK beside a real server, in every way in which a lane can be served. */
import { describe, expect, test } from 'vitest';
import { connect } from '../../../src/client/client.ts';
import { LanekeeperError } from '../../../src/client/errors.ts';
import type { Handler } from '../../../src/client/worker/handler-run.ts';
import { WorkerReplacedError } from '../../../src/client/worker/worker-error.ts';
import { eventually, only } from '../../fixtures/eventually.ts';
import { ADMIN_KEY } from '../../fixtures/server.ts';
import { aborted, modesWithSocket, promised, useWorkerSites } from './worker-site.ts';

const { openSite, url } = useWorkerSites();

for (const mode of ['pull', 'watch', 'push'] as const) {
  describe(`a worker of a lane in ${mode} mode`, () => {
    test('does what is there and what comes, and leaves when it is told to', async () => {
      const { board, start } = await openSite({ claim_mode: mode });
      const first = await board.task('work', { payload: { n: 20 } });
      const { worker, ended } = start((task) => Promise.resolve({ summary: 'done', result: task.payload }), {
        concurrency: 2,
      });
      expect(await board.untilStatus(first.id, 'done')).toMatchObject({ summary: 'done', result: { n: 20 } });
      const later = await board.tasks('work', 5);
      for (const { id } of later) await board.untilStatus(id, 'done');
      await worker.stop();
      expect(await ended).toBe('ended');
      expect(worker.startedCount).toBe(6);
    });

    test('tells a handler that a cancel was requested, and what it was told by people', async () => {
      const { board, client, start } = await openSite({ claim_mode: mode });
      const { id } = await board.task('work');
      const told = promised<string>();
      const reason = promised<string>();
      const { ended, worker } = start(
        async (_, context) => {
          for await (const { text } of context.messages) told.resolve(text);
          reason.resolve((await aborted(context.signal)).reason);
          context.signal.throwIfAborted();
        },
        { leaseSeconds: mode === 'pull' ? 1 : 600 },
      );
      await board.untilStatus(id, 'running');
      await client.tasks.steer(id, 'faster');
      expect(await told.promise).toBe('faster');
      await eventually('the message is acknowledged', async () => {
        const { messages } = await client.tasks.messages(id);
        return messages[0]?.state === 'acknowledged';
      });
      await client.tasks.cancel(id, { reason: 'not wanted' });
      expect(await reason.promise).toBe('cancelled');
      await board.untilStatus(id, 'cancelled');
      await worker.stop();
      expect(await ended).toBe('ended');
    });

    test('that is stopped in the middle gives its claims back, which burns no attempt', async () => {
      const { board, start } = await openSite({ claim_mode: mode });
      const tasks = await board.tasks('work', 6);
      const reasons: string[] = [];
      const { worker, ended } = start(
        async (_, { signal }) => {
          reasons.push((await aborted(signal)).reason);
          signal.throwIfAborted();
        },
        { concurrency: 4, drainSeconds: 0 },
      );
      await eventually('four are running', () => worker.runningCount === 4);
      await worker.stop();
      expect(await ended).toBe('ended');
      expect(reasons).toEqual(['shutdown', 'shutdown', 'shutdown', 'shutdown']);
      for (const { id } of tasks) {
        expect(await board.untilStatus(id, 'ready')).toMatchObject({ consecutive_failures: 0 });
      }
      const { worker: next } = start(() => Promise.resolve(), { concurrency: 4 });
      for (const { id } of tasks) await board.untilStatus(id, 'done');
      await next.stop();
    });

    test('whose client is ended stops at once: handlers are told, and nothing goes on', async () => {
      const { board } = await openSite({ claim_mode: mode });
      const ending = new AbortController();
      const client = connect({ url: url(), token: ADMIN_KEY, board: board.name, signal: ending.signal });
      const begun = await board.task('work');
      const reasons: string[] = [];
      const handler: Handler = async (_, context) => {
        // What is said when nothing gets through any more bothers nobody.
        context.log('begun');
        reasons.push((await aborted(context.signal)).reason);
        void context.progress(1);
      };
      const worker = client.worker({ lane: 'work', logger: null, drainSeconds: 600 }, handler);
      const idle = client.worker({ lane: 'work', logger: null }, handler);
      const working = worker.run();
      await board.untilStatus(begun.id, 'running');
      const waiting = idle.run();
      const endedAtMs = performance.now();
      ending.abort(new Error('enough'));
      expect(await Promise.all([working, waiting])).toEqual([undefined, undefined]);
      // Far below drainSeconds, and below what a hard stop waits at the most.
      expect(performance.now() - endedAtMs).toBeLessThan(10_000);
      expect(reasons).toEqual(['shutdown']);
      await client.worker({ lane: 'work', logger: null }, handler).run();
    });
  });
}

test.each(modesWithSocket)(
  'workers that leave in the middle of a heap of work lose nothing of it, and burn no attempt (%s)',
  async (claim_mode) => {
    const { board, start } = await openSite({ claim_mode });
    const tasks = await board.tasks('work', 200, { max_failures: 1 });
    const finished = new Map<string, number>();
    const handler: Handler = async ({ id }, { signal }) => {
      for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      signal.throwIfAborted();
      finished.set(id, (finished.get(id) ?? 0) + 1);
      return { summary: 'made' };
    };
    for (const until of [30, 60, 90]) {
      const { worker, ended } = start(handler, { concurrency: 16, drainSeconds: 0 });
      await eventually(`${until} are done`, () => finished.size >= until);
      await worker.stop();
      expect([await ended, worker.runningCount]).toEqual(['ended', 0]);
      // What the server was just claiming for us it gives back itself; nothing is left to a lease.
      await eventually('nobody holds anything', async () => {
        const { body } = await board.call('GET', '/tasks?status=running');
        return body.tasks.length === 0;
      });
    }
    const { worker } = start(handler, { concurrency: 16 });
    await eventually('all are done', async () => {
      const { body } = await board.call('GET', `/tasks?status=done&limit=${tasks.length}`);
      return body.tasks.length === tasks.length;
    });
    await worker.stop();
    expect([...finished.values()].filter((times) => times !== 1)).toEqual([]);
    const ends = await board.events('&kinds=task.failed,task.crashed,task.timed_out,task.gave_up');
    expect(ends).toEqual([]);
  },
);

describe('a worker', () => {
  test('without tokens does everything over its socket', async () => {
    const { board, client, start } = await openSite({ claim_mode: 'push' });
    const { id } = await board.task('work');
    const { worker } = start(
      async (_, context) => {
        expect(context.token).toBeNull();
        await context.progress(0.5, 'half', { checkpoint: 1 });
        for await (const { text } of context.messages) {
          await context.output(text);
          return { summary: text };
        }
        throw new Error('nobody said anything');
      },
      { tokens: false, leaseSeconds: 1 },
    );
    await board.untilStatus(id, 'running');
    await client.tasks.steer(id, 'now');
    expect(await board.untilStatus(id, 'done')).toMatchObject({ summary: 'now', attempt: 1 });
    expect(await client.tasks.output(id)).toMatchObject({ lines: [{ text: 'now' }] });
    expect(await client.tasks.messages(id)).toMatchObject({ messages: [{ state: 'acknowledged' }] });
    await worker.stop();
  });

  test.each([
    ['pull-or-watch', 'push'],
    ['push', 'watch'],
  ] as const)('of a lane that changes from %s to %s and back under it goes on', async (before, after) => {
    const { board, start } = await openSite({ claim_mode: before });
    const first = await board.task('work');
    const { worker } = start(() => Promise.resolve());
    await board.untilStatus(first.id, 'done');
    for (const claim_mode of [after, before]) {
      await board.lane('work', { claim_mode });
      const next = await board.task('work');
      await board.untilStatus(next.id, 'done');
    }
    await worker.stop();
  });

  test.each(modesWithSocket)('of whose name there is a newer one leaves (%s)', async (claim_mode) => {
    const { board, start } = await openSite({ claim_mode });
    const { ended } = start(() => Promise.resolve(), { worker: 'twin' });
    const answer = async () => (await board.call('GET', '/lanes/work')).body.lane.presence.workers;
    await eventually('it is online', async () => (await answer()).length === 1);
    const { worker: newer } = start(() => Promise.resolve(), { worker: 'twin' });
    const error = await ended;
    expect(error).toBeInstanceOf(WorkerReplacedError);
    expect(error).toMatchObject({ how: 'superseded' });
    await newer.stop();
  });

  test('of a lane that there is not says so; asked to, it registers one of its mode', async () => {
    const { board, start } = await openSite();
    const { ended } = start(() => Promise.resolve(), { lane: 'new' });
    expect(await ended).toMatchObject({ code: 'lane_not_found' });
    const { worker } = start(() => Promise.resolve(), { lane: 'new', register: true, mode: 'push' });
    await eventually('the lane is there', async () => (await board.call('GET', '/lanes/new')).status === 200);
    expect((await board.call('GET', '/lanes/new')).body.lane).toMatchObject({ claim_mode: 'push' });
    await worker.stop();
  });

  test('that wants another mode than the lane has says so', async () => {
    const { start } = await openSite({ claim_mode: 'push' });
    const error = await start(() => Promise.resolve(), { mode: 'pull' }).ended;
    expect(error).toBeInstanceOf(LanekeeperError);
    expect(error).toMatchObject({ code: 'claim_mode_mismatch' });
  });

  test('never holds more than it was told, and leaves after as many tasks as it was to do', async () => {
    const { board, start } = await openSite({ claim_mode: 'push' });
    await board.tasks('work', 8);
    let [now, most] = [0, 0];
    const { worker, ended } = start(
      async () => {
        now += 1;
        most = Math.max(most, now);
        await new Promise((resolve) => setImmediate(resolve));
        now -= 1;
      },
      { concurrency: 3, tasksMax: 7 },
    );
    expect(await ended).toBe('ended');
    expect([worker.startedCount, most]).toEqual([7, 3]);
    const { body } = await board.call('GET', '/tasks?status=ready');
    expect(only(body.tasks)).toMatchObject({ consecutive_failures: 0 });
  });
});
