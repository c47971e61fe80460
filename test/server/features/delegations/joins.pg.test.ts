/** When a delegation is decided, and what becomes of the children that are left. */
import { afterEach, describe, expect, test } from 'vitest';
import type { Claim } from '../../../../src/contract/claims.ts';
import type { Delegation } from '../../../../src/contract/delegations.ts';
import { auditBoard } from '../../../fixtures/audit.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { startTestServer } from '../../../fixtures/server.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();
const boards: TestBoard[] = [];

/** Whatever a test did, the log says the same as the rows. */
afterEach(async () => {
  for (const board of boards.splice(0)) await auditBoard(servers.database.sql, board.name);
});

async function newBoard(): Promise<[TestBoard, TestBoard]> {
  const [board, elsewhere] = await servers.board();
  await board.lane('work');
  boards.push(board);
  return [board, elsewhere];
}

type Body = Readonly<Record<string, unknown>>;

const children = (count: number, body: Body = {}): Body[] =>
  Array.from({ length: count }, (_, index) => ({ lane: 'work', goal: `goal ${index}`, ...body }));

const post = (board: TestBoard, body: Body, token?: string) =>
  board.call('POST', '/delegations', token === undefined ? { body } : { body, token });

async function delegate(board: TestBoard, body: Body, token?: string): Promise<Delegation> {
  return expectStatus(await post(board, body, token), 202).body.delegation;
}

async function read(board: TestBoard, id: string): Promise<Delegation> {
  return expectStatus(await board.call('GET', `/delegations/${id}`), 200).body.delegation;
}

/** By long poll. */
async function collect(board: TestBoard, id: string, token?: string): Promise<Delegation> {
  const headers = { Prefer: 'wait=20' };
  const options = token === undefined ? { headers } : { headers, token };
  return expectStatus(await board.call('GET', `/delegations/${id}`, options), 200).body.delegation;
}

async function claimOf(board: TestBoard, task: string | undefined): Promise<Claim> {
  return expectStatus(await board.claims('work', { task_id: task ?? '' }), 200).body.claims[0];
}

async function end(board: TestBoard, task: string | undefined, verb: string, body: Body): Promise<void> {
  expectStatus(await endClaim(board.server, await claimOf(board, task), verb, body), 200);
}

/** Its time is over now. Only one runs that has a deadline. */
async function letDeadlinePass(): Promise<void> {
  const rows = await servers.database.sql`
    UPDATE delegations SET deadline_at = clock_timestamp() WHERE status = 'running' AND deadline_at IS NOT NULL RETURNING 1`;
  expect(rows).toHaveLength(1);
}

describe('a join', () => {
  test('of any is decided by the first that is done, not by one that fails, and cancels the others', async () => {
    const [board] = await newBoard();
    const made = await delegate(board, { join: 'any', tasks: children(4) });
    const [failed, done, busy, waiting] = made.tasks;
    const claim = await claimOf(board, busy);
    await end(board, failed, 'block', { reason: 'no', kind: 'capability' });
    expect((await read(board, made.id)).status).toBe('running');
    await end(board, done, 'complete', { summary: 'here' });
    expect((await read(board, made.id)).status).not.toBe('running');
    await board.untilStatus(waiting ?? '', 'cancelled');
    await board.until(claim.task.id, (task) => task.claim?.cancel_requested === true, 'is to be cancelled');
    const [, decided] = await board.events('&kinds=delegation.created,delegation.completed');
    const cancelled = (await board.events('&kinds=task.cancelled')).find(
      ({ task_id }) => task_id === waiting,
    );
    expect(Date.parse(cancelled?.at ?? '') - Date.parse(decided?.at ?? '')).toBeLessThan(5000);
  });

  test('leaves the others as they are where it is asked to', async () => {
    const [board] = await newBoard();
    const made = await delegate(board, { join: 'any', on_decided: 'leave', tasks: children(2) });
    await end(board, made.tasks[0], 'complete', { summary: 'here' });
    expect((await read(board, made.id)).status).not.toBe('running');
    // Whatever the sweep has to cancel, it cancels before this one: it goes by their ids.
    const later = await delegate(board, { join: 'any', tasks: children(2) });
    await end(board, later.tasks[0], 'complete', { summary: 'here' });
    await board.untilStatus(later.tasks[1] ?? '', 'cancelled');
    expect((await board.read(made.tasks[1] ?? '')).status).toBe('ready');
  });

  test('with a deadline is decided by it, with what there is', async () => {
    const [board] = await newBoard();
    const made = await delegate(board, { deadline_seconds: 3600, tasks: children(2) });
    await end(board, made.tasks[0], 'complete', { summary: 'half' });
    await letDeadlinePass();
    const decided = await collect(board, made.id);
    expect(decided).toMatchObject({
      status: 'partial',
      reason: 'deadline',
      results: [{ outcome: 'completed', summary: 'half' }, { outcome: null }],
    });
    await board.untilStatus(made.tasks[1] ?? '', 'cancelled');
  });

  test('waits for a blocked child where it is asked to', async () => {
    const [board] = await newBoard();
    const made = await delegate(board, { on_blocked: 'wait', tasks: children(1) });
    const [task] = made.tasks;
    await end(board, task, 'block', { reason: 'which?', kind: 'needs_input' });
    expect((await read(board, made.id)).status).toBe('running');
    expectStatus(await board.operate(task ?? '', 'unblock', { answer: 'that' }), 200);
    await end(board, task, 'complete', { summary: 'that it is' });
    expect(await read(board, made.id)).toMatchObject({ status: 'completed' });
  });

  test('does not wait for a child that can no longer begin', async () => {
    const [board] = await newBoard();
    const far = await board.task('work');
    const near = await board.task('work', { parents: [far.id] });
    const made = await delegate(board, { tasks: children(1, { parents: [near.id] }) });
    expect(made.status).toBe('running');
    expectStatus(await board.operate(far.id, 'cancel'), 200);
    expect(await read(board, made.id)).toMatchObject({
      status: 'failed',
      results: [{ outcome: 'unreachable', status: 'todo' }],
    });
    const late = await delegate(board, { tasks: children(1, { parents: [near.id] }) });
    expect(late.status).toBe('failed');
  });
});

