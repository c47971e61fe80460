/** An upgrade as it looks on the wire: everything that a refused one is answered with. */
import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { WATCH_SUBPROTOCOL } from '../../src/contract/constants.ts';
import type { CallAnswer, TestServer } from '../fixtures/server.ts';

/** Status 101 without a body: it was accepted, and is gone again. */
export function upgrade(
  { url }: Pick<TestServer, 'url'>,
  path: string,
  token: string | null,
  headers: Readonly<Record<string, string>> = {},
): Promise<CallAnswer> {
  return new Promise((resolve, reject) => {
    const asked = request(url + path, {
      headers: {
        Connection: 'Upgrade',
        Upgrade: 'websocket',
        'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
        'Sec-WebSocket-Protocol': WATCH_SUBPROTOCOL,
        ...(token === null ? {} : { Authorization: `Bearer ${token}` }),
        ...headers,
      },
    });
    asked.once('error', reject);
    asked.once('upgrade', (response, socket) => {
      socket.destroy();
      resolve({ status: 101, body: null, code: undefined, headers: headersOf(response.headers) });
    });
    asked.once('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const body = JSON.parse(Buffer.concat(chunks).toString('utf8'));
        resolve({
          status: response.statusCode ?? 0,
          body,
          code: body.code,
          headers: headersOf(response.headers),
        });
      });
    });
    asked.end();
  });
}

function headersOf(headers: NodeJS.Dict<string | string[]>): Headers {
  const plain = Object.entries(headers).map(([name, value]): [string, string] => [name, String(value)]);
  return new Headers(plain);
}
