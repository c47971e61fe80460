/** The dispatcher against the server itself: what it spawns, what it lets be, and what becomes of each process. */
import { mkdir, mkdtemp, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Client, connect } from '../../../src/client/client.ts';
import type { LaneBody } from '../../../src/contract/lanes.ts';
import {
  buildServer,
  makeDataDir,
  type ServerProcess,
  startServerProcess,
} from '../../fixtures/server-process.ts';
import { buildCli, type Cli, type CliRun, isAlive, startCli } from '../fixtures/cli-process.ts';

let cli: Cli;
let directory: Awaited<ReturnType<typeof makeDataDir>>;
let server: ServerProcess;
let admin: Client;
/** Of the test's own board. */
let client: Client;
let boards = 0;
let adminKey: string;
let scratch: string;
let started: CliRun[];

beforeAll(async () => {
  buildServer();
  cli = await buildCli();
  directory = await makeDataDir();
  server = await startServerProcess(directory.path);
  adminKey = await server.adminKey();
  admin = connect({ url: server.url, token: adminKey });
});
afterAll(async () => {
  await server.stop();
  await directory.remove();
  await cli.remove();
});
beforeEach(async () => {
  boards += 1;
  const board = `board-${boards}`;
  await admin.boards.put(board, {});
  client = connect({ url: server.url, token: adminKey, board });
  scratch = await mkdtemp(join(cli.directory, 'scratch-'));
  started = [];
});
afterEach(async () => {
  for (const { child } of started) child.kill('SIGINT');
  await Promise.all(
    started.map(async ({ child, ended }) => {
      const force = setInterval(() => child.kill('SIGINT'), 1_100);
      await ended;
      clearInterval(force);
    }),
  );
});

const poll = <T>(read: () => T) => expect.poll(read, { timeout: 20_000, interval: 20 });
const statusOf = async (id: string) => (await client.tasks.get(id)).task.status;
const lastRunOf = async (id: string) => (await client.tasks.runs(id)).runs.at(-1);
const linesOf = async (id: string) => (await client.tasks.output(id)).lines.map(({ text }) => text);

function dispatch(flags: readonly string[] = [], env: Record<string, string> = {}): CliRun {
  const run = startCli(cli, ['dispatch', '--name', 'test', ...flags], {
    cwd: scratch,
    env: {
      LANEKEEPER_URL: server.url,
      LANEKEEPER_TOKEN: adminKey,
      LANEKEEPER_BOARD: client.board,
      LANEKEEPER_DATA_DIR: scratch,
      ...env,
    },
  });
  started.push(run);
  return run;
}

type Spawn = NonNullable<LaneBody['spawn']>;
const spawnLane = (name: string, spawn: Spawn, more: LaneBody = {}) =>
  client.lanes.register(name, { kind: 'spawn', spawn, ...more });
const shell = (script: string, ...rest: string[]) => ['sh', '-c', script, ...rest];
const node = (script: string) => [process.execPath, '-e', script];
const REFERENCE = (name: string) => `\${${name}}`;
/** Ends its own run, as a process should. */
const COMPLETES = `
  const { LANEKEEPER_URL: url, LANEKEEPER_RUN_ID: run, LANEKEEPER_TOKEN: token } = process.env;
  const headers = { authorization: 'Bearer ' + token, 'content-type': 'application/json' };
  const complete = (body) => fetch(url + '/v1/runs/' + run + '/complete', { method: 'POST', headers, body: JSON.stringify(body) });`;

async function pidIn(name: string): Promise<number> {
  const read = () => readFile(join(scratch, name), 'utf8').then(Number, () => 0);
  await poll(read).toBeGreaterThan(0);
  return read();
}

