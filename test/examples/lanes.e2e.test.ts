/** The examples that are lanes: the same promises in every language. One worker of each goes through all tests. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Client } from '../../src/client/client.ts';
import type { BodyOf } from '../../src/client/operation-types.ts';
import type { Task } from '../../src/contract/tasks.ts';
import { eventually, only } from '../fixtures/eventually.ts';
import { useServerProcess } from '../fixtures/server-process.ts';
import { type ExampleProcess, startExample } from './example-process.ts';

const server = useServerProcess();
let client: Client;
beforeAll(async () => {
  client = await server.connect();
});

/** Heartbeats come every second, and with them the news of a cancel. */
const LEASE_SECONDS = '3';
/** A task of this payload takes longer than any test. */
const LONG = { steps: 1, seconds: 600 };
/** Refused by a handler, and what the shell lane runs fails at it. */
const IMPOSSIBLE = { steps: 40_000_000, seconds: 0.01 };
/** What the shell lane runs; the other examples have a handler that counts. */
const COMMAND = [
  'sh',
  '-c',
  'case $(cat) in *:600*) exec sleep 600 ;; *:40000000*) exit 4 ;; esac; echo counted',
];

const KINDS = [
  { lane: 'curl', argv: ['sh', 'curl-lane/lane.sh', 'curl', ...COMMAND] },
  { lane: 'python', argv: ['python3', 'python-lane/lane.py', 'python'] },
  { lane: 'sdk', argv: [process.execPath, 'sdk-worker/worker.mjs', 'sdk'] },
] as const;

async function startLane({ lane, argv }: (typeof KINDS)[number]): Promise<ExampleProcess> {
  await client.lanes.register(lane);
  const { secret = '' } = await client.lanes.createKey(lane);
  return startExample(argv, {
    LANEKEEPER_URL: server.url,
    LANEKEEPER_TOKEN: secret,
    LEASE_SECONDS,
    DRAIN_SECONDS: '1',
    TMPDIR: server.dataDir,
  });
}

type Payload = NonNullable<BodyOf<'createTask'>['payload']>;

async function addTask(lane: string, payload: Payload): Promise<string> {
  return (await client.tasks.create({ title: 'count', lane, payload })).task.id;
}

const SHORT = { steps: 1, seconds: 0.01 };

const taskOf = async (id: string): Promise<Task> => (await client.tasks.get(id)).task;

const untilStatus = (id: string, status: Task['status']): Promise<Task> =>
  eventually(`${id} is ${status}`, async () => {
    const task = await taskOf(id);
    return task.status === status && task;
  });

const examples = new Map<string, ExampleProcess>();
beforeAll(async () => {
  for (const kind of KINDS) examples.set(kind.lane, await startLane(kind));
});
afterAll(async () => {
  for (const example of examples.values()) await example.end('SIGKILL');
});

/** All kinds at once: most of it is waiting. Says which it was that failed, and what that has printed. */
async function ofEach(
  check: (lane: string, example: ExampleProcess) => Promise<void>,
  lanes: Iterable<string> = examples.keys(),
): Promise<void> {
  const checkOne = async (lane: string): Promise<void> => {
    const example = examples.get(lane);
    if (example === undefined) throw new Error(`there is no example ${lane}`);
    await check(lane, example).catch((error: unknown) => {
      throw new Error(`${lane}: ${String(error)}\n${example.output()}`, { cause: error });
    });
  };
  await Promise.all([...lanes].map(checkOne));
}

describe('every example of a lane', () => {
  test('works one task after the other', () =>
    ofEach(async (lane) => {
      const ids: string[] = [];
      for (const steps of [1, 2, 3]) ids.push(await addTask(lane, { ...SHORT, steps }));
      for (const id of ids)
        expect(await untilStatus(id, 'done')).toMatchObject({
          attempt: 1,
          summary: expect.stringContaining('counted'),
        });
    }));

  test('stops what it works on when that is cancelled, and goes on with the next', () =>
    ofEach(async (lane) => {
      const id = await addTask(lane, LONG);
      await untilStatus(id, 'running');
      await client.tasks.cancel(id, { deadline_seconds: 600 });
      await untilStatus(id, 'cancelled');
      await untilStatus(await addTask(lane, SHORT), 'done');
    }));

  test('stops what it works on when the claim is lost, and goes on with the next', () =>
    ofEach(async (lane) => {
      const id = await addTask(lane, LONG);
      await untilStatus(id, 'running');
      await client.lanes.pause(lane); // Or it would claim the same task again.
      await client.tasks.reclaim(id, { reason: 'somebody else does it' });
      await client.tasks.assign(id, { lane: 'nobody' });
      await client.lanes.resume(lane);
      await untilStatus(await addTask(lane, SHORT), 'done');
      expect(only((await client.tasks.runs(id)).runs).outcome).toBe('reclaimed');
    }));

  test('fails what cannot be done, with the reason', () =>
    ofEach(async (lane) => {
      const { task } = await client.tasks.create({
        title: 'fail',
        lane,
        payload: IMPOSSIBLE,
        max_failures: 1,
      });
      expect((await untilStatus(task.id, 'blocked')).blocked?.kind).toBe('gave_up');
      expect(only((await client.tasks.runs(task.id)).runs).error).toMatch(/exit code 4|steps/);
    }));

  test('with a handler hears what people say, and begins the next attempt where the one before left off', () =>
    ofEach(
      async (lane) => {
        const id = await addTask(lane, { steps: 10_000, seconds: 0.05 });
        const untilPrinted = (line: RegExp) =>
          eventually(`it prints ${line}`, async () =>
            (await client.tasks.output(id)).lines.some(({ text }) => line.test(text)),
          );
        await untilPrinted(/^step 1$/);
        await client.tasks.steer(id, 'slower');
        await untilPrinted(/^told: slower$/);
        await client.tasks.reclaim(id);
        const { lines } = await eventually('the second attempt prints', async () => {
          const output = await client.tasks.output(id);
          return output.lines.at(-1)?.run_id !== output.lines[0]?.run_id && output;
        });
        expect(lines.filter(({ text }) => text === 'step 1')).toHaveLength(1);
        await client.tasks.cancel(id, { deadline_seconds: 600 });
        await untilStatus(id, 'cancelled');
      },
      ['python', 'sdk'],
    ));

  test('gives back what it works on when it is told to end, which is no failure', () =>
    ofEach(async (lane, example) => {
      const id = await addTask(lane, LONG);
      await untilStatus(id, 'running');
      await example.end();
      expect(await taskOf(id)).toMatchObject({ status: 'ready', consecutive_failures: 0 });
      expect(only((await client.tasks.runs(id)).runs).outcome).toBe('released');
    }));
});
