/**
 * A key that is made while what it rests on ends: the key that grants it, its board, its lane. It is refused, or it ends with them, whichever
 * came first, and whatever the server that makes it has in memory.
 */
import type postgres from 'postgres';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { uniqueName } from '../../../fixtures/bench.ts';
import { checkedClient } from '../../../fixtures/checked-client.ts';
import { eventually } from '../../../fixtures/eventually.ts';
import { holdCounter, untilStanding } from '../../../fixtures/held-lock.ts';
import type { CallAnswer } from '../../../fixtures/server.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();
const first = () => checkedClient(servers.first.url);
const second = () => checkedClient(servers.second.url);

interface Granter {
  readonly id: string;
  readonly name: string;
  readonly token: string;
}

async function makeGranter(boards: readonly string[] = ['*']): Promise<Granter> {
  const name = uniqueName('granter');
  const { body } = await first().post('/v1/keys', { role: 'admin', name, boards });
  const { id } = body.key;
  const token: string = body.secret;
  expect((await second().get('/v1/whoami', { token })).status).toBe(200);
  // Its first use there is noted in its row for the next minute: nothing else changes the row behind the test.
  await eventually('its use is noted', async () => {
    const rows = await servers.database
      .sql`SELECT FROM api_keys WHERE name = ${name} AND last_used_at IS NOT NULL`;
    return rows.length === 1;
  });
  return { id, name, token };
}

async function makeBoard(): Promise<string> {
  const board = uniqueName('board');
  expect((await first().put(`/v1/boards/${board}`)).status).toBe(201);
  expect((await first().put(`/v1/boards/${board}/lanes/work`)).status).toBe(201);
  return board;
}

/** Through the second server. What is asked for is told by the name of the key. */
type Ask = (board: string, name: string, token?: string) => Promise<CallAnswer>;

const askForBoard: Ask = (board, name, token) =>
  second().post('/v1/keys', { role: 'observer', name, board }, token === undefined ? {} : { token });
const askForLane: Ask = (board, name, token) =>
  second().post(
    '/v1/keys',
    { role: 'lane', name, board, lane: 'work' },
    token === undefined ? {} : { token },
  );
const askOfLane: Ask = (board, name, token) =>
  second().post(`/v1/boards/${board}/lanes/work/keys`, { name }, token === undefined ? {} : { token });

const WAYS: [string, Ask][] = [
  ['a board', askForBoard],
  ['a lane by its name', askForLane],
  ['a lane', askOfLane],
];
const OF_LANES = WAYS.slice(1);

interface End {
  readonly of: string;
  readonly path: string;
  readonly lock: string;
  readonly ways: [string, Ask][];
}

const ENDS: readonly End[] = [
  { of: 'its board', path: '', lock: 'boards.lock_for_end', ways: WAYS },
  { of: 'its lane', path: '/lanes/work', lock: 'lanes.lock_for_end', ways: OF_LANES },
];

async function liveKeys(name: string): Promise<number> {
  return (await servers.database.sql`SELECT FROM api_keys WHERE name = ${name} AND revoked_at IS NULL`)
    .length;
}

/** Runs `meanwhile` with a change of the granter's row written and not yet committed. */
async function whileChanging<T>(
  change: (tx: postgres.TransactionSql) => Promise<unknown>,
  meanwhile: () => Promise<T>,
): Promise<T> {
  return (await servers.database.sql.begin(async (tx) => {
    await change(tx);
    return meanwhile();
  })) as T;
}

const holdRow =
  ({ name }: Granter) =>
  (tx: postgres.TransactionSql) =>
    tx`SELECT FROM api_keys WHERE name = ${name} FOR UPDATE`;

