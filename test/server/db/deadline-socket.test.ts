/** Every connection to Postgres that ends is heard of, whoever ends it. */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { DeadlineSockets } from '../../../src/server/db/deadline-socket.ts';
import { eventually } from '../../fixtures/eventually.ts';

async function useSockets() {
  const peers: Socket[] = [];
  const server = createServer((peer) => {
    peer.on('error', () => undefined);
    peers.push(peer);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  let closed = 0;
  const sockets = new DeadlineSockets({
    findAddress: () => ({ host: '127.0.0.1', port }),
    onClose: () => {
      closed += 1;
    },
    deadlineMs: 60_000,
  });
  onTestFinished(() => {
    sockets.close();
    for (const peer of peers) peer.destroy();
    server.close();
  });
  const open = async (): Promise<Socket> => {
    const socket = await sockets.open();
    await once(socket, 'connect');
    await eventually('the peer has it', () => peers.length > 0);
    return socket;
  };
  return { sockets, peers, open, closed: () => closed };
}

test.each([
  ['by us', (socket: Socket) => void socket.destroy()],
  ['by the peer', (_: Socket, peer: Socket | undefined) => void peer?.resetAndDestroy()],
])(
  'a connection that is ended %s is told once, also when its listeners were taken away as for TLS',
  async (_name, end) => {
    for (const isStripped of [false, true]) {
      const { peers, open, closed } = await useSockets();
      const socket = await open();
      if (isStripped) socket.removeAllListeners();
      socket.on('error', () => undefined);
      socket.resume();
      end(socket, peers[0]);
      await eventually('it is told', () => closed() > 0);
      socket.destroy();
      expect(closed()).toBe(1);
    }
  },
);

test('all connections are cut, and none is remembered', async () => {
  const { sockets, open, closed } = await useSockets();
  for (const socket of [await open(), await open()]) socket.on('error', () => undefined);
  sockets.cut('moved');
  expect(closed()).toBe(2);
  sockets.cut('again');
  expect(closed()).toBe(2);
});
