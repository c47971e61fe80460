/** A subscription that changes, or ends, while something of it is under way: what is not delivered yet goes by what it says now. */
import { describe, expect, test } from 'vitest';
import { parseId } from '../../../../src/server/kernel/ids.ts';
import { useAuditedBoards } from '../../../fixtures/audited-boards.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { say, take } from './taken-deliveries.ts';

const { servers, newBoard } = useAuditedBoards();

type Body = Readonly<Record<string, unknown>>;

/** A task whose outcome is to be told there; puts the subscription again, changed. */
async function tell(board: TestBoard, target: Body) {
  const { id } = await board.task('work');
  const put = async (change: Body) => {
    const body = { task_id: id, platform: 'discord', chat_id: id, ...change };
    return expectStatus(await board.call('PUT', '/subscriptions', { body }), 200, 201).body.subscription;
  };
  const { id: subscriptionId } = await put(target);
  const claim = expectStatus(await board.claims('work', { task_id: id }), 200).body.claims[0];
  expectStatus(await endClaim(board.server, claim, 'complete', {}), 200);
  return { taskId: id, subscriptionId, put };
}

const lapse = () =>
  servers.database.sql`UPDATE deliveries SET lease_expires_at = clock_timestamp() WHERE status = 'leased'`;

async function statuses(board: TestBoard): Promise<string[]> {
  const { deliveries } = expectStatus(await board.call('GET', '/deliveries'), 200).body;
  return deliveries.map(({ status }: { status: string }) => status);
}

describe('a subscription that is changed', () => {
  test('waits for the session that it has now, not for the one it had', async () => {
    const [board] = await newBoard();
    await tell(board, { origin: { session_id: 's1' } });
    const { taskId, put } = await tell(board, { origin: { session_id: 's1' } });
    expect(await take(board)).toHaveLength(1);
    await put({ origin: { session_id: 's2' } });
    expect((await take(board)).map(({ events }) => events[0]?.task_id)).toEqual([taskId]);
  });

  test('has its new owner send what the former one has taken and not sent', async () => {
    const [board] = await newBoard();
    const { put } = await tell(board, { owner: 'one' });
    const [first] = await take(board, { owner: 'one' });
    await put({ owner: 'two' });
    await lapse();
    expect(await take(board, { owner: 'one' })).toEqual([]);
    expect((await take(board, { owner: 'two' })).map(({ id }) => id)).toEqual([first?.id]);
  });

  test('and silenced, is not told what comes back from a gateway; what was sent is noted all the same', async () => {
    const [board] = await newBoard();
    const all = [
      await tell(board, {}),
      await tell(board, {}),
      await tell(board, { origin: { session_id: 's1' } }),
    ];
    const [refused, unheard, sent] = await take(board);
    for (const { put } of all) await put({ mode: 'silent' });
    expectStatus(await say(board, refused, 'nack', { error: 'no route' }), 200);
    expectStatus(await say(board, sent, 'ack', { message_id: 'm1' }), 200);
    await lapse();
    expect(await take(board)).toEqual([]);
    expect(await statuses(board)).toEqual(['acked', 'acked', 'acked']);
    const late = await say(board, unheard, 'ack', { message_id: 'm2' });
    expect([late.status, late.code]).toEqual([409, 'lease_lost']);
    const { messages } = expectStatus(await board.call('GET', '/sessions/s1/messages'), 200).body;
    expect(messages).toMatchObject([{ message_id: 'm1' }]);
  });
});

test('what was told to a subscription in the moment of its end stands before nothing of its session', async () => {
  const [board] = await newBoard();
  const session = { origin: { session_id: 's1' } };
  const { subscriptionId } = await tell(board, session);
  const { taskId } = await tell(board, session);
  // As an event leaves it that was written beside the deletion.
  const id = parseId('sub', subscriptionId);
  await servers.database.sql`DELETE FROM subscriptions WHERE id = ${id}`;
  expect((await take(board)).map(({ events }) => events[0]?.task_id)).toEqual([taskId]);
  expect(await statuses(board)).toEqual(['leased']);
});

test('of a subscription that is gone nothing is sent again, not by hand either', async () => {
  const [board] = await newBoard();
  const { subscriptionId } = await tell(board, {});
  const [delivery] = await take(board);
  expectStatus(await say(board, delivery, 'nack', { error: 'no such chat', permanent: true }), 200);
  expectStatus(await board.call('DELETE', `/subscriptions/${subscriptionId}`), 204);
  const retry = await board.server.call('POST', `/v1/deliveries/${delivery?.id}/retry`);
  expect([retry.status, retry.code]).toEqual([409, 'illegal_transition']);
  expect(await statuses(board)).toEqual(['dead']);
});

test('kinds that are never told are refused', async () => {
  const [board] = await newBoard();
  const { id } = await board.task('work');
  const put = (kind: string) =>
    board.call('PUT', '/subscriptions', { body: { task_id: id, platform: 'discord', kinds: [kind] } });
  for (const kind of ['task.claimed', 'task.created', 'task.deleted', 'lane.paused', 'delivery.acked']) {
    const refused = await put(kind);
    expect([refused.status, refused.body.errors[0].pointer]).toEqual([400, '/kinds/0']);
  }
  expectStatus(await put('task.ready'), 201);
});
