/** A worker beside a scripted server: one lane in pull mode, one task, and what happens to its end. */
import { expect, onTestFinished, test, vi } from 'vitest';
import { connect } from '../../../src/client/client.ts';
import { LanekeeperError } from '../../../src/client/errors.ts';
import { Block } from '../../../src/client/worker/handler-end.ts';
import type { Handler } from '../../../src/client/worker/handler-run.ts';
import type { WorkerOptions } from '../../../src/client/worker/worker.ts';
import { UnreportedEndsError } from '../../../src/client/worker/worker-error.ts';
import { eventually } from '../../fixtures/eventually.ts';
import { type FetchedRequest, type ScriptedAnswer, scriptedFetch } from '../fixtures/scripted-fetch.ts';
import { instantTiming } from '../fixtures/scripted-server.ts';

const HANDOFF = { parents: [], comments: [], attempts: [], review: null, delegation: null, messages: [] };
const CLAIM = {
  run_id: 'run_1',
  lane: 'work',
  attempt: 1,
  token: 't',
  heartbeat_interval_seconds: 20,
  task: { id: 'task_1', title: 'a', board: 'default' },
  handoff: { ...HANDOFF, truncated: [] },
};
const problem = (status: number, code: string, more: object = {}): ScriptedAnswer => ({
  status,
  json: { code, status, title: 't', detail: 'd', ...more },
});
const ended = (outcome: string): ScriptedAnswer => ({
  json: { task: { id: 'task_1', status: 'any' }, run: { run_id: 'run_1', outcome } },
});

type OnEnd = (request: FetchedRequest, count: number) => ScriptedAnswer;
const HEARD: ScriptedAnswer = { json: { lease_expires_at: 'later', cancel_requested: false, messages: [] } };

/** One lane with one task. */
function serve(onEnd: OnEnd = () => ended('any'), onHeartbeat: () => ScriptedAnswer = () => HEARD) {
  const ends: FetchedRequest[] = [];
  const { fetch, requests } = scriptedFetch((request) => {
    if (request.path.endsWith('/lanes/work'))
      return { json: { lane: { name: 'work', board: 'default', claim_mode: 'pull' } } };
    if (request.path.endsWith('/claims')) return { json: { claims: [CLAIM], cursor: 'c' } };
    if (request.path.endsWith('/heartbeat')) return onHeartbeat();
    if (request.path.endsWith('/output')) return { json: { accepted: 1 } };
    ends.push(request);
    return onEnd(request, ends.length);
  });
  return { fetch, requests, ends };
}

/** Does the one task that there is, and leaves. */
function workOnce(
  handler: Handler,
  onEnd?: OnEnd,
  options: Partial<WorkerOptions> = {},
  onHeartbeat?: () => ScriptedAnswer,
) {
  const { fetch, requests, ends } = serve(onEnd, onHeartbeat);
  const log: string[] = [];
  const logger = { info: (text: string) => log.push(text), warn: (text: string) => log.push(text) };
  const client = connect({ url: 'http://127.0.0.1:9', fetch, timing: instantTiming() });
  const worker = client.worker({ lane: 'work', tasksMax: 1, logger, ...options }, handler);
  return { worker, run: worker.run(), ends, requests, log };
}

const verbs = (ends: readonly FetchedRequest[]) =>
  ends.map(({ path, body }) => [path.split('/').at(-1), body]);

test('an end is reported again and again until the server has it, word for word', async () => {
  const { run, ends } = workOnce(
    () => Promise.resolve({ summary: 'made' }),
    (_, count) => (count < 4 ? problem(503, 'draining') : ended('completed')),
  );
  await run;
  expect(verbs(ends)).toEqual(Array.from({ length: 4 }, () => ['complete', { summary: 'made' }]));
});

test('a result that is no JSON is a failure of the attempt, and not of the worker', async () => {
  const { run, ends } = workOnce(() => Promise.resolve({ result: 10n }));
  await run;
  expect(verbs(ends)).toEqual([['fail', { error: expect.stringContaining('the result is no JSON') }]]);
});

test('a result that the API refuses is left out, and the task is done all the same', async () => {
  const { run, ends } = workOnce(
    () => Promise.resolve({ summary: 'made', result: 'x' }),
    (_, count) => (count === 1 ? problem(400, 'invalid_request') : ended('completed')),
  );
  await run;
  expect(verbs(ends).at(-1)).toEqual(['complete', { summary: expect.stringMatching(/left out\.\nmade$/) }]);
});

