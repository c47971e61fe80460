/** What people write comes back to where they wrote it, whatever the chat or the gateway does meanwhile. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Client } from '../../src/client/client.ts';
import type { Delivery } from '../../src/contract/deliveries.ts';
import { eventually, only } from '../fixtures/eventually.ts';
import { useServerProcess } from '../fixtures/server-process.ts';
import { type FakeChat, type Sent, startFakeChat, startGateway } from './gateway-process.ts';

const server = useServerProcess();
let client: Client;
let token: string;
let chat: FakeChat;
let gateway: ReturnType<typeof startGateway>;
beforeAll(async () => {
  client = await server.connect();
  await client.lanes.register('factory');
  const made = await client.keys.create({ role: 'orchestrator', name: 'gateway', owner: 'chat-gateway' });
  token = made.secret ?? '';
  chat = await startFakeChat();
  gateway = start();
});
afterAll(async () => {
  await gateway.stop();
  await chat.stop();
});

/** Again after a kill: with the state that the one before has left. */
const start = () =>
  startGateway({
    serverUrl: server.url,
    token,
    chatUrl: chat.url,
    stateFile: join(server.dataDir, 'gateway.json'),
  });

const sessionOf = (chatId: string) => `example-chat/${chatId}`;

/** Said in the chat, and done by a worker. @returns The delegation that the gateway has made of it. */
async function askAndAnswer(chatId: string, summary: string): Promise<string> {
  await chat.say(chatId, `Hello!\nfactory: look into ${chatId}`);
  const { id, tasks } = await eventually('the delegation', async () => {
    const { delegations } = await client.delegations.list({ session_id: sessionOf(chatId) });
    return delegations[0];
  });
  await client.tasks.complete(only(tasks), { summary });
  return id;
}

const firstSent = (chatId: string): Promise<Sent> =>
  eventually('it is sent', async () => (await chat.sent(chatId))[0]);

function untilDelivery(delegation: string, is: (delivery: Delivery) => boolean): Promise<Delivery> {
  return eventually('the delivery', async () => {
    const { deliveries } = await client.deliveries.list();
    return deliveries.find((delivery) => delivery.delegation_id === delegation && is(delivery));
  });
}

describe('what is asked in a chat', () => {
  test('comes back as a new turn of its conversation, at once when nobody is talking', async () => {
    const delegation = await askAndAnswer('idle', 'the cache was stale');
    const turn = await firstSent('idle');
    expect(turn).toMatchObject({ kind: 'turn', text: expect.stringContaining('the cache was stale') });
    const delivery = await untilDelivery(delegation, ({ status }) => status === 'acked');
    expect(delivery).toMatchObject({ id: turn.id, attempt: 1, message_id: expect.stringMatching(/^m\d+$/) });
    const { messages } = await client.deliveries.sessionMessages(sessionOf('idle'));
    expect(only(messages)).toMatchObject({ delivery_id: turn.id, text: turn.text });
  });

  test('waits for the turn that is under way, and counts no failure for it', async () => {
    await chat.busy(sessionOf('busy'), true);
    const delegation = await askAndAnswer('busy', 'in between');
    await untilDelivery(delegation, ({ status, attempt }) => status === 'pending' && attempt > 0);
    expect(await chat.sent('busy')).toEqual([]);
    await chat.busy(sessionOf('busy'), false);
    expect(await firstSent('busy')).toMatchObject({ kind: 'turn' });
    const delivery = await untilDelivery(delegation, ({ status }) => status === 'acked');
    expect(delivery).toMatchObject({ failures: 0 });
  });

  test('is stopped by its people', async () => {
    await chat.say('stop', 'factory: never mind');
    const list = () => client.delegations.list({ session_id: sessionOf('stop') });
    await eventually('the delegation', async () => (await list()).delegations.length === 1);
    await chat.say('stop', '/stop');
    await eventually('both are told', async () => (await chat.sent('stop')).length === 2);
    expect(only((await list()).delegations).status).toBe('cancelled');
  });
});

test('a message that can never be taken is answered, and holds up none behind it', async () => {
  await chat.say('endless', `factory: ${'on and '.repeat(10_000)}`);
  expect(await firstSent('endless')).toMatchObject({ text: expect.stringContaining('I cannot take this') });
  await askAndAnswer('behind', 'heard all the same');
  expect(await firstSent('behind')).toMatchObject({ kind: 'turn' });
});

describe('a send that fails', () => {
  test('is tried again, whether the chat answers with an error or not at all, until it is there', async () => {
    const failed: string[] = [];
    for (const [chatId, status] of [
      ['error', 500],
      ['cut', 0],
    ] as const) {
      await chat.fail(1, status);
      const delegation = await askAndAnswer(chatId, 'still there');
      const { id } = await untilDelivery(delegation, ({ failures }) => failures === 1);
      failed.push(id);
    }
    const sent = [await firstSent('error'), await firstSent('cut')];
    expect(sent.map(({ id }) => id)).toEqual(failed);
  });

  test('for good is dead, and is sent when somebody says so', async () => {
    await chat.fail(1, 403);
    const delegation = await askAndAnswer('gone', 'nobody reads this');
    const { id } = await untilDelivery(delegation, ({ status }) => status === 'dead');
    expect(await chat.sent('gone')).toEqual([]);
    await client.deliveries.retry(id);
    expect(await firstSent('gone')).toMatchObject({ id });
  });
});

test('a gateway that is killed between claim and ack sends it again under the same id, and nothing else', async () => {
  // The chat shows it, and never says so: nobody but the chat knows whether it was sent.
  await chat.fail(1, -1, true);
  const delegation = await askAndAnswer('killed', 'told twice at most');
  const { id } = await firstSent('killed');
  await gateway.stop('SIGKILL');
  expect((await untilDelivery(delegation, () => true)).status).not.toBe('acked');
  gateway = start();
  const delivery = await untilDelivery(delegation, ({ status }) => status === 'acked');
  expect(delivery.id).toBe(id);
  const sent = await chat.sent('killed');
  expect(sent.map((message) => message.id)).toEqual([id, id]);
  expect(new Set(sent.map(({ text }) => text)).size).toBe(1);
  only((await client.delegations.list({ session_id: sessionOf('killed') })).delegations);
});
