import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { problem } from '../../client/fixtures/scripted-server.ts';
import { buildCli, type Cli, type CliRun, isAlive, startCli } from '../fixtures/cli-process.ts';
import { FakeLanekeeper } from '../fixtures/fake-lanekeeper.ts';

let cli: Cli;
let fake: FakeLanekeeper;
let started: CliRun[];
beforeAll(async () => {
  cli = await buildCli();
});
afterAll(() => cli.remove());
beforeEach(async () => {
  fake = await FakeLanekeeper.start();
  started = [];
});
afterEach(async () => {
  for (const { child } of started) child.kill('SIGKILL');
  await Promise.all(started.map((run) => run.ended));
  await fake.stop();
});

/** Short leases make heartbeats frequent: 1 s is the shortest there is. */
function work(
  flags: readonly string[],
  command: readonly string[],
  env: Record<string, string> = {},
): CliRun {
  const args = ['work', 'factory', '--lease', '1', ...flags, '--', ...command];
  const run = startCli(cli, args, {
    env: { LANEKEEPER_URL: fake.url, LANEKEEPER_TOKEN: 'lk_lane_key', ...env },
  });
  started.push(run);
  return run;
}

const node = (script: string) => [process.execPath, '-e', script];
const poll = <T>(read: () => T) => expect.poll(read, { timeout: 15_000, interval: 20 });
/** Prints a line and then stays. */
const STAYS = "console.log('here'); setInterval(() => {}, 1000)";

async function pidIn(path: string): Promise<number> {
  const read = () => readFile(path, 'utf8').then(Number, () => 0);
  await poll(read).toBeGreaterThan(0);
  return read();
}

