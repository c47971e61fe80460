/** Pruning beside a deletion or a subscription: each sees what the other has done, so nothing stays behind that nobody ever comes to again. */
import type postgres from 'postgres';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../../../src/server/db/client.ts';
import { transaction } from '../../../../src/server/db/tx.ts';
import { prunePortion } from '../../../../src/server/features/retention/pruning.ts';
import { present } from '../../../../src/server/kernel/assert.ts';
import { parseId } from '../../../../src/server/kernel/ids.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { eventually } from '../../../fixtures/eventually.ts';
import { holdCounter, untilStanding, untilTestEnds } from '../../../fixtures/held-lock.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();
let opened: Database;

/** One for each test: they grow old together. */
const DECIDED_COUNT = 4;
const prepared: { readonly board: TestBoard; readonly delegation: Decided }[] = [];

beforeAll(async () => {
  opened = openDatabase({ url: servers.database.url });
  for (let count = 0; count < DECIDED_COUNT; count += 1) {
    const board = await newBoard();
    prepared.push({ board, delegation: await newDecided(board) });
  }
  const ids = prepared.flatMap(({ delegation }) => idsOf(delegation));
  await eventually('they are old enough', async () => {
    const rows = await servers.database.sql`
      SELECT FROM tasks WHERE id = ANY (${ids}::uuid[]) AND status_since < clock_timestamp() - interval '1 second'`;
    return rows.length === ids.length;
  });
});
afterAll(() => opened.close());

async function newBoard(): Promise<TestBoard> {
  const [board] = await servers.board();
  await board.lane('work');
  return board;
}

const WORD = 'Unrepeatable-26cc';

interface Decided {
  readonly id: string;
  readonly tasks: readonly [string, string];
}

/** A delegation whose two tasks are done, and somebody who is subscribed to it. */
async function newDecided(board: TestBoard): Promise<Decided> {
  const child = { title: 'a child', lane: 'work', context: WORD };
  const body = { goal: WORD, context: WORD, tasks: [child, child] };
  const { delegation } = expectStatus(await board.call('POST', '/delegations', { body }), 202).body;
  for (const id of delegation.tasks as string[]) {
    const claim = await board.claim('work', { task_id: id });
    expectStatus(await endClaim(board.server, claim, 'complete', { summary: WORD }), 200);
  }
  expectStatus(await subscribe(board, delegation.id, 'first'), 201);
  return delegation;
}

const idsOf = ({ tasks }: Decided): string[] => tasks.map((task) => parseId('task', task) ?? '');

const subscribe = (board: TestBoard, delegation: string, chat: string) => {
  const origin = { platform: 'discord', chat_id: chat, context: WORD };
  const body = { delegation_id: delegation, platform: 'discord', chat_id: chat, origin };
  return board.call('PUT', '/subscriptions', { body });
};

/** Done more than a second ago, on a board of its own. */
const takeDecided = () => present(prepared.pop(), 'there is one for each test');

/** No pruner comes to it. */
async function keepSecond(delegation: Decided): Promise<void> {
  await servers.database.sql`
    UPDATE tasks SET status_since = now() + interval '1 hour' WHERE id = ${idsOf(delegation)[1] ?? ''}`;
}

/** One portion of what was finished a second ago, as patient as a request. That it is due no server sees before it is done. */
async function prune({ name }: TestBoard): Promise<number | undefined> {
  const [row] = await servers.database.sql<{ id: number }[]>`SELECT id FROM boards WHERE name = ${name}`;
  const id = row?.id ?? 0;
  return transaction(opened.cold, async (tx) => {
    await tx`INSERT INTO retention (board_id, kind, kept_seconds, due_at) VALUES (${id}, 'finished_tasks', 1, now())`;
    return (await prunePortion(tx, id, 'finished_tasks', { rowsMax: 100, statementMsMax: 20_000 }))?.pruned;
  });
}

/** One of these waits for a row: that of the other side, or where it would stand if it went on beside that. */
async function untilOneStands(sql: postgres.Sql, tags: readonly string[]): Promise<void> {
  const patterns = tags.map((tag) => `%/* ${tag} */%`);
  await eventually(`one of ${tags.join(', ')} stands`, async () => {
    const rows = await sql`
      SELECT FROM pg_stat_activity
      WHERE wait_event_type = 'Lock' AND query LIKE ANY (${patterns}::text[]) AND datname = current_database()`;
    return rows.length === 1;
  });
}

