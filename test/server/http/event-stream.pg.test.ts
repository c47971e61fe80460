import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { endClaim, expectStatus, makeBoard, type TestBoard } from '../../fixtures/board.ts';
import { useTestDatabase } from '../../fixtures/database.ts';
import { type EventStreamClient, openStream } from '../../fixtures/event-stream-client.ts';
import { eventually } from '../../fixtures/eventually.ts';
import { type TestServer, useTestServer } from '../../fixtures/server.ts';
import { useTwoServers } from '../../fixtures/two-servers.ts';

const servers = useTwoServers();
const ACCEPT = { Accept: 'text/event-stream' };
/** Far above the promised second, for a machine that is busy with other tests. */
const REVOKED_WITHIN_MS = 10_000;

const kindsOf = (stream: EventStreamClient): string[] => stream.events.map(({ kind }) => kind);

/** Rows of the log as a server would write them, many at once. */
async function fillLog(board: TestBoard, rows: number, dataBytes: number): Promise<void> {
  await servers.database.sql.begin(async (tx) => {
    const [counter] = await tx<{ board_id: number; seq: number }[]>`
      UPDATE board_seq SET seq = seq + ${rows} WHERE board_id = (SELECT id FROM boards WHERE name = ${board.name})
      RETURNING board_id, (seq - ${rows})::int AS seq`;
    await tx`
      INSERT INTO events (board_id, seq, kind, at, actor_type, actor_id, data)
      SELECT ${Number(counter?.board_id)}, ${Number(counter?.seq)} + n, 'board.updated', clock_timestamp(), 'system', 'test',
        jsonb_build_object('text', repeat('x', ${dataBytes}))
      FROM generate_series(1, ${rows}::int) AS n`;
  });
}

async function metricOf(server: TestServer, name: string): Promise<number> {
  const { body } = await server.call('GET', '/metrics');
  const line = String(body)
    .split('\n')
    .find((candidate) => candidate.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1) ?? 0);
}

describe('a stream of events', () => {
  test('brings the log from its start and goes on live, each event under its cursor and its kind', async () => {
    const [board, elsewhere] = await servers.board();
    await board.task('work', { title: 'old' });
    const stream = await openStream(elsewhere);
    expect(stream.headers).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    });
    await board.task('work', { title: 'line one\nline two\r\n\u2028three' });
    const log = await board.events();
    expect(await stream.untilEvents(log.length)).toEqual(log);
    expect(stream.messages.map(({ id, event }) => [id, event])).toEqual(
      log.map(({ cursor, kind }) => [cursor, kind]),
    );
    expect(stream.retryMs).toBeGreaterThanOrEqual(500);
    expect(stream.retryMs).toBeLessThanOrEqual(2500);
  });

  test('goes on after Last-Event-ID on any server, whatever `after` says: nothing is missing and nothing comes twice', async () => {
    const [board, elsewhere] = await servers.board();
    const seen: unknown[] = [];
    let lastEventId = '';
    for (let round = 0; round < 12; round += 1) {
      const stream = await openStream(round % 2 === 0 ? board : elsewhere, {
        query: '?after=start',
        lastEventId,
      });
      // Some of it lies in the log by then, some comes live.
      await board.tasks('work', 3);
      await stream.untilEvents(1 + (round % 3));
      stream.close();
      seen.push(...stream.events);
      lastEventId = stream.lastId;
    }
    const rest = await openStream(board, { lastEventId });
    const log = await board.events();
    await rest.untilEvents(log.length - seen.length);
    expect([...seen, ...rest.events]).toEqual(log);
  });

  test('begins where `after` says, also now, and has an id to come back with before anything happens', async () => {
    const [board] = await servers.board();
    await board.tasks('work', 2);
    const [first, second] = await board.events('&kinds=task.created');
    const stream = await openStream(board, { query: `?after=${first?.cursor}` });
    expect((await stream.untilEvents(1))[0]).toEqual(second);
    const now = await openStream(board, { query: '?after=now' });
    const id = await eventually('an id', () => now.lastId || null);
    now.close();
    await board.task('work', { title: 'meanwhile' });
    const resumed = await openStream(board, { lastEventId: id });
    expect((await resumed.untilEvents(1))[0]?.data['title']).toBe('meanwhile');
    expect(now.messages).toEqual([]);
  });

  test('brings only what its filters let through, and takes no notice of limit and wait', async () => {
    const [board] = await servers.board();
    const first = await board.task('alpha');
    await board.task('beta');
    const streams = [
      await openStream(board, { query: '?kinds=task.*&lanes=alpha&limit=1' }),
      await openStream(board, { query: `?tasks=${first.id}` }),
    ];
    await board.task('beta');
    await board.operate(first.id, 'cancel');
    for (const stream of streams) {
      await stream.untilEvents(2);
      expect(kindsOf(stream)).toEqual(['task.created', 'task.cancelled']);
    }
  });

  test('shows a claim token its own task and nothing else', async () => {
    const [board, elsewhere] = await servers.board();
    await board.lane('work');
    await board.tasks('work', 2);
    const [mine, other] = [await board.claim('work'), await board.claim('work')];
    const stream = await openStream(elsewhere, { token: mine.token });
    const foreign = await openStream(elsewhere, { token: mine.token, query: `?tasks=${other.task.id}` });
    await endClaim(board.server, other, 'complete');
    await endClaim(board.server, mine, 'complete');
    await stream.untilEvents(3);
    expect(kindsOf(stream)).toEqual(['task.created', 'task.claimed', 'task.completed']);
    expect(new Set(stream.events.map((event) => event.task_id))).toEqual(new Set([mine.task.id]));
    expect(foreign.messages).toEqual([]);
  });

  test('says every ten seconds that it is there, and moves the id of an idle client along', async () => {
    const [board] = await servers.board();
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    onTestFinished(() => void vi.useRealTimers());
    const stream = await openStream(board, { query: '?kinds=board.updated' });
    const begun = await eventually('an id', () => stream.lastId || null);
    await board.tasks('work', 5);
    const end = (await board.call('GET', '')).body.board.cursor;
    await eventually('the id at the end of the log', () => {
      vi.advanceTimersByTime(10_000);
      return stream.lastId === end;
    });
    expect(begun).not.toBe(end);
    expect(stream.comments.length).toBeGreaterThan(0);
    expect(stream.messages).toEqual([]);
    const ids = stream.lastId;
    const comments = stream.comments.length;
    vi.advanceTimersByTime(10_000);
    await eventually('another comment', () => stream.comments.length > comments);
    expect(stream.lastId).toBe(ids);
  });

  test('counts once, and only the open ones are shown as open', async () => {
    const server = await useTestServer((await useTestDatabase()).url);
    const board = await makeBoard(server);
    const requests = 'lanekeeper_http_request_seconds_count{operation="listEvents",status="200"}';
    const stream = await openStream(board);
    const other = await openStream(board);
    expect(await metricOf(server, 'lanekeeper_event_streams')).toBe(2);
    stream.close();
    await eventually('one is gone', async () => (await metricOf(server, 'lanekeeper_event_streams')) === 1);
    expect(await metricOf(server, requests)).toBe(2);
    expect(other.ending).toBeNull();
  });
});

