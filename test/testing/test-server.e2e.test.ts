/** `lanekeeper/testing` against what it promises: a real server, a board for each call, and nothing that stays behind. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { connect } from '../../src/client/client.ts';
import { type TestServer, testServer } from '../../src/testing/test-server.ts';
import { eventually, only } from '../fixtures/eventually.ts';
import { buildServer, ROOT } from '../fixtures/server-process.ts';

beforeAll(() => {
  buildServer();
});

async function use(): Promise<TestServer> {
  const server = await testServer();
  onTestFinished(() => server.stop());
  return server;
}

test('two calls share a server and nothing else, and a lane comes with a key that works it', async () => {
  const [one, two] = await Promise.all([use(), use()]);
  expect(two.url).toBe(one.url);
  expect(two.board).not.toBe(one.board);
  const lane = await one.lane('builder', { lease_seconds: 30 });
  const { task } = await one.client.tasks.create({ title: 'seen here only', lane: 'builder' });
  expect((await two.client.tasks.list()).tasks).toEqual([]);
  const claim = only((await lane.client.claims.claim(lane.name)).claims);
  expect([claim.task.id, (await lane.client.whoami()).principal]).toMatchObject([
    task.id,
    { type: 'key', key: { role: 'lane', lane: 'builder' } },
  ]);
});

test('stop takes the board away under whoever still works on it, ends what waits, and stays stopped', async () => {
  const server = await use();
  const lane = await server.lane('builder');
  await server.client.tasks.create({ title: 'held for ever', lane: 'builder' });
  await lane.client.claims.claim('builder');
  const waiting = expect(lane.client.claims.claim('builder', {}, { waitSeconds: 30 })).rejects.toThrow(
    'stopped',
  );
  await Promise.all([server.stop(), server.stop()]);
  await waiting;
  const { url, adminKey, board } = server;
  const gone = connect({ url, token: adminKey }).boards.get(board);
  await expect(gone).rejects.toMatchObject({ code: 'not_found' });
});

test('a server that cannot start says why, within its time', async () => {
  const nowhere = 'postgres://nobody@127.0.0.1:1/none';
  const starting = testServer({ databaseUrl: nowhere, startTimeoutMs: 1000 });
  await expect(starting).rejects.toThrow(/did not start: it was not ready within 1 s/);
  const refused = testServer({ environment: { LANEKEEPER_RATE_LIMIT: 'lots' } });
  await expect(refused).rejects.toThrow(/it ended with 2:[\s\S]+LANEKEEPER_RATE_LIMIT/);
});

test('a process that is killed takes its server, its database and its files along', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'lanekeeper-killed-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true, maxRetries: 3 }));
  const script = `import { testServer } from 'lanekeeper/testing'; console.log((await testServer()).url);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    cwd: ROOT,
    env: { PATH: process.env['PATH'], HOME: directory, TMPDIR: directory, LANEKEEPER_NO_BUILD: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const { system } = connect({ url: String(line).trim() });
  expect((await system.live()).status).toBe('ok');
  const dataDir = join(directory, only(await readdir(directory)));
  const { place } = JSON.parse(await readFile(join(dataDir, 'postgres.json'), 'utf8')) as {
    place: string | null;
  };
  child.kill('SIGKILL');
  await eventually('its files are gone', async () => (await readdir(directory)).length === 0);
  // As root, whose database account may not enter a private directory.
  if (place !== null) expect(existsSync(place)).toBe(false);
  await expect(system.live({ retry: { attemptsMax: 1 } })).rejects.toMatchObject({ code: 'unreachable' });
});
