import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { WebSocketConnection } from '../../bench/lanekeeper/web-socket.ts';

const SUBPROTOCOL = 'lanekeeper.v1';

interface Pair {
  readonly client: WebSocketConnection;
  readonly server: WebSocket;
  /** What the client was sent, and why it failed. */
  readonly received: string[];
  readonly failed: Promise<Error>;
}

async function openPair(): Promise<Pair> {
  const listening = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  onTestFinished(() => {
    for (const socket of listening.clients) socket.terminate();
    listening.close();
  });
  await once(listening, 'listening');
  const { port } = listening.address() as AddressInfo;
  const connected = once(listening, 'connection') as Promise<[WebSocket]>;
  const client = await WebSocketConnection.open({
    url: `http://127.0.0.1:${port}`,
    path: '/watch',
    token: 'a-token',
    subprotocol: SUBPROTOCOL,
  });
  onTestFinished(() => client.close());
  const received: string[] = [];
  const failed = new Promise<Error>((resolve) => {
    client.listen((text) => received.push(text), resolve);
  });
  const [server] = await connected;
  return { client, server, received, failed };
}

it('carries texts of every length of header in both directions, in order', async () => {
  const { client, server, received } = await openPair();
  // 7-bit, 16-bit and 64-bit lengths, and characters of more than one byte.
  const texts = ['', 'short', 'é'.repeat(100), 'm'.repeat(126), 'l'.repeat(65_535), 'x'.repeat(70_000)];
  server.on('message', (data) => server.send(String(data)));
  const sendable = texts.filter(({ length }) => length <= 65_535);
  for (const text of sendable) client.send(text);
  server.send(texts.at(-1) ?? '');
  await expect.poll(() => received.length).toBe(sendable.length + 1);
  expect(received.filter(({ length }) => length !== 70_000)).toEqual(sendable);
  expect(received).toContain(texts.at(-1));
});

it('answers a ping with the same payload', async () => {
  const { server } = await openPair();
  const pong = once(server, 'pong') as Promise<[Buffer]>;
  server.ping('are you there');
  expect(String((await pong)[0])).toBe('are you there');
});

it('tells why the server has closed', async () => {
  const { server, failed } = await openPair();
  server.close(4408, 'too slow');
  expect((await failed).message).toContain('too slow');
});

it('refuses an upgrade that the server refused', async () => {
  const listening = new WebSocketServer({ host: '127.0.0.1', port: 0, verifyClient: () => false });
  onTestFinished(() => void listening.close());
  await once(listening, 'listening');
  const { port } = listening.address() as AddressInfo;
  const target = { url: `http://127.0.0.1:${port}`, path: '/', token: 't', subprotocol: SUBPROTOCOL };
  await expect(WebSocketConnection.open(target)).rejects.toThrow('401');
});
