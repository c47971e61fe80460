/** What was deleted stays nowhere, also where a gateway says at the same moment that it has told it. */
import { expect, test } from 'vitest';
import { endClaim, expectStatus } from '../../../fixtures/board.ts';
import { holdCounter, untilStanding, untilTestEnds } from '../../../fixtures/held-lock.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';
import { say, take } from './taken-deliveries.ts';

const servers = useTwoServers();

test('an ack that is under way when the task is deleted leaves no word of it', async () => {
  const [board] = await servers.board();
  const { sql } = servers.database;
  await board.lane('work');
  const word = 'Unrepeatable-17ab';
  const origin = { platform: 'discord', chat_id: 'c1', session_id: 's1' };
  const task = await board.task('work', { title: word, origin });
  const claim = expectStatus(await board.claims('work', { task_id: task.id }), 200).body.claims[0];
  expectStatus(await endClaim(board.server, claim, 'complete', { summary: word }), 200);
  const taken = expectStatus(await board.call('POST', '/deliveries/claims', { body: {} }), 200).body;
  const [{ id, lease_id }] = taken.deliveries;
  const counter = await untilTestEnds(holdCounter(sql, board.name));
  const ack = board.server.call('POST', `/v1/deliveries/${id}/ack`, { body: { lease_id } });
  await untilStanding(sql, 'log.append', 'row');
  const deletion = board.call('DELETE', `/tasks/${task.id}`);
  await untilStanding(sql, 'returns.lock_deliveries', 'row');
  await counter.release();
  expectStatus(await ack, 200);
  expectStatus(await deletion, 204);
  const left = await sql`
    SELECT 'message' AS what FROM session_messages m WHERE m::text LIKE ${`%${word}%`}
    UNION ALL SELECT 'delivery' FROM deliveries d WHERE d::text LIKE ${`%${word}%`}`;
  expect(left).toEqual([]);
});

test('a retry that is under way when the task is deleted is waited for, and none of the two is rolled back', async () => {
  const [board] = await servers.board();
  const { sql } = servers.database;
  await board.lane('work');
  const task = await board.task('work', { origin: { platform: 'discord', chat_id: 'c1' } });
  const claim = expectStatus(await board.claims('work', { task_id: task.id }), 200).body.claims[0];
  expectStatus(await endClaim(board.server, claim, 'complete', {}), 200);
  const [delivery] = await take(board);
  expectStatus(await say(board, delivery, 'nack', { error: 'no such chat', permanent: true }), 200);
  const answers = await sql.begin(async (tx) => {
    await tx`SELECT FROM deliveries FOR UPDATE`;
    const retry = board.server.call('POST', `/v1/deliveries/${delivery?.id}/retry`);
    await untilStanding(sql, 'deliveries.lock', 'row');
    const deletion = board.call('DELETE', `/tasks/${task.id}`);
    await untilStanding(sql, 'returns.lock_subscriptions', 'row');
    return [() => retry, () => deletion];
  });
  expect((await Promise.all(answers.map((answer) => answer()))).map(({ status }) => status)).toEqual([
    200, 204,
  ]);
});
