/** Commands that wait for the server of this machine, which was killed: they have its key when it is back. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { useServerProcess } from '../fixtures/server-process.ts';
import { buildCli, type Cli, runCli, startCli } from './fixtures/cli-process.ts';

const server = useServerProcess();
let cli: Cli;
beforeAll(async () => {
  cli = await buildCli();
});
afterAll(() => cli.remove());

test('a worker and a watch that were started while it was away need no key of their own', async () => {
  const client = await server.connect();
  await client.lanes.register('factory');
  const { task } = await client.tasks.create({ title: 'waits', lane: 'factory' });
  // Not at the usual port, for which no address would be needed either.
  const local = { env: { LANEKEEPER_DATA_DIR: server.dataDir, LANEKEEPER_URL: server.url } };
  const away = /Cannot reach|trying again/;
  const waiting = await server.whileKilled(async () => {
    const worker = startCli(cli, ['work', 'factory', '--once', '--json', '--', 'echo', 'done'], local);
    const watch = startCli(cli, ['watch', '--after', 'start', '--json', '--kinds', 'task.completed'], local);
    await expect.poll(worker.stderr, { timeout: 15_000 }).toMatch(away);
    await expect.poll(watch.stderr, { timeout: 15_000 }).toMatch(away);
    return { worker, watch };
  });
  const end = await waiting.worker.ended;
  expect([end.code, end.stderr, JSON.parse(end.stdout)]).toMatchObject([
    0,
    expect.not.stringContaining('credential'),
    { task_id: task.id, outcome: 'completed' },
  ]);
  await expect.poll(waiting.watch.stdout, { timeout: 15_000 }).toContain(task.id);
  waiting.watch.child.kill('SIGTERM');
  await waiting.watch.ended;
  // Whatever else is on this machine is never sent it.
  const elsewhere = { env: { ...local.env, LANEKEEPER_URL: server.url.replace('127.0.0.1', 'localhost') } };
  expect(await runCli(cli, ['whoami'], elsewhere)).toMatchObject({ code: 4 });
});
