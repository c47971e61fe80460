/** Edges of presence, swept by as many servers as the test likes: here a server is its sweeper on connections of its own. */
import { beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { TakeoverMode } from '../../../../src/contract/statuses.ts';
import { type Database, openDatabase } from '../../../../src/server/db/client.ts';
import type { Wake } from '../../../../src/server/db/wake.ts';
import { PresenceEdges, PresenceTracker } from '../../../../src/server/features/lanes/service.ts';
import { makeBoard, type TestBoard } from '../../../fixtures/board.ts';
import { only } from '../../../fixtures/eventually.ts';
import { untilStanding } from '../../../fixtures/held-lock.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

/**
 * A server says of nobody that he has gone before it has been there for 15 seconds, and none have passed for these: what is said of that
 * kind is said by the sweepers of a test.
 */
beforeAll(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
  return () => void vi.useRealTimers();
});
const servers = useTwoServers();

const wake = { ring: () => undefined } as unknown as Wake;
const signal = new AbortController().signal;
/** More than a sweep can wait for with all of its time, if it waits half a second for each, several times. */
const STUCK = 3;

function openPool(): Database {
  const database = openDatabase({ url: servers.database.url, hotConnectionsMax: 1, coldConnectionsMax: 2 });
  onTestFinished(() => database.close());
  return database;
}

interface Sweeper {
  readonly edges: PresenceEdges;
  readonly presence: PresenceTracker;
}

function sweeper(settleMs = 0): Sweeper {
  const { cold } = openPool();
  const presence = new PresenceTracker(cold);
  return { presence, edges: new PresenceEdges({ sql: cold, wake, presence, settleMs }) };
}

/** A sweep waits for a locked lane only so long, and the next one goes on with it. */
async function sweepUntilFree({ edges }: Sweeper): Promise<void> {
  for (;;) {
    try {
      return await edges.sweep(signal);
    } catch (error) {
      expect(error).toMatchObject({ code: '55P03' });
    }
  }
}

const sweepAll = async (sweepers: readonly Sweeper[]): Promise<void> => {
  await Promise.all(sweepers.map(sweepUntilFree));
};

const idOf = async (board: TestBoard): Promise<number> =>
  only(await servers.database.sql<{ id: number }[]>`SELECT id FROM boards WHERE name = ${board.name}`).id;

/** As if nobody had been seen on the board for so long. */
async function letSecondsPass(board: TestBoard, seconds: number): Promise<void> {
  await servers.database.sql`
    UPDATE workers SET last_seen_at = last_seen_at - make_interval(secs => ${seconds}) WHERE board_id = ${await idOf(board)}`;
}

const edgesOf = async (board: TestBoard): Promise<string[]> =>
  (await board.events('&kinds=lane.online,lane.offline')).map(({ kind, lane }) => `${lane} ${kind.slice(5)}`);

const isOnline = async (board: TestBoard): Promise<boolean[]> =>
  (
    await servers.database.sql<{ is_online: boolean }[]>`
      SELECT is_online FROM lanes WHERE board_id = ${await idOf(board)} ORDER BY name`
  ).map((row) => row.is_online);

