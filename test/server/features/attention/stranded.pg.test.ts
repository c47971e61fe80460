/** A wait that has become too long is reported, once, whatever happens to the servers meanwhile. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Event } from '../../../../src/contract/events.ts';
import type { Task } from '../../../../src/contract/tasks.ts';
import { type Database, openDatabase } from '../../../../src/server/db/client.ts';
import { beginMark } from '../../../../src/server/features/attention/store/stranded.ts';
import { auditBoard } from '../../../fixtures/audit.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { eventually, only } from '../../../fixtures/eventually.ts';
import { holdCounter, untilStanding, untilTestEnds } from '../../../fixtures/held-lock.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();
const boards: TestBoard[] = [];

/** Whatever the tests did, the log says the same as the rows. */
afterAll(async () => {
  for (const board of boards.splice(0)) await auditBoard(servers.database.sql, board.name);
});

/** Both servers sweep it. */
async function newBoard(strandedAfterSeconds = 1): Promise<TestBoard> {
  const [board] = await servers.board();
  await board.lane('work');
  const settings = { stranded_after_seconds: strandedAfterSeconds };
  expectStatus(await board.call('PATCH', '', { body: { settings } }), 200);
  boards.push(board);
  return board;
}

const strandedOf = (board: TestBoard): Promise<Event[]> => board.events('&kinds=task.stranded');

async function untilStranded(board: TestBoard, count: number): Promise<Event[]> {
  return eventually(`${count} tasks are stranded`, async () => {
    const events = await strandedOf(board);
    return events.length >= count ? events : null;
  });
}

async function markOf(board: TestBoard): Promise<number> {
  const [row] = await servers.database.sql<{ seq: string }[]>`
    SELECT m.seq FROM stranded_marks m JOIN boards b ON b.id = m.board_id WHERE b.name = ${board.name}`;
  return Number(row?.seq ?? -1);
}

/** All that the log says now has been looked at: what has not been reported by then never will be. */
async function untilSearched(board: TestBoard): Promise<void> {
  const { length } = await board.events();
  await eventually('the log is searched', async () => (await markOf(board)) >= length);
}

async function knownStranded(board: TestBoard): Promise<number> {
  const [row] = await servers.database.sql<{ count: number }[]>`
    SELECT count(*)::int FROM stranded_tasks s JOIN boards b ON b.id = s.board_id WHERE b.name = ${board.name}`;
  return row?.count ?? -1;
}