/** How many rows of the delegation there are in each table, and in how many of them the word is. */
async function leftOf(delegation: Decided): Promise<Record<string, { rows: number; words: number }>> {
  const id = parseId('deleg', delegation.id) ?? '';
  const { sql } = servers.database;
  const places = [
    ['delegations', 'id'],
    ['delegation_tasks', 'delegation_id'],
    ['subscriptions', 'subject_id'],
    ['events', 'delegation_id'],
  ] as const;
  const counts = places.map(async ([table, column]) => {
    const [row] = await sql<{ rows: number; words: number }[]>`
      SELECT count(*)::int AS rows, count(*) FILTER (WHERE t::text LIKE ${`%${WORD}%`})::int AS words
      FROM ${sql(table)} AS t WHERE ${sql(column)} = ${id}`;
    return [table, row ?? { rows: -1, words: -1 }] as const;
  });
  return Object.fromEntries(await Promise.all(counts));
}

const NOTHING = { rows: 0, words: 0 };

/** It stays decided, and nobody can read more of it than that. */
async function expectEmptied(board: TestBoard, delegation: Decided): Promise<void> {
  const answer = expectStatus(await board.call('GET', `/delegations/${delegation.id}`), 200);
  const results = delegation.tasks.map((task) => ({ task_id: task, outcome: 'deleted', summary: null }));
  expect(answer.body.delegation).toMatchObject({ status: 'completed', goal: null, results });
  const left = await leftOf(delegation);
  expect(left).toMatchObject({
    delegations: { words: 0 },
    delegation_tasks: { words: 0 },
    subscriptions: NOTHING,
    events: { words: 0 },
  });
  // Something was there to be emptied.
  expect(left['events']?.rows).toBeGreaterThan(0);
}

test('whoever deletes the other task of a delegation while the first is pruned leaves no word of it', async () => {
  const { board, delegation } = takeDecided();
  const { sql } = servers.database;
  await keepSecond(delegation);
  const held = await untilTestEnds(holdCounter(sql, board.name));
  const pruned = prune(board);
  await untilStanding(sql, 'retention.log_erased', 'row');
  const deleted = board.call('DELETE', `/tasks/${delegation.tasks[1]}`);
  await untilOneStands(sql, ['erase.lock_delegations', 'log.append']);
  await held.release();
  expect(await pruned).toBe(1);
  expectStatus(await deleted, 204);
  await expectEmptied(board, delegation);
});

test('whoever deletes the other task of a delegation after the first was pruned leaves no word of it', async () => {
  const { board, delegation } = takeDecided();
  await keepSecond(delegation);
  expect(await prune(board)).toBe(1);
  expectStatus(await board.call('DELETE', `/tasks/${delegation.tasks[1]}`), 204);
  await expectEmptied(board, delegation);
});

test('a delegation whose last task is pruned while the other one is being deleted goes with it', async () => {
  const { board, delegation } = takeDecided();
  const { sql } = servers.database;
  await keepSecond(delegation);
  const held = await untilTestEnds(holdCounter(sql, board.name));
  const deleted = board.call('DELETE', `/tasks/${delegation.tasks[1]}`);
  await untilOneStands(sql, ['log.append']);
  const pruned = prune(board);
  await untilOneStands(sql, ['erase.lock_delegations', 'retention.log_erased']);
  await held.release();
  expectStatus(await deleted, 204);
  expect(await pruned).toBe(1);
  expect(await leftOf(delegation)).toMatchObject({
    delegations: NOTHING,
    delegation_tasks: NOTHING,
    subscriptions: NOTHING,
  });
});

test('a subscription that is put while its delegation is pruned goes with it, and whoever put it is told', async () => {
  const { board, delegation } = takeDecided();
  const { sql } = servers.database;
  const held = await untilTestEnds(holdCounter(sql, board.name));
  const put = subscribe(board, delegation.id, 'second');
  await untilOneStands(sql, ['log.append']);
  const pruned = prune(board);
  await untilOneStands(sql, ['erase.lock_delegations', 'retention.erase_delegations']);
  // In line behind both, and before the look at what was put: that comes when both are done.
  const between = sql.begin((tx) => tx`/* test.between */ LOCK TABLE subscriptions IN ACCESS EXCLUSIVE MODE`);
  await untilStanding(sql, 'test.between', 'gate');
  await held.release();
  expect(await pruned).toBe(2);
  await between;
  expect((await put).code).toBe('not_found');
  expect(await leftOf(delegation)).toMatchObject({
    delegations: NOTHING,
    delegation_tasks: NOTHING,
    subscriptions: NOTHING,
  });
});