describe('an edge of presence', () => {
  test('is written once, however many servers see it at the same moment, for any number of lanes', async () => {
    const board = await makeBoard(servers.first);
    const lanes = Array.from({ length: 40 }, (_, index) => `lane-${String(index).padStart(2, '0')}`);
    for (const lane of lanes) await board.lane(lane);
    const sweepers = [sweeper(), sweeper(), sweeper(), sweeper()];
    const boardId = await idOf(board);
    for (const { presence } of sweepers)
      for (const lane of lanes) presence.see({ boardId, lane, worker: 'ann', version: null });
    await sweepAll(sweepers);
    expect((await edgesOf(board)).sort()).toEqual(lanes.map((lane) => `${lane} online`));
    // An offline worker is one that was not seen for 90 s; a test takes some of them.
    await letSecondsPass(board, 70);
    await sweepAll(sweepers);
    expect(await edgesOf(board)).toHaveLength(40);
    await letSecondsPass(board, 25);
    await sweepAll(sweepers);
    await sweepAll(sweepers);
    const all = await edgesOf(board);
    expect(all.slice(40).sort()).toEqual(lanes.map((lane) => `${lane} offline`));
    expect(all).toHaveLength(80);
    expect(await isOnline(board)).toEqual(lanes.map(() => false));
  });

  test('says how many workers there are, and does not come while a claim is held', async () => {
    const board = await makeBoard(servers.first);
    await board.lane('work');
    await board.task('work');
    const one = sweeper();
    const boardId = await idOf(board);
    // Written in one statement: whoever sweeps first, the test or a server, sees both or neither.
    for (const worker of ['ann', 'bob']) one.presence.see({ boardId, lane: 'work', worker, version: null });
    await one.edges.sweep(signal);
    expect(only(await board.events('&kinds=lane.online')).data['workers']).toBe(2);
    await board.claim('work', { worker: 'ann' });
    await letSecondsPass(board, 100);
    await one.edges.sweep(signal);
    expect(await edgesOf(board)).toEqual(['work online']);
    // Left to its lease by a takeover it shows nobody's presence any more.
    const mode: TakeoverMode = 'expire';
    await board.call('POST', '/lanes/work/takeover', { body: { mode, worker: 'eve' } });
    await board.call('GET', '/lanes/work');
    await letSecondsPass(board, 100);
    await one.edges.sweep(signal);
    expect(await edgesOf(board)).toEqual(['work online', 'work offline']);
    expect((await board.events('&kinds=lane.offline'))[0]?.data).toEqual({ workers: 0 });
  });

  test('to offline waits until everybody has had the time to be seen again, after a start and after a pause', async () => {
    const board = await makeBoard(servers.first);
    await board.lane('work');
    const quick = sweeper();
    const young = sweeper(60_000);
    quick.presence.see({ boardId: await idOf(board), lane: 'work', worker: 'ann', version: null });
    await quick.edges.sweep(signal);
    await letSecondsPass(board, 100);
    await young.edges.sweep(signal);
    await young.edges.sweep(signal);
    expect(await edgesOf(board)).toEqual(['work online']);
    await quick.edges.sweep(signal);
    expect(await edgesOf(board)).toEqual(['work online', 'work offline']);
  });

  test.each([
    ['its lane is deregistered', 'lanes'],
    ['its board is deleted', 'board_seq'],
  ])('is not written when %s at that moment', async (_, table) => {
    const board = await makeBoard(servers.first);
    await board.lane('work');
    const { sql } = servers.database;
    const boardId = await idOf(board);
    // Nobody else sees the edge before the lane is locked.
    const one = sweeper();
    let swept: Promise<void> | undefined;
    await sql.begin(async (tx) => {
      await tx`SELECT FROM lanes WHERE board_id = ${boardId} FOR UPDATE`;
      one.presence.see({ boardId, lane: 'work', worker: 'ann', version: null });
      swept = sweepUntilFree(one);
      await untilStanding(sql, 'presence.lock', 'row');
      await tx`DELETE FROM ${tx(table)} WHERE board_id = ${boardId}`;
    });
    await swept;
    expect(await sql`SELECT FROM events WHERE board_id = ${boardId} AND kind = 'lane.online'`).toHaveLength(
      0,
    );
    expect((await isOnline(board)).includes(true)).toBe(false);
  });
});

describe('a board whose lanes somebody has locked', () => {
  test('keeps no other board from its edges together with some more of the kind, sweep after sweep', async () => {
    const boards: TestBoard[] = [];
    for (let count = 0; count <= STUCK; count += 1) boards.push(await makeBoard(servers.first));
    const one = sweeper();
    const ids = await Promise.all(boards.map(idOf));
    for (const board of boards) await board.lane('work');
    const seeAll = (): void => {
      for (const boardId of ids) one.presence.see({ boardId, lane: 'work', worker: 'ann', version: null });
    };
    seeAll();
    await one.edges.sweep(signal);
    const [healthy, healthyId] = [only(boards.slice(STUCK)), only(ids.slice(STUCK))];
    for (const board of boards) await letSecondsPass(board, 100);
    const { sql } = servers.database;
    await sql.begin(async (tx) => {
      await tx`SELECT FROM lanes WHERE board_id = ANY(${ids.slice(0, STUCK)}::int[]) FOR UPDATE`;
      // The first time it may come behind some of them.
      for (let count = 0; count < 2; count += 1) await one.edges.sweep(signal).catch(() => undefined);
      expect(await edgesOf(healthy)).toEqual(['work online', 'work offline']);
      one.presence.see({ boardId: healthyId, lane: 'work', worker: 'bob', version: null });
      await one.edges.sweep(signal).catch(() => undefined);
      expect(await edgesOf(healthy)).toEqual(['work online', 'work offline', 'work online']);
    });
    for (let count = 0; count < STUCK; count += 1) await one.edges.sweep(signal);
    for (const board of boards.slice(0, STUCK))
      expect(await edgesOf(board)).toEqual(['work online', 'work offline']);
  });

  test('keeps no other board from its edges, and has its own when they are free', async () => {
    const [stuck, other] = [await makeBoard(servers.first), await makeBoard(servers.first)];
    const one = sweeper();
    const ids = [await idOf(stuck), await idOf(other)];
    for (const board of [stuck, other]) await board.lane('work');
    // Both have been online, and nobody has been seen for long: only this sweeper says so within the time of a test.
    for (const boardId of ids) one.presence.see({ boardId, lane: 'work', worker: 'ann', version: null });
    await one.edges.sweep(signal);
    await letSecondsPass(stuck, 100);
    await letSecondsPass(other, 100);
    const { sql } = servers.database;
    await sql.begin(async (tx) => {
      await tx`SELECT FROM lanes WHERE board_id = ${ids[0] ?? 0} FOR UPDATE`;
      await expect(one.edges.sweep(signal)).rejects.toMatchObject({ code: '55P03' });
      await one.edges.sweep(signal).catch(() => undefined);
      expect(await edgesOf(other)).toEqual(['work online', 'work offline']);
    });
    expect(await edgesOf(stuck)).toEqual(['work online']);
    await one.edges.sweep(signal);
    expect(await edgesOf(stuck)).toEqual(['work online', 'work offline']);
  });
});

