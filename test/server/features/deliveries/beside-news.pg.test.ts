/**
 * A subscription that is put, changed or ended in the moment in which something is told that locks no task, a heartbeat: one of the two comes
 * first in the log, and whatever comes behind goes by that.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../../../src/server/db/client.ts';
import { transaction } from '../../../../src/server/db/tx.ts';
import { prunePortion } from '../../../../src/server/features/retention/pruning.ts';
import { parseId } from '../../../../src/server/kernel/ids.ts';
import { useAuditedBoards } from '../../../fixtures/audited-boards.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { eventually } from '../../../fixtures/eventually.ts';
import { type HeldLock, holdCounter, untilStanding, untilTestEnds } from '../../../fixtures/held-lock.ts';
import type { CallAnswer } from '../../../fixtures/server.ts';
import { say, take } from './taken-deliveries.ts';

const { servers, newBoard } = useAuditedBoards();

type Body = Readonly<Record<string, unknown>>;
type Send = () => Promise<CallAnswer>;

/** A task that somebody works on, and how its subscription is put. */
async function begin() {
  const [board, elsewhere] = await newBoard();
  const { id } = await board.task('work');
  const claim = expectStatus(await board.claims('work', { task_id: id }), 200).body.claims[0];
  // Or a sweep would stand at the counter row, too.
  await eventually('the lane is online', async () => (await board.events('&kinds=lane.online')).length === 1);
  const put = (change: Body, through = elsewhere): Promise<CallAnswer> => {
    const kinds = ['task.heartbeat', 'task.completed'];
    return through.call('PUT', '/subscriptions', {
      body: { task_id: id, platform: 'discord', chat_id: id, kinds, ...change },
    });
  };
  const beat: Send = () => endClaim(board.server, claim, 'heartbeat', { note: 'on' });
  const complete: Send = () => endClaim(board.server, claim, 'complete', {});
  return { board, elsewhere, put, beat, complete };
}

/** Each waits for the counter row behind those before it. */
async function oneAfterTheOther(board: TestBoard, all: readonly (readonly [Send, string])[]) {
  const { sql } = servers.database;
  const counter = await untilTestEnds(holdCounter(sql, board.name));
  const answers: Promise<CallAnswer>[] = [];
  const standing = new Map<string, number>();
  for (const [send, tag] of all) {
    answers.push(send());
    standing.set(tag, (standing.get(tag) ?? 0) + 1);
    await untilStanding(sql, tag, 'row', standing.get(tag));
  }
  await counter.release();
  return Promise.all(answers);
}

/** Takes and acks what there is for the owner, one after the other. Returns what it told of. */
async function takeAll(board: TestBoard, owner?: string): Promise<string[]> {
  const kinds: string[] = [];
  for (;;) {
    const [delivery] = await take(board, owner === undefined ? {} : { owner });
    if (delivery === undefined) return kinds;
    kinds.push(delivery.events[0]?.kind ?? '');
    expectStatus(await say(board, delivery, 'ack', {}), 200);
  }
}

const deliveriesOf = async (board: TestBoard): Promise<{ id: string; status: string }[]> =>
  expectStatus(await board.call('GET', '/deliveries'), 200).body.deliveries;

const AT_COUNTER = 'log.lock_counter';

describe('given another owner', () => {
  test.each([
    ['before', true],
    ['behind', false],
  ])(
    'a heartbeat %s it is told by whoever tells the outcome, which would wait behind it',
    async (_where, isBeatFirst) => {
      const { board, put, beat, complete } = await begin();
      expectStatus(await put({ owner: 'one' }), 201);
      const both: [Send, string][] = [
        [beat, AT_COUNTER],
        [() => put({ owner: 'two' }), AT_COUNTER],
      ];
      const answers = await oneAfterTheOther(board, isBeatFirst ? both : both.toReversed());
      for (const answer of answers) expectStatus(answer, 200);
      expectStatus(await complete(), 200);
      expect([await takeAll(board, 'one'), await takeAll(board, 'two')]).toEqual([
        [],
        ['task.heartbeat', 'task.completed'],
      ]);
    },
  );
});

test.each([
  ['given another owner', true],
  ['ended', false],
])(
  '%s, it waits for who has what came at the last moment, and nobody on the board waits too',
  async (_how, isPut) => {
    const { board, elsewhere, put, beat } = await begin();
    const { sql } = servers.database;
    const { id } = expectStatus(await put({ owner: 'one' }), 201).body.subscription;
    const subscriptionId = parseId('sub', id);
    expectStatus(await beat(), 200);
    const counter = await untilTestEnds(holdCounter(sql, board.name));
    const change = isPut ? put({ owner: 'two' }) : elsewhere.call('DELETE', `/subscriptions/${id}`);
    await untilStanding(sql, AT_COUNTER, 'row');
    // As a heartbeat would have left it that had the counter row before.
    const [row] = await sql<{ id: string }[]>`
    INSERT INTO deliveries
    SELECT late.* FROM deliveries d, jsonb_populate_record(d, jsonb_build_object('id', gen_random_uuid(), 'seq', d.seq + 1000)) AS late
    WHERE d.subscription_id = ${subscriptionId} RETURNING id`;
    const late = row?.id ?? '';
    const { answer } = await sql.begin(async (tx) => {
      await tx`SELECT FROM deliveries WHERE id = ${late} FOR UPDATE`;
      await counter.release();
      await untilStanding(sql, 'subscriptions.lock_deliveries', 'row');
      expectStatus(await board.call('POST', '/tasks', { body: { title: 'another' } }), 201);
      return { answer: change };
    });
    expectStatus(await answer, 200, 204);
    const left = await sql`SELECT DISTINCT owner FROM deliveries WHERE subscription_id = ${subscriptionId}`;
    expect([...left]).toEqual(isPut ? [{ owner: 'two' }] : []);
    await sql`DELETE FROM deliveries WHERE id = ${late}`;
  },
);

