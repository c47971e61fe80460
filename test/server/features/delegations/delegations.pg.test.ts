/** Work is handed over at once, as a whole or not at all, and comes back as one. */
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import type { Claim } from '../../../../src/contract/claims.ts';
import type { Delegation } from '../../../../src/contract/delegations.ts';
import { openDatabase } from '../../../../src/server/db/client.ts';
import { clearLeftovers, markLeftovers } from '../../../../src/server/features/delegations/store.ts';
import { parseId } from '../../../../src/server/kernel/ids.ts';
import { auditBoard } from '../../../fixtures/audit.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { eventually } from '../../../fixtures/eventually.ts';
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

const children = (count: number): Body[] =>
  Array.from({ length: count }, (_, index) => ({
    title: `child ${index}`,
    lane: 'work',
    goal: `goal ${index}`,
  }));

const post = (board: TestBoard, body: Body, token?: string) =>
  board.call('POST', '/delegations', token === undefined ? { body } : { body, token });

async function delegate(board: TestBoard, body: Body): Promise<Delegation> {
  return expectStatus(await post(board, body), 202).body.delegation;
}

async function read(board: TestBoard, id: string): Promise<Delegation> {
  return expectStatus(await board.call('GET', `/delegations/${id}`), 200).body.delegation;
}

const claimOf = async (board: TestBoard, task: string | undefined): Promise<Claim> => {
  const answer = await board.claims('work', { task_id: task ?? '' });
  return expectStatus(answer, 200).body.claims[0];
};

async function end(board: TestBoard, task: string | undefined, verb: string, body: Body): Promise<void> {
  expectStatus(await endClaim(board.server, await claimOf(board, task), verb, body), 200);
}

async function hasLeftovers({ id }: Delegation): Promise<boolean> {
  const rows = await servers.database.sql`
    SELECT FROM delegations WHERE id = ${parseId('deleg', id)} AND has_leftovers`;
  return rows.length > 0;
}

/** As the sweep would find it now, which itself hears nothing of it. */
async function wouldBeLeft({ id }: Delegation): Promise<boolean> {
  const delegation = parseId('deleg', id) ?? expect.unreachable();
  const { cold, close } = openDatabase({ url: servers.database.url });
  onTestFinished(close);
  let left: boolean | undefined;
  const rolledBack = new Error('rolled back');
  const attempt = cold.begin(async (tx) => {
    const [row] = await tx<{ board_id: number }[]>`SELECT board_id FROM delegations WHERE id = ${delegation}`;
    await markLeftovers(tx, row?.board_id ?? 0, delegation);
    await clearLeftovers(tx, row?.board_id ?? 0, delegation);
    left = (await tx`SELECT FROM delegations WHERE id = ${delegation} AND has_leftovers`).length > 0;
    throw rolledBack;
  });
  await expect(attempt).rejects.toBe(rolledBack);
  return left ?? expect.unreachable();
}

