import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import type { App } from '../../../src/server/http/app.ts';
import { listen } from '../../../src/server/http/listen.ts';

test('a stop is not held up by a socket whose upgrade is still being decided, nor by one that stays open', async () => {
  let tell = (): void => undefined;
  const asked = new Promise<void>((resolve) => {
    tell = resolve;
  });
  const app = { handle: () => undefined } as unknown as App;
  const listening = await listen({ app, host: '127.0.0.1', port: 0, onUpgrade: () => tell() });
  const socket = connect(listening.port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  await asked;
  const closed = once(socket, 'close');
  await listening.close(50);
  await closed;
  expect(listening.server.listening).toBe(false);
});