describe('a command', () => {
  test('gets the task on stdin and the claim in its environment, but not the key of the worker', async () => {
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

  test('that exits 0 completes its task with the end of its output as summary', async () => {
    const task = fake.addTask('a');
    await work(['--once'], ['sh', '-c', 'echo one; echo two']).ended;
    expect(fake.endOf(task)).toEqual({ verb: 'complete', body: { summary: 'one\ntwo' } });
  });

  test('that exits with another code fails its task with the end of stderr, 75 as rate limited', async () => {
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

  test('that never reads its stdin and writes megabytes is no trouble', async () => {
    const task = fake.addTask('a');
    const script =
      "process.stdin.destroy(); process.stdout.write('x'.repeat(3e6) + '\\nlast', () => process.exit(0))";
    await work(['--once'], node(script)).ended;
    const summary = String(fake.endOf(task)?.body['summary']);
    expect(summary.length).toBeLessThanOrEqual(16_000);
    expect(summary.endsWith('\nlast')).toBe(true);
  });

  test('is kept alive by heartbeats while it runs, together with its neighbours in one request', async () => {
    const tasks = [fake.addTask('a'), fake.addTask('b'), fake.addTask('c')];
    const worker = work(['--concurrency', '3'], node(STAYS));
    await poll(() => Math.min(...tasks.map((task) => task.run?.heartbeats ?? 0))).toBeGreaterThan(2);
    expect(fake.requestsTo('/v1/runs/batch').length).toBeGreaterThan(0);
    expect(fake.requestsTo('/v1/runs/batch')[0]?.headers.authorization).toBe('Bearer lk_lane_key');
    worker.child.kill('SIGKILL');
  });

  test('is stopped when its task is cancelled, and the claim is given up', async () => {
    const task = fake.addTask('a');
    const worker = work(['--once', '--verbose', '--lease', '600'], node(STAYS));
    await poll(() => fake.isWatched && worker.stdout().includes('here')).toBe(true);
    fake.cancel(task);
    expect(await worker.ended).toMatchObject({ code: 0 });
    expect(fake.endOf(task)).toMatchObject({
      verb: 'release',
      body: { reason: expect.stringContaining('cancel') },
    });
    expect(task.status).toBe('cancelled');
  });

  test('is stopped at once by a cancel over the socket, before any heartbeat says so', async () => {
    const task = fake.addTask('a');
    const worker = work(['--once', '--verbose', '--lease', '600'], node(STAYS));
    await poll(() => fake.isWatched && worker.stdout().includes('here')).toBe(true);
    fake.sendCancel(task);
    expect(await worker.ended).toMatchObject({ code: 0 });
    expect(fake.endOf(task)).toMatchObject({ verb: 'release' });
    expect(task.run?.heartbeats ?? 0).toBe(0);
  });

  test('finds in its steering file what it is told, over the socket or with a heartbeat, each once', async () => {
    const task = fake.addTask('a');
    const script = `const { readFileSync } = require('fs'); console.log('here');
      const read = () => readFileSync(process.env.LANEKEEPER_STEERING_FILE, 'utf8').split('\\n').filter(Boolean);
      setInterval(() => { if (read().length < 2) return;
        console.log(JSON.stringify({ result: read().map((line) => JSON.parse(line).text) })); process.exit(0); }, 10)`;
    const worker = work(['--once', '--verbose'], node(script));
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

  test('is shown on the server as it prints, to its last line, unless that is not wanted', async () => {
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

  test('is shown all the same after a server that could not be reached, with a note of what is missing', async () => {
    const task = fake.addTask('a');
    let isAway = true;
    fake.override = ({ path }) => (isAway && path.endsWith('/output') ? 'reset' : undefined);
    const gate = join(cli.directory, 'output-gate');
    const script = `const { existsSync } = require('fs'); console.log('lost');
      setInterval(() => { if (!existsSync(${JSON.stringify(gate)})) return; console.log('seen'); process.exit(0); }, 10)`;
    const worker = work(['--once'], node(script));
    await poll(() => fake.requestsTo('/output').length).toBeGreaterThan(0);
    isAway = false;
    await writeFile(gate, '');
    expect(await worker.ended).toMatchObject({ code: 0 });
    expect(fake.linesOf(task)).toEqual(['(1 lines left out)', 'seen']);
  });

  test('is stopped when its claim is lost, and nothing is reported for it', async () => {
    const task = fake.addTask('a');
    const worker = work(['--once', '--verbose', '--lease', '600'], node(STAYS));
    await poll(() => fake.isWatched && worker.stdout().includes('here')).toBe(true);
    fake.take(task);
    task.status = 'done';
    expect(await worker.ended).toMatchObject({ code: 0, stderr: expect.stringContaining('lost') });
    expect(fake.endOf(task)).toBeNull();
  });

  test('that takes too long is stopped with everything it has started, by force when it does not listen', async () => {
    const task = fake.addTask('a');
    const pids = join(cli.directory, 'grandchild');
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

  test('that ends its run itself is left alone, and nothing more is reported', async () => {
    const task = fake.addTask('a');
    const script = `
      const { LANEKEEPER_URL: url, LANEKEEPER_RUN_ID: run, LANEKEEPER_TOKEN: token } = process.env;
      const headers = { authorization: 'Bearer ' + token, 'content-type': 'application/json' };
      fetch(url + '/v1/runs/' + run + '/complete', { method: 'POST', headers, body: '{"summary":"by myself"}' })
        .then(() => setTimeout(() => console.log('tidied up'), 1200));`;
    const end = await work(['--once', '--verbose'], node(script)).ended;
    expect(end).toMatchObject({ code: 0, stdout: expect.stringContaining('tidied up') });
    expect(fake.endOf(task)).toEqual({ verb: 'complete', body: { summary: 'by myself' } });
  });

  test('does not outlive a worker that was killed', async () => {
    fake.addTask('a');
    const pids = join(cli.directory, 'orphan');
    const worker = work(
      [],
      node(`require('fs').writeFileSync(${JSON.stringify(pids)}, String(process.pid)); ${STAYS}`),
    );
    const pid = await pidIn(pids);
    worker.child.kill('SIGKILL');
    await poll(() => isAlive(pid)).toBe(false);
  });

  test('that cannot be started gives the task back and ends the worker', async () => {
    const task = fake.addTask('a');
    const script = join(cli.directory, 'not-a-program');
    await writeFile(script, '#!/nowhere/at/all\n', { mode: 0o755 });
    const end = await work([], [script]).ended;
    expect(end).toMatchObject({ code: 1, stderr: expect.stringContaining('Cannot start') });
    expect(fake.endOf(task)).toMatchObject({ verb: 'release' });
  });
});

describe('a worker', () => {
  test('works several at once, never more than it was told', async () => {
    const tasks = Array.from({ length: 6 }, (_, index) => fake.addTask(`t${index}`));
    const worker = work(['--concurrency', '2', '--max-tasks', '6'], ['sleep', '0.1']);
    let most = 0;
    const running = () => {
      most = Math.max(most, tasks.filter((task) => task.status === 'running').length);
      return tasks.every((task) => task.status === 'done');
    };
    await poll(running).toBe(true);
    expect(await worker.ended).toMatchObject({ code: 0 });
    expect(most).toBe(2);
  });

  test('in watch mode claims without waiting, when it is told that there is work', async () => {
    fake.laneFields = { claim_mode: 'watch' };
    const worker = work(['--once'], ['true']);
    await poll(() => fake.requestsTo('/claims').length).toBeGreaterThan(0);
    const task = fake.addTask('late');
    expect(await worker.ended).toMatchObject({ code: 0 });
    expect(task.status).toBe('done');
    expect(fake.requestsTo('/claims').every(({ headers }) => headers['prefer'] === undefined)).toBe(true);
  });

  test('in pull mode opens no socket', async () => {
    fake.laneFields = { claim_mode: 'pull' };
    fake.addTask('a');
    expect(await work(['--once'], ['true']).ended).toMatchObject({ code: 0 });
    expect(fake.server.upgrades).toHaveLength(0);
    expect(fake.requestsTo('/claims')[0]?.headers['prefer']).toBe('wait=30');
  });

  test('prints one record per task with --json', async () => {
    const task = fake.addTask('a');
    const end = await work(['--once', '--json'], ['true']).ended;
    expect(JSON.parse(end.stdout)).toMatchObject({
      task_id: task.id,
      outcome: 'completed',
      task_status: 'done',
      attempt: 1,
    });
  });

  test('survives a server that goes away, and reports the end when it is back', async () => {
    const task = fake.addTask('a');
    const gate = join(cli.directory, 'gate');
    const script = `const { existsSync } = require('fs'); console.log('here');
      setInterval(() => existsSync(${JSON.stringify(gate)}) && process.exit(0), 10)`;
    const worker = work(['--once', '--verbose', '--lease', '5'], node(script));
    await poll(() => worker.stdout()).toContain('here');
    fake.override = () => 'reset';
    await writeFile(gate, '');
    await poll(() => worker.stderr()).toContain('trying again');
    expect(task.status).toBe('running');
    fake.override = undefined;
    expect(await worker.ended).toMatchObject({ code: 0 });
    expect(task.status).toBe('done');
  });

  test('stops a command when no heartbeat has got through for a whole lease, and gives its claim back when the server answers', async () => {
    const task = fake.addTask('a');
    const worker = work(['--once', '--verbose', '--json'], node(STAYS));
    await poll(() => worker.stderr()).toContain('here');
    fake.override = () => 'reset';
    await poll(() => fake.requestsTo('/release').length).toBeGreaterThan(1);
    expect(worker.stderr()).toContain('for a whole lease');
    fake.override = undefined;
    expect(await worker.ended).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('"outcome":"released"'),
    });
    expect(fake.endOf(task)).toMatchObject({
      verb: 'release',
      body: { reason: expect.stringContaining('for a whole lease') },
    });
  });

  test('calls a claim lost that the server took back while no heartbeat got through', async () => {
    const task = fake.addTask('a');
    const worker = work(['--once', '--verbose', '--json'], node(STAYS));
    await poll(() => worker.stderr()).toContain('here');
    fake.override = () => 'reset';
    await poll(() => fake.requestsTo('/release').length).toBeGreaterThan(0);
    fake.take(task);
    task.status = 'done';
    fake.override = undefined;
    expect(await worker.ended).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('"outcome":"lost"'),
    });
  });

  for (const way of ['socket', 'heartbeat'] as const) {
    test(`whose lane is taken over, as it learns by ${way}, leaves the task to the other and ends with exit code 5`, async () => {
      const task = fake.addTask('a');
      const lease = way === 'socket' ? '600' : '1';
      const worker = work(['--verbose', '--lease', lease], node(STAYS));
      await poll(() => fake.isWatched && worker.stdout().includes('here')).toBe(true);
      fake.takeOver(task, 'other', way);
      expect(await worker.ended).toMatchObject({
        code: 5,
        stderr: expect.stringMatching(/over.*claiming no more/),
      });
      expect(task).toMatchObject({ attempt: 1, status: 'ready' });
    });
  }

  test('takes no notice of a takeover of its own', async () => {
    const task = fake.addTask('a');
    const worker = work(['--verbose', '--worker', 'me', '--max-tasks', '2'], node("console.log('here')"));
    await poll(() => fake.isWatched && task.status).toBe('done');
    fake.sendTakenOver('me');
    const next = fake.addTask('b');
    expect(await worker.ended).toMatchObject({ code: 0 });
    expect(next.status).toBe('done');
  });

  for (const mode of ['pull-or-watch', 'watch'] as const) {
    test(`of whose name there is a newer one lets its command finish and ends with exit code 5 (${mode})`, async () => {
      fake.laneFields = { claim_mode: mode };
      const [task, next] = [fake.addTask('a'), fake.addTask('b')];
      const gate = join(cli.directory, `superseded-gate-${mode}`);
      const script = `const { existsSync } = require('fs'); console.log('here');
        setInterval(() => existsSync(${JSON.stringify(gate)}) && process.exit(0), 10)`;
      const worker = work(['--verbose', '--worker', 'twin'], node(script));
      await poll(() => fake.isWatched && worker.stdout().includes('here')).toBe(true);
      fake.supersedeSockets();
      await poll(() => worker.stderr()).toContain('worker twin');
      await writeFile(gate, '');
      expect(await worker.ended).toMatchObject({ code: 5 });
      expect([task.status, next.status]).toEqual(['done', 'ready']);
    });
  }

  test('that was frozen until its claim was taken stops the command when it wakes up', async () => {
    const task = fake.addTask('a');
    const worker = work(['--once', '--verbose'], node(STAYS));
    await poll(() => worker.stdout()).toContain('here');
    worker.child.kill('SIGSTOP');
    fake.take(task);
    task.status = 'done';
    worker.child.kill('SIGCONT');
    expect(await worker.ended).toMatchObject({ code: 0, stderr: expect.stringContaining('lost') });
    expect(fake.endOf(task)).toBeNull();
  });

  test('reports an end again when the answer was lost', async () => {
    const task = fake.addTask('a');
    let lost = 0;
    const { respond } = fake.server;
    fake.server.respond = async (request) => {
      const answer = await respond(request);
      if (!request.path.endsWith('/complete') || lost > 2) return answer;
      lost += 1;
      return 'reset';
    };
    expect(await work(['--once', '--json'], ['true']).ended).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('"outcome":"completed"'),
    });
    expect(task.status).toBe('done');
    expect(fake.requestsTo('/complete')).toHaveLength(4);
  });

  test('asks for a claim again under the same key when its answer was lost', async () => {
    const task = fake.addTask('a');
    let lost = 0;
    const { respond } = fake.server;
    fake.server.respond = async (request) => {
      const answer = await respond(request);
      if (!request.path.endsWith('/claims') || lost > 0) return answer;
      lost += 1;
      return 'reset';
    };
    expect(await work(['--once'], ['true']).ended).toMatchObject({ code: 0 });
    expect(task).toMatchObject({ status: 'done', attempt: 1 });
  });

  test('keeps the result of a command whose metadata the server refuses', async () => {
    const task = fake.addTask('a');
    fake.override = ({ path, body }) =>
      path.endsWith('/complete') && body !== null && 'result' in (body as object)
        ? problem(400, 'invalid_request')
        : undefined;
    expect(await work(['--once'], ['echo', '{"ok": true}']).ended).toMatchObject({ code: 0 });
    expect(fake.endOf(task)).toMatchObject({
      verb: 'complete',
      body: { summary: expect.stringContaining('left out') },
    });
  });

  test('says loudly which end it could not report', async () => {
    const task = fake.addTask('a');
    fake.override = ({ path }) => (path.endsWith('/complete') ? problem(403, 'forbidden') : undefined);
    const end = await work(['--once', '--quiet'], ['true']).ended;
    expect(end.code).toBe(1);
    expect(end.stderr).toContain(`the end of ${task.id}`);
  });
});

describe('a worker that is asked to leave', () => {
  test('lets the running command finish, goes on with its heartbeats, claims no more, and exits 0', async () => {
    const [task, next] = [fake.addTask('a'), fake.addTask('b')];
    const gate = join(cli.directory, 'drain-gate');
    const script = `const { existsSync } = require('fs'); console.log('here');
      setInterval(() => existsSync(${JSON.stringify(gate)}) && process.exit(0), 10)`;
    const worker = work(['--verbose'], node(script));
    await poll(() => worker.stdout()).toContain('here');
    worker.child.kill('SIGTERM');
    await poll(() => worker.stderr()).toContain('draining');
    const before = task.run?.heartbeats ?? 0;
    await poll(() => task.run?.heartbeats ?? 0).toBeGreaterThan(before + 2);
    await writeFile(gate, '');
    expect(await worker.ended).toMatchObject({ code: 0 });
    expect(task.status).toBe('done');
    expect(next.status).toBe('ready');
  });

  test('stops a command that does not finish in time and gives its claim back', async () => {
    const task = fake.addTask('a');
    const worker = work(['--verbose', '--drain-seconds', '1'], node(STAYS));
    await poll(() => worker.stdout()).toContain('here');
    worker.child.kill('SIGTERM');
    expect(await worker.ended).toMatchObject({ code: 0 });
    expect(fake.endOf(task)).toMatchObject({
      verb: 'release',
      body: { reason: 'the worker is shutting down' },
    });
  });

  test('leaves at once at the second Ctrl-C, and still gives its claim back', async () => {
    const task = fake.addTask('a');
    const stubborn = `process.on('SIGTERM', () => {}); ${STAYS}`;
    const worker = work(['--verbose', '--drain-seconds', '60'], node(stubborn));
    await poll(() => worker.stdout()).toContain('here');
    worker.child.kill('SIGINT');
    await poll(() => worker.stderr()).toContain('draining');
    // A repeat within a second counts as the same press; pressing on is what an impatient person does.
    const press = setInterval(() => worker.child.kill('SIGINT'), 300);
    const end = await worker.ended;
    clearInterval(press);
    expect(end.code).toBe(130);
    expect(fake.endOf(task)).toMatchObject({ verb: 'release' });
  });

  test('leaves at once when it is idle', async () => {
    const worker = work([], ['true']);
    await poll(() => fake.requestsTo('/claims').length).toBeGreaterThan(0);
    worker.child.kill('SIGINT');
    expect(await worker.ended).toMatchObject({ code: 0 });
  });

  test('gives back a claim that was made for a request it no longer waits for', async () => {
    let isClaimed = false;
    const { respond } = fake.server;
    fake.server.respond = async (request) => {
      const answer = await respond(request);
      if (!request.path.endsWith('/claims') || isClaimed) return answer;
      isClaimed = true;
      return 'hang';
    };
    const task = fake.addTask('a');
    const worker = work([], ['true']);
    await poll(() => isClaimed).toBe(true);
    worker.child.kill('SIGTERM');
    expect(await worker.ended).toMatchObject({ code: 0 });
    expect(fake.endOf(task)).toMatchObject({ verb: 'release' });
  });
});

describe('a worker that cannot work', () => {
  const cases = [
    { why: 'no such lane', answer: problem(404, 'lane_not_found'), code: 3, says: 'lane_not_found' },
    { why: 'no right', answer: problem(403, 'forbidden'), code: 4, says: 'forbidden' },
    { why: 'a bad key', answer: problem(401, 'unauthenticated'), code: 4, says: 'unauthenticated' },
  ];
  for (const { why, answer, code, says } of cases) {
    test(`for ${why} ends with a message and exit code ${code}`, async () => {
      fake.override = () => answer;
      expect(await work([], ['true']).ended).toMatchObject({ code, stderr: expect.stringContaining(says) });
    });
  }

  test('because the lane may not claim ends with exit code 4', async () => {
    fake.override = ({ path }) => (path.endsWith('/claims') ? problem(403, 'lane_may_not_claim') : undefined);
    expect(await work([], ['true']).ended).toMatchObject({
      code: 4,
      stderr: expect.stringContaining('lane_may_not_claim'),
    });
  });

  test('because the lane is pushed to says what to do', async () => {
    fake.laneFields = { claim_mode: 'push' };
    expect(await work([], ['true']).ended).toMatchObject({
      code: 5,
      stderr: expect.stringContaining('lane set factory'),
    });
  });

  test('because there is no such command never claims', async () => {
    fake.addTask('a');
    expect(await work([], ['no-such-command-here']).ended).toMatchObject({ code: 2 });
    expect(fake.requestsTo('/claims')).toHaveLength(0);
  });

  test('for want of a server waits for one, and says so once', async () => {
    const task = fake.addTask('a');
    fake.override = () => problem(503, 'draining');
    const worker = work(['--once'], ['true']);
    await poll(() => fake.requestsTo('/lanes/factory').length).toBeGreaterThan(2);
    fake.override = undefined;
    expect(await worker.ended).toMatchObject({ code: 0 });
    expect(task.status).toBe('done');
    expect(worker.stderr().match(/trying again/g)).toHaveLength(1);
  });

  test('registers the lane when asked to', async () => {
    const task = fake.addTask('a');
    let isRegistered = false;
    fake.override = ({ path, method }) => {
      if (!path.endsWith('/lanes/factory')) return undefined;
      if (method === 'PUT') isRegistered = true;
      return isRegistered ? undefined : problem(404, 'lane_not_found');
    };
    expect(await work(['--once', '--register'], ['true']).ended).toMatchObject({ code: 0 });
    expect(task.status).toBe('done');
  });
});
