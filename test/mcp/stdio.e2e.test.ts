/** The bridge as clients start it: the official client over stdio, the command line as a process, and a server behind it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type Client, connect } from '../../src/client/client.ts';
import { buildCli, type Cli, runCli } from '../cli/fixtures/cli-process.ts';
import { eventually } from '../fixtures/eventually.ts';
import {
  buildServer,
  makeReadyDataDir,
  type ServerProcess,
  startServerProcess,
} from '../fixtures/server-process.ts';
import { type Agent, connectAgent, type Era } from './agent.ts';

let cli: Cli;
let directory: Awaited<ReturnType<typeof makeReadyDataDir>>;
let server: ServerProcess;
let client: Client;
beforeAll(async () => {
  buildServer();
  cli = await buildCli();
  directory = await makeReadyDataDir();
  server = await startServerProcess(directory.path);
  client = connect({ url: server.url, token: await server.adminKey() });
});
afterAll(async () => {
  await server.stop();
  await directory.remove();
  await cli.remove();
});

async function makeLane(lane: string): Promise<string> {
  await client.lanes.register(lane);
  return (await client.lanes.createKey(lane)).secret ?? '';
}

/** A lane is online from its first claim on. */
const untilClaimed = (lane: string) =>
  eventually('somebody claims', async () => (await client.lanes.get(lane)).lane.presence.online);

const environment = (token: string, more: Record<string, string> = {}) => ({
  PATH: process.env['PATH'] ?? '',
  HOME: cli.directory,
  LANEKEEPER_URL: server.url,
  LANEKEEPER_TOKEN: token,
  ...more,
});

function connectStdio(token: string, era: Era, more: Record<string, string> = {}): Promise<Agent> {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [cli.program, 'mcp', '--stdio'],
    env: environment(token, more),
    cwd: cli.directory,
  });
  return connectAgent(transport, era);
}

describe.each<Era>(['legacy', 'auto'])('an agent over stdio whose client begins as %s', (era) => {
  test('works a task from claim to complete, and is steered', async () => {
    const lane = `works-${era}`;
    const agent = await connectStdio(await makeLane(lane), era);
    const { task } = await client.tasks.create({ title: 'paint', lane });
    const { task_id, run_id } = await agent.call('claim_task', { request_id: 'r1' });
    expect(task_id).toBe(task.id);
    await client.tasks.steer(task.id, 'blue');
    expect(await agent.call('heartbeat', { run_id })).toMatchObject({ messages: [{ text: 'blue' }] });
    const end = { run_id, summary: 'blue' };
    expect(await agent.call('complete_task', end)).toMatchObject({ task_status: 'done' });
  });

  test('gives up a wait without taking a task', async () => {
    const lane = `gives-up-${era}`;
    const agent = await connectStdio(await makeLane(lane), era);
    const leave = new AbortController();
    const waiting = agent.call('claim_task', { wait_seconds: 45 }, leave.signal);
    await untilClaimed(lane);
    leave.abort();
    await expect(waiting).rejects.toThrow();
    // The same connection goes on, and the next claim takes the next task.
    const { task } = await client.tasks.create({ title: 'varnish', lane });
    const { task_id, run_id } = await agent.call('claim_task', { wait_seconds: 45 });
    expect(task_id).toBe(task.id);
    const end = { run_id, summary: 'done' };
    expect(await agent.call('complete_task', end)).toMatchObject({ outcome: 'completed' });
  });
});

test('what an agent delegates over stdio has the origin of its gateway', async () => {
  const origin = { platform: 'telegram', chat_id: '7' };
  const agent = await connectStdio(await server.adminKey(), 'auto', {
    LANEKEEPER_ORIGIN: JSON.stringify(origin),
  });
  const { delegation } = await agent.call('delegate', { goal: 'paint', lane: 'nobody' });
  expect((await client.delegations.get(delegation.id)).delegation.origin).toMatchObject(origin);
});

test('a message that is piped in is answered before the bridge ends, and an unknown key is told of', async () => {
  const stdin = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}\n';
  const env = environment(await makeLane('piped'));
  const end = await runCli(cli, ['mcp', '--stdio'], { env, stdin });
  expect(end).toMatchObject({ code: 0, stderr: '' });
  const { id, result } = JSON.parse(end.stdout) as { id: number; result: { tools: { name: string }[] } };
  expect([id, result.tools.map(({ name }) => name)]).toEqual([1, expect.arrayContaining(['claim_task'])]);
  const refused = await runCli(cli, ['mcp', '--stdio'], {
    env: { ...env, LANEKEEPER_TOKEN: 'lk_lane_no' },
    stdin,
  });
  expect(JSON.parse(refused.stdout)).toMatchObject({ id: 1, error: { data: { code: 'unauthenticated' } } });
});

test('a client that is gone takes the bridge with it, and the wait of its claim', async () => {
  const key = await makeLane('left');
  const bridge = spawn(process.execPath, [cli.program, 'mcp', '--stdio'], {
    cwd: cli.directory,
    env: environment(key),
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  onTestFinished(() => void bridge.kill('SIGKILL'));
  const say = (id: number, name: string, input: object) =>
    bridge.stdin.write(
      `${JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: input } })}\n`,
    );
  const exited = once(bridge, 'exit');
  // Nobody reads any more: the answer to the second call meets a closed pipe.
  bridge.stdout.destroy();
  say(1, 'claim_task', { wait_seconds: 45 });
  await untilClaimed('left');
  say(2, 'heartbeat', {});
  expect(await exited).toEqual([0, null]);
  const { task } = await client.tasks.create({ title: 'after it', lane: 'left' });
  const agent = await connectStdio(key, 'auto');
  expect(await agent.call('claim_task', { wait_seconds: 45 })).toMatchObject({ task_id: task.id });
});
