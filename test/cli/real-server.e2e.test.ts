/** The client and the command line against the server itself; what single parts promise is tested beside them. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type Client, connect } from '../../src/client/client.ts';
import { eventually } from '../fixtures/eventually.ts';
import { useServerProcess } from '../fixtures/server-process.ts';
import { buildCli, type Cli, runCli, startCli } from './fixtures/cli-process.ts';
import { HermesBoard } from './import/hermes-board.ts';

const server = useServerProcess();
let cli: Cli;
let client: Client;
beforeAll(async () => {
  cli = await buildCli();
  client = await server.connect();
});
afterAll(() => cli.remove());

/** In the server's own directory, where its admin key is found. */
const local = () => ({ env: { LANEKEEPER_DATA_DIR: server.dataDir } });

describe('the command line beside a server', () => {
  test('needs neither address nor key', async () => {
    const line =
      'lanes register factory --kind persistent --claim-mode pull-or-watch --allowed-status-mutations own-claimed-only';
    expect(await runCli(cli, line.split(' '), local())).toMatchObject({ code: 0 });
    const { stdout } = await runCli(cli, ['whoami', '--json'], local());
    expect(JSON.parse(stdout)).toMatchObject({ principal: { type: 'key', key: { role: 'admin' } } });
  });

  test('works a lane under the key of that lane alone', async () => {
    await client.lanes.register('own-key');
    const { secret = '' } = await client.lanes.createKey('own-key');
    const keyFile = join(cli.directory, 'own.key');
    await writeFile(keyFile, secret);
    const { task } = await client.tasks.create({ title: 'count', lane: 'own-key', payload: [1, 2, 3] });
    const script =
      "const task = JSON.parse(require('fs').readFileSync(0)); console.log(JSON.stringify({ result: task.payload.length }))";
    const flags = ['--url', server.url, '--token-file', keyFile, '--once', '--json'];
    const end = await runCli(cli, ['work', 'own-key', ...flags, '--', process.execPath, '-e', script]);
    expect(end.code).toBe(0);
    expect(JSON.parse(end.stdout)).toMatchObject({
      task_id: task.id,
      outcome: 'completed',
      task_status: 'done',
    });
    expect((await client.tasks.get(task.id)).task).toMatchObject({ status: 'done', result: 3 });
    // Sightings are written some times a second, not with each request.
    const version = await eventually('the worker has been seen', async () => {
      const { lane } = await client.lanes.get('own-key');
      return lane.presence.workers[0]?.version ?? null;
    });
    expect(version).toMatch(/^\d+\.\d+\.\d+/);
  });

  test('finds nothing wrong with it, waits for a task by its watch, and works one by hand', async () => {
    const doctor = await runCli(cli, ['doctor', '--json'], local());
    expect(doctor, doctor.stdout).toMatchObject({ code: 0 });
    const { checks } = JSON.parse(doctor.stdout) as { checks: { check: string; status: string }[] };
    const statusOf = (name: string) => checks.find(({ check }) => check === name)?.status;
    expect(['server', 'version', 'clock', 'key', 'board', 'websocket'].map(statusOf)).toEqual(
      Array(6).fill('ok'),
    );
    await client.lanes.register('by-hand');
    const { task } = await client.tasks.create({ title: 'once', lane: 'by-hand' });
    const waiting = startCli(cli, ['task', 'wait', task.id, '--json', '--timeout', '60s'], local());
    const claim = await runCli(cli, ['lane', 'claim', 'by-hand', '--json'], local());
    const [held] = (JSON.parse(claim.stdout) as { claims: { run_id: string; token: string }[] }).claims;
    const env = {
      LANEKEEPER_URL: server.url,
      LANEKEEPER_RUN_ID: held?.run_id ?? '',
      LANEKEEPER_TOKEN: held?.token ?? '',
    };
    expect(await runCli(cli, ['run', 'output', '-'], { env, stdin: 'one\ntwo\n' })).toMatchObject({
      stdout: '2 lines\n',
    });
    expect(await runCli(cli, ['run', 'complete', '--summary', 'by hand'], { env })).toMatchObject({
      code: 0,
    });
    const waited = await waiting.ended;
    expect([waited.code, JSON.parse(waited.stdout)]).toMatchObject([
      0,
      { task: { id: task.id, status: 'done' } },
    ]);
    const logs = await runCli(cli, ['task', 'logs', task.id, '-f', '--tail', '1'], local());
    expect(logs).toMatchObject({ code: 0, stdout: 'two\n' });
    expect((await runCli(cli, ['lane', 'claim', 'by-hand', '--env'], local())).code).toBe(124);
  });

  test('does one thing to many tasks, says beforehand what would fail, and deletes one for good', async () => {
    const titles = ['one', 'two', 'three'];
    const made = await client.tasks.createBatch(titles.map((title) => ({ title, lane: 'many' })));
    const [first] = made.tasks;
    const bulk = (...args: string[]) => runCli(cli, ['task', 'bulk', ...args, '--json'], local());
    const dry = await bulk('unblock', '--lane', 'many', '--dry-run');
    expect([dry.code, JSON.parse(dry.stdout).operation]).toMatchObject([1, { total: 3, failed_count: 3 }]);
    const moved = await bulk('assign', first?.id ?? '', '--to-lane', 'few', '--reason', 'why');
    expect([moved.code, JSON.parse(moved.stdout).operation]).toMatchObject([
      0,
      { status: 'done', succeeded: 1 },
    ]);
    const cancelled = await runCli(cli, ['task', 'bulk', 'cancel', '--lane', 'many,few'], local());
    expect(cancelled.stdout).toMatch(/^op_\w+ {2}cancel {2}done {2}3 succeeded, 0 failed, 3 in all\n$/);
    expect((await bulk('cancel')).code).toBe(2);
    expect((await runCli(cli, ['task', 'delete', '--yes', first?.id ?? ''], local())).code).toBe(0);
    await expect(client.tasks.get(first?.id ?? '')).rejects.toMatchObject({ code: 'not_found' });
  });

  test('gives a task as the text that its worker is given', async () => {
    const lane = 'told';
    await client.lanes.register(lane);
    const { task: parent } = await client.tasks.create({ title: 'wood', lane });
    await client.tasks.complete(parent.id, { summary: 'cut\nand dried', result: { boards: 4 } });
    const { task } = await client.tasks.create({ title: 'table', lane, parents: [parent.id] });
    await client.tasks.comment(task.id, 'oak — not pine');
    const { text } = await client.tasks.context(task.id);
    expect(text).toContain('> and dried\n');
    expect(await runCli(cli, ['task', 'context', task.id], local())).toMatchObject({ code: 0, stdout: text });
    const { stdout } = await runCli(cli, ['task', 'context', task.id, '--json'], local());
    expect(JSON.parse(stdout)).toEqual({ text });
  });

  test('takes a Hermes board over, once, and says beforehand what it will do', async () => {
    const hermes = await HermesBoard.make('new');
    hermes.task('t_0000000a', 'done', { assignee: 'coder', result: 'built' });
    hermes.task('t_0000000b', 'todo', { assignee: 'writer' }).link('t_0000000a', 't_0000000b');
    const path = await hermes.save();
    await mkdir(join(path, '..', 'profiles', 'coder'), { recursive: true });
    const dry = await runCli(cli, ['import', 'hermes', path, '--dry-run', '--json'], local());
    await expect(client.tasks.get('t_0000000a')).rejects.toMatchObject({ code: 'not_found' });
    const done = await runCli(cli, ['import', 'hermes', path, '--json'], local());
    expect(JSON.parse(done.stdout)).toEqual({ ...JSON.parse(dry.stdout), dry_run: false });
    expect((await client.tasks.get('t_0000000a')).task).toMatchObject({ status: 'done', result: 'built' });
    expect((await client.tasks.get('t_0000000b')).task).toMatchObject({ status: 'ready', lane: 'writer' });
    expect((await client.lanes.get('coder')).lane.kind).toBe('spawn');
    expect((await client.lanes.get('writer')).lane.kind).toBe('persistent');
    const again = await runCli(cli, ['import', 'hermes', path], local());
    expect(again).toMatchObject({ code: 0, stderr: expect.stringContaining('2 of 2 tasks') });
    expect(again.stdout).toMatch(/tasks +0 of 2, 2 there already/);
    expect(await runCli(cli, ['import', 'hermes', `${path}.gone`], local())).toMatchObject({ code: 2 });
    expect(await runCli(cli, ['import', 'hermes', path, '--board', 'nowhere'], local())).toMatchObject({
      code: 3,
    });
  });

  test('hands work from one lane to the next: dependencies, review, and the text that each worker reads', async () => {
    for (const lane of ['build', 'check']) await client.lanes.register(lane);
    const add = async (...args: string[]) => {
      const { stdout } = await runCli(cli, ['task', 'add', ...args, '--json'], local());
      return (JSON.parse(stdout) as { task: { id: string; status: string } }).task;
    };
    const built = await add('build', '--lane', 'build');
    const shipped = await add('ship', '--lane', 'build', '--parent', built.id);
    expect(shipped.status).toBe('todo');
    const circle = await runCli(cli, ['task', 'link', built.id, shipped.id], local());
    expect([circle.code, circle.stderr]).toEqual([5, expect.stringContaining('task graph')]);
    /** As a script of the claim's holder would: it knows the server, the run and the token. */
    const held = async (lane: string, ...args: string[]) => {
      // Nobody reviews his own work.
      const [claim] = (await client.claims.claim(lane, { worker: lane })).claims;
      const env = {
        LANEKEEPER_URL: server.url,
        LANEKEEPER_TOKEN: claim?.token ?? '',
        LANEKEEPER_RUN_ID: claim?.run_id ?? '',
      };
      const text = (await runCli(cli, ['task', 'context', claim?.task.id ?? ''], { env })).stdout;
      return { text, end: await runCli(cli, ['run', ...args], { env }) };
    };
    const first = await held('build', 'complete', '--summary', 'built', '--reviewer', 'check');
    expect([first.end.code, first.text]).toEqual([0, expect.stringMatching(/^# build\n/)]);
    expect(first.end.stdout).toContain(' review on lane check');
    const review = await held('check', 'request-changes', 'tests are missing');
    expect([review.end.code, review.text]).toEqual([0, expect.stringContaining('> built\n')]);
    const second = await held('build', 'complete', '--review');
    expect([second.end.code, second.text]).toEqual([0, expect.stringContaining('> tests are missing\n')]);
    expect((await runCli(cli, ['task', 'accept', built.id], local())).code).toBe(0);
    const graph = await runCli(cli, ['task', 'graph', built.id], local());
    expect(graph.stdout).toBe(`build  done  build  ${built.id}  *\n└─ ship  ready  build  ${shipped.id}\n`);
    expect((await runCli(cli, ['task', 'unlink', shipped.id, built.id], local())).code).toBe(0);
    expect((await client.tasks.graph(shipped.id)).edges).toEqual([]);
  });

  test('stops a running command at once when its task is cancelled, in every mode with a socket', async () => {
    for (const mode of ['pull-or-watch', 'watch'] as const) {
      const lane = `cancel-${mode}`;
      await client.lanes.register(lane, { claim_mode: mode });
      // A lease this long has no heartbeat within the test: the news must come over the socket.
      const worker = startCli(
        cli,
        ['work', lane, '--lease', '3600', '--once', '--verbose', '--', 'sh', '-c', 'echo here; sleep 1000'],
        local(),
      );
      const online = async () => (await client.lanes.get(lane)).lane.presence.online;
      await expect.poll(online, { timeout: 15_000 }).toBe(true);
      const { task } = await client.tasks.create({ title: 'long', lane });
      await expect.poll(worker.stdout, { timeout: 15_000 }).toContain('here');
      await client.tasks.cancel(task.id);
      expect(await worker.ended).toMatchObject({ code: 0 });
      expect((await client.tasks.get(task.id)).task.status).toBe('cancelled');
    }
  });

  test('shows what a worker prints as it prints, and tells it what is said', async () => {
    await client.lanes.register('live');
    const { task } = await client.tasks.create({ title: 'talk', lane: 'live' });
    const script = `const { readFileSync } = require('fs'); console.log('here');
      setInterval(() => { const [line] = readFileSync(process.env.LANEKEEPER_STEERING_FILE, 'utf8').split('\\n');
        if (line) { console.log('heard ' + JSON.parse(line).text); process.exit(0); } }, 10)`;
    const worker = startCli(
      cli,
      ['work', 'live', '--lease', '3600', '--once', '--', process.execPath, '-e', script],
      local(),
    );
    const follower = startCli(cli, ['task', 'output', task.id, '-f', '--json'], local());
    await expect.poll(follower.stdout, { timeout: 15_000 }).toContain('here');
    onTestFinished(() => {
      for (const run of [worker, follower]) run.child.kill('SIGKILL');
    });
    const watcher = startCli(cli, ['watch', '--output', '--lanes', 'live', '--after', 'start'], local());
    onTestFinished(() => void watcher.child.kill('SIGKILL'));
    await expect.poll(watcher.stdout, { timeout: 15_000 }).toContain('task.created');
    const steered = await runCli(cli, ['task', 'steer', task.id, 'hurry', '--json'], local());
    const { message } = JSON.parse(steered.stdout) as { message: { id: string } };
    expect(await worker.ended).toMatchObject({ code: 0 });
    await expect.poll(watcher.stdout, { timeout: 15_000 }).toContain(`[${task.id.slice(-8)}] heard hurry`);
    // It ends by itself, because the task has.
    const end = await follower.ended;
    expect(end.code).toBe(0);
    const lines = end.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(lines).toMatchObject([
      { task_id: task.id, number: 1, text: 'here' },
      { task_id: task.id, number: 2, text: 'heard hurry' },
    ]);
    expect((await runCli(cli, ['task', 'logs', task.id], local())).stdout).toBe('here\nheard hurry\n');

    const late = await runCli(cli, ['task', 'steer', task.id, 'wait'], local());
    expect(late).toMatchObject({ code: 0, stderr: expect.stringContaining('nobody will read this') });
    const listed = await runCli(cli, ['task', 'messages', task.id], local());
    expect(listed.stdout).toMatch(new RegExp(`${message.id} +acknowledged[^]*missed[^]*wait`));
    expect(await runCli(cli, ['task', 'messages', 'task_unknown'], local())).toMatchObject({ code: 3 });
    expect(await runCli(cli, ['task', 'steer', task.id, ' '], local())).toMatchObject({ code: 2 });
  });

  test('gives a task back when it is asked to leave, which is no failure of the task', async () => {
    await client.lanes.register('drained');
    const { task } = await client.tasks.create({ title: 'long', lane: 'drained' });
    const worker = startCli(
      cli,
      ['work', 'drained', '--drain-seconds', '0', '--verbose', '--', 'sh', '-c', 'echo here; sleep 1000'],
      local(),
    );
    await expect.poll(worker.stdout, { timeout: 15_000 }).toContain('here');
    worker.child.kill('SIGTERM');
    expect(await worker.ended).toMatchObject({ code: 0 });
    expect((await client.tasks.get(task.id)).task).toMatchObject({
      status: 'ready',
      consecutive_failures: 0,
    });
  });
});

describe('the client', () => {
  test('sees every event once and in order across a server that is killed and comes back', async () => {
    const stop = new AbortController();
    const watch = client.watch({ after: 'start' }, stop.signal);
    const seqs: number[] = [];
    const reading = (async () => {
      for await (const { seq } of watch) seqs.push(seq);
    })();
    for (let number = 0; number < 20; number += 1) await client.tasks.create({ title: `before ${number}` });
    await server.crash();
    for (let number = 0; number < 20; number += 1) await client.tasks.create({ title: `after ${number}` });
    const { events, cursor } = await client.events.list({ limit: 1000 });
    await expect.poll(() => watch.cursor, { timeout: 30_000 }).toBe(cursor);
    stop.abort();
    await reading;
    expect(seqs).toEqual(events.map(({ seq }) => seq));
    expect(seqs).toEqual(seqs.map((_, index) => index + 1));
  });

  test('creates a task once although its answer was lost', async () => {
    const key = { idempotencyKey: 'the-same-for-both' };
    const first = await client.tasks.create({ title: 'once' }, key);
    const again = await client.tasks.create({ title: 'once' }, key);
    expect(again.task.id).toBe(first.task.id);
  });

  test('learns why a watch is refused', async () => {
    const stranger = connect({ url: server.url, token: 'lk_admin_nobody' });
    await expect(stranger.watch().next()).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(client.watch({ board: 'nowhere' }).next()).rejects.toMatchObject({ code: 'not_found' });
    await expect(client.watch({ after: 'made-up' }).next()).rejects.toMatchObject({ code: 'invalid_cursor' });
  });
});
