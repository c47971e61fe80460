/** Each gets what is its own, and gets it again until it has said what became of it. */
import { expect, test } from 'vitest';
import { useAuditedBoards } from '../../../fixtures/audited-boards.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { say, take } from './taken-deliveries.ts';

const { servers, newBoard } = useAuditedBoards();

type Body = Readonly<Record<string, unknown>>;

async function put(board: TestBoard, body: Body) {
  return expectStatus(await board.call('PUT', '/subscriptions', { body }), 200, 201).body.subscription;
}

async function finish(board: TestBoard, task: string): Promise<void> {
  const claim = expectStatus(await board.claims('work', { task_id: task }), 200).body.claims[0];
  expectStatus(await endClaim(board.server, claim, 'complete', { summary: 'done' }), 200);
}

test('a gateway that dies between taking and sending loses nothing: it is given again under its id', async () => {
  const [board, elsewhere] = await newBoard();
  const task = await board.task('work');
  await put(board, { task_id: task.id, platform: 'discord', chat_id: 'c1' });
  await finish(board, task.id);
  const [first] = await take(board);
  expect(await take(elsewhere)).toEqual([]);
  await servers.database
    .sql`UPDATE deliveries SET lease_expires_at = clock_timestamp() WHERE status = 'leased'`;
  const [second] = await take(elsewhere);
  expect(second).toMatchObject({ id: first?.id, text: first?.text, attempt: 2 });
  // Whoever comes back from the dead has sent it for nothing, and is told so.
  expect((await say(board, first, 'ack')).code).toBe('lease_lost');
  expectStatus(await say(elsewhere, second, 'ack'), 200);
  expect(await take(board)).toEqual([]);
});

test('nobody is given what is another owner’s, and what is nobody’s only whoever names none', async () => {
  const [board] = await newBoard();
  const task = await board.task('work');
  const chat = (platform: string, owner?: string): Body => ({
    task_id: task.id,
    platform,
    chat_id: 'c',
    owner,
  });
  await put(board, chat('discord', 'one'));
  await put(board, chat('slack', 'two'));
  await put(board, chat('matrix'));
  await finish(board, task.id);
  const platformsOf = async (body: Body) =>
    (await take(board, body)).map(({ subscription }) => subscription.platform);
  expect(await platformsOf({ owner: 'three' })).toEqual([]);
  expect(await platformsOf({ owner: 'one', platforms: ['slack', 'matrix'] })).toEqual([]);
  expect(await platformsOf({ owner: 'one' })).toEqual(['discord']);
  expect(await platformsOf({})).toEqual(['matrix']);
  expect(await platformsOf({ owner: 'two' })).toEqual(['slack']);
});

test('one event is delivered once to each of many, under an id of its own', async () => {
  const [board] = await newBoard();
  const task = await board.task('work');
  for (const chat of ['a', 'b', 'c'])
    await put(board, { task_id: task.id, platform: 'discord', chat_id: chat });
  await finish(board, task.id);
  const given = await take(board);
  expect(given.map(({ subscription }) => subscription.chat_id).toSorted()).toEqual(['a', 'b', 'c']);
  expect(new Set(given.map(({ id }) => id)).size).toBe(3);
  expect(new Set(given.map(({ events }) => events[0]?.cursor)).size).toBe(1);
});

test('how it is told goes by the platform, as the board has it, unless it is said; a delegation wakes', async () => {
  const [board] = await newBoard();
  const task = await board.task('work');
  const told = async (platform: string, more: Body = {}) => {
    const { mode, wake } = await put(board, { task_id: task.id, platform, chat_id: 'c', ...more });
    return { mode, wake };
  };
  expect(await told('telegram')).toEqual({ mode: 'synthesize', wake: false });
  expect(await told('discord')).toEqual({ mode: 'direct', wake: false });
  expect(await told('cli')).toEqual({ mode: 'direct', wake: false });
  const settings = { synthesize_platforms: ['matrix'] };
  expectStatus(await board.call('PATCH', '', { body: { settings } }), 200);
  expect(await told('matrix')).toEqual({ mode: 'synthesize', wake: false });
  expect(await told('whatsapp')).toEqual({ mode: 'direct', wake: false });
  expect(await told('matrix', { chat_id: 'd', mode: 'direct' })).toEqual({ mode: 'direct', wake: false });
  // What was is left as it is.
  expect(await told('telegram')).toEqual({ mode: 'synthesize', wake: false });
  const body = { tasks: [{ goal: 'g', lane: 'work' }], origin: { platform: 'matrix', chat_id: 'c' } };
  expectStatus(await board.call('POST', '/delegations', { body }), 202);
  const { subscriptions } = expectStatus(await board.call('GET', '/subscriptions'), 200).body;
  expect(subscriptions[0]).toMatchObject({ platform: 'matrix', mode: 'synthesize', wake: true });
});

test('metrics say what became of deliveries and delegations, and how long one waits', async () => {
  const [board] = await newBoard();
  const tasks = [{ goal: 'g', lane: 'work' }];
  const origin = { platform: 'discord', chat_id: 'metrics' };
  const answer = await board.call('POST', '/delegations', { body: { tasks, origin } });
  await finish(board, expectStatus(answer, 202).body.delegation.tasks[0]);
  const scrape = async () => (await fetch(`${board.server.url}/metrics`)).text();
  const metricOf = (text: string, name: string): number =>
    Number(
      text
        .split('\n')
        .find((line) => line.startsWith(`${name} `))
        ?.slice(name.length) ?? 0,
    );
  const before = await scrape();
  expect(metricOf(before, 'lanekeeper_oldest_due_delivery_seconds')).toBeGreaterThan(0);
  expect(metricOf(before, 'lanekeeper_delegations{status="completed"}')).toBeGreaterThan(0);
  const [delivery] = await take(board);
  expectStatus(await say(board, delivery, 'nack', { error: 'no route' }), 200);
  const nacked = 'lanekeeper_deliveries_total{outcome="nacked"}';
  expect(metricOf(await scrape(), nacked)).toBe(metricOf(before, nacked) + 1);
});
