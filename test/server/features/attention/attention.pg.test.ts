/** Who looks after a board is shown what waits for a person, and what to do about it. */
import { expect, test } from 'vitest';
import type { AttentionEntry } from '../../../../src/contract/attention.ts';
import type { Task } from '../../../../src/contract/tasks.ts';
import { parseId } from '../../../../src/server/kernel/ids.ts';
import { auditBoard } from '../../../fixtures/audit.ts';
import { endClaim, expectStatus, makeBoard, type TestBoard } from '../../../fixtures/board.ts';
import { checkedClient } from '../../../fixtures/checked-client.ts';
import { only } from '../../../fixtures/eventually.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();

/** Through the checked client: every answer is held against the contract. */
async function look(board: TestBoard): Promise<{ attention: AttentionEntry[]; truncated: boolean }> {
  return (await checkedClient(board.server.url).get(board.path('/attention'))).body;
}

/** The log does not say when a status began, so the rows may. */
async function age(board: TestBoard, task: Task, seconds: number): Promise<void> {
  const { sql } = servers.database;
  const id = parseId('task', task.id);
  await sql`
    UPDATE tasks SET status_since = now() - make_interval(secs => ${seconds})
    WHERE board_id = (SELECT id FROM boards WHERE name = ${board.name}) AND id = ${id}`;
}

async function strand(board: TestBoard, task: Task, seconds: number): Promise<void> {
  const { sql } = servers.database;
  await age(board, task, seconds);
  await sql`
    INSERT INTO stranded_tasks (board_id, task_id, ready_since)
    SELECT board_id, id, status_since FROM tasks
    WHERE board_id = (SELECT id FROM boards WHERE name = ${board.name}) AND id = ${parseId('task', task.id)}`;
}

async function ended(board: TestBoard, verb: string, body: Record<string, unknown>): Promise<Task> {
  const task = await board.task('work', { priority: 9 });
  const claim = await board.claim('work', { task_id: task.id });
  expectStatus(await endClaim(board.server, claim, verb, body), 200);
  return task;
}

test('everything that waits is shown, oldest first, with the actions that resolve it', async () => {
  const board = await makeBoard(servers.first);
  await board.lane('work');
  const { sql } = servers.database;
  const blocked = await ended(board, 'block', { kind: 'needs_input', reason: 'which one?' });
  const gaveUp = await ended(board, 'fail', { error: 'no disk', permanent: true });
  const people = await ended(board, 'complete', { review: true });
  const late = await ended(board, 'complete', { review: true, reviewer: 'checks' });
  const inTime = await ended(board, 'complete', { review: true, reviewer: 'checks' });
  const triage = await board.task('work', { status: 'triage' });
  const held = await board.task('work');
  const claim = await board.claim('work', { worker: 'silent', lease_seconds: 1000 });
  const beating = await board.task('work');
  await board.claim('work', { worker: 'beating' });
  const lost = await board.task('nowhere');
  await board.lane('empty', { kind: 'spawn' });
  const waiting = await board.task('empty');
  for (const [task, seconds] of [
    [gaveUp, 9000],
    [late, 8000],
    [blocked, 7000],
    [triage, 6000],
    [people, 5000],
  ] as const)
    await age(board, task, seconds);
  await strand(board, lost, 4000);
  await sql`
    UPDATE claims SET claimed_at = now() - interval '901 seconds', lease_expires_at = now() + interval '99 seconds'
    WHERE run_id = ${parseId('run', claim.run_id)}`;

  const { attention, truncated } = await look(board);
  expect(attention.map(({ task, lane, code, actions }) => [task?.id ?? lane, code, actions[0]])).toEqual([
    [gaveUp.id, 'gave_up', 'unblock'],
    [late.id, 'review_waiting', 'accept'],
    [blocked.id, 'blocked', 'unblock'],
    [triage.id, 'in_triage', 'promote'],
    [people.id, 'review_waiting', 'accept'],
    [lost.id, 'stranded', 'register'],
    [held.id, 'lease_lapsing', 'reclaim'],
    ['empty', 'lane_offline', 'dispatch'],
  ]);
  expect(truncated).toBe(false);
  const details = attention.map(({ detail }) => detail);
  for (const [index, part] of ['no disk', 'checks', 'which one?'].entries())
    expect(details[index]).toContain(part);
  expect(details[5]).toContain('nowhere');
  expect(details[6]).toContain('silent');
  expect(details[7]).toContain('1 ready');
  expect(attention[0]?.task).toEqual({
    id: gaveUp.id,
    title: 'a task',
    status: 'blocked',
    lane: 'work',
    priority: 9,
    version: (await board.read(gaveUp.id)).version,
  });
  const shown = attention.map(({ task }) => task?.id);
  for (const task of [inTime, beating, waiting]) expect(shown).not.toContain(task.id);
  expect((await look(board.through(servers.second))).attention).toEqual(attention);
  await auditBoard(sql, board.name);
});