test('an end that nobody may report is no failure of the worker; one that is refused is', async () => {
  const lost = workOnce(
    () => Promise.resolve(),
    () => problem(409, 'claim_lost', { reason: 'cancelled' }),
  );
  await lost.run;
  expect(lost.log.join('\n')).toContain('lost (the claim is gone: cancelled)');
  const refused = workOnce(
    () => Promise.resolve(),
    () => problem(403, 'forbidden'),
  );
  await expect(refused.run).rejects.toBeInstanceOf(UnreportedEndsError);
  expect(refused.log.join('\n')).toContain('could not be reported');
});

test('a hard stop gives the claim back without waiting for its handler', async () => {
  let stop: () => void = () => undefined;
  const { worker, run, ends } = workOnce(
    () => {
      stop();
      return new Promise(() => undefined);
    },
    undefined,
    { drainSeconds: 3_600, graceSeconds: 3_600 },
  );
  stop = () => void worker.stop({ hard: true });
  await run;
  expect(verbs(ends)).toEqual([['release', { reason: 'the worker is shutting down' }]]);
});

test('a handler that takes no notice of its time limit has failed, and keeps its hand until the worker leaves', async () => {
  const { worker, run, ends, log } = workOnce(() => new Promise(() => undefined), undefined, {
    timeoutSeconds: 0.01,
    graceSeconds: 0.01,
    drainSeconds: 0,
  });
  await eventually('its end is reported', () => ends.length > 0);
  expect(verbs(ends)).toEqual([['fail', { error: 'timed out after 0.01 s' }]]);
  expect(worker.runningCount).toBe(1);
  await worker.stop();
  await run;
  expect([ends.length, log.filter((text) => text.includes('goes on')).length]).toEqual([1, 1]);
});

test('a handler that takes no notice of a lost claim is told of in the log, and reports nothing', async () => {
  const { worker, run, ends, log } = workOnce(
    (_, context) => {
      void context.progress(1);
      return new Promise(() => undefined);
    },
    undefined,
    { graceSeconds: 0.01, drainSeconds: 0 },
    () => problem(409, 'claim_lost', { reason: 'reclaimed' }),
  );
  await eventually('somebody is told', () => log.some((text) => text.includes('goes on')));
  await worker.stop();
  await run;
  expect(ends).toEqual([]);
});

test('a handler may end its run before itself; what it returns counts no more, and its methods need no object', async () => {
  const { run, ends } = workOnce(async (_, { block, log }) => {
    await block({ kind: 'needs_input', reason: 'which?' });
    log('tidied up');
    await expect(block({ reason: 'again' })).rejects.toThrow('ended already');
    return { summary: 'no' };
  });
  await run;
  expect(verbs(ends)).toEqual([['block', { kind: 'needs_input', reason: 'which?' }]]);
});

test('what keeps a worker from working at all is thrown: no handler, a number that makes no sense, a lane that is not there', async () => {
  const { fetch } = scriptedFetch(() => problem(404, 'lane_not_found'));
  const client = connect({ url: 'http://127.0.0.1:9', fetch });
  await expect(client.worker({ lane: 'work' }).run()).rejects.toThrow('no handler');
  expect(() => client.worker({ lane: 'work', concurrency: 0 })).toThrow(RangeError);
  const worker = client.worker({ lane: 'work' }).handle(() => Promise.resolve());
  await expect(worker.run()).rejects.toBeInstanceOf(LanekeeperError);
  await expect(worker.run()).rejects.toThrow('runs once');
});

test('a worker that is stopped before it runs claims nothing, and so does one whose signal has fired', async () => {
  const { fetch, requests } = scriptedFetch();
  const client = connect({ url: 'http://127.0.0.1:9', fetch });
  const worker = client.worker({ lane: 'work' }, () => Promise.resolve());
  await worker.stop();
  await worker.run();
  await client.worker({ lane: 'work', signal: AbortSignal.abort() }, () => Promise.resolve()).run();
  expect(requests).toEqual([]);
});

