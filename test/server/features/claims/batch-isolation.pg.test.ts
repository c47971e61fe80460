/** Operations that were gathered into one statement: what is wrong with one of them is nobody else's business. */
import { beforeAll, describe, expect, test } from 'vitest';
import type { Claim } from '../../../../src/contract/claims.ts';
import { auditBoard } from '../../../fixtures/audit.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { gather } from '../../../fixtures/gathering.ts';
import { holdCounter, untilStanding, untilTestEnds } from '../../../fixtures/held-lock.ts';
import type { CallAnswer } from '../../../fixtures/server.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();

type Body = Readonly<Record<string, unknown>>;
type Send = () => Promise<CallAnswer>;

async function claimMany(board: TestBoard, count: number): Promise<Claim[]> {
  const { claims } = expectStatus(await board.claims('work', { max: count }), 200).body;
  expect(claims).toHaveLength(count);
  return claims;
}

async function boardWithClaims(count: number): Promise<[TestBoard, Claim[]]> {
  const [board] = await servers.board();
  await board.lane('work');
  await board.tasks('work', count);
  return [board, await claimMany(board, count)];
}

/** An end that is known already: it is answered from its run and changes nothing. */
async function knownEnd(board: TestBoard): Promise<Claim> {
  await board.lane('opener');
  await board.task('opener');
  const ended = await board.claim('opener');
  expectStatus(await endClaim(board.server, ended, 'complete'), 200);
  return ended;
}

interface Together {
  readonly board: TestBoard;
  /** Its single routes and its batch endpoint; everything lands in one gathered batch. */
  readonly singles?: readonly Send[];
  readonly operations?: readonly Body[];
  /** Operations that fail before they are gathered. */
  readonly neverGathered?: number;
  readonly verb?: 'complete' | 'heartbeat';
}

async function runTogether(together: Together): Promise<{ singles: CallAnswer[]; results: Body[] }> {
  const { board, singles = [], operations = [], neverGathered = 0, verb = 'complete' } = together;
  const half = Math.ceil(operations.length / 2);
  const parts = [operations.slice(0, half), operations.slice(half)].filter((part) => part.length > 0);
  const opener = await knownEnd(board);
  const { answers } = await gather({
    database: servers.database,
    opener: () => endClaim(board.server, opener, verb),
    openerTag: `claims.${verb}`,
    requests: [
      ...singles,
      ...parts.map(
        (part) => () => board.server.call('POST', '/v1/runs/batch', { body: { operations: part } }),
      ),
    ],
    operations: singles.length + operations.length - neverGathered,
  });
  const all = await Promise.all(answers);
  const results = all.slice(singles.length).flatMap((answer) => expectStatus(answer, 200).body.results);
  return { singles: all.slice(0, singles.length), results };
}

/** Statements that wrote such events on the lane: those of one statement carry one moment. */
async function countStatements(board: TestBoard, kind: string): Promise<number> {
  const rows = await servers.database.sql`
    SELECT DISTINCT e.at FROM events e JOIN boards b ON b.id = e.board_id
    WHERE b.name = ${board.name} AND e.kind = ${kind} AND e.lane = 'work'`;
  return rows.length;
}

const audit = (board: TestBoard) => auditBoard(servers.database.sql, board.name);