describe('what is refused is refused before the stream begins, as a problem', () => {
  const cases: [string, string, string | null, number, string][] = [
    ['no credential', '', null, 401, 'unauthenticated'],
    ['a cursor that was made up', '?after=bm90IGEgY3Vyc29y', 'admin', 400, 'invalid_cursor'],
    ['a kind that does not exist', '?kinds=task.exploded', 'admin', 400, 'invalid_request'],
    ['an unknown parameter', '?since=now', 'admin', 400, 'invalid_request'],
  ];
  test.each(cases)('%s', async (_what, query, token, status, code) => {
    const [board] = await servers.board();
    const options = { headers: ACCEPT, ...(token === null ? { token } : {}) };
    const answer = await board.call('GET', `/events${query}`, options);
    expect([answer.status, answer.code]).toEqual([status, code]);
    expect(answer.headers.get('Content-Type')).toBe('application/problem+json');
  });

  test('a board that is missing, and one that the caller may not see, in the same way', async () => {
    const [board] = await servers.board();
    const key = expectStatus(
      await board.server.call('POST', '/v1/keys', {
        body: { role: 'observer', name: 'o', boards: ['default'] },
      }),
      201,
    ).body.secret;
    for (const [path, token] of [['/v1/boards/nowhere/events'], [board.path('/events'), key]] as const) {
      const answer = await board.server.call('GET', path, { headers: ACCEPT, ...(token ? { token } : {}) });
      expect([answer.status, answer.code]).toEqual([404, 'not_found']);
    }
  });

  test('an id or a cursor that is older than the log, and one of another board', async () => {
    const [board] = await servers.board();
    const [foreign] = await servers.board();
    await board.tasks('work', 5);
    const [first] = await board.events();
    await servers.database.sql`
      UPDATE board_seq SET pruned_seq = 3 WHERE board_id = (SELECT id FROM boards WHERE name = ${board.name})`;
    const old = first?.cursor ?? '';
    const byQuery = await board.call('GET', `/events?after=${old}`, { headers: ACCEPT });
    const byId = await board.call('GET', '/events?after=now', {
      headers: { ...ACCEPT, 'Last-Event-ID': old },
    });
    expect([byQuery.status, byQuery.code]).toEqual([410, 'cursor_expired']);
    expect([byId.status, byId.code]).toEqual([410, 'cursor_expired']);
    const { cursor } = (await foreign.call('GET', '')).body.board;
    const wrong = await board.call('GET', '/events', { headers: { ...ACCEPT, 'Last-Event-ID': cursor } });
    expect([wrong.status, wrong.code]).toEqual([400, 'invalid_cursor']);
  });
});

