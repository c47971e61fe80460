/**
 * What was asked for at first, by name, where a dispatcher runs beside workers that are there anyway: it lets persistent lanes be, and goes on
 * with its own. The other names are in claims.e2e.test.ts.
 */
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { COMPLETES, node, shell, useSites } from '../cli/dispatch/dispatching.ts';

const test = useSites();

describe.concurrent('the original request', () => {
  test('a task for a persistent lane is not spawned by the dispatcher', async ({
    poll,
    site: { client, scratch, dispatch, spawnLane, statusOf },
  }) => {
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

  test('spawned workers go on as before', async ({
    poll,
    site: { client, dispatch, spawnLane, statusOf, lastRunOf },
  }) => {
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
      worker: 'test/agent',
      outcome: 'completed',
      summary: spawned.task.id,
    });
    await client.runs.complete(claim?.run_id ?? '', { summary: 'by hand' }, { token: claim?.token ?? '' });
    expect(await lastRunOf(held.task.id)).toMatchObject({ worker: 'factory-1', outcome: 'completed' });
  });
});