describe('ends that were gathered into one statement', () => {
  test('the stale, the contradicting and the forged one fail alone; the repeated and the foreign one succeed', async () => {
    const [board, [lost, twice, released, plain, other, ...rest]] = (await boardWithClaims(9)) as [
      TestBoard,
      [Claim, Claim, Claim, Claim, Claim, ...Claim[]],
    ];
    const [, [abroad, alsoAbroad]] = (await boardWithClaims(2)) as [TestBoard, [Claim, Claim]];
    // The task of the lost claim is another worker's by now.
    expectStatus(await endClaim(board.server, lost, 'release'), 200);
    const held = await board.claim('work', { worker: 'new holder' });
    expect(held.task.id).toBe(lost.task.id);

    const { singles, results } = await runTogether({
      board,
      singles: [
        () => endClaim(board.server, lost, 'complete', { summary: 'stale' }),
        () => endClaim(board.server, held, 'complete', { summary: 'rightful' }),
        () => endClaim(board.server, twice, 'complete', { summary: 'twice' }),
        () => endClaim(board.server, twice, 'complete', { summary: 'twice' }),
        () => endClaim(board.server, twice, 'fail', { error: 'or not' }),
        () => endClaim(board.server, released, 'release', { delay_seconds: 3600 }),
        () => endClaim(board.server, lost, 'fail', { error: 'stale' }),
      ],
      operations: [
        { op: 'complete', token: plain.token, metadata: { a: 1 } },
        { op: 'complete', token: abroad.token },
        { op: 'block', token: lost.token, reason: 'stale' },
        { op: 'complete', token: `${other.token.slice(0, -8)}forgery_` },
        { op: 'complete', token: other.token },
        { op: 'release', token: alsoAbroad.token },
        ...rest.map((claim) => ({ op: 'complete', token: claim.token })),
      ],
      neverGathered: 1,
    });
    expect(singles.map((answer) => answer.status)).toEqual([409, 200, 200, 200, 409, 200, 409]);
    expect([0, 4, 6].map((index) => singles[index]?.code)).toEqual(Array(3).fill('claim_lost'));
    expect(singles[2]?.body).toEqual(singles[3]?.body);
    expect(results.map((result) => result['ok'])).toEqual([
      true,
      true,
      false,
      false,
      true,
      true,
      true,
      true,
      true,
      true,
    ]);
    expect(results[2]).toMatchObject({ problem: { code: 'claim_lost', reason: 'released' } });
    expect(results[3]).toMatchObject({ problem: { code: 'unauthenticated' } });

    expect(await countStatements(board, 'task.completed')).toBe(1);
    const { fold, runs } = await audit(board);
    expect(fold.counts).toMatchObject({ running: 0, done: 9, scheduled: 1 });
    expect(runs.filter((run) => run.outcome === 'released')).toHaveLength(2);
  });
});

describe('an end that meets a task which is just being changed', () => {
  const changes: readonly (readonly [string, (board: TestBoard, task: string) => Promise<CallAnswer>])[] = [
    ['patched', (board, task) => board.call('PATCH', `/tasks/${task}`, { body: { priority: 7 } })],
    ['asked to stop', (board, task) => board.operate(task, 'cancel', { deadline_seconds: 600 })],
    ['commented on', (board, task) => board.operate(task, 'comments', { body: 'meanwhile' })],
  ];
  // A heartbeat touches the claim only, and of the claim only a request to stop does.
  const ends: readonly (readonly [string, Body])[] = [
    ['complete', {}],
    ['block', { reason: 'x' }],
    ['heartbeat', { progress: 1 }],
  ];
  test.each(
    changes.flatMap(([name, change]) =>
      ends.map(([verb, body]) => ({
        name,
        change,
        verb,
        body,
        isInItsWay: verb !== 'heartbeat' || name === 'asked to stop',
      })),
    ),
  )(
    'waits for it and takes effect, with its neighbours: $verb of a task that is $name',
    async ({ change, verb, body, isInItsWay }) => {
      const [board, claims] = await boardWithClaims(3);
      const [claim] = claims as [Claim, ...Claim[]];
      // The change has written its rows and stands at the counter row; the end stands behind it.
      const counter = await untilTestEnds(holdCounter(servers.database.sql, board.name));
      const changed = change(board, claim.task.id);
      await untilStanding(servers.database.sql, 'log.append', 'row');
      const operations = claims.map(({ token }) => ({ op: verb, token, ...body }));
      const [first, ...others] = operations;
      const answers = [[first], others].map((part) =>
        board.server.call('POST', '/v1/runs/batch', { body: { operations: part } }),
      );
      if (isInItsWay)
        await untilStanding(servers.database.sql, `claims.${verb === 'block' ? 'lock_holds' : verb}`, 'row');
      await counter.release();
      expectStatus(await changed, 200, 201);
      const results = (await Promise.all(answers)).flatMap(
        (answer) => expectStatus(answer, 200).body.results,
      );
      expect(results.map((result: { ok: boolean }) => result.ok)).toEqual([true, true, true]);
      await audit(board);
    },
  );
});

/**
 * No operation is known that passes the checks of the wire and is refused by the schema, so this database has rules of its own. They
 * stand for whatever is forgotten one day.
 */
