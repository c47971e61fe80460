import { randomBytes } from 'node:crypto';
import { describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { WATCH_SUBPROTOCOL } from '../../../../src/contract/constants.ts';
import { readEvents } from '../../../../src/server/features/watch/store.ts';
import { expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { ADMIN_KEY, useTestServer } from '../../../fixtures/server.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';
import { openSocket } from '../../../fixtures/watch-socket.ts';

const servers = useTwoServers();
const MIB = 1024 * 1024;

/** Events of one transaction each, as large as they are asked to be; found by the servers' poll. */
async function writeLargeEvents(board: TestBoard, texts: readonly string[]): Promise<void> {
  const { sql } = servers.database;
  for (const text of texts)
    await sql.begin(async (tx) => {
      const [counter] = await tx<{ board_id: number; seq: string }[]>`
        UPDATE board_seq SET seq = seq + 1 WHERE board_id = (SELECT id FROM boards WHERE name = ${board.name})
        RETURNING board_id, seq`;
      await tx`
        INSERT INTO events (board_id, seq, kind, at, actor_type, actor_id, data)
        VALUES (${Number(counter?.board_id)}, ${String(counter?.seq)}, 'board.updated', clock_timestamp(), 'system', 'test',
          jsonb_build_object('text', ${text}::text))`;
    });
}

/** Half of them are stored as they are, the others compressed to almost nothing: what counts is what they are on the wire. */
const largeTexts = (count: number) =>
  Array.from({ length: count }, (_, index) =>
    index % 2 === 0 ? randomBytes(100 * 1024).toString('hex') : 'x'.repeat(200 * 1024),
  );

describe('a page of the log', () => {
  test('ends where a megabyte does, its cursor says where, and all pages together are the log', async () => {
    const [board] = await servers.board();
    await writeLargeEvents(board, largeTexts(20));
    const seqs: number[] = [];
    const sizes: number[] = [];
    for (let after = 'start'; seqs.length < 21; ) {
      const answer = expectStatus(await board.call('GET', `/events?limit=1000&after=${after}`), 200);
      expect(answer.body.events.length).toBeGreaterThan(0);
      seqs.push(...answer.body.events.map((event: { seq: number }) => event.seq));
      sizes.push(JSON.stringify(answer.body).length);
      after = answer.body.cursor;
    }
    expect(seqs).toEqual(Array.from({ length: 21 }, (_, index) => index + 1));
    expect(Math.max(...sizes)).toBeLessThan(MIB + 300 * 1024);
    expect(sizes.length).toBeLessThan(8);
  });

  test.each([10, 40])('is not read beyond that from the database either, of %i events', async (count) => {
    const [board] = await servers.board();
    await writeLargeEvents(board, largeTexts(count));
    const { sql } = servers.database;
    const [row] = await sql`SELECT id FROM boards WHERE name = ${board.name}`;
    const read = (bytesMax: number) =>
      readEvents(sql as never, row?.['id'], { afterSeq: 0, rowsMax: 100, bytesMax });
    const [part, one, all] = [await read(MIB), await read(1), await read(100 * MIB)];
    // The small first one, and as many of 200 KiB as begin before the megabyte is over.
    expect([part.rows.length, part.isAtEnd]).toEqual([7, false]);
    expect([one.rows.length, one.isAtEnd]).toEqual([1, false]);
    expect([all.rows.length, all.isAtEnd]).toEqual([1 + count, true]);
  });

  test('of one task does the same', async () => {
    const [board] = await servers.board();
    const task = await board.task('work');
    const count = 20;
    for (let index = 0; index < count; index += 1)
      expectStatus(
        await board.call('POST', `/tasks/${task.id}/comments`, {
          body: { body: randomBytes(32).toString('hex') },
        }),
        201,
      );
    await servers.database.sql`
      UPDATE events SET data = jsonb_build_object('text', repeat('y', 200 * 1024))
      WHERE kind = 'task.commented' AND board_id = (SELECT id FROM boards WHERE name = ${board.name})`;
    const seqs: number[] = [];
    let pages = 0;
    for (let after = 'start'; pages < 20; pages += 1) {
      const { body } = await board.call('GET', `/tasks/${task.id}/events?limit=1000&after=${after}`);
      if (body.events.length === 0) break;
      expect(JSON.stringify(body).length).toBeLessThan(MIB + 300 * 1024);
      seqs.push(...body.events.map((event: { seq: number }) => event.seq));
      after = body.cursor;
    }
    expect(seqs).toEqual(Array.from({ length: count + 1 }, (_, index) => index + 2));
    expect(pages).toBeGreaterThan(2);
  });

  test('comes to a watch in frames of an eighth of a megabyte, or of one event', async () => {
    const [board, elsewhere] = await servers.board();
    const socket = await openSocket(elsewhere.server, board.name);
    await socket.watch({ id: 'live', after: 'start' });
    await writeLargeEvents(board, largeTexts(8));
    await writeLargeEvents(
      board,
      Array.from({ length: 20 }, () => 'z'.repeat(30 * 1024)),
    );
    await socket.event('live', (event) => event.seq === 29);
    await socket.watch({ id: 'late', after: 'start' });
    await socket.event('late', (event) => event.seq === 29);
    for (const id of ['live', 'late']) {
      expect(socket.events(id).map((event) => event.seq)).toEqual(
        Array.from({ length: 29 }, (_, index) => index + 1),
      );
      for (const frame of socket.framesOf('events'))
        expect(frame.events.length === 1 || JSON.stringify(frame).length < 130 * 1024).toBe(true);
    }
  });
});

test('a snapshot ends where eight megabytes do, and says that it is not all', async () => {
  const [board] = await servers.board();
  const payload = { text: 'p'.repeat(240 * 1024) };
  for (let count = 0; count < 40; count += 4)
    await Promise.all(Array.from({ length: 4 }, () => board.task('work', { payload })));
  const { body } = expectStatus(await board.call('GET', '/snapshot'), 200);
  expect(body.truncated).toBe(true);
  expect(body.tasks.length).toBeGreaterThan(20);
  expect(JSON.stringify(body).length).toBeLessThan(9 * MIB);
  const [small] = await servers.board();
  await small.task('work');
  expect((await small.call('GET', '/snapshot')).body).toMatchObject({ truncated: false, tasks: [{}] });
});

describe('a cursor that the log no longer reaches back to', () => {
  test('is refused in an error frame, and the socket goes on', async () => {
    const [board] = await servers.board();
    await board.tasks('work', 5);
    const [first, ...rest] = await board.events();
    await servers.database.sql`
      UPDATE board_seq SET pruned_seq = 3 WHERE board_id = (SELECT id FROM boards WHERE name = ${board.name})`;
    const socket = await openSocket(board.server, board.name);
    socket.send({ type: 'watch', id: 'old', after: first?.cursor });
    expect(await socket.frame('error')).toMatchObject({ id: 'old', code: 'cursor_expired', fatal: false });
    await socket.watch({ id: 'young', after: rest[1]?.cursor });
    await socket.event('young', (event) => event.seq === 6);
    await socket.watch({ id: 'start', after: 'start' });
    await socket.event('start', (event) => event.seq === 4);
    expect((await board.call('GET', `/events?after=${first?.cursor}`)).status).toBe(410);
  });

  test('ends a watch that stands there, which is never skipped ahead', async () => {
    const [board] = await servers.board();
    await board.tasks('work', 5);
    const { sql } = servers.database;
    const [row] = await sql`SELECT id FROM boards WHERE name = ${board.name}`;
    const [first] = await board.events();
    // As if it had been pruned between the look at the ends of the log and the read.
    await sql`DELETE FROM events WHERE board_id = ${row?.['id']} AND seq <= 3`;
    const socket = await openSocket(board.server, board.name);
    socket.send({ type: 'watch', id: 'w', after: first?.cursor });
    expect(await socket.frame('error')).toMatchObject({ id: 'w', code: 'cursor_expired', fatal: false });
    expect(socket.events('w')).toEqual([]);
    // It is gone, and its id is free.
    await socket.watch({ id: 'w' });
    expect((await board.call('GET', `/events?after=${first?.cursor}`)).status).toBe(410);
    // Whoever names no cursor has missed nothing.
    expect((await board.call('GET', '/events')).body.events[0]).toMatchObject({ seq: 4 });
  });

  test('is one of a log that was replaced, whose watchers are sent away to hear so', async () => {
    const [board, elsewhere] = await servers.board();
    const socket = await openSocket(elsewhere.server, board.name);
    const cursor = await socket.watch({ id: 'w' });
    await servers.database.sql`UPDATE boards SET log_incarnation = 'replaced' WHERE name = ${board.name}`;
    const fresh = await useTestServer(servers.database.url);
    const again = await openSocket(fresh, board.name);
    again.send({ type: 'watch', id: 'w', after: cursor });
    expect(await again.frame('error')).toMatchObject({ id: 'w', code: 'cursor_expired', fatal: false });
    // The old server looks when something happens, and finds another log there.
    await servers.database.sql`
      UPDATE board_seq SET seq = 0 WHERE board_id = (SELECT id FROM boards WHERE name = ${board.name})`;
    expect((await socket.closed()).code).toBe(1012);
  });
});

describe('a socket', () => {
  test('has at most a hundred watches, and is none the worse for asking for more', async () => {
    const [board] = await servers.board();
    const socket = await openSocket(board.server, board.name);
    await Promise.all(Array.from({ length: 100 }, (_, index) => socket.watch({ id: `w${index}` })));
    socket.send({ type: 'watch', id: 'one more' });
    expect(await socket.frame('error')).toMatchObject({
      id: 'one more',
      code: 'invalid_request',
      fatal: false,
    });
    const task = await board.task('work');
    for (const id of ['w0', 'w99']) await socket.event(id, (event) => event.task_id === task.id);
  });

  test('is not compressed, though the client offers it', async () => {
    const url = `${servers.first.url.replace('http', 'ws')}/v1/boards/default/watch`;
    const headers = { Authorization: `Bearer ${ADMIN_KEY}` };
    const socket = new WebSocket(url, [WATCH_SUBPROTOCOL], { headers, perMessageDeflate: true });
    onTestFinished(() => socket.terminate());
    await new Promise((resolve) => socket.once('open', resolve));
    expect(socket.extensions).toBe('');
  });

  test('is closed with 4403 on every server when its key no longer covers the board, and one of another board is not', async () => {
    const [board] = await servers.board();
    const [other] = await servers.board();
    const body = { role: 'observer', name: 'o', boards: [board.name, other.name] };
    const { key, secret: token } = expectStatus(
      await board.server.call('POST', '/v1/keys', { body }),
      201,
    ).body;
    const [near, far, elsewhere] = await Promise.all([
      openSocket(servers.first, board.name, { token }),
      openSocket(servers.second, board.name, { token }),
      openSocket(servers.second, other.name, { token }),
    ]);
    for (const socket of [near, far, elsewhere]) await socket.watch({ id: 'w' });
    const changed = await servers.database.sql`
      UPDATE api_keys SET boards = ${[other.name]} WHERE boards @> ${[board.name]} RETURNING id`;
    expect([changed.length, key.role]).toEqual([1, 'observer']);
    for (const socket of [near, far]) expect((await socket.closed()).code).toBe(4403);
    await elsewhere.watch({ id: 'still here' });
  });

  test('says hello for a lane that is not there in vain', async () => {
    const [board] = await servers.board();
    const socket = await openSocket(board.server, board.name);
    socket.send({ type: 'hello', id: 'h', lane: 'nowhere', worker: 'w' });
    expect(await socket.frame('error')).toMatchObject({ id: 'h', code: 'lane_not_found', fatal: false });
    await socket.watch({ id: 'w' });
  });
});

test('LANEKEEPER_RATE_LIMIT counts frames together with requests, and refuses them one by one', async () => {
  const limited = await useTestServer(servers.database.url, { rateLimitPerMinute: 4 });
  const body = { role: 'observer', name: 'o', boards: ['*'] };
  const { secret: token } = expectStatus(await servers.first.call('POST', '/v1/keys', { body }), 201).body;
  // The upgrade is the first of four, this the second.
  const socket = await openSocket(limited, 'default', { token });
  expect((await limited.call('GET', '/v1/boards', { token })).headers.get('RateLimit')).toContain('r=2;');
  await socket.watch({ id: 'a' });
  await socket.watch({ id: 'b' });
  socket.send({ type: 'watch', id: 'c' });
  expect(await socket.frame('error')).toMatchObject({ id: 'c', code: 'rate_limited', fatal: false });
  expect((await limited.call('GET', '/v1/boards', { token })).status).toBe(429);
  const { body: made } = await servers.first.call('POST', '/v1/boards/default/tasks', {
    body: { title: 'x' },
  });
  // What it follows goes on.
  await socket.event('b', (event) => event.task_id === made.task.id);
});
