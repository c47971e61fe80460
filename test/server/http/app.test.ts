import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { type App, createApp } from '../../../src/server/http/app.ts';
import { type Listening, listen } from '../../../src/server/http/listen.ts';
import { writeAnswer } from '../../../src/server/http/write-answer.ts';

let app: App;
let listening: Listening;
const bugs: unknown[] = [];
const sockets: Socket[] = [];

beforeEach(async () => {
  bugs.length = 0;
  app = createApp([], (error) => bugs.push(error));
  app.on('GET', '/things/{name}', async ({ outgoing, params, search }) => {
    writeAnswer(outgoing, 'request', { status: 200, body: { name: params['name'], search } });
  });
  app.on('POST', '/refused', async ({ outgoing }) => {
    writeAnswer(outgoing, 'request', { status: 401, body: { code: 'unauthenticated' } });
  });
  app.on('POST', '/echo', async ({ incoming, outgoing }) => {
    writeAnswer(outgoing, 'request', { status: 200, body: { heard: await text(incoming) } });
  });
  app.on('GET', '/large', async ({ outgoing }) => {
    writeAnswer(outgoing, 'request', { status: 200, body: 'x'.repeat(32 * 1024 * 1024) });
  });
  app.on('GET', '/broken', () => Promise.reject(new Error('a bug')));
  listening = await listen({
    app,
    host: '127.0.0.1',
    port: 0,
    onUpgrade: (_incoming, socket) => socket.end(),
  });
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await listening.close(0);
});

/** What the server answers to these very bytes, up to the end that `isWhole` sees. */
async function exchange(bytes: string, isWhole: (received: string) => boolean): Promise<string> {
  const socket = connect(listening.port, '127.0.0.1');
  sockets.push(socket);
  socket.write(bytes);
  let received = '';
  while (!isWhole(received)) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    received += chunk.toString();
  }
  return received;
}

describe('a request', () => {
  test('finds its handler with decoded parameters and its query', async () => {
    const answer = await fetch(`http://127.0.0.1:${listening.port}/things/a%2Fb?x=1`);
    expect(await answer.json()).toEqual({ name: 'a/b', search: 'x=1' });
  });

  test('whose parameter is not valid percent-encoding keeps it as it came', async () => {
    const answer = await fetch(`http://127.0.0.1:${listening.port}/things/%ff`);
    expect(await answer.json()).toMatchObject({ name: '%ff' });
  });

  test('with the whole address in its first line is answered as one with the path', async () => {
    const answer = await exchange(
      'GET http://somewhere.example/things/a?x=1 HTTP/1.1\r\nHost: somewhere.example\r\n\r\n',
      (received) => received.endsWith('}'),
    );
    expect(answer).toContain('{"name":"a","search":"x=1"}');
  });

  test('for the head alone gets the length of the body, and no body', async () => {
    const answer = await fetch(`http://127.0.0.1:${listening.port}/things/a`, { method: 'HEAD' });
    expect(answer.headers.get('content-length')).toBe(String('{"name":"a","search":""}'.length));
    expect(await answer.text()).toBe('');
  });

  test('whose handler has a bug is answered 500 without detail, and the connection goes on', async () => {
    const answer = await fetch(`http://127.0.0.1:${listening.port}/broken`);
    expect(answer.status).toBe(500);
    expect(await answer.json()).toMatchObject({ code: 'internal' });
    expect(bugs).toHaveLength(1);
    expect((await fetch(`http://127.0.0.1:${listening.port}/things/a`)).status).toBe(200);
  });
});

describe('a refused request', () => {
  test('that goes on sending its body is cut off', async () => {
    const socket = connect(listening.port, '127.0.0.1');
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.write('POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\nbegin');
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    expect(chunk.toString()).toMatch(/^HTTP\/1\.1 401 /);
    socket.resume();
    await once(socket, 'close');
  });

  test('whose body has arrived keeps its connection', async () => {
    const request = 'POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello';
    const next = 'GET /things/a HTTP/1.1\r\nHost: a\r\n\r\n';
    const answer = await exchange(request + next, (received) => received.includes('"search":""}'));
    expect(answer).toMatch(/^HTTP\/1\.1 401 /);
  });
});

describe('an offer to go on in another protocol than WebSocket', () => {
  const OFFER = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n';

  test('is ignored: the request is served as it is, and so is the next one of its connection', async () => {
    const request = `GET /things/a?x=1 HTTP/1.1\r\nHost: a\r\n${OFFER}\r\n`;
    const received = await exchange(
      request.repeat(3),
      (all) => all.split('{"name":"a","search":"x=1"}').length > 3,
    );
    expect(received.match(/HTTP\/1.1 200 /g)).toHaveLength(3);
    expect(bugs).toEqual([]);
  });

  test.each([
    ['with its length', 'Content-Length: 6\r\n\r\n', 'héllo'],
    ['in chunks', 'Transfer-Encoding: chunked\r\n\r\n', '6\r\nhéllo\r\n0\r\n\r\n'],
  ])('leaves the body of the request whole, also when it comes later (%s)', async (_how, head, body) => {
    const socket = connect(listening.port, '127.0.0.1');
    sockets.push(socket);
    socket.write(`POST /echo HTTP/1.1\r\nHost: a\r\n${OFFER}${head}${body.slice(0, 2)}`);
    await new Promise((resolve) => setImmediate(resolve));
    socket.write(`${body.slice(2)}GET /things/b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    const received = await text(socket);
    expect(received).toContain('{"heard":"héllo"}');
    expect(received).toContain('{"name":"b","search":""}');
  });

  test('is what curl makes by --http2, and it gets its answer', async () => {
    const address = `http://127.0.0.1:${listening.port}`;
    const curl = (...parameters: string[]): Promise<string | null> =>
      promisify(execFile)('curl', ['-sS', '--max-time', '5', '--http2', ...parameters]).then(
        ({ stdout }) => stdout,
        (error: NodeJS.ErrnoException) => {
          // Not everywhere is there a curl, or one that knows HTTP/2.
          if (error.code === 'ENOENT' || String(error.code) === '2') return null;
          throw error;
        },
      );
    expect([null, '{"name":"a","search":""}']).toContain(await curl(`${address}/things/a`));
    expect([null, '{"heard":"hello"}']).toContain(await curl('-d', 'hello', `${address}/echo`));
  });
});

test('a large answer that nobody reads is given up, and a small one costs no timer', async () => {
  const { setTimeout: original } = ServerResponse.prototype;
  const spy = vi.spyOn(ServerResponse.prototype, 'setTimeout').mockImplementation(function (
    this: ServerResponse,
  ) {
    return original.call(this, 100);
  });
  onTestFinished(() => spy.mockRestore());
  await fetch(`http://127.0.0.1:${listening.port}/things/a`);
  expect(spy).not.toHaveBeenCalled();
  const accepted = once(listening.server, 'connection') as Promise<[Socket]>;
  const socket = connect(listening.port, '127.0.0.1');
  sockets.push(socket);
  socket.on('error', () => undefined).pause();
  socket.write('GET /large HTTP/1.1\r\nHost: a\r\n\r\n');
  const [served] = await accepted;
  await once(served, 'close');
  expect(spy).toHaveBeenCalledWith(60_000);
});
