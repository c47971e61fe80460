/** An outcome returns to where the request came from: in order, at least once, under one id. */
import { afterEach, describe, expect, test } from 'vitest';
import type { Delivery, LeasedDelivery } from '../../../../src/contract/deliveries.ts';
import { auditBoard } from '../../../fixtures/audit.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();
const boards: TestBoard[] = [];

/** Whatever a test did, the log says the same as the rows. */
afterEach(async () => {
  for (const board of boards.splice(0)) await auditBoard(servers.database.sql, board.name);
});

async function newBoard(): Promise<[TestBoard, TestBoard]> {
  const [board, elsewhere] = await servers.board();
  await board.lane('work');
  boards.push(board);
  return [board, elsewhere];
}

type Body = Readonly<Record<string, unknown>>;

const put = async (board: TestBoard, body: Body) =>
  expectStatus(await board.call('PUT', '/subscriptions', { body }), 200, 201);

async function finish(board: TestBoard, task: string, summary: string): Promise<void> {
  const claim = expectStatus(await board.claims('work', { task_id: task }), 200).body.claims[0];
  expectStatus(await endClaim(board.server, claim, 'complete', { summary }), 200);
}

async function take(board: TestBoard, body: Body = {}, waitSeconds?: number): Promise<LeasedDelivery[]> {
  const headers = waitSeconds === undefined ? {} : { Prefer: `wait=${waitSeconds}` };
  const answer = await board.call('POST', '/deliveries/claims', { body, headers });
  return expectStatus(answer, 200).body.deliveries;
}

const say = (board: TestBoard, delivery: LeasedDelivery | undefined, verb: string, body: Body = {}) =>
  board.server.call('POST', `/v1/deliveries/${delivery?.id}/${verb}`, {
    body: { lease_id: delivery?.lease_id, ...body },
  });

async function list(board: TestBoard): Promise<Delivery[]> {
  return expectStatus(await board.call('GET', '/deliveries'), 200).body.deliveries;
}

const CHAT = { platform: 'discord', chat_id: 'c1' };

describe('a subscription', () => {
  test('put again changes what is given and keeps the rest; two without a thread are one', async () => {
    const [board] = await newBoard();
    const task = await board.task('work');
    const origin = { session_id: 's1', profile: 'ops' };
    const first = await put(board, { task_id: task.id, ...CHAT, user_id: 'u1', origin });
    expect(first.status).toBe(201);
    const second = await put(board, {
      task_id: task.id,
      ...CHAT,
      mode: 'silent',
      origin: { profile: 'dev' },
    });
    expect(second.status).toBe(200);
    expect(second.body.subscription).toMatchObject({
      id: first.body.subscription.id,
      mode: 'silent',
      user_id: 'u1',
      thread_id: '',
      origin: { session_id: 's1', profile: 'dev' },
    });
    const all = expectStatus(await board.call('GET', `/subscriptions?task_id=${task.id}`), 200);
    expect(all.body.subscriptions).toHaveLength(1);
  });
});

describe('a delivery', () => {
  test('of an outcome is given out once, acked, and a message of its session', async () => {
    const [board, elsewhere] = await newBoard();
    const task = await board.task('work', { title: 'Fix the build' });
    await put(board, { task_id: task.id, ...CHAT, origin: { session_id: 's1' } });
    const waiting = take(elsewhere, {}, 20);
    await finish(board, task.id, 'it was the cache');
    const [delivery] = await waiting;
    expect(delivery).toMatchObject({ attempt: 1, mode: 'direct', wake: false, origin: { session_id: 's1' } });
    expect(delivery?.text).toContain('Completed: Fix the build');
    expect(delivery?.text).toContain('it was the cache');
    expect(delivery?.events.map(({ kind, task_id }) => [kind, task_id])).toEqual([
      ['task.completed', task.id],
    ]);
    expect(await take(board)).toEqual([]);
    for (let times = 0; times < 2; times += 1)
      expect(
        expectStatus(await say(board, delivery, 'ack', { message_id: 'm1' }), 200).body.delivery,
      ).toMatchObject({
        status: 'acked',
        message_id: 'm1',
      });
    const { messages } = expectStatus(await board.call('GET', '/sessions/s1/messages'), 200).body;
    expect(messages).toMatchObject([
      { delivery_id: delivery?.id, text: delivery?.text, message_id: 'm1', chat_id: 'c1' },
    ]);
    expect((await board.events('&kinds=delivery.acked')).map(({ task_id }) => task_id)).toEqual([task.id]);
  });

  test('that fails is tried again under the same id, is dead when that cannot help, and is sent by hand then', async () => {
    const [board] = await newBoard();
    const task = await board.task('work');
    await put(board, { task_id: task.id, ...CHAT });
    await finish(board, task.id, 'done');
    const [first] = await take(board);
    const failed = expectStatus(await say(board, first, 'nack', { error: 'no route' }), 200).body.delivery;
    expect(failed).toMatchObject({ status: 'pending', failures: 1, last_error: 'no route' });
    expect(Date.parse(failed.due_at) - Date.now()).toBeGreaterThan(2000);
    expect(expectStatus(await say(board, first, 'ack'), 409).body.code).toBe('lease_lost');
    expectStatus(await board.server.call('POST', `/v1/deliveries/${first?.id}/retry`), 200);
    const [second] = await take(board);
    expect(second).toMatchObject({ id: first?.id, text: first?.text, attempt: 2 });
    expectStatus(await say(board, second, 'nack', { error: 'no such chat', permanent: true }), 200);
    expect(await list(board)).toMatchObject([{ status: 'dead', failures: 1, last_error: 'no such chat' }]);
    expect(await board.events('&kinds=delivery.dead')).toHaveLength(1);
  });

  test('waits for the one before it in its session, and no other session does', async () => {
    const [board] = await newBoard();
    const tasks = await board.tasks('work', 3);
    for (const [index, task] of tasks.entries()) {
      const session = index < 2 ? 'same' : 'other';
      await put(board, {
        task_id: task.id,
        platform: 'discord',
        chat_id: `c${index}`,
        origin: { session_id: session },
      });
      await finish(board, task.id, `${index}`);
    }
    const given = await take(board, { max: 10 });
    expect(given.map(({ events }) => events[0]?.task_id)).toEqual([tasks[0]?.id, tasks[2]?.id]);
    expect(await take(board, { max: 10 })).toEqual([]);
    expectStatus(await say(board, given[0], 'ack'), 200);
    expect((await take(board)).map(({ events }) => events[0]?.task_id)).toEqual([tasks[1]?.id]);
  });
});

