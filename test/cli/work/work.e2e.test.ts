/** A worker that stays: how much it takes on, and how it gets over a server that is away or wants it gone. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { problem } from '../../client/fixtures/scripted-server.ts';
import { node, SHORT_LEASE, STAYS, staysUntil, useWorkers } from './working.ts';

const test = useWorkers();

describe.concurrent('a worker', () => {
  test('works several at once, never more than it was told', async ({ poll, fake, work }) => {
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

  test('in watch mode claims without waiting, when it is told that there is work', async ({
    poll,
    fake,
    work,
  }) => {
    fake.laneFields = { claim_mode: 'watch' };
    const worker = work(['--once'], ['true']);
    await poll(() => fake.requestsTo('/claims').length).toBeGreaterThan(0);
    const task = fake.addTask('late');
    expect(await worker.ended).toMatchObject({ code: 0 });
    expect(task.status).toBe('done');
    expect(fake.requestsTo('/claims').every(({ headers }) => headers['prefer'] === undefined)).toBe(true);
  });

  test('in push mode takes what comes over its socket, no more at once than it was told, and asks for nothing', async ({
    fake,
    work,
  }) => {
    fake.laneFields = { claim_mode: 'push' };
    const tasks = Array.from({ length: 3 }, (_, index) => fake.addTask(`t${index}`));
    expect(await work(['--max-tasks', '3'], ['echo', '{"result": 1}']).ended).toMatchObject({ code: 0 });
    expect(tasks.map((task) => [task.status, task.attempt])).toEqual(tasks.map(() => ['done', 1]));
    expect(fake.endOf(tasks[0] ?? fake.addTask('none'))).toMatchObject({
      verb: 'complete',
      body: { result: 1 },
    });
    expect(fake.requestsTo('/claims')).toHaveLength(0);
  });

  test('in push mode gives back what it is working on when it is asked to leave', async ({
    poll,
    fake,
    work,
  }) => {
    fake.laneFields = { claim_mode: 'push' };
    const [task, next] = [fake.addTask('a'), fake.addTask('b')];
    const worker = work(['--verbose', '--drain-seconds', '0'], node(STAYS));
    await poll(() => worker.stdout()).toContain('here');
    worker.child.kill('SIGTERM');
    expect(await worker.ended).toMatchObject({ code: 0 });
    expect(fake.endOf(task)).toMatchObject({ verb: 'release' });
    expect(next.attempt).toBe(0);
  });

  test('in pull mode opens no socket', async ({ fake, work }) => {
    fake.laneFields = { claim_mode: 'pull' };
    fake.addTask('a');
    expect(await work(['--once'], ['true']).ended).toMatchObject({ code: 0 });
    expect(fake.server.upgrades).toHaveLength(0);
    expect(fake.requestsTo('/claims')[0]?.headers['prefer']).toBe('wait=30');
  });

  test('prints one record per task with --json', async ({ fake, work }) => {
    const task = fake.addTask('a');
    const end = await work(['--once', '--json'], ['true']).ended;
    expect(JSON.parse(end.stdout)).toMatchObject({
      task_id: task.id,
      outcome: 'completed',
      task_status: 'done',
      attempt: 1,
    });
  });

  test('survives a server that goes away, and reports the end when it is back', async ({
    poll,
    fake,
    directory,
    work,
  }) => {
    const task = fake.addTask('a');
    const gate = join(directory, 'gate');
    const script = staysUntil(gate);
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

  test('stops a command when no heartbeat has got through for a whole lease, and gives its claim back when the server answers', async ({
    poll,
    fake,
    work,
  }) => {
    const task = fake.addTask('a');
    const worker = work([...SHORT_LEASE, '--once', '--verbose', '--json'], node(STAYS));
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

  test('calls a claim lost that the server took back while no heartbeat got through', async ({
    poll,
    fake,
    work,
  }) => {
    const task = fake.addTask('a');
    const worker = work([...SHORT_LEASE, '--once', '--verbose', '--json'], node(STAYS));
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
    test(`whose lane is taken over, as it learns by ${way}, leaves the task to the other and ends with exit code 5`, async ({
      poll,
      fake,
      work,
    }) => {
      const task = fake.addTask('a');
      const lease = way === 'socket' ? [] : SHORT_LEASE;
      const worker = work(['--verbose', ...lease], node(STAYS));
      await poll(() => fake.isWatched && worker.stdout().includes('here')).toBe(true);
      fake.takeOver(task, 'other', way);
      expect(await worker.ended).toMatchObject({
        code: 5,
        stderr: expect.stringMatching(/over.*claiming no more/),
      });
      expect(task).toMatchObject({ attempt: 1, status: 'ready' });
    });
  }

  test('takes no notice of a takeover of its own', async ({ poll, fake, work }) => {
    const task = fake.addTask('a');
    const worker = work(['--verbose', '--worker', 'me', '--max-tasks', '2'], node("console.log('here')"));
    await poll(() => fake.isWatched && task.status).toBe('done');
    fake.sendTakenOver('me');
    const next = fake.addTask('b');
    expect(await worker.ended).toMatchObject({ code: 0 });
    expect(next.status).toBe('done');
  });

  for (const mode of ['pull-or-watch', 'watch'] as const) {
    test(`of whose name there is a newer one lets its command finish and ends with exit code 5 (${mode})`, async ({
      poll,
      fake,
      directory,
      work,
    }) => {
      fake.laneFields = { claim_mode: mode };
      const [task, next] = [fake.addTask('a'), fake.addTask('b')];
      const gate = join(directory, `superseded-gate-${mode}`);
      const script = staysUntil(gate);
      const worker = work(['--verbose', '--worker', 'twin'], node(script));
      await poll(() => fake.isWatched && worker.stdout().includes('here')).toBe(true);
      fake.supersedeSockets();
      await poll(() => worker.stderr()).toContain('worker twin');
      await writeFile(gate, '');
      expect(await worker.ended).toMatchObject({ code: 5 });
      expect([task.status, next.status]).toEqual(['done', 'ready']);
    });
  }

  test('that was frozen until its claim was taken stops the command when it wakes up', async ({
    poll,
    fake,
    work,
  }) => {
    const task = fake.addTask('a');
    const worker = work([...SHORT_LEASE, '--once', '--verbose'], node(STAYS));
    await poll(() => worker.stdout()).toContain('here');
    worker.child.kill('SIGSTOP');
    fake.take(task);
    task.status = 'done';
    worker.child.kill('SIGCONT');
    expect(await worker.ended).toMatchObject({ code: 0, stderr: expect.stringContaining('lost') });
    expect(fake.endOf(task)).toBeNull();
  });

  test('reports an end again when the answer was lost', async ({ fake, work }) => {
    const task = fake.addTask('a');
    let lost = 0;
    const { respond } = fake.server;
    fake.server.respond = async (request) => {
      const answer = await respond(request);
      if (!request.path.endsWith('/complete') || lost > 2) return answer;
      lost += 1;
      return 'reset';
    };
    expect(await work([...SHORT_LEASE, '--once', '--json'], ['true']).ended).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('"outcome":"completed"'),
    });
    expect(task.status).toBe('done');
    expect(fake.requestsTo('/complete')).toHaveLength(4);
  });

  test('asks for a claim again under the same key when its answer was lost', async ({ fake, work }) => {
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

  test('keeps the result of a command whose metadata the server refuses', async ({ fake, work }) => {
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

  test('says loudly which end it could not report', async ({ fake, work }) => {
    const task = fake.addTask('a');
    fake.override = ({ path }) => (path.endsWith('/complete') ? problem(403, 'forbidden') : undefined);
    const end = await work(['--once', '--quiet'], ['true']).ended;
    expect(end.code).toBe(1);
    expect(end.stderr).toContain(`the end of ${task.id}`);
  });
});
