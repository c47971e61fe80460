/** The examples that are lanes: whatever language, the same promises. One worker of each kind goes through all tests, and TERM ends it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Client, connect } from '../../src/client/client.ts';
import type { BodyOf } from '../../src/client/operation-types.ts';
import type { Task } from '../../src/contract/tasks.ts';
import { eventually, only } from '../fixtures/eventually.ts';
import { buildServer, makeDataDir, type ServerProcess, startServerProcess } from '../fixtures/server-process.ts';
import { type ExampleProcess, startExample } from './example-process.ts';

let directory: Awaited<ReturnType<typeof makeDataDir>>;
let server: ServerProcess;
let client: Client;
beforeAll(async () => {
  if (process.env['LANEKEEPER_NO_BUILD'] !== '1') buildServer();
  directory = await makeDataDir();
  server = await startServerProcess(directory.path);
  client = connect({ url: server.url, token: await server.adminKey() });
});
afterAll(async () => {
  await server?.stop();
  await directory?.remove();
});

/** Heartbeats come every second, and with them the news of a cancel. */
const LEASE_SECONDS = '3';
/** A task of this payload takes longer than any test. */
const LONG = { steps: 1, seconds: 600 };
/** What the shell lane runs; the other examples have a handler that counts. */
const COMMAND = ['sh', '-c', 'case $(cat) in *:600*) exec sleep 600 ;; *:404*) exit 4 ;; esac; echo counted'];

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
    TMPDIR: directory.path,
  });
}

type Payload = NonNullable<BodyOf<'createTask'>['payload']>;

async function addTask(lane: string, payload: Payload): Promise<string> {
  return (await client.tasks.create({ title: 'count', lane, payload })).task.id;
}

const taskOf = async (id: string): Promise<Task> => (await client.tasks.get(id)).task;

/** Also says what the example has printed when it does not come to that. */
async function untilStatus(id: string, status: Task['status'], example: ExampleProcess): Promise<Task> {
  try {
    return await eventually(`${id} is ${status}`, async () => {
      const task = await taskOf(id);
      return task.status === status && task;
    });
  } catch (error) {
    throw new Error(`${(await taskOf(id)).status}\n${example.output()}`, { cause: error });
  }
}

describe.each(KINDS)('the lane of examples/$argv.1', (kind) => {
  const { lane } = kind;
  let example: ExampleProcess;
  beforeAll(async () => {
    example = await startLane(kind);
  });
  afterAll(() => example?.end('SIGKILL'));

  test('works one task after the other', async () => {
    const ids = [];
    for (const steps of [1, 2, 3]) ids.push(await addTask(lane, { steps, seconds: 0.01 }));
    for (const id of ids)
      expect(await untilStatus(id, 'done', example)).toMatchObject({
        attempt: 1,
        summary: expect.stringContaining('counted'),
      });
  });

  test('stops what it works on when that is cancelled, and goes on with the next', async () => {
    const id = await addTask(lane, LONG);
    await untilStatus(id, 'running', example);
    await client.tasks.cancel(id, { reason: 'not needed', deadline_seconds: 600 });
    await untilStatus(id, 'cancelled', example);
    await untilStatus(await addTask(lane, { steps: 1, seconds: 0.01 }), 'done', example);
  });

  test('stops what it works on when the claim is lost, and goes on with the next', async () => {
    const id = await addTask(lane, LONG);
    await untilStatus(id, 'running', example);
    await client.lanes.pause(lane); // Or it would claim the same task again.
    await client.tasks.reclaim(id, { reason: 'somebody else does it' });
    await client.tasks.assign(id, { lane: 'nobody' });
    await client.lanes.resume(lane);
    await untilStatus(await addTask(lane, { steps: 1, seconds: 0.01 }), 'done', example);
    expect(only((await client.tasks.runs(id)).runs).outcome).toBe('reclaimed');
  });

  test('gives back what it works on when it is told to end, which is no failure', async () => {
    const id = await addTask(lane, LONG);
    await untilStatus(id, 'running', example);
    await example.end();
    expect(await taskOf(id)).toMatchObject({ status: 'ready', consecutive_failures: 0 });
    expect(only((await client.tasks.runs(id)).runs).outcome).toBe('released');
  });
});
