/** What the sender says of a delivery is what the receiver has said, and one host cannot take the room of all. */
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { WebhookSender } from '../../../../src/server/features/webhooks/service.ts';
import { formatId } from '../../../../src/server/kernel/ids.ts';
import { eventually } from '../../../fixtures/eventually.ts';

const listBoards = vi.hoisted(() => vi.fn(async (..._asked: unknown[]) => [1]));
vi.mock('../../../../src/server/features/webhooks/store.ts', () => ({
  listBoardsWithDueWebhooks: listBoards,
  findWebhooks: async (_sql: unknown, _board: number, ids: string[]) =>
    new Map(ids.filter((id) => id !== GONE).map((id) => [id, webhook()])),
}));
vi.mock('../../../../src/server/db/tx.ts', () => ({
  impatientTransaction: async (_sql: unknown, _patienceMs: number, work: (tx: unknown) => unknown) =>
    work({}),
  withinDeadline: async (work: unknown) => work,
}));

const GONE = idAt(999);
const held: ServerResponse[] = [];
let receiver: Server;
let host: string;

beforeEach(async () => {
  receiver = createServer((_request, response) => held.push(response));
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  host = `127.0.0.1:${(receiver.address() as AddressInfo).port}`;
});

afterEach(() => {
  held.length = 0;
  receiver.closeAllConnections();
  receiver.close();
});

function idAt(index: number): string {
  return `01890000-0000-7000-8000-${String(index).padStart(12, '0')}`;
}

const webhook = () => ({
  webhook_url: `http://${host}/hook`,
  webhook_secret: null,
  webhook_old_secret: null,
  traceparent: null,
});

/** A sender that is given these in one go, of subscriptions that are there, unless they are said to be gone. */
function senderOf(count: number, subscriptionId?: string, ack: () => Promise<void> = async () => undefined) {
  const errors: unknown[] = [];
  const ackAs = vi.fn(ack);
  const nackAs = vi.fn(async (..._said: unknown[]) => undefined);
  const rows = Array.from({ length: count }, (_, index) => ({
    id: idAt(index),
    lease_id: idAt(index),
    subscription_id: subscriptionId ?? idAt(index),
    webhook_host: host,
  }));
  const lease = vi.fn(async (..._asked: unknown[]) => rows.splice(0, 20));
  const present = async (_board: unknown, given: typeof rows) =>
    given
      .filter((row) => row.subscription_id !== GONE)
      .map((row) => ({ id: formatId('dlv', row.id as never), events: [] }));
  const sender = new WebhookSender({
    sql: {},
    boards: { resolveId: async () => ({ id: 1, name: 'b' }) },
    deliveries: { lease, present, ackAs, nackAs },
    secrets: {},
    trusted: new Set([host]),
    now: () => new Date(),
    onError: (error: unknown) => errors.push(error),
  } as never);
  return { sender, lease, ackAs, nackAs, errors };
}

const signal = new AbortController().signal;
const arrivals = (count: number) =>
  eventually(`${count} posts`, async () => (held.length >= count ? true : null));

test('a receiver that has taken it is not nacked because the database is away', async () => {
  const lost = new Error('the database is away');
  const { sender, nackAs, errors } = senderOf(1, undefined, () => Promise.reject(lost));
  await sender.sweep(signal);
  await arrivals(1);
  held[0]?.writeHead(204).end();
  await sender.drain();
  expect([nackAs.mock.calls, errors]).toEqual([[], [lost]]);
});

test('what has no subscription any more is dead, and is not taken again and again', async () => {
  const { sender, nackAs } = senderOf(1, GONE);
  await sender.sweep(signal);
  await sender.drain();
  expect(nackAs.mock.calls.map((call) => call[3])).toMatchObject([{ permanent: true }]);
});

test('a host that does not answer is posted to a few times at once, and what is left of its own is not asked for', async () => {
  const { sender, lease, ackAs, nackAs } = senderOf(20);
  const roomsOf = (call: number) => lease.mock.calls[call]?.[2];
  await sender.sweep(signal);
  await arrivals(20);
  await sender.sweep(signal);
  expect([roomsOf(0), roomsOf(1)]).toMatchObject([
    { webhooks: { usual: 20, rooms: new Map() } },
    { webhooks: { usual: 20, rooms: new Map([[host, 0]]) } },
  ]);
  expect(listBoards.mock.lastCall?.[1]).toEqual([host]);
  for (const response of held) response.writeHead(204).end();
  await sender.drain();
  expect(nackAs).not.toHaveBeenCalled();
  await sender.sweep(signal);
  expect(listBoards.mock.lastCall?.[1]).toEqual([]);
  expect(ackAs).toHaveBeenCalledTimes(20);
});
