import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { HttpConnection } from '../../bench/lanekeeper/http-connection.ts';
import { ServerAccess } from '../../bench/lanekeeper/server-access.ts';
import { eventually } from '../fixtures/eventually.ts';

async function startServer() {
  const server = createServer((_request, response) => {
    response.setHeader('Content-Length', 2).end('{}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

test('a request on a connection that the server closed while it was idle fails at once', async () => {
  const { server, url } = await startServer();
  const connection = await HttpConnection.open(url);
  await connection.call({ method: 'GET', path: '/', token: 't' });
  server.closeAllConnections();
  await eventually('the close has been seen', () => !connection.isOpen);
  await expect(connection.call({ method: 'GET', path: '/', token: 't' })).rejects.toThrow('closed');
});

test('the admin of a long measurement connects again', async () => {
  const { server, url } = await startServer();
  const access = await ServerAccess.open({ urls: [url], adminKey: 'k' } as never);
  onTestFinished(() => access.close());
  const call = () => access.callAsAdmin({ method: 'GET', path: '/' });
  await call();
  server.closeAllConnections();
  // The call that meets the closing connection may fail; the next one must not.
  await eventually('an answer', () =>
    call().then(
      () => true,
      () => false,
    ),
  );
  await expect(call()).resolves.toEqual({});
});
