/**
 * What deploy/nginx says works: sockets, streams, long polls and large bodies, the client's address is the client's, and servers that all
 * say 503 for a while are heard as they say it.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { findProgram } from '../../scripts/needed-programs.mjs';
import { eventually } from '../fixtures/eventually.ts';
import { ROOT, useServerProcess } from '../fixtures/server-process.ts';
import {
  type Asked,
  ask as askAt,
  CLIENT,
  freePort,
  NAME,
  open as openAt,
  replaced,
  startStandIn,
} from './behind-proxy.ts';

const server = useServerProcess({ LANEKEEPER_TRUSTED_PROXIES: '127.0.0.1' });
let nginx: RunningNginx | undefined;
let port: number;
let key: string;

interface RunningNginx {
  readonly port: number;
  stop(): Promise<void>;
}

/** The file as it is shipped, in front of these servers. */
async function startNginx(servers: readonly string[]): Promise<RunningNginx> {
  const program = findProgram('nginx');
  if (program === null) throw new Error('there is no nginx');
  const directory = await mkdtemp(join(tmpdir(), 'lanekeeper-nginx-'));
  const certificate = join(directory, 'certificate.pem');
  const privateKey = join(directory, 'key.pem');
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-days',
      '2',
      '-subj',
      `/CN=${NAME}`,
    ].concat('-keyout', privateKey, '-out', certificate),
    { stdio: 'pipe' },
  );
  const ownPort = await freePort();
  const shipped = await readFile(join(ROOT, 'deploy/nginx/lanekeeper.conf'), 'utf8');
  const [, parameters = ''] = /^ *server 127\.0\.0\.1:7420(.*;)$/m.exec(shipped) ?? [];
  const lines = servers.map((host) => `server ${host}${parameters}`).join('\n    ');
  const upstream = replaced(shipped, `\n    server 127.0.0.1:7420${parameters}`, `\n    ${lines}`);
  const site = replaced(upstream, 'listen 443 ssl http2;', `listen 127.0.0.1:${ownPort} ssl http2;`)
    .replace(/^ *listen \[::\].*$/gm, '')
    .replace('listen 80;', `listen 127.0.0.1:${await freePort()};`)
    .replaceAll('lanekeeper.example.org;', `${NAME};`)
    .replace(/ssl_certificate .*;/, `ssl_certificate ${certificate};`)
    .replace(/ssl_certificate_key .*;/, `ssl_certificate_key ${privateKey};`);
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${directory}/${name};`,
  );
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  const main = `${user} daemon off; pid ${directory}/pid; error_log stderr warn; worker_processes 1;
    events { worker_connections 256; }
    http { access_log off; ${paths.join(' ')} ${site} }`;
  await writeFile(join(directory, 'nginx.conf'), main);
  const child: ChildProcess = spawn(program, ['-p', directory, '-c', join(directory, 'nginx.conf')], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
    await rm(directory, { recursive: true, force: true });
  };
  await eventually('nginx answers', () =>
    ask('GET', '/metrics', { at: ownPort, token: null }).then(
      // Its own answer: whether there is a server behind it is another matter.
      ({ status }) => status === 404,
      () => false,
    ),
  );
  return { port: ownPort, stop };
}

beforeAll(async () => {
  nginx = await startNginx([new URL(server.url).host]);
  port = nginx.port;
  key = await server.adminKey();
});
afterAll(() => nginx?.stop());

interface AskedHere extends Asked {
  /** Port of another nginx than that of all tests. */
  readonly at?: number;
}

const open = (method: string, path: string, { at = port, token = key, ...asked }: AskedHere = {}) =>
  openAt(at, method, path, { token, ...asked });
const ask = (method: string, path: string, { at = port, token = key, ...asked }: AskedHere = {}) =>
  askAt(at, method, path, { token, ...asked });

test('the address in the audit log is the client’s, whatever it writes itself, and answers tell browsers to stay with TLS', async () => {
  const forged = {
    'X-Forwarded-For': '198.51.100.1',
    Forwarded: 'for=198.51.100.2',
    'X-Real-IP': '198.51.100.3',
  };
  const made = await ask('PUT', '/v1/boards/default/lanes/proxied', { body: {}, headers: forged });
  expect(made.status).toBe(201);
  expect(made.headers['strict-transport-security']).toMatch(/^max-age=/);
  const { body } = await ask('GET', '/v1/audit?before=now&limit=1');
  expect(body.entries[0]).toMatchObject({ action: 'lane.registered', subject: 'proxied', address: CLIENT });
});

test('metrics are not there, and not open behind the proxy', async () => {
  expect((await ask('GET', '/metrics', { token: null })).status).toBe(404);
  const direct = await fetch(`${server.url}/metrics`, { headers: { 'X-Forwarded-For': '127.0.0.1' } });
  expect(direct.status).toBe(401);
  expect((await fetch(`${server.url}/metrics`)).status).toBe(200);
});

test('guesses count for who guesses, not for the proxy', async () => {
  for (let n = 0; n < 301; n += 1)
    await fetch(`${server.url}/v1/whoami`, {
      headers: { Authorization: 'Bearer lk_admin_x', 'X-Forwarded-For': '203.0.113.5' },
    });
  const guesser = await fetch(`${server.url}/v1/whoami`, {
    headers: { Authorization: 'Bearer lk_admin_x', 'X-Forwarded-For': '203.0.113.5' },
  });
  expect(guesser.status).toBe(429);
  expect((await ask('GET', '/v1/whoami', { token: 'lk_admin_x' })).status).toBe(401);
});

test('a long poll is answered when there is work, and a large batch gets through', async () => {
  const waiting = ask('POST', '/v1/boards/default/lanes/proxied/claims', {
    body: {},
    headers: { Prefer: 'wait=30' },
  });
  await eventually('it waits', async () =>
    /^lanekeeper_claim_waiters 1$/m.test(await (await fetch(`${server.url}/metrics`)).text()),
  );
  const tasks = Array.from({ length: 100 }, (_, n) => ({
    title: `t${n}`,
    ...(n === 0 ? { lane: 'proxied' } : {}),
    body: 'x'.repeat(60_000),
  }));
  expect((await ask('POST', '/v1/boards/default/tasks/batch', { body: { tasks } })).status).toBe(201);
  expect((await waiting).body.claims).toHaveLength(1);
});

test('events arrive as they are written, over a stream and over a socket of our own origin', async () => {
  const stream = await open('GET', '/v1/boards/default/events?after=now&kinds=lane.paused', {
    headers: { Accept: 'text/event-stream' },
  });
  const socket = new WebSocket(`wss://127.0.0.1:${port}/v1/boards/default/watch`, ['lanekeeper.v1'], {
    ...{ rejectUnauthorized: false, localAddress: CLIENT },
    headers: { Host: 'lanekeeper.test', Origin: 'https://lanekeeper.test', Authorization: `Bearer ${key}` },
  });
  const frames: { type: string }[] = [];
  socket.on('message', (data) => void frames.push(JSON.parse(String(data))));
  await once(socket, 'open');
  socket.send(JSON.stringify({ type: 'watch', id: 'w', kinds: ['lane.paused'] }));
  await eventually('it watches', () => Promise.resolve(frames.some(({ type }) => type === 'watching')));
  expect((await ask('POST', '/v1/boards/default/lanes/proxied/pause', { body: {} })).status).toBe(200);
  for await (const chunk of stream) if (String(chunk).includes('lane.paused')) break;
  await eventually('the socket is told', () => Promise.resolve(frames.some(({ type }) => type === 'events')));
  socket.close();
  await once(socket, 'close');
  const foreign = new WebSocket(`wss://127.0.0.1:${port}/v1/boards/default/watch`, ['lanekeeper.v1'], {
    ...{ rejectUnauthorized: false, localAddress: CLIENT },
    headers: { Host: 'lanekeeper.test', Origin: 'https://evil.example', Authorization: `Bearer ${key}` },
  });
  const [error] = await once(foreign, 'error').catch((thrown: unknown) => [thrown]);
  expect(String(error)).toContain('403');
});

