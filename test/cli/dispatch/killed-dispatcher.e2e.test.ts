/** What a dispatcher that was killed has left, and what the next one of its name makes of it. */
import { mkdir, readdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { isAlive } from '../fixtures/cli-process.ts';
import { COMPLETES, node, shell, staysWithPidIn, useSites } from './dispatching.ts';

const test = useSites();

describe.concurrent('a dispatcher that was killed', () => {
  test('leaves its processes to the next one of its name, which goes on with them', async ({
    poll,
    site: { client, scratch, dispatch, spawnLane, statusOf, lastRunOf, linesOf, pidIn },
  }) => {
    const gate = join(scratch, 'gate');
    const script = `${COMPLETES} const fs = require('fs');
      fs.writeFileSync(${JSON.stringify(join(scratch, 'pid'))}, String(process.pid));
      const when = (gate, then) => { const look = setInterval(() => fs.existsSync(gate) && (clearInterval(look), then()), 10); };
      console.log('before');
      when(${JSON.stringify(`${gate}-1`)}, () => console.log('after'));
      when(${JSON.stringify(`${gate}-2`)}, () => complete({ summary: 'whole' }));`;
    await spawnLane('agent', { argv: node(script) });
    const { task } = await client.tasks.create({ title: 'a', lane: 'agent' });
    const first = dispatch();
    const pid = await pidIn('pid');
    await poll(() => linesOf(task.id)).toEqual(['before']);
    first.child.kill('SIGKILL');
    await first.ended;
    expect(isAlive(pid)).toBe(true);
    const before = (await client.tasks.get(task.id)).task.claim;
    const second = dispatch(['--json']);
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

  test('has the next one report how a process ended meanwhile', async ({
    poll,
    site: { client, scratch, dispatch, spawnLane, statusOf, lastRunOf, pidIn },
  }) => {
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

  test('has the next one give back the claim of a process that is gone without a word', async ({
    poll,
    site: { client, scratch, dispatch, spawnLane, pidIn },
  }) => {
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

  test('has the next one end a process that has lost its keeper before its claim is given back', async ({
    poll,
    site: { client, scratch, dispatch, spawnLane, addTask, pidIn },
  }) => {
    const script = `echo $PPID > ${join(scratch, 'keeper')}; echo $$ > ${join(scratch, 'pid')}; exec sleep 1000`;
    await spawnLane('agent', { argv: shell(script) });
    await addTask('agent');
    const first = dispatch();
    const [keeper, pid] = [await pidIn('keeper'), await pidIn('pid')];
    first.child.kill('SIGKILL');
    await first.ended;
    process.kill(keeper, 'SIGKILL');
    await poll(() => isAlive(keeper)).toBe(false);
    await client.lanes.pause('agent');
    const second = dispatch(['--json']);
    await poll(second.stdout).toContain('"outcome":"released"');
    expect(isAlive(pid)).toBe(false);
  });

  test('is found by the next one also where another path leads to what it has left', async ({
    poll,
    site: { scratch, dispatch, spawnLane, addTask, lastRunOf, pidIn },
  }) => {
    const gate = join(scratch, 'gate');
    const script = `echo $$ > ${join(scratch, 'pid')}; while [ ! -e ${gate} ]; do sleep 0.05; done; exit 3`;
    await spawnLane('agent', { argv: shell(script) });
    const task = await addTask('agent', { max_failures: 1 });
    await mkdir(join(scratch, 'state'));
    await symlink(join(scratch, 'state'), join(scratch, 'link'));
    const first = dispatch(['--state-dir', 'state']);
    await pidIn('pid');
    first.child.kill('SIGKILL');
    await first.ended;
    const second = dispatch(['--state-dir', 'link', '--once']);
    await poll(second.stderr).toContain('an earlier dispatcher has left');
    await writeFile(gate, '');
    expect(await second.ended).toMatchObject({ code: 0 });
    expect(await lastRunOf(task)).toMatchObject({ attempt: 1, outcome: 'failed' });
  });

  test('has the next one, with --once, also do what had no place beside what it went on with', async ({
    poll,
    site: { scratch, dispatch, spawnLane, addTask, statusOf, pidIn },
  }) => {
    const gate = join(scratch, 'gate');
    const script = `${COMPLETES} const fs = require('fs');
      fs.writeFileSync(${JSON.stringify(join(scratch, 'pid'))}, String(process.pid));
      const look = setInterval(() => { if (!fs.existsSync(${JSON.stringify(gate)})) return; clearInterval(look); complete({}); }, 10);`;
    await spawnLane('agent', { argv: node(script), concurrency: 1 });
    const tasks = [await addTask('agent'), await addTask('agent')];
    const first = dispatch();
    await pidIn('pid');
    first.child.kill('SIGKILL');
    await first.ended;
    const second = dispatch(['--once']);
    await poll(second.stderr).toContain('as soon as what runs already leaves room');
    await writeFile(gate, '');
    expect(await second.ended).toMatchObject({ code: 0 });
    expect(await Promise.all(tasks.map(statusOf))).toEqual(['done', 'done']);
  });

  test('leaves no process behind though what it kept on disk was swept away before', async ({
    poll,
    site: { scratch, runsDirectory, dispatch, spawnLane, addTask, pidIn },
  }) => {
    await spawnLane('agent', { argv: staysWithPidIn(join(scratch, 'pid')) });
    await addTask('agent');
    const first = dispatch(['--lease', '2']);
    const pid = await pidIn('pid');
    // At once: a plain removal would race with what is written meanwhile.
    await rename(join(runsDirectory, '..'), join(scratch, 'swept'));
    first.child.kill('SIGKILL');
    await first.ended;
    await poll(() => isAlive(pid)).toBe(false);
  });

  test('and has no successor within a lease leaves no process behind', async ({
    poll,
    site: { client, scratch, dispatch, spawnLane, statusOf, lastRunOf, pidIn },
  }) => {
    await spawnLane('agent', { argv: staysWithPidIn(join(scratch, 'pid')) });
    const { task } = await client.tasks.create({ title: 'a', lane: 'agent', max_failures: 1 });
    const first = dispatch(['--lease', '2']);
    const pid = await pidIn('pid');
    first.child.kill('SIGKILL');
    await first.ended;
    await poll(() => isAlive(pid)).toBe(false);
    await poll(() => statusOf(task.id)).toBe('blocked');
    expect(await lastRunOf(task.id)).toMatchObject({ outcome: 'crashed' });
  });

  test('whose claim was lost meanwhile has its process stopped, and nothing reported', async ({
    poll,
    site: { client, scratch, dispatch, spawnLane, lastRunOf, pidIn },
  }) => {
    await spawnLane('agent', { argv: staysWithPidIn(join(scratch, 'pid')) });
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

  test('has kept the tokens of its claims where its user alone can read them, also in a directory that was open', async ({
    poll,
    site: { client, scratch, runsDirectory, dispatch, spawnLane, addTask, linesOf, taskOf },
  }) => {
    await mkdir(runsDirectory, { recursive: true, mode: 0o755 });
    await spawnLane('agent', { argv: shell(`umask; touch ${join(scratch, 'made')}; exec sleep 1000`) });
    const task = await addTask('agent');
    dispatch();
    await poll(() => linesOf(task)).toHaveLength(1);
    const run = (await taskOf(task)).claim?.run_id ?? '';
    await client.tasks.steer(task, 'hello');
    await poll(async () => (await stat(join(runsDirectory, run, 'steering.jsonl'))).size).toBeGreaterThan(0);
    const state = join(runsDirectory, '..');
    const modes = new Set<string>();
    for (const name of ['.', ...(await readdir(state, { recursive: true }))]) {
      const found = await stat(join(state, name));
      modes.add(`${found.isDirectory() ? 'directory' : 'file'} ${(found.mode & 0o777).toString(8)}`);
    }
    expect([...modes].sort()).toEqual(['directory 700', 'file 600']);
    // The process itself has the umask that it would have anywhere.
    expect(Number.parseInt((await linesOf(task))[0] ?? '', 8)).toBe(process.umask());
  });

  test('is taken up from what is its own: what somebody else has put there is left alone', async ({
    site: { scratch, runsDirectory, dispatch, spawnLane, addTask, pidIn, lastRunOf },
  }) => {
    const gate = join(scratch, 'gate');
    const script = `echo $$ > ${join(scratch, 'pid')}; while [ ! -e ${gate} ]; do sleep 0.05; done; exit 3`;
    await spawnLane('agent', { argv: shell(script) });
    const task = await addTask('agent', { max_failures: 1 });
    const first = dispatch();
    await pidIn('pid');
    first.child.kill('SIGKILL');
    await first.ended;
    await writeFile(join(runsDirectory, '.notes'), 'of a person');
    await mkdir(join(runsDirectory, 'backup'));
    await writeFile(gate, '');
    const end = await dispatch(['--once']).ended;
    expect(end).toMatchObject({ code: 0 });
    expect(end.stderr.match(/left alone: .*/g)).toEqual([
      expect.stringMatching(/^left alone: (runs\/\.notes, runs\/backup|runs\/backup, runs\/\.notes) in /),
    ]);
    expect(await lastRunOf(task)).toMatchObject({ attempt: 1, outcome: 'failed' });
    expect((await readdir(runsDirectory)).sort()).toEqual(['.notes', 'backup']);
  });

  test('leaves what cannot be heard any more to a next one that goes on with it all the same', async ({
    poll,
    site: { scratch, runsDirectory, dispatch, spawnLane, addTask, taskOf, statusOf, pidIn },
  }) => {
    const gate = join(scratch, 'gate');
    const script = `${COMPLETES} const fs = require('fs');
      fs.writeFileSync(${JSON.stringify(join(scratch, 'pid'))}, String(process.pid));
      const look = setInterval(() => { if (!fs.existsSync(${JSON.stringify(gate)})) return; clearInterval(look); complete({}); }, 10);`;
    await spawnLane('agent', { argv: node(script) });
    const task = await addTask('agent');
    const first = dispatch();
    const pid = await pidIn('pid');
    first.child.kill('SIGKILL');
    await first.ended;
    const output = join(runsDirectory, (await taskOf(task)).claim?.run_id ?? '', 'stdout');
    await rm(output);
    await mkdir(output);
    const second = dispatch();
    await poll(second.stderr).toContain('its output cannot be read');
    expect(isAlive(pid)).toBe(true);
    await writeFile(gate, '');
    await poll(() => statusOf(task)).toBe('done');
    expect(await taskOf(task)).toMatchObject({ attempt: 1 });
  });
});
