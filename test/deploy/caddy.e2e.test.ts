/**
 * What deploy/caddy says works: Caddy takes the file as it is, the client's address is the client's, streams and sockets get through, and
 * while no server is ready Caddy answers in their words. Behind it are stand-ins: what servers of ours make of it, deploy/nginx shows.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { findProgram } from '../../scripts/needed-programs.mjs';
import { eventually } from '../fixtures/eventually.ts';
import { ROOT } from '../fixtures/server-process.ts';
import { ask, CLIENT, freePort, NAME, open, replaced, startStandIn } from './behind-proxy.ts';

const FILE = join(ROOT, 'deploy/caddy/Caddyfile');

interface Place {
  readonly program: string;
  readonly directory: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Caddy keeps certificates and its last configuration in these; none of it is to outlive the test. */
function findCaddy(): Place {
  const program = findProgram('caddy');
  if (program === null) throw new Error('there is no caddy');
  const directory = mkdtempSync(join(tmpdir(), 'lanekeeper-caddy-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return {
    program,
    directory,
    env: { HOME: directory, XDG_DATA_HOME: directory, XDG_CONFIG_HOME: directory },
  };
}

/** The file as it is shipped, in front of these servers, with a certificate that Caddy has made itself. Its port. */
async function startCaddy(servers: readonly string[]): Promise<number> {
  const { program, directory, env } = findCaddy();
  const port = await freePort();
  // No interface to administer it, nothing on port 80, and no authority made known to the machine.
  const options = '{\n admin off\n auto_https disable_redirects\n skip_install_trust\n}';
  const site = replaced(
    readFileSync(FILE, 'utf8'),
    '\nlanekeeper.example.org {',
    `\n${options}\n${NAME}:${port} {\n bind 127.0.0.1\n tls internal`,
  );
  const proxied = replaced(site, 'reverse_proxy 127.0.0.1:7420 {', `reverse_proxy ${servers.join(' ')} {`);
  const config = join(directory, 'Caddyfile');
  writeFileSync(config, replaced(proxied, 'health_interval 5s', 'health_interval 100ms'));
  const child = spawn(program, ['run', '--config', config, '--adapter', 'caddyfile'], {
    env,
    stdio: 'ignore',
  });
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    // Asked politely it would wait for open streams, without end.
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  await eventually('caddy answers', () => {
    if (child.exitCode !== null) throw new Error(`caddy ended with ${child.exitCode}`);
    // Its own answer: whether there is a server behind it is another matter.
    return ask(port, 'GET', '/metrics').then(
      ({ status }) => status === 404,
      () => false,
    );
  });
  return port;
}

/** A server that can lose its database, with the requests it was asked but for those about its health. */
interface StandIn {
  readonly host: string;
  /** `refusals`: how often Caddy was told that it is not ready. */
  readonly state: { isReady: boolean; refusals: number };
  readonly asked: string[];
}

async function startServer(): Promise<StandIn> {
  const state = { isReady: true, refusals: 0 };
  const asked: string[] = [];
  const { host } = await startStandIn((incoming, answer) => {
    incoming.resume();
    if (incoming.url !== '/readyz') asked.push(`${incoming.method} ${incoming.url}`);
    else if (!state.isReady) state.refusals += 1;
    answer.writeHead(state.isReady ? 200 : 503).end();
  });
  return { host, state, asked };
}

const AWAY = {
  status: 503,
  headers: { 'retry-after': '2', 'content-type': 'application/problem+json' },
  body: { code: 'database_unavailable', status: 503 },
};

test('Caddy takes the file as it is, and would write it no other way', () => {
  const { program, env } = findCaddy();
  const run = (...words: string[]): string =>
    execFileSync(program, words, { env, encoding: 'utf8', stdio: 'pipe' });
  run('validate', '--config', FILE, '--adapter', 'caddyfile');
  expect(run('fmt', FILE)).toBe(readFileSync(FILE, 'utf8'));
});

test('servers hear whose request it is from Caddy, whatever the client writes itself, and browsers to stay with TLS', async () => {
  let heard: IncomingHttpHeaders = {};
  const { host } = await startStandIn((incoming, answer) => {
    if (incoming.url !== '/readyz') heard = incoming.headers;
    answer.end();
  });
  const port = await startCaddy([host]);
  const forged = {
    'X-Forwarded-For': '198.51.100.1',
    'X-Forwarded-Proto': 'http',
    'X-Forwarded-Host': 'evil.example',
    Forwarded: 'for=198.51.100.2',
    'X-Real-IP': '198.51.100.3',
  };
  const answer = await ask(port, 'GET', '/v1/whoami', { headers: forged });
  expect(answer.status).toBe(200);
  expect(answer.headers['strict-transport-security']).toMatch(/^max-age=/);
  expect(heard).toMatchObject({
    host: NAME,
    'x-forwarded-for': CLIENT,
    'x-forwarded-proto': 'https',
    'x-forwarded-host': NAME,
  });
  expect(Object.keys(heard)).not.toContain('forwarded');
  expect(Object.keys(heard)).not.toContain('x-real-ip');
});

test('metrics are not asked for', async () => {
  const { host, asked } = await startServer();
  const port = await startCaddy([host]);
  expect((await ask(port, 'GET', '/metrics')).status).toBe(404);
  expect((await ask(port, 'GET', '/v1/whoami')).status).toBe(200);
  expect(asked).toEqual(['GET /v1/whoami']);
});

test('events arrive as they are written, over a stream and over a socket', async () => {
  const { server, host } = await startStandIn((incoming, answer) => {
    answer.writeHead(200, { 'Content-Type': 'text/event-stream' });
    // The stream stays open: whoever waits for its end waits for ever.
    if (incoming.url === '/v1/boards/default/events') answer.write('data: 1\n\n');
    else answer.end();
  });
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(`heard ${data}`)));
  const port = await startCaddy([host]);
  const stream = await open(port, 'GET', '/v1/boards/default/events');
  const [chunk] = await once(stream, 'data');
  expect(String(chunk)).toBe('data: 1\n\n');
  stream.destroy();
  const socket = new WebSocket(`wss://127.0.0.1:${port}/v1/boards/default/watch`, {
    ...{ rejectUnauthorized: false, localAddress: CLIENT, servername: NAME },
    headers: { Host: NAME },
  });
  await once(socket, 'open');
  socket.send('this');
  const [data] = await once(socket, 'message');
  expect(String(data)).toBe('heard this');
  socket.close();
  await once(socket, 'close');
});