const AWAY = { code: 'database_unavailable', status: 503, title: 'The database cannot be reached' };

interface State {
  isAway: boolean;
  asked: number;
}

/** Answers as a server does while Postgres is away, but for /livez. */
async function startServer(state: State): Promise<string> {
  const { host } = await startStandIn((incoming, answer) => {
    incoming.resume();
    if (incoming.url !== '/livez') state.asked += 1;
    const isRefused = state.isAway && incoming.url !== '/livez';
    answer.writeHead(isRefused ? 503 : 200, {
      'Content-Type': isRefused ? 'application/problem+json' : 'application/json',
      ...(isRefused ? { 'Retry-After': '2' } : {}),
    });
    answer.end(JSON.stringify(isRefused ? AWAY : { is: 'well' }));
  });
  return host;
}

test('two servers that both say 503 are heard as they say it, and used again as soon as they are well', async () => {
  const states = [
    { isAway: true, asked: 0 },
    { isAway: true, asked: 0 },
  ];
  const both = await startNginx(await Promise.all(states.map(startServer)));
  onTestFinished(() => both.stop());
  const asked = (): number => states.reduce((sum, state) => sum + state.asked, 0);
  const refusal = { status: 503, body: AWAY, headers: { 'retry-after': '2' } };
  for (let n = 1; n <= 6; n += 1) {
    expect(await ask('GET', '/v1/whoami', { at: both.port })).toMatchObject(refusal);
    // One after the other, each time: none of them is taken out.
    expect(states.map((state) => state.asked)).toEqual([n, n]);
  }
  // What changes something is handed on once, and its answer is the client's.
  for (let n = 1; n <= 4; n += 1) {
    const before = asked();
    expect(await ask('POST', '/v1/boards/default/tasks', { at: both.port, body: {} })).toMatchObject(refusal);
    expect(asked()).toBe(before + 1);
  }
  for (const state of states) state.isAway = false;
  for (let n = 1; n <= 4; n += 1)
    expect((await ask('GET', '/v1/whoami', { at: both.port })).status).toBe(200);
});

test('while no server answers clients are told to come back, as by a server', async () => {
  const alone = await startNginx([`127.0.0.1:${await freePort()}`]);
  onTestFinished(() => alone.stop());
  for (const method of ['GET', 'POST']) {
    const answer = await ask(method, '/v1/boards/default/tasks', { at: alone.port });
    expect(answer).toMatchObject({
      status: 503,
      headers: { 'retry-after': '2', 'content-type': 'application/problem+json' },
      body: { code: 'database_unavailable' },
    });
  }
});

test('a server that drains is passed over', async () => {
  const states = [
    { isAway: true, asked: 0 },
    { isAway: false, asked: 0 },
  ];
  const both = await startNginx(await Promise.all(states.map(startServer)));
  onTestFinished(() => both.stop());
  for (let n = 1; n <= 6; n += 1)
    expect((await ask('GET', '/v1/whoami', { at: both.port })).status).toBe(200);
  expect(states[1]?.asked).toBe(6);
});