describe('who does not ask for a stream', () => {
  test.each(['*/*', 'application/json', 'application/json, text/event-stream', 'text/event-stream;q=0', ''])(
    'gets JSON (Accept: %s)',
    async (accept) => {
      const [board] = await servers.board();
      const headers = accept === '' ? {} : { Accept: accept };
      const answer = await board.call('GET', '/events?limit=1', { headers });
      expect([answer.status, answer.headers.get('Content-Type')]).toEqual([200, 'application/json']);
      expect(answer.body.events).toHaveLength(1);
    },
  );

  test('but for its head alone gets that, and the stream is over', async () => {
    const [board] = await servers.board();
    const answer = await board.call('HEAD', '/events', { headers: ACCEPT });
    expect([answer.status, answer.headers.get('Content-Type'), answer.body]).toEqual([
      200,
      'text/event-stream',
      '',
    ]);
    await eventually(
      'it is let go',
      async () => (await metricOf(board.server, 'lanekeeper_event_streams')) === 0,
    );
  });

  test('from a route that has none gets JSON', async () => {
    const [board] = await servers.board();
    const answer = await board.call('GET', '/snapshot', { headers: ACCEPT });
    expect([answer.status, answer.headers.get('Content-Type')]).toEqual([200, 'application/json']);
  });
});

describe('a client that does not read', () => {
  test('holds up nobody, costs little memory, and has missed nothing when it reads again', async () => {
    const [board] = await servers.board();
    const slow = await openStream(board);
    slow.pause();
    // Far more than all buffers between the two take.
    await fillLog(board, 1500, 8000);
    const brisk = await openStream(board, { query: '?after=now' });
    await board.task('work');
    const last = (await brisk.untilEvents(1)).at(-1)?.seq ?? 0;
    expect(last).toBeGreaterThan(1500);
    slow.resume();
    const events = await slow.untilEvents(last);
    expect(events.map(({ seq }) => seq)).toEqual(Array.from({ length: last }, (_, index) => index + 1));
  });
});

describe('a stream ends', () => {
  test('on every server when its key is revoked, and no other does', async () => {
    const [board, elsewhere] = await servers.board();
    const made = expectStatus(
      await board.server.call('POST', '/v1/keys', { body: { role: 'observer', name: 'o', boards: ['*'] } }),
      201,
    ).body;
    const streams = [
      await openStream(board, { token: made.secret }),
      await openStream(elsewhere, { token: made.secret }),
    ];
    const stranger = await openStream(elsewhere);
    expectStatus(await board.server.call('DELETE', `/v1/keys/${made.key.id}`), 200, 204);
    for (const stream of streams) expect(await stream.ended(REVOKED_WITHIN_MS)).toBe('whole');
    expect(stranger.ending).toBeNull();
    const again = await elsewhere.call('GET', '/events', { headers: ACCEPT, token: made.secret });
    expect(again.status).toBe(401);
  });

  test('when its board is deleted', async () => {
    const [board] = await servers.board();
    const stream = await openStream(board);
    const openedAt = performance.now();
    // With the floor poll its log was looked at a moment ago, and is not at once looked at again.
    await eventually('the floor poll', async () => {
      const sincePollMs = (await metricOf(board.server, 'lanekeeper_poll_age_seconds')) * 1000;
      return performance.now() - sincePollMs > openedAt;
    });
    expectStatus(await board.server.call('DELETE', board.path('')), 200, 204);
    expect(await stream.ended()).toBe('whole');
  });

  test('when its server stops: whole for who reads, somehow for who does not, and the rest comes from another server', async () => {
    const [board] = await servers.board();
    await fillLog(board, 1500, 8000);
    const stopping = await useTestServer(servers.database.url);
    const reading = await openStream(board.through(stopping), { query: '?after=now' });
    const deaf = await openStream(board.through(stopping));
    deaf.pause();
    await board.task('work');
    await reading.untilEvents(1);
    await stopping.stop();
    expect(await reading.ended()).toBe('whole');
    // However it ended: it is let go a second after it did not read (event-stream.test.ts), or has got all in its own buffers.
    deaf.resume();
    await deaf.ended();
    await board.task('work', { title: 'after the stop' });
    const resumed = await openStream(board, { lastEventId: reading.lastId });
    expect((await resumed.untilEvents(1))[0]?.data['title']).toBe('after the stop');
    const refused = await fetch(stopping.url).catch(() => null);
    expect(refused).toBeNull();
  });
});
