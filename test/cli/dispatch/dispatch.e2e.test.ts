/** The dispatcher against the server itself: what it spawns, what it lets be, and how it leaves. */
import { mkdir, readdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { isAlive } from '../fixtures/cli-process.ts';
import { COMPLETES, node, shell, staysWithPidIn, useSites } from './dispatching.ts';

const test = useSites();

describe.concurrent('a dispatcher', () => {
  test('runs as many of a lane at once as the lane says, and follows it when it says otherwise', async ({
    poll,
    site: { client, scratch, dispatch, spawnLane, statusOf },
  }) => {
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

  test('hands out nothing of a paused lane until it is resumed', async ({
    poll,
    site: { client, dispatch, spawnLane, statusOf },
  }) => {
    await spawnLane('agent', { argv: node(`${COMPLETES} complete({})`) });
    await client.lanes.pause('agent');
    const { task } = await client.tasks.create({ title: 'a', lane: 'agent' });
    dispatch();
    await poll(async () => (await client.lanes.get('agent')).lane.presence.online).toBe(true);
    expect(await statusOf(task.id)).toBe('ready');
    await client.lanes.resume('agent');
    await poll(() => statusOf(task.id)).toBe('done');
  });

  test('serves a lane that is pushed to, and with --once until nothing comes', async ({
    site: { client, dispatch, spawnLane, addTask, statusOf },
  }) => {
    await spawnLane('agent', { argv: node(`${COMPLETES} complete({})`), concurrency: 2 });
    await client.lanes.patch('agent', { claim_mode: 'push' });
    const ids = [await addTask('agent'), await addTask('agent'), await addTask('agent')];
    expect(await dispatch(['--once']).ended).toMatchObject({ code: 0 });
    expect(await Promise.all(ids.map(statusOf))).toEqual(['done', 'done', 'done']);
  });

  test('with --once goes on until nothing is ready, also of what its own tasks set free', async ({
    site: { client, dispatch, spawnLane, statusOf },
  }) => {
    await spawnLane('first', { argv: node(`${COMPLETES} complete({})`) });
    await spawnLane('second', { argv: node(`${COMPLETES} complete({})`) });
    const parent = await client.tasks.create({ title: 'parent', lane: 'second' });
    const child = await client.tasks.create({ title: 'child', lane: 'first', parents: [parent.task.id] });
    expect(await dispatch(['--once']).ended).toMatchObject({ code: 0 });
    expect(await statusOf(child.task.id)).toBe('done');
  });

  test('that drains lets a process finish for a while, then stops it and gives its claim back', async ({
    site: { client, scratch, dispatch, spawnLane, pidIn },
  }) => {
    await spawnLane('agent', { argv: staysWithPidIn(join(scratch, 'pid')) });
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

  test('of a name that is taken on this machine is refused', async ({
    poll,
    site: { dispatch, spawnLane },
  }) => {
    await spawnLane('agent', { argv: ['true'] });
    const first = dispatch();
    await poll(first.stderr).toContain('dispatching');
    expect(await dispatch().ended).toMatchObject({ code: 5, stderr: expect.stringContaining('--name') });
    first.child.kill('SIGKILL');
    await first.ended;
    expect(await dispatch(['--once']).ended).toMatchObject({ code: 0 });
  });

  test('says what key it takes, before it takes anything', async ({
    site: { client, scratch, dispatch, spawnLane, statusOf },
  }) => {
    await spawnLane('agent', { argv: node(`${COMPLETES} complete({})`) });
    await spawnLane('other', { argv: ['true'] });
    const { task } = await client.tasks.create({ title: 'a', lane: 'agent' });
    const orchestrator = await client.keys.create({ role: 'orchestrator', name: 'o', boards: ['*'] });
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

  test('leaves a lane alone whose key cannot be used, until it can, and serves the others', async ({
    poll,
    site: { client, scratch, dispatch, spawnLane, addTask, statusOf, adminKey },
  }) => {
    const completes = { argv: node(`${COMPLETES} complete({})`) };
    const lanes = ['agent', 'garbled', 'unreadable'];
    for (const lane of lanes) await spawnLane(lane, completes);
    const keys = await Promise.all(lanes.map((lane) => client.lanes.createKey(lane)));
    const [key = '', garbled = ''] = keys.map(({ secret }) => secret ?? '');
    await writeFile(join(scratch, 'agent.key'), key);
    await writeFile(join(scratch, 'garbled.key'), `${garbled}\nlk_lane_second`);
    await mkdir(join(scratch, 'unreadable.key'));
    const [first = '', second = ''] = await Promise.all(lanes.map((lane) => addTask(lane)));
    const run = dispatch(['--lane-keys', '.']);
    await poll(() => statusOf(first)).toBe('done');
    for (const lane of ['garbled', 'unreadable']) {
      expect(run.stderr()).toMatch(new RegExp(`lane ${lane} is not served: .*/${lane}\\.key`));
    }
    expect(run.stderr()).not.toContain(garbled);
    await writeFile(join(scratch, 'garbled.key'), garbled);
    // Makes it look at all lanes, as it would within half a minute.
    await client.lanes.patch('garbled', { labels: { mended: 'yes' } });
    await poll(() => statusOf(second)).toBe('done');
    expect(run.stderr()).not.toContain(adminKey);
  });

  test('reviews on one of its lanes what it has done on another', async ({
    poll,
    site: { client, dispatch, spawnLane, addTask, statusOf },
  }) => {
    await spawnLane('agent', {
      argv: node(`${COMPLETES} complete({ summary: 'built', review: true, reviewer: 'qa' })`),
    });
    await spawnLane('qa', { argv: node(`${COMPLETES} complete({ summary: 'looks right' })`) });
    const task = await addTask('agent');
    dispatch();
    await poll(() => statusOf(task)).toBe('done');
    const { runs } = await client.tasks.runs(task);
    expect(runs.map(({ lane, worker }) => [lane, worker])).toEqual([
      ['agent', 'test/agent'],
      ['qa', 'test/qa'],
    ]);
  });

  test('survives that what it keeps on disk is swept away under a process that prints, and goes on', async ({
    poll,
    site: { scratch, runsDirectory, dispatch, spawnLane, addTask, statusOf, lastRunOf, pidIn },
  }) => {
    const gate = join(scratch, 'gate');
    const script = `${COMPLETES} const fs = require('fs');
      fs.writeFileSync(${JSON.stringify(join(scratch, 'pid'))}, String(process.pid));
      const look = setInterval(() => { console.log('still here');
        if (fs.existsSync(${JSON.stringify(gate)})) { clearInterval(look); complete({ summary: 'whole' }); } }, 50);`;
    await spawnLane('agent', { argv: node(script) });
    const task = await addTask('agent');
    const run = dispatch();
    await pidIn('pid');
    // At once: a plain removal would race with what is written meanwhile.
    await rename(runsDirectory, join(scratch, 'swept'));
    await poll(run.stderr).toContain('some of its output may be missing');
    await writeFile(gate, '');
    await poll(() => statusOf(task)).toBe('done');
    expect(await lastRunOf(task)).toMatchObject({ attempt: 1, summary: 'whole' });
    // What comes next has its place again.
    const next = await addTask('agent');
    await poll(() => statusOf(next)).toBe('done');
    expect(run.child.exitCode).toBeNull();
  });

  test('stops a process on time though it can write nothing down any more', async ({
    poll,
    site: { runsDirectory, scratch, dispatch, spawnLane, taskOf, client, pidIn, lastRunOf },
  }) => {
    await spawnLane('agent', { argv: staysWithPidIn(join(scratch, 'pid')), timeout_seconds: 2 });
    const { task } = await client.tasks.create({ title: 'a', lane: 'agent', max_failures: 1 });
    const run = dispatch();
    const pid = await pidIn('pid');
    // At once: a plain removal would race with what is written meanwhile.
    await rename(runsDirectory, join(scratch, 'swept'));
    await poll(() => isAlive(pid)).toBe(false);
    await poll(async () => (await taskOf(task.id)).status).toBe('blocked');
    expect(await lastRunOf(task.id)).toMatchObject({ error: 'timed out after 2 s' });
    expect(run.child.exitCode).toBeNull();
  });
});
