import { describe, expect, test } from 'vitest';
import type { Event } from '../../../../src/contract/events.ts';
import type { TestBoard } from '../../../fixtures/board.ts';
import { breakPolls } from '../../../fixtures/broken-polls.ts';
import { createTestDatabase } from '../../../fixtures/database.ts';
import { eventually } from '../../../fixtures/eventually.ts';
import { startTestServer } from '../../../fixtures/server.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';
import { openSocket } from '../../../fixtures/watch-socket.ts';

const servers = useTwoServers();

const seqsOf = (events: readonly Event[]) => events.map((event) => event.seq);
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

/** Follows the log with long polls, page by page, until it has seen `lastSeq`. */
async function pollUntil(board: TestBoard, lastSeq: () => number): Promise<Event[]> {
  const found: Event[] = [];
  let after = 'start';
  while (found.length === 0 || (found.at(-1)?.seq ?? 0) < lastSeq()) {
    const answer = await board.call('GET', `/events?after=${after}&limit=7`, {
      headers: { Prefer: 'wait=2' },
    });
    found.push(...answer.body.events);
    after = answer.body.cursor;
  }
  return found;
}

describe('two writers that overlap', () => {
  test('are seen by every watcher in commit order without a gap, though the first to begin commits last', async () => {
    const [board, elsewhere] = await servers.board();
    const boardId = (await servers.database.sql`SELECT id FROM boards WHERE name = ${board.name}`)[0]?.['id'];
    let last = Number.POSITIVE_INFINITY;
    const sockets = await Promise.all(
      [board, elsewhere].map((through) => openSocket(through.server, board.name)),
    );
    for (const socket of sockets) await socket.watch({ id: 'w', after: 'start' });
    const polled = [board, elsewhere].map((through) => pollUntil(through, () => last));

    let behind: Promise<unknown>[] = [];
    // One writer that has begun, has its rows, and stands still before it takes its number…
    await servers.database.sql.begin(async (slow) => {
      await slow`INSERT INTO comments (board_id, task_id, id, body, author_type, author_id)
        VALUES (${boardId}, gen_random_uuid(), gen_random_uuid(), 'slow', 'system', 'test')`;
      // …is overtaken by writers that began later and have committed,
      for (let index = 0; index < 5; index += 1) await (index % 2 === 0 ? board : elsewhere).task('work');
      await Promise.all(sockets.map((socket) => socket.event('w', (event) => event.seq === 6)));
      // …then takes its number and holds it uncommitted, while others queue up behind it.
      const [counter] = await slow<{ seq: number }[]>`
        UPDATE board_seq SET seq = seq + 1 WHERE board_id = ${boardId} RETURNING seq::int`;
      await slow`INSERT INTO events (board_id, seq, kind, at, actor_type, actor_id, data)
        VALUES (${boardId}, ${Number(counter?.seq)}, 'board.updated', clock_timestamp(), 'system', 'test', '{}')`;
      behind = [board, elsewhere].map((through) => through.task('work'));
      await eventually('both wait for the counter', async () => {
        const waiting = await servers.database.sql`
          SELECT FROM pg_stat_activity
          WHERE wait_event_type = 'Lock' AND query LIKE '%/* tasks.create */%' AND datname = current_database()`;
        return waiting.length === 2;
      });
      for (const socket of sockets) expect(seqsOf(socket.events('w'))).toEqual(upTo(6));
    });
    await Promise.all(behind);
    const total = 1 + 5 + 1 + 2;
    last = total;
    for (const socket of sockets) {
      await socket.event('w', (event) => event.seq === total);
      expect(seqsOf(socket.events('w'))).toEqual(upTo(total));
    }
    for (const events of await Promise.all(polled)) expect(seqsOf(events)).toEqual(upTo(total));
    expect(seqsOf(await board.events())).toEqual(upTo(total));
  });

  test('in great number on two servers leave a dense log, and every kind of follower gets all of it once', async () => {
    const [board, elsewhere] = await servers.board();
    const [near, far] = await Promise.all(
      [board, elsewhere].map((through) => openSocket(through.server, board.name)),
    );
    for (const socket of [near, far]) await socket?.watch({ id: 'w', after: 'start' });
    let last = Number.POSITIVE_INFINITY;
    const polled = pollUntil(elsewhere, () => last);
    const writers = Array.from({ length: 20 }, async (_, index) => {
      for (let count = 0; count < 15; count += 1) await (index % 2 === 0 ? board : elsewhere).task('work');
    });
    // Joins in the middle of it, from a cursor it was given.
    const middle = await near?.event('w', (event) => event.seq === 50);
    const late = await openSocket(elsewhere.server, board.name);
    await late.watch({ id: 'w', after: middle?.cursor });
    await Promise.all(writers);
    last = 1 + 20 * 15;
    for (const socket of [near, far]) {
      await socket?.event('w', (event) => event.seq === last);
      expect(seqsOf(socket?.events('w') ?? [])).toEqual(upTo(last));
    }
    await late.event('w', (event) => event.seq === last);
    expect(seqsOf(late.events('w'))).toEqual(upTo(last).slice(50));
    expect(seqsOf(await polled)).toEqual(upTo(last));
  });
});

