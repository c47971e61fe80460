/** The six verbs of background delegation against the server itself, and what each --on-capacity does when there is no room. */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Client } from '../../../src/client/client.ts';
import { eventually, only } from '../../fixtures/eventually.ts';
import { useServerProcess } from '../../fixtures/server-process.ts';
import { buildCli, type Cli, type CliEnd, type CliRun, runCli, startCli } from '../fixtures/cli-process.ts';

const server = useServerProcess();
let cli: Cli;
let client: Client;
beforeAll(async () => {
  cli = await buildCli();
  client = await server.connect();
  await client.boards.patch('default', { settings: { delegation_capacity: 1 } });
});
afterAll(() => cli.remove());

const local = () => ({ env: { LANEKEEPER_DATA_DIR: server.dataDir } });
const run = (...args: string[]): Promise<CliEnd> => runCli(cli, args, local());

/** Killed with its test, when it has not ended by then. */
function start(...args: string[]): CliRun {
  const started = startCli(cli, args, local());
  onTestFinished(async () => {
    started.child.kill('SIGKILL');
    await started.ended;
  });
  return started;
}

/** One that runs until somebody does it: nobody works the lane yet. */
async function delegated(lane: string, ...flags: string[]): Promise<string> {
  await client.lanes.register(lane);
  const end = await run('delegate', '--task', `${lane}: look`, ...flags);
  expect(end).toMatchObject({ code: 0, stdout: expect.stringMatching(/^deleg_\w+\n$/) });
  return end.stdout.trim();
}

describe('a delegation by the command line', () => {
  test('is handed over at once, checked, listed, and collected as one block', async () => {
    await client.lanes.register('factory');
    await client.lanes.register('qa');
    const made = await run(
      ...['delegate', '--goal', 'ship 2.0', '--session', 'verbs'],
      ...['--task', 'factory: build the release', '--task', 'qa: test what is on main'],
    );
    expect(made).toMatchObject({ code: 0, stdout: expect.stringMatching(/^deleg_\w+\n$/) });
    const id = made.stdout.trim();
    expect((await run('check', id)).stdout).toMatch(/status +running/);
    const late = await run('collect', id, '--timeout', '1s');
    expect(late).toMatchObject({ code: 124, stdout: '', stderr: expect.stringContaining(`collect ${id}`) });

    const collecting = start('collect', id);
    for (const lane of ['factory', 'qa']) start('work', lane, '--once', '--', 'echo', `${lane} is fine`);
    const collected = await collecting.ended;
    expect(collected.code).toBe(0);
    for (const part of ['TASK 1/2', 'TASK 2/2', 'factory is fine', 'qa is fine'])
      expect(collected.stdout).toContain(part);
    expect((await run('delegation', 'get', id)).stdout).toBe(collected.stdout);
    expect((await run('list', '--session', 'verbs')).stdout).toMatch(
      new RegExp(`${id} +completed +2 .*ship 2\\.0`),
    );
  });

  test('reads its children line by line, and says which line is wrong', async () => {
    await client.lanes.register('lines');
    const children = ['{"lane": "lines", "goal": "one"}', '', '{"lane": "lines", "goal": "two"}'].join('\n');
    const end = await runCli(cli, ['delegate', '--from', '-', '--json'], { ...local(), stdin: children });
    expect(JSON.parse(end.stdout)).toMatchObject({ delegation: { status: 'running' } });
    expect(JSON.parse(end.stdout).delegation.tasks).toHaveLength(2);
    const wrong = await runCli(cli, ['delegate', '--from', '-'], { ...local(), stdin: '{}\n{' });
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('Line 2') });
  });

  test('carries a message to the worker that has its task', async () => {
    const id = await delegated('steered');
    const script = `const { readFileSync } = require('fs'); console.log('here');
      setInterval(() => { const [line] = readFileSync(process.env.LANEKEEPER_STEERING_FILE, 'utf8').split('\\n');
        if (line) { console.log('heard ' + JSON.parse(line).text); process.exit(0); } }, 10)`;
    const worker = start('work', 'steered', '--once', '--verbose', '--', process.execPath, '-e', script);
    await eventually('the command runs', () => worker.stdout().includes('here'));
    expect(await run('steer', id, 'hurry')).toMatchObject({ code: 0, stdout: 'queued 1, missed 0\n' });
    expect((await run('collect', id)).stdout).toContain('heard hurry');
    expect((await run('steer', id, 'too late')).stdout).toBe('queued 0, missed 1\n');
    expect(await run('steer', id, ' ')).toMatchObject({ code: 2 });
  });

  test('is stopped with all others of its session, and with nobody else', async () => {
    const one = await delegated('stopped', '--session', 'stop', '--capacity-key', 'one');
    const two = await delegated('stopped', '--session', 'stop', '--capacity-key', 'two');
    const other = await delegated('stopped', '--session', 'go on');
    const end = await run('cancel', '--session', 'stop', '--reason', 'enough');
    expect(end.stdout.trim().split('\n').toSorted()).toEqual([one, two].toSorted());
    const states = await Promise.all(
      [one, two, other].map(async (id) => (await client.delegations.get(id)).delegation.status),
    );
    expect(states).toEqual(['cancelled', 'cancelled', 'running']);
    expect((await run('cancel', other)).stdout).toContain('look');
    expect(await run('cancel')).toMatchObject({ code: 2 });
    expect(await run('cancel', other, '--session', 'stop')).toMatchObject({ code: 2 });
  });
});

describe('without room', () => {
  const again = (lane: string, onCapacity: string, ...flags: string[]) => [
    ...['delegate', '--task', `${lane}: again`, '--session', lane, '--on-capacity', onCapacity, ...flags],
  ];

  test('fail refuses, and nothing was made', async () => {
    await delegated('full', '--session', 'full');
    const end = await run(...again('full', 'fail'));
    expect(end).toMatchObject({ code: 5, stdout: '' });
    expect((await client.tasks.list({ lane: 'full' })).tasks).toHaveLength(1);
  });

  test('wait goes on when one ends, and gives up in time when none does', async () => {
    const first = await delegated('queued', '--session', 'queued');
    const impatient = await run(...again('queued', 'wait', '--timeout', '1s'));
    expect(impatient).toMatchObject({ code: 124, stdout: '' });
    const waiting = start(...again('queued', 'wait'));
    await eventually('it waits', () => waiting.stderr().includes('waiting for one of them'));
    await client.delegations.cancel(first);
    const end = await waiting.ended;
    expect(end).toMatchObject({ code: 0, stdout: expect.stringMatching(/^deleg_\w+\n$/) });
    expect((await client.delegations.get(end.stdout.trim())).delegation.status).toBe('running');
  });

  test('inline does it here and now, with no delegation', async () => {
    await delegated('here', '--session', 'here');
    const inline = start(...again('here', 'inline'));
    await eventually('its task is made', async () => {
      const { tasks } = await client.tasks.list({ lane: 'here' });
      return tasks.length === 2;
    });
    start('work', 'here', '--', 'echo', 'done by a worker');
    const end = await inline.ended;
    expect(end).toMatchObject({ code: 0, stdout: expect.stringContaining('done by a worker') });
    expect(end.stdout).toContain('Status: done');
    only((await client.delegations.list({ session_id: 'here' })).delegations);
  });
});