describe('a delegation', () => {
  test('is answered while every child is still to be begun, and is decided by the end of the last', async () => {
    const [board] = await newBoard();
    const made = await delegate(board, { goal: 'all of it', tasks: children(2) });
    expect(made).toMatchObject({
      status: 'running',
      results: null,
      goal: 'all of it',
      depth: 1,
      completed_at: null,
    });
    const [one, two] = made.tasks;
    for (const id of made.tasks)
      expect(await board.read(id)).toMatchObject({ status: 'ready', delegation_id: made.id });
    await end(board, one, 'complete', { summary: 'first', result: { n: 1 } });
    expect((await read(board, made.id)).status).toBe('running');
    await end(board, two, 'block', { reason: 'which colour?', kind: 'needs_input' });
    const decided = await read(board, made.id);
    expect(decided).toMatchObject({
      status: 'partial',
      results: [
        {
          index: 0,
          title: 'child 0',
          goal: 'goal 0',
          status: 'done',
          outcome: 'completed',
          summary: 'first',
          result: { n: 1 },
        },
        {
          index: 1,
          title: 'child 1',
          goal: 'goal 1',
          status: 'blocked',
          outcome: 'blocked',
          error: 'which colour?',
        },
      ],
    });
    const completions = await board.events('&kinds=delegation.completed');
    expect(completions.map((event) => [event.delegation_id, event.data['status']])).toEqual([
      [made.id, 'partial'],
    ]);
  });

  test('of which two children end at once, on two servers, is decided once', async () => {
    const [board, elsewhere] = await newBoard();
    for (let round = 0; round < 10; round += 1) {
      const made = await delegate(board, { tasks: children(2) });
      const claims = await Promise.all(made.tasks.map((task) => claimOf(board, task)));
      const ends = [board, elsewhere].map((side, index) =>
        endClaim(side.server, claims[index] as Claim, 'complete', { summary: `${index}` }),
      );
      for (const answer of await Promise.all(ends)) expectStatus(answer, 200);
      expect((await read(board, made.id)).status).toBe('completed');
    }
    expect(await board.events('&kinds=delegation.completed')).toHaveLength(10);
  });

  test('is refused as a whole when its capacity key is used up, however many ask at once', async () => {
    const [board, elsewhere] = await newBoard();
    const asks = Array.from({ length: 12 }, (_, index) =>
      post(index % 2 === 0 ? board : elsewhere, { tasks: children(3), capacity_key: 'k' }),
    );
    const answers = await Promise.all(asks);
    expect(answers.filter(({ status }) => status === 202)).toHaveLength(3);
    const refused = answers.filter(({ status }) => status === 409);
    expect(refused.map(({ body }) => body.code)).toEqual(
      Array.from({ length: 9 }, () => 'delegation_capacity'),
    );
    const { tasks } = expectStatus(await board.call('GET', '/tasks'), 200).body;
    expect(tasks).toHaveLength(9);
    const [first] = answers.filter(({ status }) => status === 202);
    expectStatus(await board.call('POST', `/delegations/${first?.body.delegation.id}/cancel`), 200);
    await delegate(board, { tasks: children(1), capacity_key: 'k' });
  });

  test('that is cancelled leaves no child behind that its holder hands over for review', async () => {
    const [board] = await newBoard();
    const made = await delegate(board, { tasks: children(1) });
    const taskId = made.tasks[0] ?? '';
    const claim = await claimOf(board, taskId);
    expectStatus(await board.call('POST', `/delegations/${made.id}/cancel`), 200);
    // Whoever has looked at a later one has looked at this one.
    const later = await delegate(board, { tasks: children(1) });
    expectStatus(await board.call('POST', `/delegations/${later.id}/cancel`), 200);
    await eventually('the later one is looked at', async () => !(await hasLeftovers(later)));
    expectStatus(await endClaim(board.server, claim, 'complete', { review: true }), 200);
    await eventually(
      'the review is cancelled',
      async () => (await board.read(taskId)).status === 'cancelled',
    );
    await eventually('nothing is left', async () => !(await hasLeftovers(made)));
  });

  test('has something left until its children have ended and nothing they have handed on runs', async () => {
    const [board] = await newBoard();
    const made = await delegate(board, { join: 'any', on_decided: 'leave', tasks: children(2) });
    const [done, task = ''] = made.tasks;
    await end(board, done, 'complete', { summary: 'here' });
    expect(await wouldBeLeft(made)).toBe(true);
    const claim = await claimOf(board, task);
    const nested = expectStatus(await post(board, { tasks: children(1) }, claim.token), 202).body.delegation;
    expect(await wouldBeLeft(made)).toBe(true);
    // In nobody's hand, and not ended: whoever reviews it may have it done again.
    expectStatus(await endClaim(board.server, claim, 'complete', { review: true }), 200);
    expect((await board.read(task)).status).toBe('review');
    expect(await wouldBeLeft(made)).toBe(true);
    expectStatus(await board.operate(task, 'cancel'), 200);
    expect(await wouldBeLeft(made)).toBe(true);
    expectStatus(await board.call('POST', `/delegations/${nested.id}/cancel`), 200);
    expect(await wouldBeLeft(made)).toBe(false);
  });

  test('that is cancelled comes back at once, with what its children have so far', async () => {
    const [board] = await newBoard();
    const made = await delegate(board, { tasks: children(3) });
    const [done, busy] = made.tasks;
    await end(board, done, 'complete', { summary: 'first' });
    const claim = await claimOf(board, busy);
    const lines = { lines: ['half of it'] };
    expectStatus(
      await board.server.call('POST', `/v1/runs/${claim.run_id}/output`, { token: claim.token, body: lines }),
      200,
    );
    const answer = await board.call('POST', `/delegations/${made.id}/cancel`, { body: { reason: 'enough' } });
    expect(expectStatus(answer, 200).body.delegation).toMatchObject({
      status: 'cancelled',
      reason: 'enough',
      results: [
        { status: 'done', outcome: 'completed' },
        { status: 'running', outcome: 'interrupted', output_preview: 'half of it' },
        { status: 'cancelled', outcome: null },
      ],
    });
    expect(await board.read(claim.task.id)).toMatchObject({ claim: { cancel_requested: true } });
  });
});
