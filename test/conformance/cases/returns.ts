/** Delegations, and the way of their outcomes back: subscriptions, deliveries, sessions. */
import { expect, test } from 'vitest';
import { only } from '../../fixtures/eventually.ts';
import { as, codeOf, type World } from '../speaker.ts';

async function complete(world: World, lane: string, summary: string): Promise<void> {
  const { params, token } = as(await world.claim(lane));
  await world.call('completeRun', { params, body: { summary } }, token);
}

export function returnCases(world: World): void {
  test('a delegation is handed over at once and comes back as one block when its last task ends', async () => {
    await world.lane('crew');
    const tasks = [
      { lane: 'crew', goal: 'build' },
      { lane: 'crew', goal: 'test' },
    ];
    const body = { goal: 'ship', tasks };
    const { delegation } = await world.call('createDelegation', { params: world.here, body });
    expect(delegation).toMatchObject({ status: 'running', results: null });
    const params = world.on({ delegation: delegation.id });
    const steered = await world.call('steerDelegation', { params, body: { message: 'carefully' } });
    expect(steered).toEqual({ queued: 2, missed: 0 });
    const collecting = world.call('getDelegation', { params }, { waitSeconds: 20 });
    await complete(world, 'crew', 'built well');
    await complete(world, 'crew', 'tested well');
    const collected = (await collecting).delegation;
    expect(collected.status).toBe('completed');
    expect(collected.results?.map(({ summary }) => summary)).toEqual(['built well', 'tested well']);
    expect(collected.text).toContain('tested well');
    const listed = await world.call('listDelegations', {
      params: world.here,
      query: { status: 'completed' },
    });
    expect(listed.delegations.map(({ id }) => id)).toContain(delegation.id);
  });

  test('more delegations of one key than may run are refused, and a cancelled one makes room', async () => {
    await world.lane('idle');
    await world.call('patchBoard', { params: world.here, body: { settings: { delegation_capacity: 1 } } });
    const tasks = [{ lane: 'idle', goal: 'wait' }];
    const body = { tasks, origin: { platform: 'chat', chat_id: 'c', session_id: 's-full' } };
    const first = await world.call('createDelegation', {
      params: world.here,
      body: { ...body, subscribe: false },
    });
    const again = () =>
      world.call('createDelegation', { params: world.here, body: { ...body, subscribe: false } });
    expect(await codeOf(again())).toBe('delegation_capacity');
    const params = world.on({ delegation: first.delegation.id });
    const ended = await world.call('cancelDelegation', { params, body: { reason: 'room' } });
    expect(ended.delegation).toMatchObject({ status: 'cancelled', reason: 'room' });
    const second = await again();
    const session = { session_id: 's-full', reason: 'all of them' };
    const { cancelled } = await world.call('cancelDelegations', { params: world.here, body: session });
    expect(cancelled).toEqual([second.delegation.id]);
  });

  test('an outcome is delivered to who asked for it, and is a message of the session from then on', async () => {
    await world.lane('answers');
    const { id } = await world.task('answers', {
      origin: { platform: 'chat', chat_id: 'c-1', session_id: 's-1' },
    });
    const target = { task_id: id, platform: 'chat', chat_id: 'c-1', owner: 'gateway' };
    const { subscription } = await world.call('putSubscription', { params: world.here, body: target });
    const query = { task_id: id };
    const { subscriptions } = await world.call('listSubscriptions', { params: world.here, query });
    expect(subscriptions.map((found) => found.id)).toContain(subscription.id);
    const claim = { owner: 'gateway', platforms: ['chat'] };
    const waiting = world.call('claimDeliveries', { params: world.here, body: claim }, { waitSeconds: 20 });
    await complete(world, 'answers', 'forty-two');
    const delivery = only((await waiting).deliveries);
    expect(delivery).toMatchObject({ attempt: 1, subscription: { id: subscription.id }, mode: 'direct' });
    expect(delivery.text).toContain('forty-two');
    const params = { delivery: delivery.id };
    const { lease_id } = delivery;
    const acked = await world.call('ackDelivery', { params, body: { lease_id, message_id: 'm-9' } });
    expect(acked.delivery).toMatchObject({ status: 'acked', message_id: 'm-9' });
    const session = await world.call('listSessionMessages', { params: world.on({ session: 's-1' }) });
    expect(session.messages).toMatchObject([{ delivery_id: delivery.id, task_id: id, message_id: 'm-9' }]);
    const one = world.on({ subscription: subscription.id });
    expect((await world.call('getSubscription', { params: one })).subscription.chat_id).toBe('c-1');
    await world.call('deleteSubscription', { params: one });
    expect(await codeOf(world.call('getSubscription', { params: one }))).toBe('not_found');
  });

  test('a delivery that cannot be sent is dead, and sent again when an operator says so', async () => {
    await world.lane('mute');
    const { id } = await world.task('mute');
    const target = { task_id: id, platform: 'pager', chat_id: 'p', owner: 'pager' };
    await world.call('putSubscription', { params: world.here, body: target });
    await complete(world, 'mute', 'nobody hears');
    const claim = { params: world.here, body: { owner: 'pager', max: 5 } };
    const first = only((await world.call('claimDeliveries', claim, { waitSeconds: 20 })).deliveries);
    const params = { delivery: first.id };
    const dead = { lease_id: first.lease_id, error: 'no such pager', permanent: true };
    expect((await world.call('nackDelivery', { params, body: dead })).delivery.status).toBe('dead');
    const late = world.call('ackDelivery', { params, body: { lease_id: first.lease_id } });
    expect(await codeOf(late)).toBe('lease_lost');
    const { deliveries } = await world.call('listDeliveries', {
      params: world.here,
      query: { status: 'dead' },
    });
    expect(only(deliveries)).toMatchObject({ id: first.id, last_error: 'no such pager' });
    await world.call('retryDelivery', { params });
    const second = only((await world.call('claimDeliveries', claim, { waitSeconds: 20 })).deliveries);
    expect([second.id, second.lease_id === first.lease_id]).toEqual([first.id, false]);
  });
}
