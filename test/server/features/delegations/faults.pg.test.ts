/** Delegations when something goes wrong beside them: what fails, stands still or comes too late stands before nothing else. */
import { describe, expect, test } from 'vitest';
import type { Claim } from '../../../../src/contract/claims.ts';
import { LIMITS } from '../../../../src/contract/constants.ts';
import type { Delegation } from '../../../../src/contract/delegations.ts';
import { useAuditedBoards } from '../../../fixtures/audited-boards.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { changeTable } from '../../../fixtures/change-table.ts';
import { eventually } from '../../../fixtures/eventually.ts';
import {
  holdCounter,
  holdDelegation,
  holdTask,
  untilStanding,
  untilTestEnds,
} from '../../../fixtures/held-lock.ts';

const { servers, newBoard } = useAuditedBoards();

type Body = Readonly<Record<string, unknown>>;

const children = (count: number, body: Body = {}): Body[] =>
  Array.from({ length: count }, (_, index) => ({ lane: 'work', goal: `goal ${index}`, ...body }));

async function delegate(board: TestBoard, body: Body, token?: string): Promise<Delegation> {
  const options = token === undefined ? { body } : { body, token };
  return expectStatus(await board.call('POST', '/delegations', options), 202).body.delegation;
}

async function read(board: TestBoard, id: string): Promise<Delegation> {
  return expectStatus(await board.call('GET', `/delegations/${id}`), 200).body.delegation;
}

async function claimOf(board: TestBoard, task: string | undefined, worker?: string): Promise<Claim> {
  const body = { task_id: task ?? '', ...(worker === undefined ? {} : { worker }) };
  return expectStatus(await board.claims('work', body), 200).body.claims[0];
}

async function end(board: TestBoard, claim: Claim, verb: string, body: Body): Promise<void> {
  expectStatus(await endClaim(board.server, claim, verb, body), 200);
}

const isUnreachable = { status: 'failed', results: [{ outcome: 'unreachable', status: 'todo' }] };

async function cancelledTask(board: TestBoard): Promise<string> {
  const { id } = await board.task('work');
  expectStatus(await board.operate(id, 'cancel'), 200);
  return id;
}

