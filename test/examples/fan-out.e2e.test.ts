/** The example of the documents does what they say. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { connect } from '../../src/client/client.ts';
import { eventually, only } from '../fixtures/eventually.ts';
import { ROOT, useServerProcess } from '../fixtures/server-process.ts';

const COLLECTOR = pathToFileURL(join(ROOT, 'examples/tracing/console.mjs')).href;
const server = useServerProcess({ NODE_OPTIONS: `--import ${COLLECTOR}` });

test('three tasks go to two lanes and come back as one block, and no worker stays behind', async () => {
  const token = await server.adminKey();
  const child = spawn(process.execPath, [join(ROOT, 'examples/fan-out.mjs')], {
    env: {
      PATH: process.env['PATH'],
      HOME: server.dataDir,
      LANEKEEPER_URL: server.url,
      LANEKEEPER_TOKEN: token,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += String(chunk);
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += String(chunk);
  });
  // Only once the workers have closed the stderr that they share with it, too.
  const [code] = (await once(child, 'close')) as [number | null];
  expect(code, stderr).toBe(0);
  const client = connect({ url: server.url, token });
  const { id, tasks } = only((await client.delegations.list()).delegations);
  for (const [index, task] of tasks.entries()) {
    expect(stdout).toContain(`TASK ${index + 1}/3`);
    expect(stdout).toContain(` did ${task}`);
  }
  expect(stdout).toBe(`${(await client.delegations.get(id)).delegation.text}\n`);
});

test('a server that is started with the example of traces prints what becomes of a task in the trace of whoever made it', async () => {
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
  const token = await server.adminKey();
  const answer = await fetch(`${server.url}/v1/boards/default/tasks`, {
    method: 'POST',
    headers: {
      Authorization: `Bearer ${token}`,
      'Content-Type': 'application/json',
      traceparent: `00-${traceId}-00f067aa0ba902b7-01`,
    },
    body: JSON.stringify({ title: 'traced', lane: 'traced' }),
  });
  expect(answer.status).toBe(201);
  const client = connect({ url: server.url, token });
  await client.lanes.register('traced');
  const [claim] = (await client.claims.claim('traced', { worker: 'w' })).claims;
  await client.runs.complete(claim?.run_id ?? '', {}, { token: claim?.token ?? '' });
  const line = new RegExp(`^${traceId} +[0-9.]+ ms  lanekeeper.run .*lanekeeper.outcome=completed`, 'm');
  await eventually('the span is printed', () => line.test(server.output()));
});