describe('the original request', () => {
  test('a task for a persistent lane is not spawned by the dispatcher', async () => {
    const trap = { argv: shell('touch "$0"', join(scratch, 'spawned')) };
    await client.lanes.register('steady', { kind: 'persistent' });
    await client.lanes.register('people', { kind: 'human' });
    await spawnLane('once-spawn', trap);
    await spawnLane('quick', { argv: node(`${COMPLETES} complete({ summary: 'done' })`) });
    await client.lanes.patch('once-spawn', { kind: 'persistent', spawn: null });
    const create = (lane: string) => client.tasks.create({ title: `for ${lane}`, lane });
    const kept = [await create('steady'), await create('people'), await create('once-spawn')];
    const { task } = await create('quick');
    const all = dispatch();
    await poll(() => statusOf(task.id)).toBe('done');
    // Naming them changes nothing, and is no error.
    const named = await dispatch(['--once', '--name', 'other', '--lane', 'steady', '--lane', 'people']).ended;
    expect(named).toMatchObject({ code: 0, stderr: expect.stringContaining('kind persistent') });
    const late = await create('quick');
    await poll(() => statusOf(late.task.id)).toBe('done');
    for (const { task: waiting } of kept) {
      expect((await client.tasks.get(waiting.id)).task).toMatchObject({ status: 'ready', attempt: 0 });
    }
    for (const lane of ['steady', 'people', 'once-spawn'])
      expect((await client.lanes.get(lane)).lane.presence).toMatchObject({ online: false, workers: [] });
    expect(all.stderr()).not.toMatch(/steady|people/);
  });

  test('spawned workers go on as before', async () => {
    await client.lanes.register('steady', { kind: 'persistent' });
    await spawnLane('agent', {
      argv: node(`${COMPLETES} complete({ summary: process.env.HERMES_KANBAN_TASK })`),
    });
    const spawned = await client.tasks.create({ title: 'spawn me', lane: 'agent' });
    const held = await client.tasks.create({ title: 'claim me', lane: 'steady' });
    dispatch();
    const { claims } = await client.claims.claim('steady', { worker: 'factory-1' }, { waitSeconds: 5 });
    const [claim] = claims;
    expect(claim?.task.id).toBe(held.task.id);
    await poll(() => statusOf(spawned.task.id)).toBe('done');
    expect(await lastRunOf(spawned.task.id)).toMatchObject({
      lane: 'agent',
      worker: 'test',
      outcome: 'completed',
      summary: spawned.task.id,
    });
    await client.runs.complete(claim?.run_id ?? '', { summary: 'by hand' }, { token: claim?.token ?? '' });
    expect(await lastRunOf(held.task.id)).toMatchObject({ worker: 'factory-1', outcome: 'completed' });
  });
});

