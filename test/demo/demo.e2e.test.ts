import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { connect } from '../../src/client/index.ts';
import { eventually } from '../fixtures/eventually.ts';
import { ROOT } from '../fixtures/server-process.ts';

/** A database is made first. */
const START_MS = 60_000;
/** The quick question of the demo takes a few seconds of three workers. */
const ANSWER_MS = 30_000;

test('the demo has three lanes at work, fifty tasks and an answered question, and leaves nothing behind', async () => {
  const demo = spawn(process.execPath, [join(ROOT, 'scripts/demo.mjs'), '--port', '0', '--seconds', '120'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(demo, 'exit');
  onTestFinished(async () => {
    demo.kill('SIGTERM');
    await exited;
  });
  let output = '';
  for (const stream of [demo.stdout, demo.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString('utf8');
    });
  const [, code = ''] = await eventually('the sign-in link', () => /#code=(\S+)/.exec(output), START_MS);
  const [, url = ''] = /API\s+(\S+)\/v1/.exec(output) ?? [];
  const [, keyFile = ''] = /Admin key\s+in (\S+)/.exec(output) ?? [];
  expect(output).not.toContain((await readFile(keyFile, 'utf8')).trim());

  const { secret } = await connect({ url }).keys.signIn(code);
  const client = connect({ url, token: secret });
  const { lanes } = await client.lanes.list();
  expect(lanes.map(({ name }) => name).sort()).toEqual(['builder', 'editor', 'research']);
  await eventually('all lanes are online', async () => {
    const now = (await client.lanes.list()).lanes;
    return now.every(({ presence }) => presence.online);
  });
  const { counts } = (await client.boards.get('default')).board;
  expect(Object.values(counts).reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(50);

  const answered = await eventually(
    'a delegation that has come back',
    async () => {
      const { delegations } = await client.delegations.list();
      return delegations.find(({ status }) => status === 'completed');
    },
    ANSWER_MS,
  );
  const { delegation } = await client.delegations.get(answered.id);
  expect(delegation.results?.map(({ status }) => status)).toEqual(['done', 'done', 'done']);
  const dead = await eventually('a dead letter', async () => {
    const { deliveries } = await client.deliveries.list({ status: 'dead' });
    return deliveries[0];
  });
  expect(dead.last_error).toContain('archived');

  demo.kill('SIGTERM');
  const [status] = (await exited) as [number | null];
  expect(status, output).toBe(0);
  expect(existsSync(dirname(keyFile))).toBe(false);
});
