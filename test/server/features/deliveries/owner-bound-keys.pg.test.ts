/** A gateway has a key that is bound to its owner: of the deliveries of others it can neither take, nor say, nor see anything. */
import { beforeAll, describe, expect, test } from 'vitest';
import { uniqueName, useBench } from '../../../fixtures/bench.ts';
import type { CheckedClient } from '../../../fixtures/checked-client.ts';

const bench = useBench();
const board = uniqueName('owned');
const PATH = `/v1/boards/${board}`;
let gateway: CheckedClient;

beforeAll(async () => {
  await bench.api.put(PATH);
  const role = { role: 'orchestrator', boards: [board], owner: 'mine' };
  gateway = bench.as((await bench.makeKey(role)).secret);
});

/** One delivery that is due, of the one who is named. */
async function makeDelivery(owner: string | null): Promise<void> {
  const { id } = await bench.makeTask(board, { title: 'x' });
  const target = { platform: 'discord', chat_id: uniqueName('chat') };
  await bench.api.put(`${PATH}/subscriptions`, {
    task_id: id,
    ...target,
    ...(owner === null ? {} : { owner }),
  });
  await bench.api.post(`${PATH}/tasks/${id}/complete`, {});
}

const take = async (client: CheckedClient, body: unknown = {}) =>
  (await client.post(`${PATH}/deliveries/claims`, body)).body.deliveries;

describe('a key that is bound to an owner', () => {
  test('takes the deliveries of its owner, whether it names them or not, and of nobody else', async () => {
    for (const owner of ['mine', 'yours', null]) await makeDelivery(owner);
    const refused = await gateway.post(`${PATH}/deliveries/claims`, { owner: 'yours' });
    expect([refused.status, refused.code]).toEqual([403, 'forbidden']);
    const taken = await take(gateway, { max: 10 });
    expect(taken.map(({ subscription }: { subscription: { owner: string } }) => subscription.owner)).toEqual([
      'mine',
    ]);
    await makeDelivery('mine');
    expect(await take(gateway, { owner: 'mine', max: 10 })).toHaveLength(1);
  });

  test('can say nothing of another’s delivery, and hears of it what it hears of one that there is not', async () => {
    const missing = 'dlv_01jcqk0v3te8sr3x6y9m2b4n5p';
    for (const owner of ['yours', null]) {
      await makeDelivery(owner);
      const [{ id, lease_id }] = await take(bench.api, owner === null ? {} : { owner });
      const listed = async () => (await bench.api.get(`${PATH}/deliveries?limit=200`)).body.deliveries;
      const before = await listed();
      for (const [verb, body] of [
        ['ack', { lease_id }],
        ['nack', { lease_id, error: 'x', permanent: true }],
        ['nack', { lease_id, defer_seconds: 60 }],
        ['retry', {}],
      ] as const) {
        const there = await gateway.post(`/v1/deliveries/${id}/${verb}`, body);
        const nowhere = await gateway.post(`/v1/deliveries/${missing}/${verb}`, body);
        expect([there.status, there.body.resource]).toEqual([404, 'delivery']);
        expect(there.body.detail).toBe(nowhere.body.detail.replace(missing, id));
      }
      expect(await listed()).toEqual(before);
      expect((await bench.api.post(`/v1/deliveries/${id}/ack`, { lease_id })).status).toBe(200);
    }
  });

  test('lists its own only, page by page', async () => {
    for (const owner of ['mine', 'yours', 'mine', null]) await makeDelivery(owner);
    const owners: unknown[] = [];
    let query = 'limit=1';
    for (let pages = 0; pages < 20; pages += 1) {
      const { body } = await gateway.get(`${PATH}/deliveries?${query}`);
      owners.push(...body.deliveries.map(({ owner }: { owner: string | null }) => owner));
      if (body.next_page_token === null) break;
      query = `limit=1&page_token=${body.next_page_token}`;
    }
    expect(owners.length).toBeGreaterThanOrEqual(2);
    expect(new Set(owners)).toEqual(new Set(['mine']));
    const all = (await bench.api.get(`${PATH}/deliveries?limit=200`)).body.deliveries;
    expect(all.length).toBeGreaterThan(owners.length);
  });
});