describe('an operation that Postgres itself refuses', () => {
  const REFUSED = 'refused by the database';
  beforeAll(async () => {
    const { sql } = servers.database;
    await sql`ALTER TABLE runs ADD CHECK (summary <> 'refused by the database'),
      ADD CHECK (error <> 'refused by the database'), ADD CHECK (metadata->>'note' <> 'refused by the database')`;
    await sql`ALTER TABLE task_details ADD CHECK (title <> 'refused by the database')`;
    await sql`ALTER TABLE claims ADD CHECK (worker <> 'refused by the database')`;
  });

  test.each([
    ['complete', { summary: REFUSED }],
    ['fail', { error: REFUSED }],
    ['block', { reason: REFUSED }],
    ['release', { metadata: { note: REFUSED } }],
  ])('as a %s fails alone: every other end of its batch takes effect once', async (op, body) => {
    const [board, claims] = await boardWithClaims(12);
    const verbs: Body[] = [
      { op: 'complete' },
      { op: 'release', delay_seconds: 3600 },
      { op: 'block', reason: 'x' },
    ];
    const bad = 5;
    const operations = claims.map((claim, index) =>
      index === bad ? { op, ...body, token: claim.token } : { ...verbs[index % 3], token: claim.token },
    );
    const { results } = await runTogether({ board, operations });
    expect(results.map((result) => result['ok'])).toEqual(claims.map((_, index) => index !== bad));
    expect(results[bad]).toMatchObject({ problem: { status: 500, code: 'internal' } });
    // The refused end is free to be made again, rightly.
    expect((await audit(board)).fold.counts.running).toBe(1);
    expectStatus(await endClaim(board.server, claims[bad] as Claim, 'complete'), 200);
    const { events } = await audit(board);
    const ends = events.filter((event) => event.data['status_before'] === 'running' && event.lane === 'work');
    expect(ends).toHaveLength(claims.length);
  });

  test('as a heartbeat fails alone: the others extend their leases and keep what they carry', async () => {
    const [board, claims] = await boardWithClaims(6);
    const bad = 2;
    const operations = claims.map((claim, index) => ({
      op: 'heartbeat',
      token: claim.token,
      metadata: { note: index === bad ? REFUSED : `note ${index}` },
    }));
    const { results } = await runTogether({ board, operations, verb: 'heartbeat' });
    expect(results.map((result) => result['ok'])).toEqual(claims.map((_, index) => index !== bad));
    for (const [index, claim] of claims.entries()) {
      const { run } = (await board.server.call('GET', `/v1/runs/${claim.run_id}`)).body;
      expect(run.metadata).toEqual(index === bad ? {} : { note: `note ${index}` });
    }
    await audit(board);
  });

  test('as a task to create fails alone', async () => {
    const [board] = await servers.board();
    const create =
      (title: string, key: string | null = null) =>
      () =>
        board.call('POST', '/tasks', { body: { title, lane: 'work', idempotency_key: key } });
    expectStatus(await create('known', 'known')(), 201);
    const { answers } = await gather({
      database: servers.database,
      opener: create('known', 'known'),
      openerTag: 'tasks.create',
      requests: ['one', 'two', REFUSED, 'three', 'four'].map((title) => create(title)),
    });
    const statuses = (await Promise.all(answers)).map((answer) => answer.status);
    expect(statuses).toEqual([201, 201, 500, 201, 201]);
    expect((await audit(board)).fold.counts.ready).toBe(5);
  });

  test('as a claim fails alone', async () => {
    const [board] = await servers.board();
    for (const lane of ['work', 'opener']) await board.lane(lane);
    await board.tasks('work', 5);
    const { answers } = await gather({
      database: servers.database,
      opener: () => board.claims('opener'),
      openerTag: 'claims.claim',
      requests: ['one', 'two', REFUSED, 'three', 'four'].map(
        (worker) => () => board.claims('work', { worker }),
      ),
    });
    const statuses = (await Promise.all(answers)).map((answer) => answer.status);
    expect(statuses).toEqual([200, 200, 500, 200, 200]);
    expect((await audit(board)).fold.counts).toMatchObject({ running: 4, ready: 1 });
  });
});
