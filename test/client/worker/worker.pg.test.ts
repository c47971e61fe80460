/** Workers of the SDK beside a real server, in every way in which a lane can be served. */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type Client, connect } from '../../../src/client/client.ts';
import { LanekeeperError } from '../../../src/client/errors.ts';
import { Block, Fatal, RetryAfter } from '../../../src/client/worker/handler-end.ts';
import type { Handler } from '../../../src/client/worker/handler-run.ts';
import type { TaskAbortedError } from '../../../src/client/worker/task-aborted.ts';
import type { Worker, WorkerOptions } from '../../../src/client/worker/worker.ts';
import { WorkerReplacedError } from '../../../src/client/worker/worker-error.ts';
import { makeBoard, type TestBoard } from '../../fixtures/board.ts';
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts';
import { eventually, only } from '../../fixtures/eventually.ts';
import { ADMIN_KEY, startTestServer, type TestServer } from '../../fixtures/server.ts';

let database: TestDatabase;
let server: TestServer;
beforeAll(async () => {
  database = await createTestDatabase();
  server = await startTestServer(database.url);
});
afterAll(async () => {
  await server.stop();
  await database.drop();
});

interface Site {
  readonly board: TestBoard;
  readonly client: Client;
  /** Runs until the test is over, if it has not been stopped by then. */
  readonly start: (handler: Handler, options?: Partial<WorkerOptions>) => Started;
}

interface Started {
  readonly worker: Worker;
  readonly ended: Promise<unknown>;
  readonly log: string[];
}

async function openSite(lane: Readonly<Record<string, unknown>> = {}): Promise<Site> {
  const board = await makeBoard(server);
  await board.lane('work', lane);
  const client = connect({ url: server.url, token: ADMIN_KEY, board: board.name });
  const start: Site['start'] = (handler, options = {}) => {
    const log: string[] = [];
    const logger = { info: (text: string) => log.push(text), warn: (text: string) => log.push(text) };
    const worker = client.worker({ lane: 'work', logger, ...options }, handler);
    const ended = worker.run().then(
      () => 'ended',
      (error: unknown) => error,
    );
    onTestFinished(() => worker.stop({ hard: true }));
    return { worker, ended, log };
  };
  return { board, client, start };
}

function promised<T = void>() {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((yes) => {
    resolve = yes;
  });
  return { promise, resolve };
}

const aborted = (signal: AbortSignal): Promise<TaskAbortedError> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve(signal.reason);
    signal.addEventListener('abort', () => resolve(signal.reason));
  });

const lastRun = async (board: TestBoard, task: string) => (await board.runs(task)).at(-1);

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
      const client = connect({
        url: server.url,
        token: ADMIN_KEY,
        board: board.name,
        signal: ending.signal,
      });
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

/** Over which a worker hears at once of what others do to its claims. */
const modesWithSocket = ['pull-or-watch', 'push'] as const;

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

describe('what a handler throws', () => {
  const cases: { what: string; thrown: () => unknown; status: string; run: object; task?: object }[] = [
    {
      what: 'an error: the attempt has failed, and is tried again',
      thrown: () => new RangeError('too far'),
      status: 'scheduled',
      run: { outcome: 'failed', error: 'RangeError: too far' },
      task: { consecutive_failures: 1 },
    },
    {
      what: 'something that is no error: the same',
      thrown: () => 'just text',
      status: 'scheduled',
      run: { outcome: 'failed', error: 'just text' },
    },
    {
      what: 'RetryAfter: it is given back for so long, and nothing is counted',
      thrown: () => new RetryAfter(90_000, 'the press is warming up'),
      status: 'scheduled',
      run: { outcome: 'released' },
      task: { consecutive_failures: 0 },
    },
    {
      what: 'Fatal: nobody tries it again',
      thrown: () => new Fatal('no such part'),
      status: 'blocked',
      run: { outcome: 'failed', error: 'no such part' },
      task: { blocked: { kind: 'gave_up' } },
    },
    {
      what: 'Block: it waits for what it needs',
      thrown: () => new Block({ kind: 'needs_input', reason: 'which colour?' }),
      status: 'blocked',
      run: { outcome: 'blocked' },
      task: { blocked: { kind: 'needs_input', reason: 'which colour?' }, consecutive_failures: 0 },
    },
  ];
  test.each(cases)('$what', async ({ thrown, status, run, task }) => {
    const { board, start } = await openSite();
    const { id } = await board.task('work', { max_failures: 5, backoff: { base_seconds: 300 } });
    const { worker, log } = start(() => Promise.reject(thrown()));
    await eventually('it has ended', async () => (await board.read(id)).status === status);
    expect(await board.read(id)).toMatchObject(task ?? {});
    expect(await lastRun(board, id)).toMatchObject(run);
    await worker.stop();
    expect(log.join('\n')).not.toMatch(/could not be reported/);
  });
});