test('the messages of a session come page by page, each of them once', async () => {
  const session_id = uniqueName('session');
  const origin = { platform: session_id, chat_id: 'c1', session_id };
  const sent: string[] = [];
  for (let count = 0; count < 3; count += 1) {
    const { id } = await bench.makeTask(board, { title: 'x', origin });
    await bench.api.post(`${PATH}/tasks/${id}/complete`, {});
    const [delivery] = await take(bench.api, { platforms: [session_id] });
    await bench.api.post(`/v1/deliveries/${delivery.id}/ack`, { lease_id: delivery.lease_id });
    sent.push(delivery.id);
  }
  const read: string[] = [];
  let query = 'limit=1';
  for (let pages = 0; pages < 10; pages += 1) {
    const { body } = await bench.api.get(`${PATH}/sessions/${session_id}/messages?${query}`);
    read.push(...body.messages.map(({ delivery_id }: { delivery_id: string }) => delivery_id));
    if (body.next_page_token === null) break;
    query = `limit=1&page_token=${body.next_page_token}`;
  }
  expect(read).toEqual(sent);
});

describe('of subscriptions and sessions a key that is bound to an owner', () => {
  test('reads, changes and ends those of its owner, and makes them for nobody else', async () => {
    const { id: task_id } = await bench.makeTask(board, { title: 'x' });
    const put = async (client: CheckedClient, chat_id: string, owner?: string) =>
      client.put(`${PATH}/subscriptions`, {
        task_id,
        platform: 'discord',
        chat_id,
        ...(owner ? { owner } : {}),
      });
    const yours = (await put(bench.api, 'c1', 'yours')).body.subscription.id;
    const nobodys = (await put(bench.api, 'c2')).body.subscription.id;
    const own = await put(gateway, 'c3');
    expect([own.status, own.body.subscription.owner]).toEqual([201, 'mine']);
    for (const [chat, owner] of [['c1'], ['c1', 'mine'], ['c2', 'mine'], ['c4', 'yours']] as const)
      expect([chat, owner, (await put(gateway, chat, owner)).code]).toEqual([chat, owner, 'forbidden']);
    const listed = (await gateway.get(`${PATH}/subscriptions?task_id=${task_id}`)).body.subscriptions;
    expect(listed.map(({ id }: { id: string }) => id)).toEqual([own.body.subscription.id]);
    for (const id of [yours, nobodys]) {
      expect((await gateway.get(`${PATH}/subscriptions/${id}`)).status).toBe(404);
      expect((await gateway.delete(`${PATH}/subscriptions/${id}`)).status).toBe(404);
      expect((await bench.api.get(`${PATH}/subscriptions/${id}`)).status).toBe(200);
    }
    expect((await gateway.delete(`${PATH}/subscriptions/${own.body.subscription.id}`)).status).toBe(204);
  });

  test('sees of a session what its owner has said there', async () => {
    const session_id = uniqueName('session');
    const sent: string[] = [];
    for (const owner of ['mine', 'yours']) {
      const { id } = await bench.makeTask(board, { title: 'x' });
      const target = { platform: session_id, chat_id: 'c1', origin: { session_id } };
      await bench.api.put(`${PATH}/subscriptions`, { task_id: id, ...target, owner });
      await bench.api.post(`${PATH}/tasks/${id}/complete`, {});
      const [delivery] = await take(bench.api, { platforms: [session_id], owner });
      await bench.api.post(`/v1/deliveries/${delivery.id}/ack`, { lease_id: delivery.lease_id });
      sent.push(delivery.id);
    }
    const read = async (client: CheckedClient) =>
      (await client.get(`${PATH}/sessions/${session_id}/messages`)).body.messages.map(
        ({ delivery_id }: { delivery_id: string }) => delivery_id,
      );
    expect(await read(bench.api)).toEqual(sent);
    expect(await read(gateway)).toEqual([sent[0]]);
  });
});
