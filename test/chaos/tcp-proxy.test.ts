import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TcpProxy } from '../../chaos/tcp-proxy.ts';

/** Says everything again, and remembers who came. */
const behind = createServer((socket) => {
  arrived.push(socket);
  socket.on('error', () => undefined);
  socket.pipe(socket);
});
let arrived: Socket[] = [];
let proxy: TcpProxy;

beforeEach(async () => {
  arrived = [];
  behind.listen(0, '127.0.0.1');
  await once(behind, 'listening');
  const address = behind.address();
  proxy = await TcpProxy.open();
  proxy.target = address !== null && typeof address === 'object' ? address.port : null;
});

afterEach(async () => {
  await proxy.close();
  for (const socket of arrived) socket.destroy();
  behind.close();
  await once(behind, 'close');
});

/** A client whose connection is made on both sides: it has been answered once. */
async function enter(): Promise<Socket> {
  const socket = connect(proxy.port, '127.0.0.1');
  socket.on('error', () => undefined);
  await ask(socket);
  return socket;
}

async function ask(socket: Socket): Promise<void> {
  const answered = once(socket, 'data');
  socket.write('?');
  await answered;
}

test('an abandoned connection carries nothing, tells nobody of its end, and leaves later ones alone', async () => {
  const socket = await enter();
  const [server] = arrived;
  let heard = 0;
  socket.on('data', () => {
    heard += 1;
  });
  proxy.abandon();
  socket.write('is anybody there?');
  proxy.pass();
  socket.end();
  // Two whole round trips of another connection: what was to come would have come.
  const other = await enter();
  await ask(other);
  expect(heard).toBe(0);
  expect(server?.readableEnded).toBe(false);
  expect(server?.destroyed).toBe(false);
  other.destroy();
});

test('connections that are made meanwhile are accepted, and abandoned too', async () => {
  proxy.abandon();
  const socket = connect(proxy.port, '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  let heard = 0;
  socket.on('data', () => {
    heard += 1;
  });
  socket.write('?');
  proxy.pass();
  const other = await enter();
  await ask(other);
  expect(heard).toBe(0);
  other.destroy();
  socket.destroy();
});

test('what was abandoned is cut on both sides when it is released, and nothing else is', async () => {
  const socket = await enter();
  const [server] = arrived;
  proxy.abandon();
  proxy.pass();
  const other = await enter();
  const cut = [socket, server].map(
    (side) => new Promise((resolve) => side?.once('close', () => resolve(side))),
  );
  proxy.release();
  expect(await Promise.all(cut)).toEqual([socket, server]);
  await ask(other);
  other.destroy();
});