describe('a follower on another server', () => {
  test('sees each write by the notification, without the poll', async () => {
    const [board, elsewhere] = await servers.board();
    const socket = await openSocket(elsewhere.server, board.name);
    await socket.watch({ id: 'w' });
    await breakPolls(servers.database.sql);
    for (let index = 0; index < 9; index += 1) {
      const task = await board.task('work');
      await socket.event('w', (event) => event.task_id === task.id);
    }
  });

  test('sees it also when its listener was cut off a moment before', async () => {
    const [board, elsewhere] = await servers.board();
    const socket = await openSocket(elsewhere.server, board.name);
    await socket.watch({ id: 'w' });
    for (let round = 0; round < 3; round += 1) {
      const cut = await servers.database.sql`
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ILIKE 'listen %' AND datname = current_database()`;
      expect(cut.length).toBeGreaterThan(0);
      const task = await board.task('work');
      await socket.event('w', (event) => event.task_id === task.id);
      await eventually('both servers listen again', async () => {
        const rows = await servers.database.sql`
          SELECT FROM pg_stat_activity WHERE query ILIKE 'listen %' AND datname = current_database()`;
        return rows.length === 2;
      });
    }
    const seqs = seqsOf(socket.events('w'));
    expect(seqs).toEqual(upTo(seqs.length).map((seq) => seq + 1));
  });

  test('sees it without any notification, by the poll alone', async () => {
    const database = await createTestDatabase();
    const [writer, reader] = await Promise.all(
      [1, 2].map(() => startTestServer(database.url, { notify: 'poll' })),
    );
    try {
      if (writer === undefined || reader === undefined) throw new Error('two servers');
      const socket = await openSocket(reader, 'default');
      await socket.watch({ id: 'w' });
      const { body } = await writer.call('POST', '/v1/boards/default/tasks', { body: { title: 'x' } });
      await socket.event('w', (event) => event.task_id === body.task.id);
    } finally {
      await Promise.all([writer?.stop(), reader?.stop()]);
      await database.drop();
    }
  });
});

test('a watcher resumes from its cursor after the server was stopped and started, without loss or repetition', async () => {
  const database = await createTestDatabase();
  let server = await startTestServer(database.url);
  try {
    const create = (title: string) => server.call('POST', '/v1/boards/default/tasks', { body: { title } });
    const before = await openSocket(server, 'default');
    await before.watch({ id: 'w', after: 'start' });
    for (const title of ['a', 'b']) await create(title);
    const seen = await before.event('w', (event) => event.data['title'] === 'a');
    await server.stop();
    expect((await before.closed()).code).toBe(1012);
    expect(before.framesOf('drain')).toHaveLength(1);

    server = await startTestServer(database.url);
    await create('c');
    const after = await openSocket(server, 'default');
    await after.watch({ id: 'w', after: seen.cursor });
    await create('d');
    await after.event('w', (event) => event.data['title'] === 'd');
    expect(after.events('w').map((event) => event.data['title'])).toEqual(['b', 'c', 'd']);
  } finally {
    await server.stop();
    await database.drop();
  }
});
