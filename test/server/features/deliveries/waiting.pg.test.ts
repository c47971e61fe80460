/** Gateways that wait: woken when there is something for them, and by nothing else, whatever lies about for others. */
import type postgres from 'postgres';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { LeasedDelivery } from '../../../../src/contract/deliveries.ts';
import { type Database, openDatabase, type Tx } from '../../../../src/server/db/client.ts';
import type { Wake } from '../../../../src/server/db/wake.ts';
import { DeliveryBells } from '../../../../src/server/features/deliveries/service.ts';
import { leaseDeliveries } from '../../../../src/server/features/deliveries/store/lease.ts';
import { findDueWishes } from '../../../../src/server/features/deliveries/store/wishes.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();
let database: Database;

beforeAll(() => {
  database = openDatabase({ url: servers.database.url });
});
afterAll(() => database.close());

type Body = Readonly<Record<string, unknown>>;

async function newBoard(): Promise<[TestBoard, number]> {
  const [board] = await servers.board();
  await board.lane('work');
  const [row] = await servers.database.sql<
    { id: number }[]
  >`SELECT id FROM boards WHERE name = ${board.name}`;
  return [board, row?.id ?? 0];
}

/** An outcome for each of the targets. */
async function tell(board: TestBoard, ...targets: Body[]): Promise<void> {
  for (const target of targets) {
    const { id } = await board.task('work');
    const body = { task_id: id, platform: 'discord', chat_id: id, ...target };
    expectStatus(await board.call('PUT', '/subscriptions', { body }), 201);
    const claim = expectStatus(await board.claims('work', { task_id: id }), 200).body.claims[0];
    expectStatus(await endClaim(board.server, claim, 'complete', {}), 200);
  }
}

async function take(board: TestBoard, body: Body = {}, waitSeconds = 0): Promise<LeasedDelivery[]> {
  const headers = { Prefer: `wait=${waitSeconds}` };
  return expectStatus(await board.call('POST', '/deliveries/claims', { body, headers }), 200).body.deliveries;
}

