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
