import { describe, expect, test } from 'vitest';
import { type Client, connect } from '../../src/client/client.ts';
import type { FetchedRequest, ScriptedAnswer } from './fixtures/scripted-fetch.ts';
import { scriptedFetch } from './fixtures/scripted-fetch.ts';
import { instantTiming } from './fixtures/scripted-server.ts';

const FULL: ScriptedAnswer = {
  status: 409,
  json: { code: 'delegation_capacity', status: 409, title: 'As many as may', detail: 'd' },
};
const made = { status: 202, json: { delegation: { id: 'deleg_1', status: 'running' } } };
const isCreate = ({ method, path }: FetchedRequest): boolean =>
  method === 'POST' && path.endsWith('/delegations');
const work = { tasks: [{ lane: 'qa', goal: 'test\nthoroughly', context: 'on main' }] };

/** A server with so many seconds of waiting per request, and room from the given attempt to create on. */
function board(roomFromAttempt: number, others: (request: FetchedRequest) => ScriptedAnswer | undefined) {
  const timing = instantTiming();
  let creates = 0;
  const { fetch, requests } = scriptedFetch((request) => {
    if (isCreate(request)) {
      creates += 1;
      return creates >= roomFromAttempt ? made : FULL;
    }
    const wait = /wait=(\d+)/.exec(request.headers.get('prefer') ?? '')?.[1];
    // The server holds it for as long as it was asked to.
    if (wait !== undefined) void timing.wait(Number(wait) * 1000);
    return others(request) ?? { json: { events: [], cursor: 'c' } };
  });
  const client: Client = connect({ url: 'http://sdk.test', fetch, timing });
  return { client, requests, creates: () => creates, timing };
}

const nothingElse = () => undefined;

describe('delegate', () => {
  test('answers with the handle at once, one task in short or many in full', async () => {
    const { client, requests } = board(1, nothingElse);
    const { delegation } = await client.delegate({
      lane: 'qa',
      goal: 'test it',
      context: 'on main',
      join: 'any',
    });
    expect(delegation.id).toBe('deleg_1');
    await client.delegate({ ...work, goal: 'ship' }, { board: 'other' });
    expect(requests.map(({ path, body }) => [path, body])).toEqual([
      [
        '/v1/boards/default/delegations',
        { join: 'any', tasks: [{ lane: 'qa', goal: 'test it', context: 'on main' }] },
      ],
      ['/v1/boards/other/delegations', { ...work, goal: 'ship' }],
    ]);
    // @ts-expect-error: the types say so, too.
    await expect(client.delegate({ goal: 'whose?' })).rejects.toThrow(TypeError);
  });

  test('fails with the refusal when there is no room, unless it was told otherwise', async () => {
    const { client, creates } = board(9, nothingElse);
    await expect(client.delegate(work)).rejects.toMatchObject({ code: 'delegation_capacity' });
    expect(creates()).toBe(1);
  });

  test('waits for one to end and takes its place, telling that it waits once', async () => {
    const { client, requests, creates } = board(4, nothingElse);
    let waits = 0;
    const { delegation } = await client.delegate({ ...work, onCapacity: 'wait', onWait: () => (waits += 1) });
    expect([delegation.id, creates(), waits]).toEqual(['deleg_1', 4, 1]);
    const looks = requests.filter(({ path }) => path.includes('/events'));
    expect(looks.map(({ path }) => path.replace(/^.*events/, ''))).toEqual([
      '?after=now',
      '?kinds=delegation.completed&after=c',
      '?kinds=delegation.completed&after=c',
    ]);
  });

  test('gives up waiting when its time is over, with the refusal', async () => {
    const { client, timing } = board(1000, nothingElse);
    const waiting = client.delegate({ ...work, onCapacity: 'wait', timeoutSeconds: 40 });
    await expect(waiting).rejects.toMatchObject({ code: 'delegation_capacity' });
    expect(timing.waits).toEqual([15_000, 15_000, 10_000]);
  });

  test('hands what has no room to the callback, which can run it as plain tasks', async () => {
    let looks = 0;
    const { client, requests } = board(9, ({ method, path }) => {
      if (method === 'POST' && path.endsWith('/tasks/batch')) return { json: { tasks: [{ id: 'task_1' }] } };
      if (!path.endsWith('/tasks/task_1')) return undefined;
      looks += 1;
      return { json: { task: { id: 'task_1', status: looks < 3 ? 'running' : 'blocked' } } };
    });
    const { delegation, inline } = await client.delegate({
      ...work,
      onCapacity: async ({ body, runTasks }) => {
        expect(body).toEqual(work);
        return runTasks();
      },
    });
    expect([delegation, inline]).toEqual([null, [{ id: 'task_1', status: 'blocked' }]]);
    expect(requests.find(({ path }) => path.endsWith('/batch'))?.body).toEqual({
      tasks: [{ lane: 'qa', title: 'test', body: 'test\nthoroughly\n\non main', subscribe: false }],
    });
  });
});

describe('collect', () => {
  const decidedAfter = (looksMax: number) => {
    let looks = 0;
    return board(1, ({ path }) => {
      if (!path.endsWith('/delegations/deleg_1')) return undefined;
      looks += 1;
      return { json: { delegation: { id: 'deleg_1', status: looks > looksMax ? 'completed' : 'running' } } };
    });
  };

  test('waits until the delegation is decided, however many long polls that takes', async () => {
    const { client, requests } = decidedAfter(3);
    expect((await client.delegations.collect('deleg_1')).delegation.status).toBe('completed');
    expect(requests.map(({ headers }) => headers.get('prefer'))).toEqual(Array(4).fill('wait=60'));
  });

  test('answers with it as it is when the time is over', async () => {
    const { client, requests } = decidedAfter(100);
    const reply = await client.delegations.collect('deleg_1', { timeoutSeconds: 90 });
    expect(reply.delegation.status).toBe('running');
    expect(requests.map(({ headers }) => headers.get('prefer'))).toEqual(['wait=60', 'wait=30']);
    await client.delegations.collect('deleg_1', { timeoutSeconds: 0 });
    expect(requests.at(-1)?.headers.get('prefer')).toBeNull();
  });
});
