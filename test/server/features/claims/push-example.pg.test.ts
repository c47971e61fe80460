import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { expectStatus } from '../../../fixtures/board.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const ROOT = join(import.meta.dirname, '../../../..');
const servers = useTwoServers();

test('the worker that docs/protocol.md shows takes and completes more tasks than it holds at once', async () => {
  const [board] = await servers.board();
  await board.lane('factory', { claim_mode: 'push' });
  const key = expectStatus(await board.call('POST', '/lanes/factory/keys', { body: {} }), 201).body.secret;
  const page = readFileSync(join(ROOT, 'docs/protocol.md'), 'utf8');
  const code = /```js\n([\s\S]*?)```/.exec(page)?.[1];
  if (code === undefined) throw new Error('the page shows a worker');
  const tasks = await board.tasks('factory', 6);
  const child = spawn(process.execPath, ['--input-type=module', '--eval', code], {
    cwd: ROOT,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      LANEKEEPER_URL: board.server.url,
      LANEKEEPER_BOARD: board.name,
      LANEKEEPER_TOKEN: key,
    },
  });
  let complaints = '';
  child.stderr.on('data', (chunk: Buffer) => {
    complaints += chunk.toString('utf8');
  });
  onTestFinished(() => void child.kill());
  for (const task of tasks) await board.untilStatus(task.id, 'done');
  expect(complaints).toBe('');
});
