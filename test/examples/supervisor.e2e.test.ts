/** One child across many tasks: it stays warm, and whatever happens to it, no task is lost and none is left to its lease. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Client } from '../../src/client/client.ts';
import type { Run } from '../../src/contract/runs.ts';
import type { Task } from '../../src/contract/tasks.ts';
import { eventually, only } from '../fixtures/eventually.ts';
import { useServerProcess } from '../fixtures/server-process.ts';
import { type ExampleProcess, startExample } from './example-process.ts';

const LANE = 'agents';
const server = useServerProcess();
let client: Client;
let supervisor: ExampleProcess;
beforeAll(async () => {
  client = await server.connect();
  await client.lanes.register(LANE);
  const { secret = '' } = await client.lanes.createKey(LANE);
  const child = ['--', process.execPath, 'examples/supervisor/fake-agent.mjs'];
  supervisor = startExample([process.execPath, 'supervisor/supervisor.mjs', LANE, ...child], {
    LANEKEEPER_URL: server.url,
    LANEKEEPER_TOKEN: secret,
    // Far longer than the test: whatever comes back in time was given back, and did not run out.
    LEASE_SECONDS: '600',
    STALL_SECONDS: '1',
    GRACE_SECONDS: '0.5',
    DRAIN_SECONDS: '1',
  });
});
afterAll(() => supervisor?.end('SIGKILL'));

/** Tried again at once: what is to be seen here is not the backoff. */
const BACKOFF = { base_seconds: 0.01, factor: 1, cap_seconds: 0.01 };

async function addTask(what?: string): Promise<string> {
  const payload = what === undefined ? {} : { do: what };
  const { task } = await client.tasks.create({
    title: what ?? 'work',
    lane: LANE,
    payload,
    backoff: BACKOFF,
  });
  return task.id;
}

async function untilStatus(id: string, status: Task['status']): Promise<Task> {
  const look = async () => (await client.tasks.get(id)).task;
  try {
    return await eventually(`${id} is ${status}`, async () => {
      const task = await look();
      return task.status === status && task;
    });
  } catch (error) {
    throw new Error(`${(await look()).status}\n${supervisor.output()}`, { cause: error });
  }
}

const runsOf = async (id: string): Promise<Run[]> => (await client.tasks.runs(id)).runs;

/** Which child did it, and as its how-manieth task. */
async function doneBy(id: string): Promise<{ session: number; count: number }> {
  return (await untilStatus(id, 'done')).result as { session: number; count: number };
}

/** The child has said so of this task. */
const untilOutput = (id: string, text: string) =>
  eventually(`${id} prints ${text}`, async () =>
    (await client.tasks.output(id)).lines.some((line) => line.text.includes(text)),
  );

describe('the child', () => {
  test('is the same for many tasks, and what it prints is the output of the task', async () => {
    const first = await doneBy(await addTask());
    const id = await addTask();
    expect(await doneBy(id)).toEqual({ session: first.session, count: first.count + 1 });
    await untilOutput(id, `task ${first.count + 1} of this session: work`);
  });

  test('that dies has its task failed with how, and is started again for the next attempt', async () => {
    const before = await doneBy(await addTask());
    const id = await addTask('crash');
    const after = await doneBy(id);
    expect(after).toMatchObject({ count: 1 });
    expect(after.session).not.toBe(before.session);
    const [first, second] = await runsOf(id);
    expect(first).toMatchObject({ outcome: 'failed', error: expect.stringContaining('exit code 3') });
    expect(first?.error).toContain('out of ideas');
    expect(second?.outcome).toBe('completed');
  });

  test('that falls silent is replaced, and its task tried again', async () => {
    const id = await addTask('stall');
    await doneBy(id);
    const [first] = await runsOf(id);
    expect(first).toMatchObject({ outcome: 'failed', error: expect.stringContaining('said nothing for') });
  });

  test('that stops when it is told to stays', async () => {
    const before = await doneBy(await addTask());
    const id = await addTask('listen');
    await untilOutput(id, 'listen');
    await client.tasks.cancel(id);
    await untilStatus(id, 'cancelled');
    expect((await doneBy(await addTask())).session).toBe(before.session);
  });

  test('that does not is stopped, and the task is cancelled all the same', async () => {
    const before = await doneBy(await addTask());
    const id = await addTask('deaf');
    await untilOutput(id, 'deaf');
    await client.tasks.cancel(id, { deadline_seconds: 600 });
    await untilStatus(id, 'cancelled');
    expect((await doneBy(await addTask())).session).not.toBe(before.session);
  });

  test('hears what people say, blocks, and gives up', async () => {
    const told = await addTask('listen');
    await untilOutput(told, 'listen');
    await client.tasks.steer(told, 'use blue');
    expect((await untilStatus(told, 'done')).summary).toBe('told: use blue');
    expect((await untilStatus(await addTask('block'), 'blocked')).blocked?.reason).toBe('which colour?');
    expect((await untilStatus(await addTask('fail'), 'blocked')).blocked?.kind).toBe('gave_up');
  });
});

test('TERM gives the task back, which is no failure, and the child goes too', async () => {
  const { session } = await doneBy(await addTask());
  const id = await addTask('listen');
  await untilOutput(id, 'listen');
  expect(await supervisor.end()).toBe(0);
  expect((await client.tasks.get(id)).task).toMatchObject({ status: 'ready', consecutive_failures: 0 });
  expect(only(await runsOf(id)).outcome).toBe('released');
  expect(() => process.kill(session, 0)).toThrow('ESRCH');
});
