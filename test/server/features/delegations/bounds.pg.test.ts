/** What a delegation may be asked for, and by whom: under a claim while it holds, of a chat as much as of a session, once as it was asked. */
import { expect, test } from 'vitest';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { holdTask, untilStanding, untilTestEnds } from '../../../fixtures/held-lock.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();

async function newBoard(): Promise<TestBoard> {
  const [board] = await servers.board();
  await board.lane('work');
  return board;
}

const TASKS = [{ goal: 'x', lane: 'work' }];
const originHeader = (origin: unknown) => ({
  'Lanekeeper-Origin': Buffer.from(JSON.stringify(origin)).toString('base64url'),
});

test('under a claim that is over nothing of its delegations is steered or cancelled', async () => {
  const board = await newBoard();
  const task = await board.task('work');
  const claim = expectStatus(await board.claims('work', { task_id: task.id }), 200).body.claims[0];
  const { token } = claim;
  const made = expectStatus(await board.call('POST', '/delegations', { token, body: { tasks: TASKS } }), 202);
  const { id, tasks } = made.body.delegation;
  const path = `/delegations/${id}`;
  const steer = () => board.call('POST', `${path}/steer`, { token, body: { message: 'go on' } });
  const cancel = () => board.call('POST', `${path}/cancel`, { token, body: {} });
  expectStatus(await steer(), 200);
  const { sql } = servers.database;
  const child = await untilTestEnds(holdTask(sql, tasks[0]));
  const late = Promise.all([steer(), cancel()]);
  // Both were let in while the claim held, and have changed nothing yet.
  await untilStanding(sql, 'tasks.lock_many', 'row', 2);
  expectStatus(await endClaim(board.server, claim, 'complete', {}), 200);
  await child.release();
  for (const answer of await late) expect([answer.status, answer.body.code]).toEqual([409, 'claim_lost']);
  expect((await board.call('GET', path)).body.delegation.status).toBe('running');
});

test('a chat without a session has the capacity of one', async () => {
  const board = await newBoard();
  const settings = { delegation_capacity: 1 };
  expectStatus(await board.call('PATCH', '', { body: { settings } }), 200);
  const delegate = (chat_id: string) =>
    board.call('POST', '/delegations', { body: { origin: { platform: 'discord', chat_id }, tasks: TASKS } });
  expectStatus(await delegate('c1'), 202);
  const full = await delegate('c1');
  expect([full.status, full.body.code]).toEqual([409, 'delegation_capacity']);
  expectStatus(await delegate('c2'), 202);
});

test('the same request from another origin is another request', async () => {
  const board = await newBoard();
  const send = (chat_id: string) =>
    board.call('POST', '/delegations', {
      body: { tasks: TASKS },
      headers: { 'Idempotency-Key': 'k1', ...originHeader({ platform: 'discord', chat_id }) },
    });
  const first = expectStatus(await send('c1'), 202).body.delegation.id;
  expect(expectStatus(await send('c1'), 202).body.delegation.id).toBe(first);
  const other = await send('c2');
  expect([other.status, other.body.code]).toEqual([422, 'idempotency_mismatch']);
});
