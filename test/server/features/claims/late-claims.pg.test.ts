/** A claim that is made after its request was answered 503: nobody will work on it, so it is given back instead of standing for a lease. */
import { expect, onTestFinished, test, vi } from 'vitest';
import { expectStatus } from '../../../fixtures/board.ts';
import { changeTimers } from '../../../fixtures/changed-timers.ts';
import { holdCounter, untilStanding } from '../../../fixtures/held-lock.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();
/** The patience of a caller of the database. */
const DEADLINE_MS = 8000;

/** The statement timeout would end a claim before the deadline; in the driver's queue it could wait for longer than both. */
function shortenDeadline(): void {
  onTestFinished(changeTimers(DEADLINE_MS, 100));
}

test('a claim that commits after its deadline is released at once', async () => {
  const [board] = await servers.board();
  await board.lane('work');
  const task = await board.task('work');
  const counter = await holdCounter(servers.database.sql, board.name);
  onTestFinished(() => counter.release());
  shortenDeadline();
  const answer = await board.claims('work');
  expect([answer.status, answer.code]).toEqual([503, 'database_unavailable']);
  await untilStanding(servers.database.sql, 'claims.claim', 'row');
  vi.restoreAllMocks();
  await counter.release();
  await board.until(
    task.id,
    (now) => now.status === 'ready' && now.attempt === 1,
    'was claimed and given back',
  );
  const [released] = await board.events('&kinds=task.released');
  expect(released?.actor).toEqual({ type: 'system', id: 'delivery' });
  expect((await board.claim('work')).task.id).toBe(task.id);
});

test('a claim in a transaction, under a cap or by name, is not committed after its deadline', async () => {
  const [board] = await servers.board();
  await board.lane('work', { max_concurrent_claims: 1 });
  await board.lane('named');
  const [capped, named] = [await board.task('work'), await board.task('named')];
  const counter = await holdCounter(servers.database.sql, board.name);
  onTestFinished(() => counter.release());
  shortenDeadline();
  const answers = await Promise.all([board.claims('work'), board.claims('named', { task_id: named.id })]);
  for (const answer of answers) expect([answer.status, answer.code]).toEqual([503, 'database_unavailable']);
  vi.restoreAllMocks();
  await counter.release();
  expect((await board.claim('work')).task.id).toBe(capped.id);
  expect((await board.claim('named')).task.id).toBe(named.id);
  expect(await board.events('&kinds=task.released')).toEqual([]);
  const claimed = await board.events('&kinds=task.claimed');
  expect(claimed).toHaveLength(2);
  expectStatus(await board.call('GET', ''), 200);
});