describe('what is seen', () => {
  test('waits for no worker whom somebody has locked, and is written of all others', async () => {
    const board = await makeBoard(servers.first);
    await board.lane('work');
    const boardId = await idOf(board);
    const { presence } = sweeper();
    const see = (worker: string, version: string) => presence.see({ boardId, lane: 'work', worker, version });
    for (const worker of ['ann', 'bob']) see(worker, '1');
    await presence.flush();
    const { sql } = servers.database;
    await sql.begin(async (tx) => {
      await tx`SELECT FROM workers WHERE board_id = ${boardId} AND worker = 'ann' FOR UPDATE`;
      for (const worker of ['ann', 'bob', 'eve']) see(worker, '2');
      await presence.flush();
      const rows = await sql`SELECT worker, version FROM workers WHERE board_id = ${boardId} ORDER BY worker`;
      expect(rows.map((row) => `${row['worker']} ${row['version']}`)).toEqual(['ann 1', 'bob 2', 'eve 2']);
    });
  });

  test('of a mass of workers of one lane is remembered of the latest, and of all that are online', async () => {
    const board = await makeBoard(servers.first);
    for (const lane of ['crowd', 'work']) await board.lane(lane);
    const boardId = await idOf(board);
    const { sql } = servers.database;
    await sql`
      INSERT INTO workers (board_id, lane, worker, last_seen_at)
      SELECT ${boardId}::int, 'crowd', 'w' || i, now() - make_interval(secs => CASE WHEN i <= 1500 THEN 200 + i ELSE 0 END)
      FROM generate_series(1, 1600) i
      UNION ALL SELECT ${boardId}::int, 'work', 'ann', now() - interval '1 hour'`;
    await sweeper().presence.forgetLongGone();
    const rows = await sql<{ lane: string; workers: number }[]>`
      SELECT lane, count(*)::int AS workers FROM workers WHERE board_id = ${boardId} GROUP BY lane ORDER BY lane`;
    expect(rows).toEqual([
      { lane: 'crowd', workers: 1000 },
      { lane: 'work', workers: 1 },
    ]);
    const [latest] =
      await sql`SELECT count(*)::int AS workers FROM workers WHERE board_id = ${boardId} AND worker IN ('w1', 'w900', 'w1600')`;
    expect(latest).toEqual({ workers: 3 });
  });

  test('of a worker that is there all the time is written only now and then, and never as less than it was', async () => {
    const board = await makeBoard(servers.first);
    await board.lane('work');
    const boardId = await idOf(board);
    const { presence } = sweeper();
    const seenAt = async (): Promise<string | undefined> => {
      const [row] = await servers.database.sql<{ last_seen_at: string; version: string }[]>`
        SELECT last_seen_at::text, version FROM workers WHERE board_id = ${boardId}`;
      return row && `${row.last_seen_at} ${row.version}`;
    };
    const see = (version: string | null) => presence.see({ boardId, lane: 'work', worker: 'ann', version });
    see('1');
    await presence.flushDue();
    const first = await seenAt();
    see(null);
    await presence.flushDue();
    expect(await seenAt()).toBe(first);
    // What was put off is not lost: whoever is about to look has it written.
    await presence.flush();
    const second = await seenAt();
    expect(second).not.toBe(first);
    see('2');
    await presence.flushDue();
    expect(await seenAt()).toMatch(/ 2$/);
  });

  test('is kept while the database does not take it', async () => {
    const board = await makeBoard(servers.first);
    await board.lane('work');
    const database = openPool();
    const presence = new PresenceTracker(database.cold);
    const boardId = await idOf(board);
    presence.see({ boardId, lane: 'work', worker: 'ann', version: null });
    await servers.database.sql`ALTER TABLE workers RENAME TO away`;
    try {
      await expect(presence.flushDue()).rejects.toThrow();
    } finally {
      await servers.database.sql`ALTER TABLE away RENAME TO workers`;
    }
    await presence.flushDue();
    expect(await servers.database.sql`SELECT FROM workers WHERE board_id = ${boardId}`).toHaveLength(1);
  });

  test('is forgotten after a day, without touching who was seen since', async () => {
    const board = await makeBoard(servers.first);
    await board.lane('work');
    const boardId = await idOf(board);
    const { presence } = sweeper();
    presence.see({ boardId, lane: 'work', worker: 'gone', version: null });
    await presence.flush();
    await letSecondsPass(board, 90_000);
    presence.see({ boardId, lane: 'work', worker: 'ann', version: null });
    await presence.flush();
    await presence.forgetLongGone();
    const rows = await servers.database.sql`SELECT worker FROM workers WHERE board_id = ${boardId}`;
    expect(rows.map((row) => row['worker'])).toEqual(['ann']);
  });
});