describe('a spawned process', () => {
  test('gets its lane, task, run and board in argv and cwd, the claim in its environment, and no key', async () => {
    await mkdir(join(scratch, 'agent'));
    const script = `${COMPLETES}
      const task = JSON.parse(require('fs').readFileSync(0, 'utf8'));
      complete({ result: { argv: process.argv.slice(1), cwd: process.cwd(), title: task.title, handoff: task.handoff.attempts, env: process.env } });`;
    await spawnLane('agent', {
      argv: [...node(script), '{lane}', 'work task {task}', '{run}/{board}', '{other}'],
      cwd: '{lane}',
      env: {
        SET: 'value',
        FROM: REFERENCE('SECRET_OF_ITS_OWN'),
        GONE: REFERENCE('NOWHERE'),
        ADMIN: REFERENCE('LANEKEEPER_TOKEN'),
      },
    });
    const { task } = await client.tasks.create({ title: 'look', lane: 'agent' });
    const env = { SECRET_OF_ITS_OWN: 's', OTHER_SECRET: 'hidden', MODEL_A: 'a' };
    expect(await dispatch(['--once', '--pass-env', 'MODEL_*'], env).ended).toMatchObject({ code: 0 });
    const run = await lastRunOf(task.id);
    const { env: got, ...result } = (run?.result ?? {}) as { env: Record<string, string> };
    expect(result).toEqual({
      argv: ['agent', `work task ${task.id}`, `${run?.run_id}/${client.board}`, '{other}'],
      cwd: join(scratch, 'agent'),
      title: 'look',
      handoff: [],
    });
    expect(got).toMatchObject({
      SET: 'value',
      FROM: 's',
      MODEL_A: 'a',
      HOME: cli.directory,
      LANEKEEPER_URL: server.url,
      LANEKEEPER_LANE: 'agent',
      LANEKEEPER_BOARD: client.board,
      LANEKEEPER_TASK_ID: task.id,
      LANEKEEPER_RUN_ID: run?.run_id,
      LANEKEEPER_ATTEMPT: '1',
      HERMES_KANBAN_TASK: task.id,
      HERMES_KANBAN_RUN_ID: run?.run_id,
      HERMES_KANBAN_BOARD: client.board,
    });
    for (const name of ['OTHER_SECRET', 'GONE', 'ADMIN', 'LANEKEEPER_DATA_DIR'])
      expect(got).not.toHaveProperty(name);
    expect(JSON.stringify(got)).not.toContain(adminKey);
  });

  test('that exits 0 without an end is a protocol violation; 75 is rate limited; else its last lines are the error', async () => {
    const lanes = {
      silent: shell('echo all good'),
      limited: shell('exit 75'),
      broken: shell('echo on stderr >&2; echo on stdout; exit 3'),
      mute: shell('echo one; echo two; exit 4'),
    };
    const ids: Record<string, string> = {};
    for (const [lane, argv] of Object.entries(lanes)) {
      await spawnLane(lane, { argv });
      ids[lane] = (await client.tasks.create({ title: lane, lane, max_failures: 1 })).task.id;
    }
    const end = await dispatch(['--once', '--json']).ended;
    expect(end.code).toBe(0);
    const runOf = (lane: string) => lastRunOf(ids[lane] ?? '');
    expect(await runOf('silent')).toMatchObject({
      outcome: 'failed',
      error: expect.stringContaining('code 0'),
    });
    expect((await client.tasks.get(ids['limited'] ?? '')).task).toMatchObject({
      status: 'scheduled',
      consecutive_failures: 0,
    });
    expect(await runOf('broken')).toMatchObject({ error: 'on stderr', metadata: { exit_code: 3 } });
    expect(await runOf('mute')).toMatchObject({ error: 'one\ntwo' });
    expect(await statusOf(ids['mute'] ?? '')).toBe('blocked');
    const { events } = await client.events.list({ kinds: 'task.failed', limit: 100 });
    const kinds = Object.fromEntries(events.map(({ task_id, data }) => [task_id, data['kind']]));
    expect(kinds[ids['silent'] ?? '']).toBe('protocol_violation');
    expect(kinds[ids['limited'] ?? '']).toBe('rate_limited');
  });

  test('that has ended its run itself may exit as it likes', async () => {
    await spawnLane('agent', {
      argv: node(`${COMPLETES} complete({ summary: 'mine' }).then(() => process.exit(9))`),
    });
    const { task } = await client.tasks.create({ title: 'a', lane: 'agent' });
    const end = await dispatch(['--once', '--json']).ended;
    expect(JSON.parse(end.stdout)).toMatchObject({ task_id: task.id, outcome: 'completed' });
    expect(await lastRunOf(task.id)).toMatchObject({ outcome: 'completed', summary: 'mine' });
  });

  test('prints to the task, and is told what is said to it', async () => {
    const script = `const { readFileSync } = require('fs'); console.log('here');
      setInterval(() => { const [line] = readFileSync(process.env.LANEKEEPER_STEERING_FILE, 'utf8').split('\\n');
        if (line) { console.log('heard ' + JSON.parse(line).text); process.exit(75); } }, 10)`;
    await spawnLane('agent', { argv: node(script) });
    const { task } = await client.tasks.create({ title: 'a', lane: 'agent' });
    dispatch(['--lease', '600']);
    await poll(() => linesOf(task.id)).toEqual(['here']);
    await client.tasks.steer(task.id, 'hello');
    await poll(() => statusOf(task.id)).toBe('scheduled');
    expect(await linesOf(task.id)).toEqual(['here', 'heard hello']);
  });

  test('is stopped with all that it started when its task is cancelled, by force when it does not listen', async () => {
    const stubborn = `trap "" TERM; echo $$ > ${join(scratch, 'pid')}; sh -c 'trap "" TERM; while :; do sleep 0.1; done' & echo $! > ${join(scratch, 'child')}; while :; do sleep 0.1; done`;
    await spawnLane('agent', { argv: shell(stubborn) });
    const { task } = await client.tasks.create({ title: 'a', lane: 'agent' });
    dispatch(['--lease', '600']);
    const pids = [await pidIn('pid'), await pidIn('child')];
    await poll(async () => (await client.lanes.get('agent')).lane.presence.online).toBe(true);
    await client.tasks.cancel(task.id);
    await poll(() => statusOf(task.id)).toBe('cancelled');
    await poll(() => pids.some(isAlive)).toBe(false);
  });

  test('is stopped when its claim is lost, and nothing is reported for it', async () => {
    await spawnLane('agent', { argv: shell(`echo $$ > ${join(scratch, 'pid')}; exec sleep 1000`) });
    const { task } = await client.tasks.create({ title: 'a', lane: 'agent' });
    const run = dispatch(['--lease', '600', '--json']);
    const pid = await pidIn('pid');
    await client.lanes.takeOver('agent', { mode: 'release', worker: 'taker' });
    await poll(() => isAlive(pid)).toBe(false);
    await poll(run.stdout).toContain('"outcome":"lost"');
    expect(await lastRunOf(task.id)).toMatchObject({ attempt: 1, outcome: 'released' });
    // The lane is somebody else's now: it is not claimed from again.
    expect((await client.tasks.get(task.id)).task).toMatchObject({ status: 'ready', attempt: 1 });
  });

  test('that takes longer than its lane allows is timed out', async () => {
    await spawnLane('agent', { argv: shell('echo working; exec sleep 1000'), timeout_seconds: 1 });
    const { task } = await client.tasks.create({ title: 'a', lane: 'agent', max_failures: 1 });
    dispatch();
    await poll(() => statusOf(task.id)).toBe('blocked');
    expect(await lastRunOf(task.id)).toMatchObject({
      outcome: 'failed',
      error: 'timed out after 1 s\nworking',
    });
  });

  test('that cannot be started is no failure of its task', async () => {
    await spawnLane('agent', { argv: ['no-such-program-here'] });
    await spawnLane('lost', { argv: ['true'], cwd: '/no/such/directory' });
    const first = await client.tasks.create({ title: 'a', lane: 'agent' });
    const second = await client.tasks.create({ title: 'b', lane: 'lost' });
    const end = await dispatch(['--once']).ended;
    expect(end).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('no command no-such-program-here'),
    });
    for (const { task } of [first, second])
      expect((await client.tasks.get(task.id)).task).toMatchObject({
        status: 'ready',
        consecutive_failures: 0,
      });
  });
});

