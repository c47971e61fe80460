/** Whoever wonders why a task does not run is told everything that keeps it, in the order in which it has to be dealt with. */
import { afterEach, describe, expect, test } from 'vitest';
import type { Task } from '../../../../src/contract/tasks.ts';
import { type ListedTask, WHY_CODES, type WhyReason } from '../../../../src/contract/why.ts';
import { auditBoard } from '../../../fixtures/audit.ts';
import { endClaim, expectStatus, makeBoard, type TestBoard } from '../../../fixtures/board.ts';
import { checkedClient } from '../../../fixtures/checked-client.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();
const boards: TestBoard[] = [];
const told = new Set<string>();

afterEach(async () => {
  for (const board of boards.splice(0)) await auditBoard(servers.database.sql, board.name);
});

async function newBoard(): Promise<TestBoard> {
  const board = await makeBoard(servers.first);
  await board.lane('work');
  boards.push(board);
  return board;
}

/** Through the checked client: every answer is held against the contract. */
async function why(board: TestBoard, { id }: Pick<Task, 'id'>): Promise<WhyReason[]> {
  const { reasons } = (await checkedClient(board.server.url).get(board.path(`/tasks/${id}/why`))).body;
  for (const { code } of reasons) told.add(code);
  return reasons;
}

const codes = (reasons: readonly WhyReason[]): string[] => reasons.map(({ code }) => code);
const codesOf = async (board: TestBoard, task: Pick<Task, 'id'>): Promise<string[]> =>
  codes(await why(board, task));

/** A worker is online once it has asked for work. */
async function comeOnline(board: TestBoard, lane = 'work'): Promise<void> {
  const claims = expectStatus(await board.claims(lane), 200).body.claims;
  expect(claims).toEqual([]);
}

describe('a ready task', () => {
  test('is claimable, or behind those that come first, and tells nothing while it runs', async () => {
    const board = await newBoard();
    await comeOnline(board);
    const last = await board.task('work', { priority: -1 });
    expect(await codesOf(board, last)).toEqual(['claimable']);
    await board.task('work');
    const first = await board.task('work', { priority: 1 });
    expect(await why(board, last)).toMatchObject([{ code: 'behind', ahead: 2, since: last.status_since }]);
    await board.claim('work', { task_id: first.id });
    expect(await why(board, last)).toMatchObject([{ code: 'behind', ahead: 1 }]);
    expect(await why(board, first)).toEqual([]);
  });

  test('is counted no further than a thousand back', async () => {
    const board = await newBoard();
    await comeOnline(board);
    await board.tasks('work', 1000);
    const thousandth = await board.task('work');
    expect(await why(board, thousandth)).toMatchObject([{ code: 'behind', ahead: 1000 }]);
    expect((await why(board, thousandth))[0]?.detail).toContain('1000 or more');
  });

  test('of a lane that nobody registered, or of none, is told so; of one without workers, since when', async () => {
    const board = await newBoard();
    expect(await codesOf(board, await board.task('nowhere'))).toEqual(['lane_unknown']);
    expect(await codesOf(board, await board.task(null))).toEqual(['unassigned']);
    const task = await board.task('work');
    const { lane } = expectStatus(await board.call('GET', '/lanes/work'), 200).body;
    expect(await why(board, task)).toMatchObject([{ code: 'lane_offline', since: lane.created_at }]);
    await servers.database.sql`
      INSERT INTO workers (board_id, lane, worker, last_seen_at)
      SELECT id, 'work', 'gone', now() - interval '91 seconds' FROM boards WHERE name = ${board.name}`;
    const [reason] = await why(board, task);
    expect(Date.parse(reason?.since ?? '')).toBeGreaterThan(Date.parse(lane.created_at) - 120_000);
    expect(reason?.detail).toContain(reason?.since);
  });

  test('is kept by a paused board, by a lane that is paused, drains, is full, may only watch, or is of people', async () => {
    const board = await newBoard();
    for (const lane of ['drains', 'full']) await board.lane(lane, { max_concurrent_claims: 1 });
    await board.lane('watches', { allowed_status_mutations: 'none' });
    await board.lane('people', { kind: 'human' });
    await comeOnline(board);
    for (const lane of ['drains', 'full']) {
      await board.task(lane);
      await board.claim(lane);
    }
    const tasks = new Map<string, Task>();
    for (const lane of ['work', 'drains', 'full', 'watches', 'people'])
      tasks.set(lane, await board.task(lane));
    expectStatus(await board.call('POST', '/lanes/work/pause'), 200);
    expectStatus(await board.call('POST', '/lanes/drains/drain'), 200);
    const expected = {
      work: ['lane_paused'],
      drains: ['lane_draining', 'lane_at_capacity'],
      full: ['lane_at_capacity'],
      watches: ['lane_mutations_none'],
      people: ['lane_human'],
    };
    for (const [lane, wanted] of Object.entries(expected))
      expect(await codesOf(board, tasks.get(lane) as Task)).toEqual(wanted);
    expectStatus(await board.call('PATCH', '', { body: { settings: { paused: true } } }), 200);
    for (const [lane, wanted] of Object.entries(expected))
      expect(await codesOf(board, tasks.get(lane) as Task)).toEqual(['board_paused', ...wanted]);
  });
});

