/** How a worker leaves that is asked to, and what one says that cannot work. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { problem } from '../../client/fixtures/scripted-server.ts';
import { node, SHORT_LEASE, STAYS, staysUntil, useWorkers } from './working.ts';

const test = useWorkers();

describe.concurrent('a worker that is asked to leave', () => {
  test('lets the running command finish, goes on with its heartbeats, claims no more, and exits 0', async ({
    poll,
    fake,
    directory,
    work,
  }) => {
    const [task, next] = [fake.addTask('a'), fake.addTask('b')];
    const gate = join(directory, 'drain-gate');
    const script = staysUntil(gate);
    const worker = work([...SHORT_LEASE, '--verbose'], node(script));
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

  test('stops a command that does not finish in time and gives its claim back', async ({
    poll,
    fake,
    work,
  }) => {
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

  test('leaves at once at the second Ctrl-C, and still gives its claim back', async ({
    poll,
    fake,
    work,
  }) => {
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

  test('leaves at once when it is idle', async ({ poll, fake, work }) => {
    const worker = work([], ['true']);
    await poll(() => fake.requestsTo('/claims').length).toBeGreaterThan(0);
    worker.child.kill('SIGINT');
    expect(await worker.ended).toMatchObject({ code: 0 });
  });

  test('gives back a claim that was made for a request it no longer waits for', async ({
    poll,
    fake,
    work,
  }) => {
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

describe.concurrent('a worker that cannot work', () => {
  const cases = [
    { why: 'no such lane', answer: problem(404, 'lane_not_found'), code: 3, says: 'lane_not_found' },
    { why: 'no right', answer: problem(403, 'forbidden'), code: 4, says: 'forbidden' },
    { why: 'a bad key', answer: problem(401, 'unauthenticated'), code: 4, says: 'unauthenticated' },
  ];
  for (const { why, answer, code, says } of cases) {
    test(`for ${why} ends with a message and exit code ${code}`, async ({ fake, work }) => {
      fake.override = () => answer;
      expect(await work([], ['true']).ended).toMatchObject({ code, stderr: expect.stringContaining(says) });
    });
  }

  test('because the lane may not claim ends with exit code 4', async ({ fake, work }) => {
    fake.override = ({ path }) => (path.endsWith('/claims') ? problem(403, 'lane_may_not_claim') : undefined);
    expect(await work([], ['true']).ended).toMatchObject({
      code: 4,
      stderr: expect.stringContaining('lane_may_not_claim'),
    });
  });

  test('because there is no such command never claims', async ({ fake, work }) => {
    fake.addTask('a');
    expect(await work([], ['no-such-command-here']).ended).toMatchObject({ code: 2 });
    expect(fake.requestsTo('/claims')).toHaveLength(0);
  });

  test('for want of a server waits for one, and says so once', async ({ poll, fake, work }) => {
    const task = fake.addTask('a');
    fake.override = () => problem(503, 'draining');
    const worker = work(['--once'], ['true']);
    await poll(() => fake.requestsTo('/lanes/factory').length).toBeGreaterThan(2);
    fake.override = undefined;
    expect(await worker.ended).toMatchObject({ code: 0 });
    expect(task.status).toBe('done');
    expect(worker.stderr().match(/trying again/g)).toHaveLength(1);
  });

  test('registers the lane when asked to', async ({ fake, work }) => {
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