describe('a dispatcher', () => {
  test('runs as many of a lane at once as the lane says, and follows it when it says otherwise', async () => {
    const gate = join(scratch, 'gate');
    const waits = {
      argv: shell(
        `touch ${scratch}/run-$LANEKEEPER_TASK_ID; while [ ! -e ${gate} ]; do sleep 0.05; done; exit 75`,
      ),
    };
    await spawnLane('agent', { ...waits, concurrency: 2 });
    const ids: string[] = [];
    for (let n = 0; n < 5; n += 1)
      ids.push((await client.tasks.create({ title: `t${n}`, lane: 'agent' })).task.id);
    const run = dispatch();
    const running = async () => (await client.lanes.get('agent')).lane.backlog.running;
    await poll(running).toBe(2);
    await client.lanes.patch('agent', { spawn: { ...waits, concurrency: 4 } });
    await poll(async () => (await readdir(scratch)).filter((name) => name.startsWith('run-')).length).toBe(4);
    // Now of another kind: nothing more is spawned, what runs goes on.
    await client.lanes.patch('agent', { kind: 'persistent', spawn: null });
    const appeared = await spawnLane('late', { argv: node(`${COMPLETES} complete({})`) });
    const late = await client.tasks.create({ title: 'late', lane: appeared.lane.name });
    await poll(() => statusOf(late.task.id)).toBe('done');
    await writeFile(gate, '');
    await poll(running).toBe(0);
    const statuses = await Promise.all(ids.map(statusOf));
    expect(statuses.filter((status) => status === 'ready')).toHaveLength(1);
    run.child.kill('SIGTERM');
    expect(await run.ended).toMatchObject({ code: 0 });
  });

  test('hands out nothing of a paused lane until it is resumed', async () => {
    await spawnLane('agent', { argv: node(`${COMPLETES} complete({})`) });
    await client.lanes.pause('agent');
    const { task } = await client.tasks.create({ title: 'a', lane: 'agent' });
    dispatch();
    await poll(async () => (await client.lanes.get('agent')).lane.presence.online).toBe(true);
    expect(await statusOf(task.id)).toBe('ready');
    await client.lanes.resume('agent');
    await poll(() => statusOf(task.id)).toBe('done');
  });

  test('with --once goes on until nothing is ready, also of what its own tasks set free', async () => {
    await spawnLane('first', { argv: node(`${COMPLETES} complete({})`) });
    await spawnLane('second', { argv: node(`${COMPLETES} complete({})`) });
    const parent = await client.tasks.create({ title: 'parent', lane: 'second' });
    const child = await client.tasks.create({ title: 'child', lane: 'first', parents: [parent.task.id] });
    expect(await dispatch(['--once']).ended).toMatchObject({ code: 0 });
    expect(await statusOf(child.task.id)).toBe('done');
  });

  test('that drains lets a process finish for a while, then stops it and gives its claim back', async () => {
    await spawnLane('agent', { argv: shell(`echo $$ > ${join(scratch, 'pid')}; exec sleep 1000`) });
    const { task } = await client.tasks.create({ title: 'a', lane: 'agent' });
    const run = dispatch(['--drain-seconds', '0']);
    const pid = await pidIn('pid');
    run.child.kill('SIGTERM');
    expect(await run.ended).toMatchObject({ code: 0 });
    expect(isAlive(pid)).toBe(false);
    expect((await client.tasks.get(task.id)).task).toMatchObject({
      status: 'ready',
      consecutive_failures: 0,
    });
  });

  test('of a name that is taken on this machine is refused', async () => {
    await spawnLane('agent', { argv: ['true'] });
    const first = dispatch();
    await poll(first.stderr).toContain('dispatching');
    expect(await dispatch().ended).toMatchObject({ code: 5, stderr: expect.stringContaining('--name') });
    first.child.kill('SIGKILL');
    await first.ended;
    expect(await dispatch(['--once']).ended).toMatchObject({ code: 0 });
  });

  test('says what key it takes, before it takes anything', async () => {
    await spawnLane('agent', { argv: node(`${COMPLETES} complete({})`) });
    await spawnLane('other', { argv: ['true'] });
    const { task } = await client.tasks.create({ title: 'a', lane: 'agent' });
    const orchestrator = await admin.keys.create({ role: 'orchestrator', name: 'o', boards: ['*'] });
    const key = await client.lanes.createKey('agent');
    const as = (secret?: string) => ({ LANEKEEPER_TOKEN: secret ?? '' });
    expect(await dispatch(['--once'], as(orchestrator.secret)).ended).toMatchObject({
      code: 4,
      stderr: expect.stringMatching(/role orchestrator cannot claim.*--lane-keys/),
    });
    expect(await dispatch(['--once', '--lane', 'other'], as(key.secret)).ended).toMatchObject({ code: 4 });
    expect(await statusOf(task.id)).toBe('ready');
    // The lanes' own keys in a directory, and whoever may read the board.
    await writeFile(join(scratch, 'agent.key'), `${key.secret}\n`);
    const end = await dispatch(['--once', '--lane-keys', '.'], as(orchestrator.secret)).ended;
    expect(end).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('lane other is not served: there is no key'),
    });
    expect(await statusOf(task.id)).toBe('done');
    const again = await client.tasks.create({ title: 'b', lane: 'agent' });
    expect(await dispatch(['--once'], as(key.secret)).ended).toMatchObject({ code: 0 });
    expect(await statusOf(again.task.id)).toBe('done');
  });
});

