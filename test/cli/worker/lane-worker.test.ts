import { expect, test } from 'vitest';
import { Output } from '../../../src/cli/output.ts';
import { LaneWorker } from '../../../src/cli/worker/lane-worker.ts';
import { Reporter } from '../../../src/cli/worker/reporter.ts';
import { type Client, connect } from '../../../src/client/client.ts';
import { LanekeeperError } from '../../../src/client/errors.ts';
import type { Replacement } from '../../../src/client/worker/worker-error.ts';

const LANE = { name: 'factory', board: 'default', claim_mode: 'pull-or-watch', kind: 'spawn' };
const CLAIM = { run_id: 'run', lane: 'factory', attempt: 1, token: 't', task: { id: 'task', title: 'a' } };

function promised<T>() {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

/** A worker that has claimed, and asks now whether it may work on that; its socket closes when the test says so. */
function startWorker() {
  const answers: readonly (readonly [part: string, json: object])[] = [
    ['/claims', { claims: [CLAIM], cursor: 'c' }],
    ['/release', { task: { id: 'task', status: 'ready' }, run: { run_id: 'run', outcome: 'released' } }],
    ['/lanes/factory', { lane: LANE }],
  ];
  const real = connect({
    url: 'http://127.0.0.1:9',
    fetch: (url) => {
      const [, json] = answers.find(([part]) => String(url).includes(part)) ?? [];
      return Promise.resolve(Response.json(json ?? {}, { status: json === undefined ? 404 : 200 }));
    },
  });
  const close = promised<never>();
  const client: Client = Object.assign(real, {
    watch: () => ({ [Symbol.asyncIterator]: () => ({ next: () => close.promise }) }),
  });
  const asked = promised<void>();
  const answer = promised<string | null>();
  const replaced: Replacement[] = [];
  const sink = { isTTY: false, writableLength: 0, write: () => true };
  const output = { stdout: sink, stderr: sink, isJson: false, isQuiet: true, hasColours: false };
  const worker = new LaneWorker({
    client,
    lane: 'factory',
    worker: 'test/factory',
    version: '0',
    launcher: {
      launch: () => {
        throw new Error('nothing is to be started');
      },
    },
    hands: () => 1,
    leaseSeconds: 600,
    ownEndGraceSeconds: 1,
    drainSeconds: 0,
    tasksMax: null,
    isPatient: true,
    refusal: () => {
      asked.resolve();
      return answer.promise;
    },
    onReplaced: (how) => replaced.push(how),
    connectSeconds: null,
    mayRegister: false,
    sendsOutput: false,
    reporter: new Reporter(new Output(output as unknown as ConstructorParameters<typeof Output>[0]), false),
    drain: new AbortController().signal,
    hardStop: new AbortController().signal,
  });
  const supersede = () =>
    close.reject(
      new LanekeeperError({ code: 'superseded', status: 409, title: 'newer', detail: 'a socket' }),
    );
  return { worker, asked: asked.promise, answer: answer.resolve, supersede, replaced };
}

test('a worker that was sent away is not replaced by whoever has its name next', async () => {
  const { worker, asked, answer, supersede, replaced } = startWorker();
  const end = worker.run();
  await asked;
  worker.retire();
  supersede();
  answer('the lane is of another kind');
  await expect(end).resolves.toBeUndefined();
  expect(replaced).toEqual([]);
});

test('a worker at work that another process of its name replaces says so, and leaves', async () => {
  const { worker, asked, answer, supersede, replaced } = startWorker();
  const end = worker.run();
  await asked;
  supersede();
  answer(null);
  await expect(end).rejects.toMatchObject({ exitCode: 5 });
  expect(replaced).toEqual(['superseded']);
});
