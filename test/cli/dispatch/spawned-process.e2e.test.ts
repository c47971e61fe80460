/** What a process that the dispatcher has spawned is given, and what becomes of it. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { isAlive } from '../fixtures/cli-process.ts';
import { COMPLETES, node, shell, staysWithPidIn, useSites } from './dispatching.ts';

const test = useSites();
const referenceTo = (name: string) => `\${${name}}`;

describe.concurrent('a spawned process', () => {
  test('gets its lane, task, run and board in argv and cwd, the claim in its environment, and no key', async ({
    site: { client, scratch, home, dispatch, spawnLane, lastRunOf, adminKey },
  }) => {
    await mkdir(join(scratch, 'agent'));
    const script = `${COMPLETES}
      const task = JSON.parse(require('fs').readFileSync(0, 'utf8'));
      complete({ result: { argv: process.argv.slice(1), cwd: process.cwd(), title: task.title, handoff: task.handoff.attempts, env: process.env } });`;
    await spawnLane('agent', {
      argv: [...node(script), '{lane}', 'work task {task}', '{run}/{board}', '{other}'],
      cwd: '{lane}',
      env: {
        SET: 'value',
        FROM: referenceTo('SECRET_OF_ITS_OWN'),
        GONE: referenceTo('NOWHERE'),
        ADMIN: referenceTo('LANEKEEPER_TOKEN'),
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
      HOME: home,
      LANEKEEPER_URL: client.url,
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

  test('that exits 0 without an end is a protocol violation; 75 is rate limited; else its last lines are the error', async ({
    site: { client, dispatch, spawnLane, statusOf, lastRunOf },
  }) => {
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

  test('that has ended its run itself may exit as it likes', async ({
    site: { client, dispatch, spawnLane, lastRunOf },
  }) => {
    await spawnLane('agent', {
      argv: node(`${COMPLETES} complete({ summary: 'mine' }).then(() => process.exit(9))`),
    });
    const { task } = await client.tasks.create({ title: 'a', lane: 'agent' });
    const end = await dispatch(['--once', '--json']).ended;
    expect(JSON.parse(end.stdout)).toMatchObject({ task_id: task.id, outcome: 'completed' });
    expect(await lastRunOf(task.id)).toMatchObject({ outcome: 'completed', summary: 'mine' });
  });

  test('prints to the task, and is told what is said to it', async ({
    poll,
    site: { client, dispatch, spawnLane, statusOf, linesOf },
  }) => {
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

  test('is stopped with all that it started when its task is cancelled, by force when it does not listen', async ({
    poll,
    site: { client, scratch, dispatch, spawnLane, statusOf, pidIn },
  }) => {
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

  test('is stopped when its claim is lost, and nothing is reported for it', async ({
    poll,
    site: { client, scratch, dispatch, spawnLane, lastRunOf, pidIn },
  }) => {
    await spawnLane('agent', { argv: staysWithPidIn(join(scratch, 'pid')) });
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

  test('that takes longer than its lane allows is timed out', async ({
    poll,
    site: { client, dispatch, spawnLane, statusOf, lastRunOf },
  }) => {
    await spawnLane('agent', { argv: shell('echo working; exec sleep 1000'), timeout_seconds: 1 });
    const { task } = await client.tasks.create({ title: 'a', lane: 'agent', max_failures: 1 });
    dispatch();
    await poll(() => statusOf(task.id)).toBe('blocked');
    expect(await lastRunOf(task.id)).toMatchObject({
      outcome: 'failed',
      error: 'timed out after 1 s\nworking',
    });
  });

  test('that cannot be started is no failure of its task', async ({
    site: { client, dispatch, spawnLane },
  }) => {
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