/** The one task, and a server whose answers to one verb a test holds back. */
function hold(verb: string, onHeartbeat?: () => ScriptedAnswer) {
  const { fetch, ends } = serve(undefined, onHeartbeat);
  let release: () => void = () => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  let isAsked = false;
  const held: typeof globalThis.fetch = async (input, init) => {
    if (String(input).endsWith(`/${verb}`)) {
      isAsked = true;
      await released;
    }
    return fetch(input, init);
  };
  const client = connect({ url: 'http://127.0.0.1:9', fetch: held, timing: instantTiming() });
  return { client, ends, release: () => release(), isAsked: () => isAsked };
}

test('a handler that has returned has done its task, whatever comes while its lines are still on their way', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  const { client, ends, release, isAsked } = hold('output');
  const signals: AbortSignal[] = [];
  const options = { lane: 'work', tasksMax: 1, logger: null, timeoutSeconds: 0.5, drainSeconds: 0 };
  const worker = client.worker(options, (_, { log, signal }) => {
    signals.push(signal);
    log('printed');
    return Promise.resolve();
  });
  const run = worker.run();
  await vi.advanceTimersByTimeAsync(300);
  expect(isAsked()).toBe(true);
  void worker.stop();
  // The time limit is over, and so is the time to drain.
  await vi.advanceTimersByTimeAsync(300);
  release();
  await run;
  expect([verbs(ends), signals.map(({ aborted }) => aborted)]).toEqual([[['complete', {}]], [false]]);
});

test('a block that the API refuses is said in plain words, and an end that it refuses in any words is a failure', async () => {
  const refused = problem(400, 'invalid_request', { detail: 'metadata is too large' });
  const blocked = workOnce(
    () => Promise.reject(new Block({ reason: 'which?', metadata: { a: 1 } })),
    (_, count) => (count === 1 ? refused : ended('blocked')),
  );
  await blocked.run;
  expect(verbs(blocked.ends).at(-1)).toEqual(['block', { reason: 'which?' }]);
  const failed = workOnce(
    () => Promise.reject(new Block({ reason: 'which?' })),
    (_, count) => (count === 1 ? refused : ended('failed')),
  );
  await failed.run;
  const [verb, body] = verbs(failed.ends).at(-1) ?? [];
  expect(verb).toBe('fail');
  expect(body).toMatchObject({ error: expect.stringContaining('metadata is too large') });
});

test('an end that the handler says itself is refused to the handler, which may say another', async () => {
  const { run, ends } = workOnce(
    async (_, { block }) => {
      await expect(block({ reason: 'x', metadata: { a: 1 } })).rejects.toMatchObject({ status: 400 });
      return { summary: 'made' };
    },
    (_, count) => (count === 1 ? problem(400, 'invalid_request') : ended('completed')),
  );
  await run;
  expect(verbs(ends).map(([verb]) => verb)).toEqual(['block', 'complete']);
});

test('a heartbeat that comes after the end that a handler is just saying tells it nothing', async () => {
  const { client, ends, release } = hold('block', () =>
    problem(409, 'claim_lost', { reason: 'ended', outcome: 'blocked' }),
  );
  const isTold: boolean[] = [];
  const worker = client.worker(
    { lane: 'work', tasksMax: 1, logger: null },
    async (_, { signal, block, progress }) => {
      const blocking = block({ reason: 'which?' });
      await expect(progress(1)).rejects.toMatchObject({ code: 'claim_lost' });
      release();
      await blocking;
      isTold.push(signal.aborted);
    },
  );
  await worker.run();
  expect([verbs(ends).length, isTold]).toEqual([1, [false]]);
});

test('claims of a request whose first answer was lost are renewed at once: their leases are as old as that', async () => {
  const { fetch, requests, ends } = serve();
  let isFirst = true;
  const lossy: typeof globalThis.fetch = async (input, init) => {
    const answer = await fetch(input, init);
    if (!String(input).endsWith('/claims') || !isFirst) return answer;
    isFirst = false;
    throw new TypeError('reset');
  };
  const client = connect({ url: 'http://127.0.0.1:9', fetch: lossy, timing: instantTiming() });
  const heartbeats = () => requests.filter(({ path }) => path.endsWith('/heartbeat')).length;
  const options = { lane: 'work', tasksMax: 1, logger: null };
  const worker = client.worker(
    options,
    async () => void (await eventually('it is renewed', () => heartbeats() > 0)),
  );
  await worker.run();
  expect(verbs(ends)).toEqual([['complete', {}]]);
});
