import { describe, expect, test } from 'vitest';
import type { Event } from '../../../../src/contract/events.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { only } from '../../../fixtures/eventually.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();

/** The domain promises a second: far more than that on any machine, far less than a sweep that is forgotten. */
const WOKEN_WITHIN_MS = 8000;

async function readyEvent(board: TestBoard): Promise<Event> {
  const answer = await board.call('GET', '/events?kinds=task.ready', { headers: { Prefer: 'wait=10' } });
  return only(answer.body.events as Event[]);
}

describe('a scheduled task', () => {
  test('becomes ready once its run_at has come, within a second, on one of the servers only', async () => {
    const [board] = await servers.board();
    await board.lane('work');
    const task = await board.task('work', { run_at: new Date(Date.now() + 3000).toISOString() });
    expect(task.status).toBe('scheduled');
    expect((await board.claims('work')).body).toMatchObject({ claims: [], reason: 'none_ready' });
    const event = await readyEvent(board);
    const late = Date.parse(event.at) - Date.parse(task.run_at ?? '');
    expect(late).toBeGreaterThanOrEqual(0);
    expect(late).toBeLessThan(WOKEN_WITHIN_MS);
    expect((await board.claim('work')).task.id).toBe(task.id);
    expect(await board.events('&kinds=task.ready')).toHaveLength(1);
  });

  test('that was released with a delay comes back after it, and wakes a lane that waits', async () => {
    const [board, elsewhere] = await servers.board();
    await board.lane('work');
    await board.task('work');
    const claim = await board.claim('work');
    const { task } = expectStatus(
      await endClaim(board.server, claim, 'release', { delay_seconds: 1 }),
      200,
    ).body;
    expect(task).toMatchObject({ status: 'scheduled', consecutive_failures: 0 });
    const waiting = await elsewhere.claims('work', {}, { waitSeconds: 10 });
    expect(waiting.body.claims).toMatchObject([{ attempt: 2 }]);
    const late = Date.parse((await readyEvent(board)).at) - Date.parse(task.run_at);
    expect(late).toBeGreaterThanOrEqual(0);
    expect(late).toBeLessThan(WOKEN_WITHIN_MS);
  });

  test('whose run_at has passed is ready at once, and one in the future can be promoted', async () => {
    const [board] = await servers.board();
    expect((await board.task('work', { run_at: '2020-01-01T00:00:00Z' })).status).toBe('ready');
    const later = await board.task('work', { run_at: '2100-01-01T00:00:00Z' });
    const promoted = expectStatus(await board.operate(later.id, 'promote'), 200).body.task;
    expect(promoted).toMatchObject({ status: 'ready', run_at: null });
  });

  test('hundreds due at the same time become ready once each, by two servers without a leader', async () => {
    const [board] = await servers.board();
    const runAt = new Date(Date.now() + 500).toISOString();
    const tasks = await board.tasks('work', 400, { run_at: runAt });
    for (const task of tasks.slice(-1)) await board.untilStatus(task.id, 'ready');
    const ready = await board.events('&kinds=task.ready');
    expect(new Set(ready.map((event) => event.task_id)).size).toBe(ready.length);
    expect((await board.call('GET', '')).body.board.counts).toMatchObject({
      ready: ready.length,
      scheduled: 400 - ready.length,
    });
  });
});