describe('delegations', () => {
  test('of a session are cancelled together, and no others', async () => {
    const [board] = await newBoard();
    const of = (session: string) =>
      delegate(board, { origin: { session_id: session }, subscribe: false, tasks: children(1) });
    const [one, two, other] = [await of('s1'), await of('s1'), await of('s2')];
    const body = { session_id: 's1', reason: '/stop' };
    const { cancelled } = expectStatus(await board.call('POST', '/delegations/cancel', { body }), 200).body;
    expect(cancelled.toSorted()).toEqual([one.id, two.id].toSorted());
    const statuses = await Promise.all(
      [one, two, other].map(async ({ id }) => (await read(board, id)).status),
    );
    expect(statuses).toEqual(['cancelled', 'cancelled', 'running']);
  });

  test('may be three deep and a hundred wide', async () => {
    const [board] = await newBoard();
    expect((await post(board, { tasks: children(101) })).status).toBe(400);
    let token: string | undefined;
    for (const depth of [1, 2, 3]) {
      const made = await delegate(board, { tasks: children(1) }, token);
      expect(made.depth).toBe(depth);
      token = (await claimOf(board, made.tasks[0])).token;
    }
    expect((await post(board, { tasks: children(1) }, token)).code).toBe('forbidden');
  });

  test('of a worker are collected by it while it runs, and go with its own when that is cancelled', async () => {
    const [board, elsewhere] = await newBoard();
    const outer = await delegate(board, { tasks: children(1) });
    const claim = await claimOf(board, outer.tasks[0]);
    const inner = await delegate(board, { tasks: children(1) }, claim.token);
    const waiting = collect(elsewhere, inner.id, claim.token);
    await end(board, inner.tasks[0], 'complete', { summary: 'found' });
    expect(await waiting).toMatchObject({ status: 'completed', results: [{ summary: 'found' }] });
    const left = await delegate(board, { tasks: children(1) }, claim.token);
    expectStatus(await board.call('POST', `/delegations/${outer.id}/cancel`, { body: {} }), 200);
    expect(await collect(board, left.id)).toMatchObject({ status: 'cancelled' });
    await board.untilStatus(left.tasks[0] ?? '', 'cancelled');
  });

  test('outlive the server that made them', async () => {
    const [board] = await newBoard();
    const passing = await startTestServer(servers.database.url);
    const made = await delegate(board.through(passing), { tasks: children(1) });
    const claim = await claimOf(board.through(passing), made.tasks[0]);
    await passing.stop();
    expectStatus(await endClaim(board.server, claim, 'complete', { summary: 'still' }), 200);
    expect(await read(board, made.id)).toMatchObject({
      status: 'completed',
      results: [{ summary: 'still' }],
    });
  });

  test('and sessions are what tasks are listed by, page by page', async () => {
    const [board] = await newBoard();
    const made = await delegate(board, { tasks: children(3) });
    await board.task('work', { origin: { session_id: 's1' }, labels: { a: 'b' } });
    await board.task('work', { origin: { session_id: 's1' } });
    const list = async (query: string) => board.call('GET', `/tasks?${query}`);
    const first = expectStatus(await list(`delegation=${made.id}&order=created&limit=2`), 200).body;
    const next = `&page_token=${first.next_page_token}`;
    const second = expectStatus(await list(`delegation=${made.id}&order=created&limit=2${next}`), 200).body;
    expect([...first.tasks, ...second.tasks].map(({ id }) => id)).toEqual(made.tasks);
    expect(second.next_page_token).toBe(null);
    expect((await list(`session_id=s1&order=created&limit=2${next}`)).code).toBe('invalid_cursor');
    expect((await list('session_id=s1')).body.tasks).toHaveLength(2);
    expect((await list('session_id=s1&label=a:b')).body.tasks).toHaveLength(1);
    expect((await list(`session_id=s1&delegation=${made.id}`)).body.tasks).toEqual([]);
  });

  test('tell a worker what its task was handed over with', async () => {
    const [board] = await newBoard();
    const task = {
      lane: 'work',
      goal: 'this\nand that',
      context: 'c'.repeat(5000),
      toolsets: ['web'],
      model: 'm',
    };
    const made = await delegate(board, { goal: 'the whole', context: 'why', tasks: [...children(1), task] });
    const { handoff } = await claimOf(board, made.tasks[1]);
    expect(handoff.delegation).toMatchObject({
      id: made.id,
      index: 1,
      total: 2,
      delegation_goal: 'the whole',
      delegation_context: 'why',
      goal: 'this\nand that',
      toolsets: ['web'],
      model: 'm',
    });
    expect(handoff.delegation?.context).toHaveLength(4096);
    expect(handoff.truncated).toEqual(['delegation.context']);
    const text = expectStatus(await board.call('GET', `/tasks/${made.tasks[1]}/context`), 200).body;
    const shown = typeof text === 'string' ? text : JSON.stringify(text).replaceAll('\\n', '\n');
    expect(shown).toContain(`Task 2 of 2 of the delegation ${made.id}.`);
    expect(shown).toContain('> this\n> and that');
    const plain = await board.task('work');
    expect((await claimOf(board, plain.id)).handoff.delegation).toBe(null);
  });
});
