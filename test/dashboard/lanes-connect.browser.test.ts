/** "Connect a worker": what the page says to type is taken from the page and run against the real server. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Page } from 'playwright-core';
import { expect, onTestFinished, test } from 'vitest';
import { ROOT } from '../fixtures/server-process.ts';
import { expectAccessible } from './fixtures/accessible.ts';
import { useDashboard } from './fixtures/dashboard.ts';
import type { DashboardBoard } from './fixtures/dashboard-board.ts';

const dashboard = useDashboard();

interface Typed {
  readonly child: ChildProcess;
  readonly output: () => string;
  /** Resolves to the exit code. */
  readonly ended: Promise<number | null>;
}

/** As in a terminal of somebody who has installed the package; the process group ends with the test. */
async function type(command: readonly [string, ...string[]], input = '', environment = {}): Promise<Typed> {
  const home = await mkdtemp(join(tmpdir(), 'lanekeeper-connect-'));
  await symlink(join(ROOT, 'bin/lanekeeper.js'), join(home, 'lanekeeper'));
  const [file, ...words] = command;
  const path = `${home}${delimiter}${process.env['PATH'] ?? ''}`;
  // In the package's own folder its name resolves to itself, as it does beside an installation.
  const child = spawn(file, words, {
    cwd: ROOT,
    env: { PATH: path, HOME: home, ...environment },
    detached: true,
  });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
  const ended = once(child, 'close').then(([code]) => code as number | null);
  onTestFinished(async () => {
    if (child.exitCode === null && child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    await ended;
    await rm(home, { recursive: true, force: true });
  });
  child.stdin.end(input);
  return { child, ended, output: () => Buffer.concat(chunks).toString('utf8') };
}

async function openConnected(): Promise<{
  readonly board: DashboardBoard;
  readonly page: Page;
  readonly secret: string;
}> {
  const board = await dashboard.board();
  await board.lane('factory', { lease_seconds: 60 });
  const page = await dashboard.open(board.path('/lanes'));
  await page.getByRole('button', { name: 'Connect a worker to factory' }).click();
  await page.getByRole('button', { name: 'Issue a key' }).click();
  await page.getByText('shown this once').waitFor();
  const secret = (await page.locator('.secret-once pre').innerText()).trim();
  expect(secret).toMatch(/^lk_lane_/);
  return { board, page, secret };
}

async function snippet(page: Page, tab: string, title: string): Promise<string> {
  await page.getByRole('tab', { name: tab }).click();
  const text = await page.getByRole('dialog').getByRole('region', { name: title, exact: true }).textContent();
  return text ?? '';
}

test('the snippets of curl and of the command line claim, renew and complete tasks', async () => {
  const { board, page } = await openConnected();
  const task = await board.task('factory');
  const { ended, output } = await type(
    ['sh', '-eu'],
    await snippet(page, 'curl', 'Claim, heartbeat, complete'),
  );
  expect(await ended, output()).toBe(0);
  expect(await board.read(task.id)).toMatchObject({ status: 'done', summary: 'done with curl' });
  await expectAccessible(page);

  const first = await board.task('factory');
  const byHand = await type(['sh'], await snippet(page, 'CLI', 'One task by hand'));
  expect(await byHand.ended, byHand.output()).toBe(0);
  expect(await board.read(first.id)).toMatchObject({ status: 'done', summary: 'done by hand' });

  const tasks = await board.tasks('factory', 2);
  await type(['sh'], await snippet(page, 'CLI', 'A command for each task'));
  for (const { id } of tasks) expect(await board.untilStatus(id, 'done')).toMatchObject({ summary: 'done' });
});

test('the program of the SDK is a worker, and the MCP configurations reach the tools of the lane', async () => {
  const { board, page, secret } = await openConnected();
  const task = await board.task('factory');
  const program = await snippet(page, 'TypeScript', 'worker.mjs');
  expect(await snippet(page, 'TypeScript', 'Environment')).toBe(`export LANEKEEPER_TOKEN='${secret}'`);
  const { child, ended, output } = await type(['node', '--input-type=module'], program, {
    LANEKEEPER_TOKEN: secret,
  });
  expect(await board.untilStatus(task.id, 'done')).toMatchObject({ summary: 'done with the SDK' });
  child.kill('SIGTERM');
  expect(await ended, output()).toBe(0);

  const read = async (title: string) => {
    const text = (await snippet(page, 'MCP', title)).replaceAll(`\${LANEKEEPER_TOKEN}`, secret);
    return (JSON.parse(text) as { mcpServers: { lanekeeper: unknown } }).mcpServers.lanekeeper;
  };
  const question = `${JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' })}\n`;
  const overHttp = (await read('.mcp.json over HTTP')) as { url: string; headers: Record<string, string> };
  const headers = {
    ...overHttp.headers,
    'Content-Type': 'application/json',
    Accept: 'application/json, text/event-stream',
  };
  const answer = await fetch(overHttp.url, { method: 'POST', headers, body: question });
  expect(await answer.text()).toContain('claim_task');

  const overStdio = (await read('.mcp.json over stdio')) as { command: string; args: string[]; env: object };
  const bridge = await type(
    ['sh', '-c', '"$@"', 'sh', overStdio.command, ...overStdio.args],
    question,
    overStdio.env,
  );
  expect(await bridge.ended, bridge.output()).toBe(0);
  expect(bridge.output()).toContain('claim_task');

  const others = await type(['sh', '-e'], await snippet(page, 'MCP', 'Other clients'));
  expect(await others.ended, others.output()).toBe(0);
  expect(others.output()).toContain('mcp_servers.lanekeeper');
});