describe('a key that was revoked grants nothing', () => {
  test.each(WAYS)('for %s, on a server that still has it in memory', async (_, ask) => {
    const board = await makeBoard();
    const granter = await makeGranter();
    const token = { token: granter.token };
    // Nothing in memory grows older: what the second server knows of the key is as of a moment ago, for as long as this takes.
    const stopped = performance.now();
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => stopped);
    onTestFinished(() => clock.mockRestore());
    expect((await second().get(`/v1/boards/${board}`, token)).status).toBe(200);
    expect((await first().delete(`/v1/keys/${granter.id}`)).status).toBe(204);
    expect((await second().get(`/v1/boards/${board}`, token)).status).toBe(200);

    const name = uniqueName('asked');
    const refused = await ask(board, name, granter.token);
    expect([refused.status, refused.code]).toEqual([401, 'unauthenticated']);
    expect(refused.headers.get('WWW-Authenticate')).toMatch(/^Bearer/);
    expect(await liveKeys(name)).toBe(0);
  });

  test.each(WAYS)('for %s, when its revocation is under way', async (_, ask) => {
    const board = await makeBoard();
    const granter = await makeGranter();
    const name = uniqueName('asked');
    const asked = await whileChanging(
      (tx) => tx`UPDATE api_keys SET revoked_at = clock_timestamp() WHERE name = ${granter.name}`,
      async () => {
        const asking = ask(board, name, granter.token);
        await untilStanding(servers.database.sql, 'auth.hold_live_key', 'row');
        return { asking };
      },
    );
    expect((await asked.asking).code).toBe('unauthenticated');
    expect(await liveKeys(name)).toBe(0);
  });

  test('and one that was revoked later was good when it granted: what it granted stays', async () => {
    const board = await makeBoard();
    const granter = await makeGranter();
    const name = uniqueName('asked');
    const { asking, revoking } = await whileChanging(holdRow(granter), async () => {
      const asking = askForBoard(board, name, granter.token);
      await untilStanding(servers.database.sql, 'auth.hold_live_key', 'row');
      const revoking = first().delete(`/v1/keys/${granter.id}`);
      await untilStanding(servers.database.sql, 'auth.revoke_key', 'row');
      return { asking, revoking };
    });
    expect([(await asking).status, (await revoking).status]).toEqual([201, 204]);
    expect(await liveKeys(name)).toBe(1);
  });

  test('of a board that it has lost, though not yet in the memory of the server', async () => {
    const [lost, kept] = [await makeBoard(), await makeBoard()];
    const granter = await makeGranter([lost, kept]);
    const lose = (tx: postgres.TransactionSql) =>
      tx`UPDATE api_keys SET boards = array_remove(boards, ${lost}) WHERE name = ${granter.name}`;
    const names = [uniqueName('asked'), uniqueName('asked'), uniqueName('asked')] as const;
    const { asking } = await whileChanging(lose, async () => {
      const asking = [
        askForBoard(lost, names[0], granter.token),
        askOfLane(lost, names[1], granter.token),
        // It asks for no board: what it gets are those that are left.
        second().post('/v1/keys', { role: 'observer', name: names[2] }, { token: granter.token }),
      ];
      await untilStanding(servers.database.sql, 'auth.hold_live_key', 'row', 3);
      return { asking };
    });
    const [ofBoard, ofLane, ofAll] = await Promise.all(asking);
    for (const refused of [ofBoard, ofLane])
      expect([refused?.status, refused?.code, refused?.body.resource]).toEqual([404, 'not_found', 'board']);
    expect(ofAll?.body.key.boards).toEqual([kept]);
    expect([await liveKeys(names[0]), await liveKeys(names[1])]).toEqual([0, 0]);
  });
});