test('what has been resolved is shown no more', async () => {
  const board = await makeBoard(servers.first);
  await board.lane('work');
  const blocked = await ended(board, 'block', { reason: 'x' });
  const lost = await board.task('nowhere');
  await strand(board, lost, 400);
  expect((await look(board)).attention.map(({ code }) => code)).toEqual(['stranded', 'blocked']);
  // A wait that has begun since is another one than the mark is of.
  expectStatus(await board.operate(lost.id, 'schedule', { run_at: new Date(0).toISOString() }), 400);
  expectStatus(await board.operate(lost.id, 'schedule', { run_at: '2020-01-01T00:00:00.000Z' }), 200);
  await board.untilStatus(lost.id, 'ready');
  expectStatus(await board.operate(blocked.id, 'complete'), 200);
  expect((await look(board)).attention).toEqual([]);
});

test('a lane that is paused, of people or only watches is not missed; one whose worker holds a claim is there', async () => {
  const board = await makeBoard(servers.first);
  await board.lane('paused');
  await board.lane('people', { kind: 'human' });
  await board.lane('watches', { allowed_status_mutations: 'none' });
  await board.lane('works');
  await board.lane('idle');
  for (const lane of ['paused', 'people', 'watches', 'works', 'works']) await board.task(lane);
  await board.claim('works');
  expectStatus(await board.call('POST', '/lanes/paused/pause'), 200);
  await servers.database.sql`
    UPDATE workers SET last_seen_at = now() - interval '1 hour' WHERE board_id = (SELECT id FROM boards WHERE name = ${board.name})`;
  expect((await look(board)).attention).toEqual([]);
  expectStatus(await board.call('POST', '/lanes/paused/resume'), 200);
  expect(only((await look(board)).attention)).toMatchObject({
    lane: 'paused',
    code: 'lane_offline',
    actions: ['work', 'assign'],
  });
});

test('a stranded task is told to be served in the way of its lane', async () => {
  const board = await makeBoard(servers.first);
  await board.lane('spawned', { kind: 'spawn' });
  await board.lane('kept');
  for (const [seconds, lane] of ['spawned', 'kept'].entries())
    await strand(board, await board.task(lane), 400 - seconds);
  const { attention } = await look(board);
  const stranded = attention.filter(({ code }) => code === 'stranded');
  expect(stranded.map(({ task, actions }) => [task?.lane, ...actions])).toEqual([
    ['spawned', 'dispatch', 'assign', 'cancel'],
    ['kept', 'work', 'assign', 'cancel'],
  ]);
});

test('no more is shown than a page, the oldest of it, and it says so', async () => {
  const board = await makeBoard(servers.first);
  const tasks = await board.tasks('work', 201, { status: 'triage' });
  const newest = tasks[0] as Task;
  for (const task of tasks) if (task !== newest) await age(board, task, 60);
  const { attention, truncated } = await look(board);
  expect([attention.length, truncated]).toEqual([200, true]);
  expect(attention.map(({ task }) => task?.id)).not.toContain(newest.id);
});