describe('a delegation', () => {
  test('whose texts are cut in the middle of a character is made and decided all the same', async () => {
    const [board] = await newBoard();
    const faces = `a${'😀'.repeat(LIMITS.titleCharactersMax)}`;
    const made = await delegate(board, { tasks: children(2, { goal: faces }) });
    for (const task of made.tasks)
      await end(board, await claimOf(board, task), 'complete', { summary: `a${'😀'.repeat(15_000)}` });
    const { status, results } = await read(board, made.id);
    expect(status).toBe('completed');
    expect(results?.every(({ title, summary }) => title.isWellFormed() && summary?.isWellFormed())).toBe(
      true,
    );
  });

  test('has failed when its child goes on only to wait for what was cancelled', async () => {
    const [board] = await newBoard();
    const gone = await cancelledTask(board);
    const link = async (child: string | undefined) =>
      expectStatus(await board.call('PUT', `/tasks/${child}/parents/${gone}`), 200, 201, 204);
    const blocked = await delegate(board, { on_blocked: 'wait', tasks: children(1) });
    const [task = ''] = blocked.tasks;
    await end(board, await claimOf(board, task), 'block', { reason: 'which?', kind: 'needs_input' });
    await link(task);
    expect((await read(board, blocked.id)).status).toBe('running');
    expectStatus(await board.operate(task, 'unblock', { answer: 'that' }), 200);
    expect(await read(board, blocked.id)).toMatchObject(isUnreachable);

    const parked = await delegate(board, { tasks: children(1) });
    const claim = await claimOf(board, parked.tasks[0]);
    await link(parked.tasks[0]);
    await end(board, claim, 'release', {});
    expect(await read(board, parked.id)).toMatchObject(isUnreachable);
  });

  test('has failed when its scheduled child, or what that waits for, is due and waits for what was cancelled', async () => {
    const [board] = await newBoard();
    const gone = await cancelledTask(board);
    const runAt = new Date(Date.now() + 3_600_000).toISOString();
    const later = await board.task('work', { run_at: runAt });
    const own = await delegate(board, { tasks: children(1, { run_at: runAt }) });
    const behind = await delegate(board, { tasks: children(1, { parents: [later.id] }) });
    for (const task of [later.id, own.tasks[0]])
      expectStatus(await board.call('PUT', `/tasks/${task}/parents/${gone}`), 200, 201, 204);
    for (const { id } of [own, behind]) expect((await read(board, id)).status).toBe('running');
    await servers.database.sql`UPDATE tasks SET run_at = clock_timestamp() WHERE status = 'scheduled'`;
    for (const { id } of [own, behind])
      await eventually('it is decided', async () => (await read(board, id)).status === 'failed');
  });

  test('that is decided keeps the children that it was to leave when somebody cancels it', async () => {
    const [board] = await newBoard();
    const made = await delegate(board, { join: 'any', on_decided: 'leave', tasks: children(2) });
    await end(board, await claimOf(board, made.tasks[0]), 'complete', { summary: 'here' });
    const decided = await read(board, made.id);
    const answer = await board.call('POST', `/delegations/${made.id}/cancel`, { body: { reason: 'late' } });
    expect(expectStatus(answer, 200).body.delegation).toEqual(decided);
    expect((await board.read(made.tasks[1] ?? '')).status).toBe('ready');
  });

  test('is not made under a claim whose cancel is requested', async () => {
    const [board] = await newBoard();
    const outer = await delegate(board, { tasks: children(1) });
    const claim = await claimOf(board, outer.tasks[0]);
    expectStatus(await board.call('POST', `/delegations/${outer.id}/cancel`, { body: {} }), 200);
    const options = { body: { tasks: children(1) }, token: claim.token };
    const answer = expectStatus(await board.call('POST', '/delegations', options), 409);
    expect(answer.body.code).toBe('illegal_transition');
    expect(expectStatus(await board.call('GET', '/tasks'), 200).body.tasks).toHaveLength(1);
  });
});

describe('the sweep', () => {
  test('decides what is overdue beside what cannot be decided', async () => {
    const [board] = await newBoard();
    const bad = await delegate(board, { deadline_seconds: 3600, tasks: children(1) });
    const good = await delegate(board, { deadline_seconds: 3601, tasks: children(1) });
    const { sql } = servers.database;
    await sql`CREATE FUNCTION refuse_decision() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN IF NEW.goal = 'bad' AND NEW.status <> 'running' THEN RAISE 'refused'; END IF; RETURN NEW; END $$`;
    await changeTable(
      sql,
      'delegations',
      'CREATE TRIGGER refusing BEFORE UPDATE ON delegations FOR EACH ROW EXECUTE FUNCTION refuse_decision()',
    );
    await sql`UPDATE delegations SET deadline_at = clock_timestamp(),
      goal = CASE WHEN deadline_at = (SELECT min(deadline_at) FROM delegations WHERE status = 'running') THEN 'bad' END
      WHERE status = 'running' AND deadline_at IS NOT NULL`;
    await eventually('the other is decided', async () => (await read(board, good.id)).status !== 'running');
    expect((await read(board, bad.id)).status).toBe('running');
    await changeTable(sql, 'delegations', 'DROP TRIGGER refusing ON delegations');
    await eventually('it is tried again', async () => (await read(board, bad.id)).status !== 'running');
  });

  test('cancels what is left of one delegation while that of an earlier one stands still', async () => {
    const [board] = await newBoard();
    const stuck = await delegate(board, { join: 'any', tasks: children(2) });
    const next = await delegate(board, { join: 'any', tasks: children(2) });
    const claims = [await claimOf(board, stuck.tasks[0]), await claimOf(board, next.tasks[0])];
    const held = await untilTestEnds(holdTask(servers.database.sql, stuck.tasks[1] ?? ''));
    for (const claim of claims) await end(board, claim, 'complete', { summary: 'here' });
    await board.untilStatus(next.tasks[1] ?? '', 'cancelled');
    expect((await board.read(stuck.tasks[1] ?? '')).status).toBe('ready');
    await held.release();
    await board.untilStatus(stuck.tasks[1] ?? '', 'cancelled');
  });
});