describe('beside the deletion of its board', () => {
  test.each(WAYS)('no key is made for %s', async (_, ask) => {
    const { sql } = servers.database;
    const board = await makeBoard();
    const name = uniqueName('asked');
    // The deletion comes to the keys last, and waits for this one.
    const { asking, deleting } = await whileChanging(holdRow(await makeGranter([board])), async () => {
      const deleting = first().delete(`/v1/boards/${board}`);
      await untilStanding(sql, 'boards.delete', 'row');
      const asking = ask(board, name);
      await untilStanding(sql, 'auth.hold_boards', 'row');
      return { asking, deleting };
    });
    expect((await deleting).status).toBe(204);
    const refused = await asking;
    expect([refused.status, refused.code, refused.body.resource]).toEqual([404, 'not_found', 'board']);
    expect(await liveKeys(name)).toBe(0);
  });

  test('a deletion that is refused leaves room for the key that waited', async () => {
    const { sql } = servers.database;
    const board = await makeBoard();
    await first().post(`/v1/boards/${board}/tasks`, { title: 'held', lane: 'work' });
    expect((await first().post(`/v1/boards/${board}/lanes/work/claims`, {})).body.claims).toHaveLength(1);
    const counter = await holdCounter(sql, board);
    onTestFinished(() => counter.release());
    const deleting = first().delete(`/v1/boards/${board}`);
    await untilStanding(sql, 'boards.delete_counter', 'row');
    const asking = askForBoard(board, uniqueName('asked'));
    await untilStanding(sql, 'auth.hold_boards', 'row');
    await counter.release();
    expect([(await deleting).code, (await asking).status]).toEqual(['lane_has_claims', 201]);
  });

  test.each([
    ['a key', '/v1/keys', { role: 'observer', name: 'beside a change' }],
    ['a sign-in code', '/v1/sign-in-codes', {}],
  ])('%s waits for nobody who changes it, or imports into it', async (_, path, body) => {
    const board = await makeBoard();
    await servers.database.sql.begin(async (tx) => {
      await tx`SELECT FROM boards WHERE name = ${board} FOR NO KEY UPDATE`;
      expect((await second().post(path, { ...body, boards: [board] })).status).toBe(201);
    });
  });

  test('no sign-in code is made for it, nor one that outlives it', async () => {
    const { sql } = servers.database;
    const board = await makeBoard();
    const counter = await holdCounter(sql, board);
    onTestFinished(() => counter.release());
    const deleting = first().delete(`/v1/boards/${board}`);
    await untilStanding(sql, 'boards.delete_counter', 'row');
    const asking = second().post('/v1/sign-in-codes', { boards: [board] });
    await untilStanding(sql, 'auth.hold_boards', 'row');
    await counter.release();
    expect([(await deleting).status, (await asking).code]).toEqual([204, 'not_found']);
    expect(await sql`SELECT FROM sign_in_codes WHERE ${board} = ANY(boards)`).toHaveLength(0);
  });

  const OF_ALL: [string, (name: string, token: string) => Promise<CallAnswer>, string][] = [
    ['a key', (name, token) => second().post('/v1/keys', { role: 'observer', name }, { token }), 'api_keys'],
    [
      'a sign-in code',
      (name, token) => second().post('/v1/sign-in-codes', { name }, { token }),
      'sign_in_codes',
    ],
  ];

  test.each(OF_ALL)('%s for no board by name is for those that are left', async (_, ask, table) => {
    const { sql } = servers.database;
    const [lost, kept] = [await makeBoard(), await makeBoard()];
    const granter = await makeGranter([lost, kept]);
    const name = uniqueName('asked');
    const counter = await holdCounter(sql, lost);
    onTestFinished(() => counter.release());
    const deleting = first().delete(`/v1/boards/${lost}`);
    await untilStanding(sql, 'boards.delete_counter', 'row');
    const asking = ask(name, granter.token);
    await untilStanding(sql, 'auth.hold_boards', 'row');
    await counter.release();
    expect([(await deleting).status, (await asking).status]).toEqual([204, 201]);
    expect(await sql`SELECT to_json(boards) AS boards FROM ${sql(table)} WHERE name = ${name}`).toEqual([
      { boards: [kept] },
    ]);
  });

  test('a key of two boards that are deleted at once is left with neither', async () => {
    const { sql } = servers.database;
    const [one, other] = [await makeBoard(), await makeBoard()];
    const granter = await makeGranter([one, other]);
    const { deleting } = await whileChanging(
      // As the deletion of the one, which has not been committed yet.
      (tx) => tx`UPDATE api_keys SET boards = array_remove(boards, ${one}) WHERE name = ${granter.name}`,
      async () => {
        const deleting = first().delete(`/v1/boards/${other}`);
        await untilStanding(sql, 'boards.delete', 'row');
        return { deleting };
      },
    );
    expect((await deleting).status).toBe(204);
    expect(await liveKeys(granter.name)).toBe(0);
  });

  test('a key that names it twice ends with it, and is not made any more', async () => {
    const { sql } = servers.database;
    const board = await makeBoard();
    const { name } = await makeGranter([board, board]);
    expect(await sql`SELECT to_json(boards) AS boards FROM api_keys WHERE name = ${name}`).toEqual([
      { boards: [board] },
    ]);
    await sql`UPDATE api_keys SET boards = ARRAY[${board}, ${board}] WHERE name = ${name}`;
    expect((await first().delete(`/v1/boards/${board}`)).status).toBe(204);
    expect(await liveKeys(name)).toBe(0);
  });

  test('a key may be for a board that is yet to be made, as ever', async () => {
    const later = uniqueName('later');
    const made = await first().post('/v1/keys', { role: 'observer', name: 'early', boards: [later] });
    expect(made.status).toBe(201);
    await first().put(`/v1/boards/${later}`);
    expect((await first().get(`/v1/boards/${later}`, { token: made.body.secret })).status).toBe(200);
  });
});

describe('beside the deregistration of its lane', () => {
  test.each(OF_LANES)('no key is made for %s', async (_, ask) => {
    const { sql } = servers.database;
    const board = await makeBoard();
    const name = uniqueName('asked');
    const counter = await holdCounter(sql, board);
    onTestFinished(() => counter.release());
    const deleting = first().delete(`/v1/boards/${board}/lanes/work`);
    await untilStanding(sql, 'log.append', 'row');
    const asking = ask(board, name);
    await untilStanding(sql, 'auth.hold_lane', 'row');
    await counter.release();
    expect((await deleting).status).toBe(204);
    const refused = await asking;
    expect([refused.status, refused.code, refused.body.resource]).toEqual([404, 'lane_not_found', 'lane']);
    expect(await liveKeys(name)).toBe(0);
  });
});

describe.each(ENDS)('a key that came before the end of $of ends with it', ({ path, lock, ways }) => {
  test.each(ways)('for %s', async (_, ask) => {
    const { sql } = servers.database;
    const board = await makeBoard();
    const granter = await makeGranter();
    const name = uniqueName('asked');
    const { asking, deleting } = await whileChanging(holdRow(granter), async () => {
      const asking = ask(board, name, granter.token);
      await untilStanding(sql, 'auth.hold_live_key', 'row');
      const deleting = first().delete(`/v1/boards/${board}${path}`);
      await untilStanding(sql, lock, 'row');
      return { asking, deleting };
    });
    expect([(await asking).status, (await deleting).status]).toEqual([201, 204]);
    expect(await liveKeys(name)).toBe(0);
  });
});
