/** What a person meets who starts and stops the server. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFile, stat } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { eventually } from '../../fixtures/eventually.ts';
import { call } from '../../fixtures/server.ts';
import { buildServer, makeDataDir, ROOT, startServerProcess } from '../../fixtures/server-process.ts';

const run = promisify(execFile);
const MAIN = join(ROOT, 'dist/server/main.js');
const cleanups: (() => Promise<void>)[] = [];

beforeAll(() => buildServer());
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function useDataDir(): Promise<string> {
  const { path, remove } = await makeDataDir();
  cleanups.push(remove);
  return path;
}

async function useServer(dataDir: string, environment: Record<string, string> = {}) {
  const server = await startServerProcess(dataDir, environment);
  cleanups.push(async () => {
    await server.stop('SIGKILL');
  });
  return server;
}

test('a first start says where everything is, keeps the admin key to its owner, and SIGTERM ends it with 0 within 5 s', async () => {
  const dataDir = await useDataDir();
  const server = await useServer(dataDir);
  // It is printed once the data dir says where the server is.
  await eventually('the ready block', () => server.output().includes('Try next'));
  expect(server.output()).toContain(`is ready at ${server.url}`);
  expect(server.output()).toContain('embedded PostgreSQL 18');
  expect(server.output()).toContain(join(dataDir, 'admin-key'));
  expect(server.output()).not.toContain(await server.adminKey());
  const link = server.output().match(/ Dashboard {3}(\S+)/)?.[1] ?? '';
  expect(link.startsWith(`${server.url}/#code=`)).toBe(true);
  const signIn = () =>
    call(server.url, 'POST', '/v1/sign-in', { token: null, body: { code: link.replace(/.*=/, '') } });
  expect((await signIn()).body.key).toMatchObject({ role: 'admin', boards: ['*'] });
  expect((await signIn()).status).toBe(401);
  expect((await stat(join(dataDir, 'admin-key'))).mode & 0o777).toBe(0o600);
  const { status } = await call(server.url, 'GET', '/readyz', { token: null });
  expect(status).toBe(200);
  const stoppedAt = performance.now();
  expect(await server.stop()).toBe(0);
  expect(performance.now() - stoppedAt).toBeLessThan(5000);
});

test('a server for others prints no link that signs in, warns of what is no setting, and is found from its machine all the same', async () => {
  const dataDir = await useDataDir();
  const server = await useServer(dataDir, {
    LANEKEEPER_PUBLIC_URL: 'https://lanes.example.org',
    LANEKEEPER_TRUSTED_PROXY: '127.0.0.1',
  });
  await eventually('the ready block', () => server.output().includes('Try next'));
  expect(server.output()).toContain('is ready at https://lanes.example.org');
  expect(server.output()).not.toContain('#code=');
  await eventually('the warning', () => server.output().includes('"setting":"LANEKEEPER_TRUSTED_PROXY"'));
  const { stdout } = await run(
    process.execPath,
    [join(ROOT, 'bin/lanekeeper.js'), 'boards', 'list', '--json'],
    {
      env: { PATH: process.env['PATH'], LANEKEEPER_DATA_DIR: dataDir },
    },
  );
  expect(stdout).toContain('"default"');
});

test('a second start on the same data finds the boards and the admin key of the first', async () => {
  const dataDir = await useDataDir();
  const first = await useServer(dataDir);
  const token = await first.adminKey();
  await call(first.url, 'PUT', '/v1/boards/kept', { token, body: { title: 'Kept' } });
  await first.stop();
  const second = await useServer(dataDir);
  expect((await call(second.url, 'GET', '/v1/boards/kept', { token })).body.board.title).toBe('Kept');
});

test('two interrupts in quick succession, as npm and the terminal send them, are one: the stop stays clean', async () => {
  const server = await useServer(await useDataDir());
  const exited = once(server.child, 'exit');
  server.child.kill('SIGINT');
  server.child.kill('SIGINT');
  expect(await exited).toEqual([0, null]);
});

test('a watch socket whose peer never answers does not keep the stop from being clean', async () => {
  const server = await useServer(await useDataDir());
  const { hostname, port } = new URL(server.url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => undefined);
  const upgraded = once(socket, 'data');
  const lines = [
    'GET /v1/boards/default/watch HTTP/1.1',
    `Host: ${hostname}:${port}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Protocol: lanekeeper.v1',
    `Authorization: Bearer ${await server.adminKey()}`,
  ];
  socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  expect(String(await upgraded)).toContain('101');
  socket.pause();
  expect(await server.stop()).toBe(0);
  socket.destroy();
});

test('a busy port is said with its fix, and leaves nothing behind', async () => {
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => new Promise((resolve) => holder.close(() => resolve())));
  const address = holder.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const dataDir = await useDataDir();
  const env = { PATH: process.env['PATH'], LANEKEEPER_DATA_DIR: dataDir, PORT: String(port) };
  const failed = await run(process.execPath, [MAIN, 'serve'], { env, cwd: dataDir }).catch(
    (error: { code: number; stderr: string }) => error,
  );
  expect(failed).toMatchObject({ code: 1 });
  expect(failed.stderr).toContain(`Port ${port}`);
  expect(failed.stderr).toContain('PORT=');
  const after = await useServer(dataDir);
  expect((await call(after.url, 'GET', '/livez', { token: null })).status).toBe(200);
});

test('a second server on the same data dir says so and exits, without harming the first', async () => {
  const dataDir = await useDataDir();
  const first = await useServer(dataDir);
  const env = { PATH: process.env['PATH'], LANEKEEPER_DATA_DIR: dataDir, PORT: '0' };
  const failed = await run(process.execPath, [MAIN, 'serve'], { env, cwd: dataDir }).catch(
    (error: { code: number; stderr: string }) => error,
  );
  expect(failed).toMatchObject({ code: 1 });
  expect(failed.stderr).toContain(String(first.child.pid));
  expect((await call(first.url, 'GET', '/readyz', { token: null })).status).toBe(200);
});

test('settings that make no sense are named without their values, with exit code 2', async () => {
  const dataDir = await useDataDir();
  const env = {
    PATH: process.env['PATH'],
    LANEKEEPER_DATA_DIR: dataDir,
    PORT: 'many',
    LANEKEEPER_ADMIN_KEY: 'hunter2',
  };
  const failed = await run(process.execPath, [MAIN, 'serve'], { env, cwd: dataDir }).catch(
    (error: { code: number; stderr: string }) => error,
  );
  expect(failed).toMatchObject({ code: 2 });
  expect(failed.stderr).toContain('PORT');
  expect(failed.stderr).toContain('LANEKEEPER_ADMIN_KEY');
  expect(failed.stderr).not.toContain('hunter2');
});

test('the database is killed under the server: it answers 503 with Retry-After, starts the database again, and goes on', async () => {
  const dataDir = await useDataDir();
  const server = await useServer(dataDir);
  const token = await server.adminKey();
  await call(server.url, 'PUT', '/v1/boards/before', { token });
  const [postmaster = ''] = (await readFile(join(dataDir, 'postgres', 'postmaster.pid'), 'utf8')).split('\n');
  process.kill(Number(postmaster), 'SIGKILL');
  const statuses = new Set<number>();
  const deadline = performance.now() + 20_000;
  let answer = await call(server.url, 'GET', '/v1/boards/before', { token });
  let sawUnavailable = false;
  while (performance.now() < deadline && !(sawUnavailable && answer.status === 200)) {
    answer = await call(server.url, 'GET', '/v1/boards/before', { token });
    statuses.add(answer.status);
    if (answer.status === 503) {
      sawUnavailable = true;
      expect(answer.code).toBe('database_unavailable');
      expect(answer.headers.get('Retry-After')).not.toBeNull();
    }
  }
  expect([...statuses].every((status) => status === 200 || status === 503)).toBe(true);
  expect(sawUnavailable).toBe(true);
  expect(answer.status).toBe(200);
  expect(server.child.exitCode).toBeNull();
});

test('migrate brings the schema up to date and says when there is nothing to do', async () => {
  const dataDir = await useDataDir();
  const env = { PATH: process.env['PATH'], LANEKEEPER_DATA_DIR: dataDir, LANEKEEPER_LOG_LEVEL: 'error' };
  const first = await run(process.execPath, [MAIN, 'migrate'], { env, cwd: dataDir });
  expect(first.stdout).toMatch(/Applied \d+ of \d+ migrations/);
  const second = await run(process.execPath, [MAIN, 'migrate'], { env, cwd: dataDir });
  expect(second.stdout).toContain('The schema is current');
});
