/** What both sides of a proxy under test have in common: clients in front of it, servers that are not ours behind it, and its shipped file. */
import { once } from 'node:events';
import {
  createServer as createHttpServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestListener,
  type Server,
} from 'node:http';
import { request } from 'node:https';
import { type AddressInfo, createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';
import { answerOf, type CallAnswer } from '../fixtures/call.ts';

/** Loopback has a whole network of addresses: the client comes from another one than the proxy. */
export const CLIENT = '127.0.0.77';
/** The name that the proxy has in the test. */
export const NAME = 'lanekeeper.test';

/** What the file has is there, and once: a line that was changed there would otherwise stay as it is without a word. */
export function replaced(text: string, found: string, by: string): string {
  const parts = text.split(found);
  if (parts.length !== 2) throw new Error(`${parts.length - 1} times there: ${found}`);
  return parts.join(by);
}

export async function freePort(): Promise<number> {
  const probe = createServer();
  probe.listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

export interface Asked {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly token?: string | null;
  /** Ends the connection. */
  readonly signal?: AbortSignal;
}

/** A request to the proxy on a port, over a connection of its own, up to the beginning of the answer. */
export function open(
  port: number,
  method: string,
  path: string,
  { body, headers = {}, token = null, signal }: Asked = {},
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const outgoing = request({
      ...{ host: '127.0.0.1', port, method, path, localAddress: CLIENT },
      ...{ rejectUnauthorized: false, agent: false, signal },
      headers: {
        Host: NAME,
        ...(token === null ? {} : { Authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...headers,
      },
    });
    outgoing.on('response', resolve);
    outgoing.on('error', reject);
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** The same with the whole answer. */
export async function ask(
  port: number,
  method: string,
  path: string,
  asked: Asked = {},
): Promise<CallAnswer<IncomingHttpHeaders>> {
  const answer = await open(port, method, path, asked);
  return answerOf(answer.statusCode ?? 0, answer.headers, await text(answer));
}

/** A server for the time of a test, with its host and port. */
export async function startStandIn(listener: RequestListener): Promise<{ server: Server; host: string }> {
  const server = createHttpServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  return { server, host: `127.0.0.1:${(server.address() as AddressInfo).port}` };
}
