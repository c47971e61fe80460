/** What a command of `work` is given, and what becomes of it and of its task. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { isAlive } from '../fixtures/cli-process.ts';
import { node, SHORT_LEASE, STAYS, useWorkers } from './working.ts';

const test = useWorkers();

describe.concurrent('a command', () => {
  test('gets the task on stdin and the claim in its environment, but not the key of the worker', async ({
    fake,
    work,
  }) => {
    const task = fake.addTask('build it');
    const script = `
      const stdin = require('fs').readFileSync(0, 'utf8');
      const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => name.startsWith('LANEKEEPER_')));
      console.log(JSON.stringify({ result: { stdin: JSON.parse(stdin), env, kept: process.env.KEPT } }));`;
    const secrets = {
      LANEKEEPER_TOKEN_FILE: '/nowhere',
      LANEKEEPER_ADMIN_KEY: 'x',
      LANEKEEPER_DATA_DIR: '/x',
      KEPT: 'yes',
    };
    const end = await work(['--once'], node(script), secrets).ended;
    expect(end).toMatchObject({ code: 0, stdout: '' });
    expect(fake.endOf(task)).toMatchObject({
      verb: 'complete',
      body: {
        result: {
          stdin: { id: task.id, title: 'build it', payload: { n: 1 }, handoff: { attempts: [] } },
          kept: 'yes',
        },
      },
    });
    const { env } = (fake.endOf(task)?.body['result'] ?? {}) as { env?: Record<string, string> };
    expect(env).toEqual({
      LANEKEEPER_URL: fake.url,
      LANEKEEPER_BOARD: 'default',
      LANEKEEPER_LANE: 'factory',
      LANEKEEPER_TASK_ID: task.id,
      LANEKEEPER_RUN_ID: fake.requestsTo('/complete')[0]?.path.split('/')[3],
      LANEKEEPER_ATTEMPT: '1',
      LANEKEEPER_TOKEN: expect.stringMatching(/^token-of-run_/),
      LANEKEEPER_STEERING_FILE: expect.stringContaining('lanekeeper-work-'),
    });
  });

  test('that exits 0 completes its task with the end of its output as summary', async ({ fake, work }) => {
    const task = fake.addTask('a');
    await work(['--once'], ['sh', '-c', 'echo one; echo two']).ended;
    expect(fake.endOf(task)).toEqual({ verb: 'complete', body: { summary: 'one\ntwo' } });
  });

  test('that exits with another code fails its task with the end of stderr, 75 as rate limited', async ({
    fake,
    work,
  }) => {
    const [first, second] = [fake.addTask('a'), fake.addTask('b')];
    const script = 'read -r task; case "$task" in *\'"a"\'*) echo broken >&2; exit 3;; esac; exit 75';
    await work(['--max-tasks', '2'], ['sh', '-c', script]).ended;
    expect(fake.endOf(first)).toEqual({
      verb: 'fail',
      body: { error: 'broken', metadata: { exit_code: 3, signal: null } },
    });
    expect(fake.endOf(second)).toMatchObject({
      verb: 'fail',
      body: { error: 'exit code 75', kind: 'rate_limited' },
    });
  });

  test('that never reads its stdin and writes megabytes is no trouble', async ({ fake, work }) => {
    const task = fake.addTask('a');
    const script =
      "process.stdin.destroy(); process.stdout.write('x'.repeat(3e6) + '\\nlast', () => process.exit(0))";
    await work(['--once'], node(script)).ended;
    const summary = String(fake.endOf(task)?.body['summary']);
    expect(summary.length).toBeLessThanOrEqual(16_000);
    expect(summary.endsWith('\nlast')).toBe(true);
  });

  test('is kept alive by heartbeats while it runs, together with its neighbours in one request', async ({
    poll,
    fake,
    work,
  }) => {
    const tasks = [fake.addTask('a'), fake.addTask('b'), fake.addTask('c')];
    const worker = work([...SHORT_LEASE, '--concurrency', '3'], node(STAYS));
    await poll(() => Math.min(...tasks.map((task) => task.run?.heartbeats ?? 0))).toBeGreaterThan(2);
    expect(fake.requestsTo('/v1/runs/batch').length).toBeGreaterThan(0);
    expect(fake.requestsTo('/v1/runs/batch')[0]?.headers.authorization).toBe('Bearer lk_lane_key');
    worker.child.kill('SIGKILL');
  });

  test('is stopped when its task is cancelled, and the claim is given up', async ({ poll, fake, work }) => {
    const task = fake.addTask('a');
    const worker = work(['--once', '--verbose'], node(STAYS));
    await poll(() => fake.isWatched && worker.stdout().includes('here')).toBe(true);
    fake.cancel(task);
    expect(await worker.ended).toMatchObject({ code: 0 });
    expect(fake.endOf(task)).toMatchObject({
      verb: 'release',
      body: { reason: expect.stringContaining('cancel') },
    });
    expect(task.status).toBe('cancelled');
  });

  test('is stopped at once by a cancel over the socket, before any heartbeat says so', async ({
    poll,
    fake,
    work,
  }) => {
    const task = fake.addTask('a');
    const worker = work(['--once', '--verbose'], node(STAYS));
    await poll(() => fake.isWatched && worker.stdout().includes('here')).toBe(true);
    fake.sendCancel(task);
    expect(await worker.ended).toMatchObject({ code: 0 });
    expect(fake.endOf(task)).toMatchObject({ verb: 'release' });
    expect(task.run?.heartbeats ?? 0).toBe(0);
  });

  test('finds in its steering file what it is told, over the socket or with a heartbeat, each once', async ({
    poll,
    fake,
    work,
  }) => {
    const task = fake.addTask('a');
    const script = `const { readFileSync } = require('fs'); console.log('here');
      const read = () => readFileSync(process.env.LANEKEEPER_STEERING_FILE, 'utf8').split('\\n').filter(Boolean);
      setInterval(() => { if (read().length < 2) return;
        console.log(JSON.stringify({ result: read().map((line) => JSON.parse(line).text) })); process.exit(0); }, 10)`;
    const worker = work([...SHORT_LEASE, '--once', '--verbose'], node(script));
    await poll(() => fake.isWatched && worker.stdout().includes('here')).toBe(true);
    fake.steer(task, 'left', 'socket');
    await poll(() => task.run?.messages.length).toBe(0);
    fake.steer(task, 'right', 'heartbeat');
    expect(await worker.ended).toMatchObject({ code: 0 });
    expect(fake.endOf(task)).toMatchObject({ verb: 'complete', body: { result: ['left', 'right'] } });
    const acknowledged = fake
      .requestsTo('/messages/ack')
      .flatMap(({ body }) => (body as { ids: string[] }).ids);
    expect(new Set(acknowledged)).toEqual(new Set(['msg_left', 'msg_right']));
  });

  test('is shown on the server as it prints, to its last line, unless that is not wanted', async ({
    fake,
    work,
  }) => {
    const task = fake.addTask('a');
    const script = 'echo one; echo two >&2; sleep 1; printf "three\\nfour"';
    await work(['--once'], ['sh', '-c', script]).ended;
    expect([...fake.linesOf(task)].sort()).toEqual(['four', 'one', 'three', 'two']);
    expect(fake.requestsTo('/output').length).toBeGreaterThan(1);

    const quiet = fake.addTask('b');
    await work(['--once', '--no-send-output'], ['echo', 'one']).ended;
    expect(quiet.status).toBe('done');
    expect(fake.linesOf(quiet)).toEqual([]);
  });

  test('is shown all the same after a server that could not be reached, with a note of what is missing', async ({
    poll,
    fake,
    directory,
    work,
  }) => {
    const task = fake.addTask('a');
    let isAway = true;
    fake.override = ({ path }) => (isAway && path.endsWith('/output') ? 'reset' : undefined);
    const gate = join(directory, 'output-gate');
    const script = `const { existsSync } = require('fs'); console.log('lost');
      setInterval(() => { if (!existsSync(${JSON.stringify(gate)})) return; console.log('seen'); process.exit(0); }, 10)`;
    const worker = work(['--once'], node(script));
    await poll(() => fake.requestsTo('/output').length).toBeGreaterThan(0);
    isAway = false;
    await writeFile(gate, '');
    expect(await worker.ended).toMatchObject({ code: 0 });
    expect(fake.linesOf(task)).toEqual(['(1 line left out)', 'seen']);
  });

  test('is stopped when its claim is lost, and nothing is reported for it', async ({ poll, fake, work }) => {
    const task = fake.addTask('a');
    const worker = work(['--once', '--verbose'], node(STAYS));
    await poll(() => fake.isWatched && worker.stdout().includes('here')).toBe(true);
    fake.take(task);
    task.status = 'done';
    expect(await worker.ended).toMatchObject({ code: 0, stderr: expect.stringContaining('lost') });
    expect(fake.endOf(task)).toBeNull();
  });

  test('that takes too long is stopped with everything it has started, by force when it does not listen', async ({
    poll,
    fake,
    directory,
    work,
    pidIn,
  }) => {
    const task = fake.addTask('a');
    const pids = join(directory, 'grandchild');
    const stubborn = "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000);";
    const script = `${stubborn}
      const { pid } = require('child_process').spawn(process.execPath, ['-e', ${JSON.stringify(stubborn)}], { stdio: 'ignore' });
      require('fs').writeFileSync(${JSON.stringify(pids)}, String(pid));`;
    const worker = work(['--once', '--timeout', '1'], node(script));
    const grandchild = await pidIn(pids);
    await worker.ended;
    expect(fake.endOf(task)).toMatchObject({
      verb: 'fail',
      body: { error: 'timed out after 1 s', metadata: { signal: 'SIGKILL' } },
    });
    await poll(() => isAlive(grandchild)).toBe(false);
  });

  test('that ends its run itself is left alone, and nothing more is reported', async ({ fake, work }) => {
    const task = fake.addTask('a');
    const script = `
      const { LANEKEEPER_URL: url, LANEKEEPER_RUN_ID: run, LANEKEEPER_TOKEN: token } = process.env;
      const headers = { authorization: 'Bearer ' + token, 'content-type': 'application/json' };
      fetch(url + '/v1/runs/' + run + '/complete', { method: 'POST', headers, body: '{"summary":"by myself"}' })
        .then(() => setTimeout(() => console.log('tidied up'), 1200));`;
    const end = await work([...SHORT_LEASE, '--once', '--verbose'], node(script)).ended;
    expect(end).toMatchObject({ code: 0, stdout: expect.stringContaining('tidied up') });
    expect(fake.endOf(task)).toEqual({ verb: 'complete', body: { summary: 'by myself' } });
  });

  test('does not outlive a worker that was killed', async ({ poll, fake, directory, work, pidIn }) => {
    fake.addTask('a');
    const pids = join(directory, 'orphan');
    const worker = work(
      [],
      node(`require('fs').writeFileSync(${JSON.stringify(pids)}, String(process.pid)); ${STAYS}`),
    );
    const pid = await pidIn(pids);
    worker.child.kill('SIGKILL');
    await poll(() => isAlive(pid)).toBe(false);
  });

  test('that cannot be started gives the task back and ends the worker', async ({
    fake,
    directory,
    work,
  }) => {
    const task = fake.addTask('a');
    const script = join(directory, 'not-a-program');
    await writeFile(script, '#!/nowhere/at/all\n', { mode: 0o755 });
    const end = await work([], [script]).ended;
    expect(end).toMatchObject({ code: 1, stderr: expect.stringContaining('Cannot start') });
    expect(fake.endOf(task)).toMatchObject({ verb: 'release' });
  });
});