test('a server that is not ready is passed over; without any, clients are told to come back until there is one', async () => {
  const [one, other] = [await startServer(), await startServer()];
  const port = await startCaddy([one.host, other.host]);
  const status = async (): Promise<number> => (await ask(port, 'GET', '/v1/whoami')).status;
  // By the third time Caddy has heard the first.
  const isFoundOut = ({ state }: StandIn) => eventually('it is found out', () => state.refusals > 2);
  one.state.isReady = false;
  await isFoundOut(one);
  const before = one.asked.length;
  // Of two that are ready each would be chosen by chance.
  for (let n = 1; n <= 8; n += 1) expect(await status()).toBe(200);
  expect(one.asked).toHaveLength(before);
  other.state.isReady = false;
  await isFoundOut(other);
  for (const method of ['GET', 'POST'])
    expect(await ask(port, method, '/v1/boards/default/tasks')).toMatchObject(AWAY);
  other.state.isReady = true;
  await eventually('it is used again', async () => (await status()) === 200);
});

test('what changes something is handed on once, and clients hear it from Caddy when a server goes away over it', async () => {
  const asked: string[] = [];
  const { host } = await startStandIn((incoming, answer) => {
    if (incoming.url === '/readyz') answer.end();
    else {
      asked.push(incoming.method ?? '');
      incoming.socket.destroy();
    }
  });
  const port = await startCaddy([host]);
  for (const method of ['POST', 'PATCH'])
    expect(await ask(port, method, '/v1/boards/default/tasks', { body: {} })).toMatchObject(AWAY);
  expect(asked).toEqual(['POST', 'PATCH']);
});

test('a client that goes away is gone for the server too, so that it gives no work to nobody', async () => {
  let isGone = false;
  let isAsked = false;
  const { host } = await startStandIn((incoming, answer) => {
    incoming.resume();
    if (incoming.url === '/readyz') {
      answer.end();
      return;
    }
    isAsked = true;
    answer.on('close', () => {
      isGone = true;
    });
  });
  const port = await startCaddy([host]);
  const leaving = new AbortController();
  const waiting = open(port, 'POST', '/v1/boards/default/lanes/demo/claims', {
    body: {},
    signal: leaving.signal,
  });
  await eventually('it waits', () => isAsked);
  leaving.abort();
  await expect(waiting).rejects.toThrow();
  await eventually('the server is told', () => isGone, 3000);
});