describe('a task that waits', () => {
  test('for its parents is told which, and which of them will never be done', async () => {
    const board = await newBoard();
    const [open, gone, put] = (await board.tasks('work', 3)) as [Task, Task, Task];
    const child = await board.task('work', { parents: [open.id, gone.id, put.id] });
    expect(await why(board, child)).toMatchObject([
      { code: 'waiting_for_parents', parents: [open.id, gone.id, put.id], since: child.status_since },
    ]);
    const cancelled = expectStatus(await board.operate(gone.id, 'cancel'), 200).body.task;
    expectStatus(await board.operate(put.id, 'archive'), 200);
    expect(await why(board, child)).toMatchObject([
      { code: 'waiting_for_parents', parents: [open.id, gone.id, put.id] },
      { code: 'parent_cancelled', parents: [gone.id, put.id], since: cancelled.status_since },
    ]);
  });

  test('for its time is told until when, and whether it is cooling down', async () => {
    const board = await newBoard();
    const later = new Date(Date.now() + 3_600_000).toISOString();
    const asked = await board.task('work', { run_at: later });
    expect(await why(board, asked)).toMatchObject([{ code: 'scheduled', until_at: later }]);
    const failed = await board.task('work');
    const claim = await board.claim('work');
    const body = { error: 'busy', kind: 'rate_limited', retry_after_seconds: 60 };
    const { task } = expectStatus(await endClaim(board.server, claim, 'fail', body), 200).body;
    expect(await why(board, failed)).toMatchObject([{ code: 'cooling_down', until_at: task.run_at }]);
    const delayed = await board.task('work');
    const other = await board.claim('work');
    expectStatus(await endClaim(board.server, other, 'release', { delay_seconds: 60 }), 200);
    expect(await codesOf(board, delayed)).toEqual(['scheduled']);
  });

  test('for a person is told for what, and then what stands in the way of its lane', async () => {
    const board = await newBoard();
    const parent = await board.task('work', { priority: -9 });
    const triage = await board.task('work', { status: 'triage', parents: [parent.id] });
    expect(await codesOf(board, triage)).toEqual(['in_triage', 'waiting_for_parents']);
    const blocked = await board.task('work');
    const claim = await board.claim('work');
    expectStatus(
      await endClaim(board.server, claim, 'block', { kind: 'needs_input', reason: 'which?' }),
      200,
    );
    expectStatus(await board.call('POST', '/lanes/work/pause'), 200);
    const reasons = await why(board, blocked);
    expect(codes(reasons)).toEqual(['blocked', 'lane_paused']);
    expect(reasons[0]?.detail).toContain('needs_input');
    expect(reasons[0]?.detail).toContain('which?');
  });

  test('for its review is told by whom, and what keeps that lane', async () => {
    const board = await newBoard();
    const [people, lane] = [await board.task('work'), await board.task('work')];
    for (const body of [{ review: true }, { review: true, reviewer: 'checks' }])
      expectStatus(await endClaim(board.server, await board.claim('work'), 'complete', body), 200);
    expect(await codesOf(board, people)).toEqual(['in_review']);
    expect(await codesOf(board, lane)).toEqual(['in_review', 'lane_unknown']);
    await board.lane('checks');
    expect(await codesOf(board, lane)).toEqual(['in_review', 'lane_offline']);
  });

  test('for its review by its own lane is told who may not have it, and one whose reviewer failed, until when it waits', async () => {
    const board = await newBoard();
    const task = await board.task('work');
    const review = { review: true, reviewer: 'work' };
    const ended = await endClaim(
      board.server,
      await board.claim('work', { worker: 'ann' }),
      'complete',
      review,
    );
    expectStatus(ended, 200);
    const [reason] = await why(board, task);
    expect(reason).toMatchObject({
      code: 'in_review',
      detail: expect.stringContaining('another worker than ann'),
    });
    const refused = await board.claims('work', { worker: 'ann', task_id: task.id });
    expect(refused.body).toMatchObject({ code: 'task_not_claimable', reasons: [reason] });
    const claim = await board.claim('work', { worker: 'bob' });
    const limited = { error: 'too many', kind: 'rate_limited' };
    expectStatus(await endClaim(board.server, claim, 'fail', limited), 200);
    expect(await why(board, task)).toMatchObject([{ code: 'cooling_down', until_at: expect.any(String) }]);
  });

  test('that was sent to people for review is not told that it has no lane, wherever it waits before', async () => {
    const board = await newBoard();
    const task = await board.task('work');
    const review = { review: true, reviewer: 'work' };
    await endClaim(board.server, await board.claim('work', { worker: 'ann' }), 'complete', review);
    const claim = await board.claim('work', { worker: 'bob' });
    expectStatus(await endClaim(board.server, claim, 'block', { reason: 'whom to ask?' }), 200);
    expectStatus(await board.operate(task.id, 'assign', { lane: null }), 200);
    expect(await codesOf(board, task)).toEqual(['blocked']);
  });

  test('for nothing any more has finished', async () => {
    const board = await newBoard();
    const tasks = await board.tasks('work', 3);
    const [done, cancelled, archived] = tasks as [Task, Task, Task];
    expectStatus(await board.operate(done.id, 'complete'), 200);
    expectStatus(await board.operate(cancelled.id, 'cancel'), 200);
    expectStatus(await board.operate(archived.id, 'archive'), 200);
    for (const task of tasks) expect(await codesOf(board, task)).toEqual(['finished']);
  });
});