describe('a dispatcher that was killed', () => {
  test('leaves its processes to the next one of its name, which goes on with them', async () => {
    const gate = join(scratch, 'gate');
    const script = `${COMPLETES} const fs = require('fs');
      fs.writeFileSync(${JSON.stringify(join(scratch, 'pid'))}, String(process.pid));
      const when = (gate, then) => { const look = setInterval(() => fs.existsSync(gate) && (clearInterval(look), then()), 10); };
      console.log('before');
      when(${JSON.stringify(`${gate}-1`)}, () => console.log('after'));
      when(${JSON.stringify(`${gate}-2`)}, () => complete({ summary: 'whole' }));`;
    await spawnLane('agent', { argv: node(script) });
    const { task } = await client.tasks.create({ title: 'a', lane: 'agent' });
    const first = dispatch(['--lease', '5']);
    const pid = await pidIn('pid');
    await poll(() => linesOf(task.id)).toEqual(['before']);
    first.child.kill('SIGKILL');
    await first.ended;
    expect(isAlive(pid)).toBe(true);
    const before = (await client.tasks.get(task.id)).task.claim;
    const second = dispatch(['--lease', '5', '--json']);
    await poll(second.stderr).toContain('an earlier dispatcher has left');
    const leaseOf = async () => (await client.tasks.get(task.id)).task.claim?.lease_expires_at ?? '';
    await poll(async () => (await leaseOf()) > (before?.lease_expires_at ?? '')).toBe(true);
    expect((await client.tasks.get(task.id)).task).toMatchObject({
      attempt: 1,
      claim: { run_id: before?.run_id },
    });
    await writeFile(`${gate}-1`, '');
    await poll(() => linesOf(task.id)).toEqual(['before', 'after']);
    await writeFile(`${gate}-2`, '');
    await poll(() => statusOf(task.id)).toBe('done');
    await poll(second.stdout).toContain('"outcome":"completed"');
    expect(await lastRunOf(task.id)).toMatchObject({ attempt: 1, summary: 'whole' });
  });

  test('has the next one report how a process ended meanwhile', async () => {
    const gate = join(scratch, 'gate');
    const script = `echo $$ > ${join(scratch, 'pid')}; while [ ! -e ${gate} ]; do sleep 0.05; done; echo sorry >&2; exit 3`;
    await spawnLane('agent', { argv: shell(script) });
    const { task } = await client.tasks.create({ title: 'a', lane: 'agent', max_failures: 1 });
    const first = dispatch();
    const pid = await pidIn('pid');
    first.child.kill('SIGKILL');
    await first.ended;
    await writeFile(gate, '');
    await poll(() => isAlive(pid)).toBe(false);
    expect(await statusOf(task.id)).toBe('running');
    expect(await dispatch(['--once']).ended).toMatchObject({ code: 0 });
    expect(await lastRunOf(task.id)).toMatchObject({ attempt: 1, outcome: 'failed', error: 'sorry' });
  });

  test('has the next one give back the claim of a process that is gone without a word', async () => {
    await spawnLane('agent', { argv: shell(`echo $PPID > ${join(scratch, 'keeper')}; exec sleep 1000`) });
    const { task } = await client.tasks.create({ title: 'a', lane: 'agent' });
    const first = dispatch();
    const keeper = await pidIn('keeper');
    first.child.kill('SIGKILL');
    await first.ended;
    process.kill(-keeper, 'SIGKILL');
    await poll(() => isAlive(keeper)).toBe(false);
    await client.lanes.pause('agent');
    const second = dispatch(['--json']);
    await poll(second.stdout).toContain('"outcome":"released"');
    expect((await client.tasks.get(task.id)).task).toMatchObject({
      status: 'ready',
      consecutive_failures: 0,
    });
  });

  test('and has no successor within a lease leaves no process behind', async () => {
    await spawnLane('agent', { argv: shell(`echo $$ > ${join(scratch, 'pid')}; exec sleep 1000`) });
    const { task } = await client.tasks.create({ title: 'a', lane: 'agent', max_failures: 1 });
    const first = dispatch(['--lease', '2']);
    const pid = await pidIn('pid');
    first.child.kill('SIGKILL');
    await first.ended;
    await poll(() => isAlive(pid)).toBe(false);
    await poll(() => statusOf(task.id)).toBe('blocked');
    expect(await lastRunOf(task.id)).toMatchObject({ outcome: 'crashed' });
  });

  test('whose claim was lost meanwhile has its process stopped, and nothing reported', async () => {
    await spawnLane('agent', { argv: shell(`echo $$ > ${join(scratch, 'pid')}; exec sleep 1000`) });
    const { task } = await client.tasks.create({ title: 'a', lane: 'agent' });
    const first = dispatch();
    const pid = await pidIn('pid');
    first.child.kill('SIGKILL');
    await first.ended;
    await client.lanes.pause('agent');
    await client.lanes.takeOver('agent', { mode: 'release', worker: 'taker' });
    const second = dispatch(['--json']);
    await poll(() => isAlive(pid)).toBe(false);
    await poll(second.stdout).toContain('"outcome":"lost"');
    expect(await lastRunOf(task.id)).toMatchObject({ outcome: 'released' });
    // It is back, so its lane is served again.
    await client.lanes.resume('agent');
    await poll(async () => (await client.tasks.get(task.id)).task).toMatchObject({
      status: 'running',
      attempt: 2,
    });
  });

  test('keeps the tokens of its claims where its user alone can read them', async () => {
    await spawnLane('agent', { argv: shell(`echo $$ > ${join(scratch, 'pid')}; exec sleep 1000`) });
    const { task } = await client.tasks.create({ title: 'a', lane: 'agent' });
    dispatch();
    await pidIn('pid');
    const run = (await client.tasks.get(task.id)).task.claim?.run_id ?? '';
    const path = join(scratch, 'dispatch', client.board, 'test', 'runs', run);
    expect(((await stat(path)).mode & 0o777).toString(8)).toBe('700');
    expect(((await stat(join(path, 'run.json'))).mode & 0o777).toString(8)).toBe('600');
  });
});