/** How often one asks that waits for so long, on a server where it is the only one, while the board is rung some times. */
async function countAsks(boardId: number, waitSeconds: number): Promise<number> {
  const listeners = new Set<() => void>();
  const wake: Pick<Wake, 'subscribe'> = {
    subscribe: (_id, listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const onError = (error: unknown): void => {
    throw error;
  };
  const bells = new DeliveryBells({ sql: database.cold, wake: wake as Wake, onError });
  const ringing = setInterval(() => {
    for (const listener of listeners) listener();
  }, 50);
  let asks = 0;
  const board = { id: boardId, name: 'any', incarnation: '' };
  const { signal } = new AbortController();
  const ask = async (): Promise<null> => {
    asks += 1;
    return null;
  };
  try {
    await bells.wait({ board, owner: null, platforms: null, waitSeconds, signal }, ask);
  } finally {
    clearInterval(ringing);
  }
  return asks;
}

/** Copies of what the board has, due before it, each of a subscription of its own and of the session that is said. */
async function pileUp(
  boardId: number,
  count: number,
  sessionKeyOf: (number: Fragment) => Fragment,
): Promise<void> {
  const { sql } = servers.database;
  await sql`
    WITH copies AS MATERIALIZED (
      SELECT d.*, gen_random_uuid() AS copy_id, number FROM deliveries d, generate_series(1, ${count}::int) AS number WHERE d.board_id = ${boardId}
    ),
    followed AS (
      INSERT INTO subscriptions (board_id, id, subject_id, is_delegation, platform, mode, wake, cursor_seq, created_by_type, created_by_id)
      SELECT board_id, copy_id, copy_id, false, platform, mode, wake, 0, 'system', 'test' FROM copies
    )
    INSERT INTO deliveries (board_id, id, subscription_id, seq, kind, mode, wake, status, owner, platform, session_key, is_webhook, due_at)
    SELECT board_id, gen_random_uuid(), copy_id, seq, kind, mode, wake, 'pending', owner, platform, ${sessionKeyOf(sql`number`)}, false,
      due_at - interval '1 hour'
    FROM copies`;
}

/** Of the table and its indexes. */
async function entriesReadBy(work: (tx: Tx) => Promise<unknown>): Promise<number> {
  return database.cold.begin(async (tx) => {
    await work(tx);
    const [row] = await tx<{ entries: number }[]>`
      SELECT (pg_stat_get_xact_tuples_returned('deliveries'::regclass)
        + (SELECT sum(pg_stat_get_xact_tuples_returned(indexrelid)) FROM pg_index WHERE indrelid = 'deliveries'::regclass))::int AS entries`;
    return row?.entries ?? 0;
  });
}

type Fragment = postgres.PendingQuery<postgres.Row[]>;

test('nobody asks again for what is due and may not be given out, nor for a lease of a gateway that is gone', async () => {
  const [board, boardId] = await newBoard();
  const origin = { session_id: 's1' };
  await tell(board, { origin }, { origin }, { owner: 'gone' });
  expect(await take(board, { max: 10 })).toHaveLength(1);
  expect(await take(board, { max: 10, owner: 'gone' })).toHaveLength(1);
  await servers.database
    .sql`UPDATE deliveries SET lease_expires_at = clock_timestamp() - interval '1 hour' WHERE board_id = ${boardId} AND owner = 'gone'`;
  // At the beginning and at the end, which a timer may be early for.
  expect(await countAsks(boardId, 1)).toBeLessThanOrEqual(4);
});

test('whoever waits is told when a lease ends: of the delivery itself, and of the session that waited for it', async () => {
  const [board, boardId] = await newBoard();
  const origin = { session_id: 's1' };
  await tell(board, { origin, owner: 'one' }, { origin, owner: 'two' });
  const [first] = await take(board, { owner: 'one' });
  await servers.database
    .sql`UPDATE deliveries SET lease_expires_at = clock_timestamp() + interval '500 ms' WHERE board_id = ${boardId} AND status = 'leased'`;
  const startedAt = performance.now();
  const waiting = await Promise.race(['one', 'two'].map((owner) => take(board, { owner }, 20)));
  expect(waiting).toHaveLength(1);
  expect(first).toBeDefined();
  // Before it would have looked by itself.
  expect(performance.now() - startedAt).toBeLessThan(4000);
});

test('what is piled up for one that does not come makes nobody else deaf', async () => {
  const [board, boardId] = await newBoard();
  await tell(board, { owner: 'gone' });
  await pileUp(boardId, 3000, (number) => servers.database.sql`'p' || ${number}`);
  const startedAt = performance.now();
  const waiting = take(board, { owner: 'mine', platforms: ['discord'] }, 20);
  const anyPlatform = take(board, { owner: 'other' }, 20);
  await tell(board, { owner: 'mine' }, { owner: 'other' });
  expect([await waiting, await anyPlatform].map(({ length }) => length)).toEqual([1, 1]);
  expect(performance.now() - startedAt).toBeLessThan(4000);
  await take(board, { owner: 'gone', max: 10 });
  const leased = await servers.database
    .sql`SELECT 1 FROM deliveries WHERE board_id = ${boardId} AND owner = 'gone' AND status = 'leased'`;
  expect(leased).toHaveLength(10);
});

test('what is piled up in a session that has one out costs a look little, and hides nothing behind it', async () => {
  const [board, boardId] = await newBoard();
  const { sql } = servers.database;
  await tell(board, { origin: { session_id: 'busy' } });
  expect(await take(board)).toHaveLength(1);
  await pileUp(boardId, 5000, () => sql`session_key`);
  const wishes = [
    { owner: null, platforms: null },
    { owner: null, platforms: ['discord'] },
  ];
  const look = () => findDueWishes(database.cold, boardId, wishes);
  expect((await look()).due).toEqual([]);
  // As autovacuum does within a minute of that.
  await sql`ANALYZE deliveries`;
  // Far below what is piled up: each reads some hundred rows twice.
  expect(await entriesReadBy((tx) => findDueWishes(tx, boardId, wishes))).toBeLessThan(5000);
  const ask = { owner: null, platforms: null, webhooks: null, max: 10, leaseSeconds: 30 };
  expect(await entriesReadBy((tx) => leaseDeliveries(tx, boardId, ask))).toBeLessThan(5000);
  await tell(board, { origin: { session_id: 'idle' } });
  expect(new Set((await look()).due)).toEqual(new Set([0, 1]));
  expect(await take(board, { max: 10 })).toMatchObject([{ origin: { session_id: 'idle' } }]);
});