test('a list tells of each of its tasks what why tells of it, on any server', async () => {
  const board = await newBoard();
  const [first, second] = (await board.tasks('work', 2)) as [Task, Task];
  await board.task('work', { parents: [first.id] });
  await board.task('nowhere', { status: 'blocked' });
  await board.task(null);
  await board.claim('work');
  expectStatus(await board.operate(second.id, 'cancel'), 200);
  const list = (await checkedClient(servers.second.url).get(board.path('/tasks?include=why'))).body
    .tasks as ListedTask[];
  expect(list).toHaveLength(5);
  for (const task of list) expect(task.reasons).toEqual(await why(board, task));
  expect(new Set(list.flatMap((task) => task.reasons?.map(({ code }) => code) ?? []))).toEqual(
    new Set(['waiting_for_parents', 'blocked', 'lane_unknown', 'unassigned', 'finished']),
  );
  expect((await board.call('GET', '/tasks')).body.tasks[0]).not.toHaveProperty('reasons');
  expect((await board.call('GET', '/tasks?include=all')).code).toBe('invalid_request');
});

test('a claim that names a task which cannot be claimed is told why', async () => {
  const board = await newBoard();
  await board.lane('other');
  const [first, held] = [await board.task('work', { priority: -1 }), await board.task('work')];
  await board.claim('work');
  const blocked = await board.task('work', { status: 'blocked' });
  const elsewhere = await board.task('other');
  const refused = async (task: Task): Promise<string[]> => {
    const { body } = await board.claims('work', { task_id: task.id });
    expect(body.code).toBe('task_not_claimable');
    return codes(body.reasons);
  };
  expect(await refused(held)).toEqual(['running']);
  expect(await refused(blocked)).toEqual(['blocked']);
  expect(await refused(elsewhere)).toEqual(['lane_offline', 'other_lane']);
  expectStatus(await board.call('POST', '/lanes/work/pause'), 200);
  expect(await refused(first)).toEqual(['lane_paused']);
});

test('every reason that the contract names was told at least once', () => {
  expect([...told].sort()).toEqual([...WHY_CODES].sort());
});
