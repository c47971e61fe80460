import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
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
async function exchange(bytes: string, isWhole: (text: string) => boolean): Promise<string> {
  const socket = connect(listening.port, '127.0.0.1');
  sockets.push(socket);
  socket.write(bytes);
  let text = '';
  while (!isWhole(text)) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    text += chunk.toString();
  }
  return text;
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
    const text = await exchange(
      'GET http://somewhere.example/things/a?x=1 HTTP/1.1\r\nHost: somewhere.example\r\n\r\n',
      (received) => received.endsWith('}'),
    );
    expect(text).toContain('{"name":"a","search":"x=1"}');
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
    const text = await exchange(request + next, (received) => received.includes('"search":""}'));
    expect(text).toMatch(/^HTTP\/1\.1 401 /);
  });
});