describe('whoever is told', () => {
  const ORIGIN = { platform: 'telegram', chat_id: 'c9', session_id: 's9', context: 'about the build' };
  const header = (origin: Body) => ({
    'Lanekeeper-Origin': Buffer.from(JSON.stringify(origin)).toString('base64url'),
  });
  const subscriptions = async (board: TestBoard, task: string) =>
    expectStatus(await board.call('GET', `/subscriptions?task_id=${task}`), 200).body.subscriptions;

  test('is where the task came from, as the header says, unless nobody is to be', async () => {
    const [board] = await newBoard();
    const body = { title: 'a', lane: 'work', origin: { platform: 'discord', chat_id: 'model’s choice' } };
    const made = expectStatus(await board.call('POST', '/tasks', { body, headers: header(ORIGIN) }), 201).body
      .task;
    expect(made.origin).toMatchObject({ platform: 'telegram', chat_id: 'c9', context: 'about the build' });
    expect(await subscriptions(board, made.id)).toMatchObject([
      { platform: 'telegram', chat_id: 'c9', mode: 'synthesize', wake: false, origin: { session_id: 's9' } },
    ]);
    const silent = await board.task('work', { origin: ORIGIN, subscribe: false });
    expect(await subscriptions(board, silent.id)).toEqual([]);
    const lost = await board.task('work', { origin: { session_id: 's9' } });
    expect(await subscriptions(board, lost.id)).toEqual([]);
    const elsewhere = await board.task('work', {
      origin: ORIGIN,
      subscribe: { platform: 'cli', chat_id: 's1' },
    });
    expect(await subscriptions(board, elsewhere.id)).toMatchObject([{ platform: 'cli', mode: 'direct' }]);
    const broken = { 'Lanekeeper-Origin': 'e30x' };
    expectStatus(await board.call('POST', '/tasks', { body: { title: 'a' }, headers: broken }), 400);
  });

  test('of a worker’s own tasks is whoever is told of its task; its children and its wishes are heard by nobody', async () => {
    const [board] = await newBoard();
    const task = await board.task('work', { origin: ORIGIN });
    const claim = await board.claim('work');
    const make = (body: Body) =>
      board.call('POST', '/tasks', { body: { title: 'b', ...body }, token: claim.token });
    const alone = expectStatus(await make({}), 201).body.task;
    expect(await subscriptions(board, alone.id)).toMatchObject([{ platform: 'telegram', chat_id: 'c9' }]);
    const parent = expectStatus(await make({}), 201).body.task;
    const child = expectStatus(await make({ parents: [parent.id] }), 201).body.task;
    expect(await subscriptions(board, child.id)).toEqual([]);
    expectStatus(await make({ origin: ORIGIN }), 403);
    expectStatus(await make({ subscribe: { platform: 'cli', chat_id: 's' } }), 403);
    const body = { task_id: task.id, ...CHAT, mode: 'silent' };
    expectStatus(await board.call('PUT', '/subscriptions', { body, token: claim.token }), 403);
  });

  test('of a claim token’s delegation is nobody: it collects it itself, also in its next run', async () => {
    const [board] = await newBoard();
    await board.task('work', { origin: ORIGIN });
    const claim = await board.claim('work');
    const tasks = [{ goal: 'look into it', lane: 'work' }];
    const ask = (body: Body) =>
      board.call('POST', '/delegations', { body: { tasks, ...body }, token: claim.token });
    expectStatus(await ask({ origin: ORIGIN }), 403);
    const made = expectStatus(await ask({}), 202).body.delegation;
    expect(made).toMatchObject({ depth: 1, origin: null });
    const collect = (token: string) => board.call('GET', `/delegations/${made.id}`, { token });
    expectStatus(await collect(claim.token), 200);
    const other = await board.task('work');
    const foreign = expectStatus(await board.claims('work', { task_id: other.id }), 200).body.claims[0];
    expectStatus(await collect(foreign.token), 404);
    const all = expectStatus(await board.call('GET', '/subscriptions'), 200).body.subscriptions;
    expect(all).toHaveLength(1);
  });
});