test('given another session, none of it goes out beside another one of that', async () => {
  const { board, put, beat } = await begin();
  const ofBoard = (chat: string, session: string) => ({ chat_id: chat, origin: { session_id: session } });
  expectStatus(await put(ofBoard('c1', 's1')), 201);
  expectStatus(await put(ofBoard('c2', 's2')), 201);
  expectStatus(await beat(), 200);
  const counter = await untilTestEnds(holdCounter(servers.database.sql, board.name));
  const changing = put(ofBoard('c1', 's2'));
  await untilStanding(servers.database.sql, AT_COUNTER, 'row');
  const taking = take(board);
  await untilStanding(servers.database.sql, 'deliveries.lease', 'row');
  await counter.release();
  expectStatus(await changing, 200);
  expect((await taking).map(({ origin }) => origin)).toMatchObject([{ session_id: 's2' }]);
  expect(await take(board)).toEqual([]);
});

test.each([
  ['the heartbeat behind it', false, ['task.heartbeat']],
  ['nothing of the one before', true, []],
])('put for the first time, it is told %s', async (_what, isBeatFirst, told) => {
  const { board, put, beat } = await begin();
  const both: [Send, string][] = [
    [beat, AT_COUNTER],
    [() => put({}), 'log.append'],
  ];
  const answers = await oneAfterTheOther(board, isBeatFirst ? both : both.toReversed());
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 201]);
  expect(await takeAll(board)).toEqual(told);
});

test.each([
  ['before', true],
  ['behind', false],
])('ended, nothing is left of a heartbeat %s that', async (_where, isBeatFirst) => {
  const { board, elsewhere, put, beat } = await begin();
  const { id } = expectStatus(await put({}), 201).body.subscription;
  const both: [Send, string][] = [
    [beat, AT_COUNTER],
    [() => elsewhere.call('DELETE', `/subscriptions/${id}`), AT_COUNTER],
  ];
  const answers = await oneAfterTheOther(board, isBeatFirst ? both : both.toReversed());
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 204]);
  expect(await deliveriesOf(board)).toEqual([]);
});

test('put as it is, it writes none of its deliveries anew', async () => {
  const { board, put, beat } = await begin();
  expectStatus(await put({ owner: 'one' }), 201);
  expectStatus(await beat(), 200);
  const places = () => servers.database.sql`SELECT id, ctid::text FROM deliveries`;
  const before = [...(await places())];
  expect(before.length).toBeGreaterThan(0);
  expectStatus(await put({ owner: 'one' }), 200);
  expect([...(await places())]).toEqual(before);
  expectStatus(await put({ owner: 'two' }), 200);
  expect([...(await places())]).not.toEqual(before);
  expect(await takeAll(board, 'two')).toEqual(['task.heartbeat']);
});

describe('while it is changed', () => {
  let opened: Database;
  beforeAll(() => {
    opened = openDatabase({ url: servers.database.url });
  });
  afterAll(() => opened.close());

  test('what it has delivered is not pruned, because its cursor stands with it; that waits for nobody', async () => {
    const { board, put, beat } = await begin();
    const { sql } = servers.database;
    const { id } = expectStatus(await put({}), 201).body.subscription;
    expectStatus(await beat(), 200);
    expect(await takeAll(board)).toEqual(['task.heartbeat']);
    await sql`UPDATE deliveries SET finished_at = now() - interval '2 hours' WHERE status = 'acked'`;
    const [row] = await sql<{ id: number }[]>`SELECT id FROM boards WHERE name = ${board.name}`;
    const boardId = row?.id ?? 0;
    const prune = () =>
      transaction(opened.cold, async (tx) => {
        await tx`
          INSERT INTO retention (board_id, kind, kept_seconds, due_at) VALUES (${boardId}, 'deliveries', 3600, now()) ON CONFLICT (board_id, kind) DO UPDATE SET due_at = now()`;
        return (await prunePortion(tx, boardId, 'deliveries', { rowsMax: 100, statementMsMax: 20_000 }))
          ?.pruned;
      });
    const cursor = async () =>
      expectStatus(await board.call('GET', `/subscriptions/${id}`), 200).body.subscription.cursor;
    const told = await cursor();
    const counter: HeldLock = await untilTestEnds(holdCounter(sql, board.name));
    const changing = put({ owner: 'two' });
    await untilStanding(sql, AT_COUNTER, 'row');
    expect([await prune(), (await deliveriesOf(board)).length]).toEqual([0, 1]);
    const soon =
      await sql`SELECT FROM retention WHERE board_id = ${boardId} AND due_at < now() + interval '5 minutes'`;
    expect(soon).toHaveLength(1);
    await counter.release();
    expectStatus(await changing, 200);
    expect([await prune(), (await deliveriesOf(board)).length, await cursor()]).toEqual([1, 0, told]);
  });
});