// Most of each is waiting for the servers to sweep.
describe.concurrent('a task that nobody claims', () => {
  test('is stranded once, with the reason, and again when it is given back', async () => {
    const board = await newBoard();
    const task = await board.task('work');
    const first = only(await untilStranded(board, 1));
    expect(first).toMatchObject({
      task_id: task.id,
      lane: 'work',
      actor: { type: 'system', id: 'stranded' },
      data: { reason: 'lane_offline', reasons: ['lane_offline'], ready_since: task.status_since },
    });
    expect(first.data['waited_seconds']).toBeGreaterThanOrEqual(1);
    expect((await board.read(task.id)).version).toBe(task.version);
    const claim = await board.claim('work');
    expectStatus(await endClaim(board.server, claim, 'release'), 200);
    const [, second] = await untilStranded(board, 2);
    expect(second?.data['reasons']).toEqual(['claimable']);
    await untilSearched(board);
    expect(await strandedOf(board)).toHaveLength(2);
  });

  test('is stranded also on a paused board, which is then the reason; reassigning it begins no new wait', async () => {
    const board = await newBoard();
    expectStatus(await board.call('PATCH', '', { body: { settings: { paused: true } } }), 200);
    const task = await board.task('work');
    expectStatus(await board.operate(task.id, 'assign', { lane: 'nowhere' }), 200);
    const [event] = await untilStranded(board, 1);
    expect(event?.data['reasons']).toEqual(['board_paused', 'lane_unknown']);
    expectStatus(await board.operate(task.id, 'assign', { lane: 'elsewhere' }), 200);
    await untilSearched(board);
    expect(await strandedOf(board)).toHaveLength(1);
  });

  test('is forgotten when it has moved on, and what was claimed in time is never reported', async () => {
    const board = await newBoard();
    const claimed = await board.task('work');
    await board.claim('work');
    const waiting = await board.task('work');
    expect(only(await untilStranded(board, 1)).task_id).toBe(waiting.id);
    expect(await knownStranded(board)).toBe(1);
    await board.claim('work', { task_id: waiting.id });
    await eventually('it is forgotten', async () => (await knownStranded(board)) === 0);
    await untilSearched(board);
    expect((await strandedOf(board)).map((event) => event.task_id)).not.toContain(claimed.id);
  });

  test('is counted', async () => {
    const board = await newBoard();
    await board.task('nowhere');
    await untilStranded(board, 1);
    const counted = await Promise.all(
      [servers.first, servers.second].map(async (server) => (await server.call('GET', '/metrics')).body),
    );
    expect(counted.join('\n')).toMatch(/lanekeeper_stranded_total\{reason="lane_unknown"\} [1-9]/);
  });

  test('is reported by one of two servers, also when there are more than one turn of them', async () => {
    const board = await newBoard();
    const tasks = await board.tasks('work', 450);
    const events = await untilStranded(board, 450);
    await untilSearched(board);
    expect(await strandedOf(board)).toHaveLength(450);
    expect(new Set(events.map((event) => event.task_id))).toEqual(
      new Set(tasks.map((task: Task) => task.id)),
    );
  });

  test('leaves nothing behind when its board is deleted', async () => {
    const [board] = await servers.board();
    const settings = { stranded_after_seconds: 1 };
    expectStatus(await board.call('PATCH', '', { body: { settings } }), 200);
    await board.tasks('nowhere', 3);
    await untilStranded(board, 3);
    const { sql } = servers.database;
    const [row] = await sql<{ id: number }[]>`SELECT id FROM boards WHERE name = ${board.name}`;
    expectStatus(await board.call('DELETE', ''), 204);
    const id = row?.id ?? 0;
    const left = await sql`
      SELECT board_id FROM stranded_tasks WHERE board_id = ${id} UNION ALL SELECT board_id FROM stranded_marks WHERE board_id = ${id}`;
    expect([...left]).toEqual([]);
  });
});

test('a server that dies while it reports has reported nothing, and another one does', async () => {
  const board = await newBoard();
  const tasks = await board.tasks('work', 3);
  const { sql } = servers.database;
  const lock = await untilTestEnds(holdCounter(sql, board.name));
  const [backend] = await untilStanding(sql, 'log.lock_counter', 'row');
  await sql`SELECT pg_terminate_backend(${backend ?? 0})`;
  expect([await knownStranded(board), await strandedOf(board)]).toEqual([0, []]);
  const [created] = await board.events('&kinds=task.created');
  expect(await markOf(board)).toBeLessThan(created?.seq ?? 0);
  await lock.release();
  await untilStranded(board, tasks.length);
  await untilSearched(board);
  expect((await strandedOf(board)).map((event) => event.task_id).sort()).toEqual(
    tasks.map((task) => task.id).sort(),
  );
});

describe('a board that was never searched', () => {
  let database: Database | undefined;
  beforeAll(() => {
    database = openDatabase({ url: servers.database.url });
  });
  afterAll(() => database?.close());

  test('is searched from where its waits are young, wherever in the log that is', async () => {
    // Within this delay nothing is old but what the test says is: the servers find nothing to do.
    const board = await newBoard(86_400);
    await board.tasks('work', 6);
    const { sql } = servers.database;
    const [row] = await sql<{ id: number }[]>`SELECT id FROM boards WHERE name = ${board.name}`;
    const id = row?.id ?? 0;
    const { length } = await board.events();
    await eventually('the servers have begun', async () => (await markOf(board)) >= 0);
    for (let old = 0; old <= length; old += 1) {
      await sql`UPDATE events SET at = now() - interval '2 days' WHERE board_id = ${id} AND seq <= ${old}`;
      // In one transaction: no server may come first.
      await database?.sweeps.begin(async (tx) => {
        await tx`DELETE FROM stranded_marks WHERE board_id = ${id}`;
        expect(await beginMark(tx, id, 1)).toBe(true);
      });
      expect(await markOf(board)).toBe(old);
    }
  });
});