test.each(['made', 'linked'] as const)(
  'a delegation that is %s behind a task in the moment in which that is cut off is decided none the less',
  async (how) => {
    const [board] = await newBoard();
    const { sql } = servers.database;
    const far = await board.task('work');
    const near = await board.task('work', { parents: [far.id] });
    const known = how === 'linked' ? await delegate(board, { tasks: children(1) }) : null;
    // Both have done all but write to the log, and have not seen each other. What is made looks once more behind that, so it is to be first.
    const held = await untilTestEnds(holdCounter(sql, board.name));
    const [child] = known?.tasks ?? [];
    const placing =
      known === null
        ? delegate(board, { tasks: children(1, { parents: [near.id] }) })
        : board.call('PUT', `/tasks/${child}/parents/${near.id}`).then(() => known);
    await untilStanding(sql, 'log.append', 'row');
    const cancelling = board.operate(far.id, 'cancel');
    await untilStanding(sql, 'log.append', 'row', 2);
    await held.release();
    const { id } = await placing;
    expectStatus(await cancelling, 200);
    const decided = await eventually('it is decided', async () => {
      const delegation = await read(board, id);
      return delegation.status === 'running' ? null : delegation;
    });
    expect(decided).toMatchObject(isUnreachable);
  },
);

test('a takeover holds the counter row while it waits for no delegation', async () => {
  const [board] = await newBoard();
  const made = await delegate(board, { tasks: children(1) });
  const plain = await board.task('work');
  await claimOf(board, made.tasks[0], 'old');
  await claimOf(board, plain.id, 'old');
  expectStatus(await board.operate(made.tasks[0] ?? '', 'cancel', { deadline_seconds: 600 }), 200);
  const held = await untilTestEnds(holdDelegation(servers.database.sql, made.id));
  const taking = board.call('POST', '/lanes/work/takeover', { body: { mode: 'release', worker: 'new' } });
  // It is committed: others go on.
  await board.untilStatus(plain.id, 'ready');
  await untilStanding(servers.database.sql, 'joins.lock', 'row');
  await board.task('work');
  await held.release();
  expectStatus(await taking, 200);
  expect((await read(board, made.id)).status).toBe('cancelled');
});

test('many tasks are subscribed to before the counter row is taken', async () => {
  const [board] = await newBoard();
  const origin = { platform: 'p', chat_id: 'c' };
  const tasks = Array.from({ length: 50 }, () => ({ title: 't', lane: 'work', origin }));
  const held = await untilTestEnds(holdCounter(servers.database.sql, board.name));
  const making = board.call('POST', '/tasks/batch', { body: { tasks } });
  await untilStanding(servers.database.sql, 'log.append', 'row');
  await held.release();
  const made = expectStatus(await making, 201).body.tasks;
  const kinds = (await board.events())
    .map(({ kind }) => kind)
    .filter((kind) => /^(task|subscription)\./.test(kind));
  expect(kinds).toEqual([
    ...Array.from(made, () => 'task.created'),
    ...Array.from(made, () => 'subscription.created'),
  ]);
  // Whoever moves one of them finds its subscription.
  expectStatus(await board.operate(made[49].id, 'cancel'), 200);
  const rows = await servers.database.sql`SELECT kind FROM deliveries`;
  expect(rows).toMatchObject([{ kind: 'task.cancelled' }]);
});