describe('a handler', () => {
  test('finds the checkpoint of an earlier attempt, and what people said to it then', async () => {
    const { board, client, start } = await openSite();
    const { id } = await board.task('work', { max_failures: 3, backoff: { base_seconds: 0 } });
    await client.tasks.steer(id, 'mind the gap');
    const seen: unknown[] = [];
    const { worker } = start(async (_, context) => {
      seen.push([context.attempt, context.checkpoint, context.handoff.messages.map(({ text }) => text)]);
      if (context.attempt === 1) {
        await context.progress(0.5, 'half of it', { checkpoint: { line: 7 }, metadata: { speed: 2 } });
        throw new Error('the power went');
      }
      return { summary: 'all of it' };
    });
    await board.untilStatus(id, 'done');
    await worker.stop();
    expect(seen).toEqual([
      [1, null, ['mind the gap']],
      [2, { line: 7 }, ['mind the gap']],
    ]);
    expect(await board.runs(id)).toMatchObject([
      { outcome: 'failed', checkpoint: { line: 7 }, metadata: { speed: 2 } },
      { outcome: 'completed' },
    ]);
  });

  test('goes on being heard of while its worker drains, however short the lease', async () => {
    const { board, start } = await openSite();
    const { id } = await board.task('work');
    const [began, finish] = [promised(), promised()];
    const { worker, ended } = start(
      async (_, context) => {
        began.resolve();
        await finish.promise;
        context.log('still here');
      },
      { leaseSeconds: 1 },
    );
    await began.promise;
    const stopped = worker.stop();
    const claimedAt = Date.now();
    await eventually('the lease was renewed three times over', async () => {
      const { claim } = await board.read(id);
      return claim !== null && Date.parse(claim.lease_expires_at) - claimedAt > 3_000;
    });
    finish.resolve();
    await stopped;
    expect(await ended).toBe('ended');
    expect(await board.read(id)).toMatchObject({ status: 'done', attempt: 1 });
  });

  test.each(modesWithSocket)(
    'whose claim was taken from it is told at once, and reports nothing (%s)',
    async (mode) => {
      const { board, start } = await openSite({ claim_mode: mode });
      const { id } = await board.task('work');
      const reason = promised<string>();
      const { worker, log } = start(
        async (_, { signal }) => {
          reason.resolve((await aborted(signal)).reason);
          return { summary: 'too late' };
        },
        { concurrency: 1, tasksMax: 1 },
      );
      await board.untilStatus(id, 'running');
      await board.operate(id, 'reclaim', {});
      expect(await reason.promise).toBe('claim_lost');
      await worker.stop();
      expect(await board.runs(id)).toMatchObject([{ outcome: 'reclaimed', summary: null }]);
      expect(log.join('\n')).toContain('lost');
    },
  );

  test('that takes longer than it may is told, and has failed', async () => {
    const { board, start } = await openSite();
    const { id } = await board.task('work', { backoff: { base_seconds: 300 } });
    const reason = promised<string>();
    const { worker } = start(
      async (_, { signal }) => {
        reason.resolve((await aborted(signal)).reason);
        signal.throwIfAborted();
      },
      { timeoutSeconds: 0.05 },
    );
    expect(await reason.promise).toBe('timeout');
    await board.untilStatus(id, 'scheduled');
    expect(await lastRun(board, id)).toMatchObject({ outcome: 'failed', error: 'timed out after 0.05 s' });
    await worker.stop();
  });

  test('that does not care about its signal keeps nobody from leaving: its claim is given back, and the log says so', async () => {
    const { board, start } = await openSite();
    const { id } = await board.task('work');
    const { worker, ended, log } = start(() => new Promise(() => undefined), {
      drainSeconds: 0,
      graceSeconds: 0.05,
    });
    await board.untilStatus(id, 'running');
    await worker.stop();
    expect(await ended).toBe('ended');
    expect(await board.read(id)).toMatchObject({ status: 'ready', consecutive_failures: 0 });
    expect(log.join('\n')).toContain('goes on although it was told to stop');
  });

  test('prints streams and lines, which people read in order', async () => {
    const { board, client, start } = await openSite();
    const { id } = await board.task('work');
    const { worker } = start(async (_, context) => {
      context.log('first');
      await context.output('second\nthird');
      await context.output(new Response('fourth\nfi').body ?? '');
      await context.output(
        (async function* () {
          yield 'six';
          yield new TextEncoder().encode('th\n');
        })(),
      );
    });
    await board.untilStatus(id, 'done');
    const { lines } = await client.tasks.output(id);
    expect(lines.map(({ text }) => text)).toEqual(['first', 'second', 'third', 'fourth', 'fi', 'sixth']);
    await worker.stop();
  });

  test('makes tasks and delegations in the name of its own, and collects what comes of them', async () => {
    const { board, start } = await openSite();
    await board.lane('parts');
    const { id } = await board.task('work');
    const results = promised<unknown>();
    const { worker } = start(async (_, context) => {
      const { id: extra } = await context.createTask({ title: 'an extra', lane: 'parts' });
      const { delegation } = await context.delegate({ lane: 'parts', goal: 'a wheel' });
      await context.comment('it has begun');
      const collected = await context.collect(delegation?.id ?? '');
      results.resolve([extra, collected.status, collected.results?.map(({ summary }) => summary)]);
    });
    const { worker: helper } = start((task) => Promise.resolve({ summary: `made ${task.title}` }), {
      lane: 'parts',
      concurrency: 2,
    });
    expect(await results.promise).toEqual([expect.stringMatching(/^task_/), 'completed', ['made a wheel']]);
    await board.untilStatus(id, 'done');
    await Promise.all([worker.stop(), helper.stop()]);
  });

  test('waits for room to delegate, of which its claim is not told, no longer than a moment', async () => {
    const { board, client, start } = await openSite();
    await board.lane('parts');
    await client.boards.patch(board.name, { settings: { delegation_capacity: 1 } });
    const { id } = await board.task('work');
    const waits = promised<string>();
    const { worker } = start(async (_, context) => {
      const child = { lane: 'parts', goal: 'a wheel' };
      const { delegation: first } = await context.delegate(child);
      const onWait = () => waits.resolve(first?.id ?? '');
      const { delegation } = await context.delegate({ ...child, onCapacity: 'wait', onWait });
      return { summary: delegation?.id ?? '' };
    });
    const first = await waits.promise;
    // Past the look that follows upon the refusal: from here on nothing tells the claim that there is room.
    await client.events.list({ after: 'now', kinds: 'lane.updated' }, { waitSeconds: 1 });
    await client.delegations.cancel(first);
    const freedAtMs = performance.now();
    const { summary } = await board.untilStatus(id, 'done');
    expect(performance.now() - freedAtMs).toBeLessThan(6_000);
    expect(summary).toMatch(/^deleg_/);
    await worker.stop();
  });

  test('hands its work to a reviewer, whose handler sends it back', async () => {
    const { board, start } = await openSite();
    await board.lane('check');
    const { id } = await board.task('work');
    const { worker } = start(async (_, context) => {
      if (context.handoff.review !== null) return { summary: `again: ${context.handoff.review}` };
      await context.requestReview({ reviewer: 'check', summary: 'look' });
      await expect(context.block({ reason: 'no' })).rejects.toThrow('ended already');
      return { summary: 'counts no more' };
    });
    const { worker: reviewer } = start(
      async (_, context) => void (await context.requestChanges('paint it red')),
      {
        lane: 'check',
      },
    );
    expect(await board.untilStatus(id, 'done')).toMatchObject({ summary: 'again: paint it red' });
    await Promise.all([worker.stop(), reviewer.stop()]);
  });
});

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
