import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { eventually } from '../../../fixtures/eventually.ts';
import { Fold } from '../../../fixtures/fold.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';
import { connectSocket, openSocket, type WatchSocket } from '../../../fixtures/watch-socket.ts';

const servers = useTwoServers();

async function watched(): Promise<[TestBoard, WatchSocket]> {
  const [board, elsewhere] = await servers.board();
  return [board, await openSocket(elsewhere.server, board.name)];
}

/** Frames of one socket are answered in order: whatever was asked before this has been done by then. */
async function settled(socket: WatchSocket): Promise<void> {
  const id = `settled-${socket.frames.length}`;
  socket.send({ type: 'unwatch', id });
  await socket.frame('error', (frame) => frame.id === id);
}

const titlesOf = (socket: WatchSocket, id: string) => socket.events(id).map((event) => event.data['title']);

/** A watch that nothing is sent to: opened first and looked at last, because a bookmark takes its time. */
let idle: WatchSocket;
let idleBoard: TestBoard;
beforeAll(async () => {
  [idleBoard] = await servers.board();
  idle = await connectSocket(servers.second, idleBoard.name);
  await idle.watch({ id: 'w', kinds: ['board.updated'] });
  await idleBoard.task('work');
});
afterAll(() => idle.close());

describe('a watch', () => {
  test('begins at the start, at a cursor, or now, as it asks; now is the default', async () => {
    const [board, socket] = await watched();
    const old = await board.task('work', { title: 'old' });
    const [created] = (await board.events()).slice(-1);
    await socket.watch({ id: 'start', after: 'start' });
    const now = await socket.watch({ id: 'now', after: 'now' });
    expect(await socket.watch({ id: 'default' })).toBe(now);
    expect(await socket.watch({ id: 'cursor', after: created?.cursor })).toBe(created?.cursor);
    await board.task('work', { title: 'new' });
    for (const id of ['start', 'now', 'default', 'cursor'])
      await socket.event(id, (event) => event.data['title'] === 'new');
    expect(socket.events('start')).toEqual(await board.events());
    for (const id of ['now', 'default', 'cursor']) expect(titlesOf(socket, id)).toEqual(['new']);
    expect(old.status).toBe('ready');
  });

  test('gets only what its filters let through; all of them must match', async () => {
    const [board, socket] = await watched();
    await board.lane('alpha');
    const first = await board.task('alpha', { title: 'first' });
    await socket.watch({ id: 'kinds', after: 'start', kinds: ['task.*'] });
    await socket.watch({ id: 'one', after: 'start', kinds: ['task.claimed', 'lane.paused'] });
    await socket.watch({ id: 'lane', after: 'start', lanes: ['alpha'] });
    await socket.watch({ id: 'task', after: 'start', tasks: [first.id] });
    await socket.watch({ id: 'both', after: 'start', lanes: ['alpha'], kinds: ['task.created'] });
    await board.task('beta', { title: 'other' });
    await board.claim('alpha');
    await board.call('POST', '/lanes/alpha/pause');
    await board.task('alpha', { title: 'last' });
    await socket.event('lane', (event) => event.data['title'] === 'last');
    await socket.event('both', (event) => event.data['title'] === 'last');
    await socket.event('kinds', (event) => event.data['title'] === 'last');
    await settled(socket);
    // Of a worker that was seen: whenever the server gets to it.
    const isPresence = (kind: string) => kind === 'lane.online' || kind === 'lane.offline';
    const kindsOf = (id: string) =>
      socket
        .events(id)
        .map((event) => event.kind)
        .filter((kind) => !isPresence(kind));
    expect(kindsOf('kinds')).toEqual(['task.created', 'task.created', 'task.claimed', 'task.created']);
    expect(kindsOf('one')).toEqual(['task.claimed', 'lane.paused']);
    expect(kindsOf('lane')).toEqual([
      'lane.registered',
      'task.created',
      'task.claimed',
      'lane.paused',
      'task.created',
    ]);
    expect(kindsOf('task')).toEqual(['task.created', 'task.claimed']);
    expect(titlesOf(socket, 'both')).toEqual(['first', 'last']);
  });

  test('ends with unwatch, while the others of its socket go on, and its id is free again', async () => {
    const [board, socket] = await watched();
    await socket.watch({ id: 'a' });
    await socket.watch({ id: 'b' });
    socket.send({ type: 'unwatch', id: 'a' });
    expect(await socket.frame('reply', (frame) => frame.id === 'a')).toMatchObject({ ok: true });
    await board.task('work', { title: 'x' });
    await socket.event('b', (event) => event.data['title'] === 'x');
    expect(socket.events('a')).toEqual([]);
    await socket.watch({ id: 'a', after: 'start' });
    await socket.event('a', (event) => event.data['title'] === 'x');
  });

  test('finds what a sparse filter lets through, however much lies before it', async () => {
    const [board, socket] = await watched();
    const { sql } = servers.database;
    const rows = 45_000;
    await sql.begin(async (tx) => {
      const [counter] = await tx<{ board_id: number; seq: number }[]>`
        UPDATE board_seq SET seq = seq + ${rows} WHERE board_id = (SELECT id FROM boards WHERE name = ${board.name})
        RETURNING board_id, (seq - ${rows})::int AS seq`;
      await tx`
        INSERT INTO events (board_id, seq, kind, at, actor_type, actor_id, data)
        SELECT ${Number(counter?.board_id)}, ${Number(counter?.seq)} + n, 'board.updated', clock_timestamp(), 'system', 'test', '{}'
        FROM generate_series(1, ${rows}::int) AS n`;
    });
    const task = await board.task('work');
    await socket.watch({ id: 'w', after: 'start', kinds: ['task.created'] });
    await socket.event('w', (event) => event.task_id === task.id);
  });

  test('that asks for nonsense gets an error frame with its id, and the socket goes on', async () => {
    const [board, socket] = await watched();
    const [other] = await servers.board();
    const { cursor: foreign } = (await other.call('GET', '')).body.board;
    await socket.watch({ id: 'w' });
    const asked = {
      kind: { type: 'watch', id: 'kind', kinds: ['task.exploded'] },
      made_up: { type: 'watch', id: 'made_up', after: 'bm90IGEgY3Vyc29y' },
      foreign: { type: 'watch', id: 'foreign', after: foreign },
      w: { type: 'watch', id: 'w' },
      gone: { type: 'unwatch', id: 'gone' },
    };
    const codes = {
      kind: 'invalid_request',
      made_up: 'invalid_cursor',
      foreign: 'invalid_cursor',
      w: 'invalid_request',
      gone: 'not_found',
    };
    for (const [id, frame] of Object.entries(asked)) {
      socket.send(frame);
      const error = await socket.frame('error', (candidate) => candidate.id === id);
      expect(error).toMatchObject({
        code: codes[id as keyof typeof codes],
        fatal: false,
        title: expect.any(String),
      });
    }
    const task = await board.task('work');
    await socket.event('w', (event) => event.task_id === task.id);
  });

  test.each([
    ['no JSON', '{"type":'],
    ['another type', '{"type":"dance","id":"x"}'],
    ['an unknown field', '{"type":"watch","id":"x","since":"now"}'],
    ['no id', '{"type":"watch"}'],
    ['a wrong type of field', '{"type":"watch","id":"x","lanes":"alpha"}'],
  ])('frame with %s is a fatal error and closes with 4400', async (_what, text) => {
    const [, socket] = await watched();
    socket.send(text);
    expect(await socket.frame('error')).toMatchObject({ code: 'invalid_request', fatal: true });
    expect((await socket.closed()).code).toBe(4400);
  });

  test('of an unknown board is ended when the board is deleted', async () => {
    const [board, socket] = await watched();
    await socket.watch({ id: 'w' });
    expectStatus(await board.server.call('DELETE', board.path('')), 200, 204);
    expect((await socket.closed()).code).toBe(1008);
  });
});

describe('hints', () => {
  test('say that work waits: at once for what is there, and when a task of a watched lane becomes ready', async () => {
    const [board, socket] = await watched();
    await board.lane('work');
    await board.tasks('work', 3);
    await socket.watch({ id: 'w', lanes: ['work', 'later'] });
    expect(await socket.frame('available')).toMatchObject({ lane: 'work', ready: 3 });
    await board.task('later');
    await board.lane('later');
    await socket.frame('available', (frame) => frame.lane === 'later' && frame.ready === 1);
    const claim = await board.claim('work');
    const seen = socket.framesOf('available').length;
    await endClaim(board.server, claim, 'release');
    await eventually('a hint after the release', () => socket.framesOf('available').length > seen);
    await board.task('elsewhere');
    await settled(socket);
    expect(socket.framesOf('available').map((frame) => frame.lane)).not.toContain('elsewhere');
  });

  test('end with the watch that asked for them, unless another one or a hello of the socket did too', async () => {
    const [board, socket] = await watched();
    const lanes = ['dropped', 'shared', 'greeted'];
    for (const lane of lanes) await board.lane(lane);
    socket.send({ type: 'hello', id: 'h', lane: 'greeted', worker: 'w' });
    await socket.frame('reply', (frame) => frame.id === 'h');
    await socket.watch({ id: 'a', lanes });
    await socket.watch({ id: 'b', lanes: ['shared'] });
    socket.send({ type: 'unwatch', id: 'a' });
    await socket.frame('reply', (frame) => frame.id === 'a');
    for (const lane of lanes) await board.task(lane);
    for (const lane of ['shared', 'greeted'])
      await socket.frame('available', (frame) => frame.lane === lane && frame.ready === 1);
    expect(socket.framesOf('available').map((frame) => frame.lane)).not.toContain('dropped');
  });

  test('are coalesced: a batch of a thousand tasks is a few of them', async () => {
    const [board, socket] = await watched();
    await board.lane('work');
    await socket.watch({ id: 'w', lanes: ['work'] });
    await board.tasks('work', 1000);
    await eventually('all are seen', () => socket.events('w').length === 1000);
    await socket.frame('available', (frame) => frame.ready === 100);
    expect(socket.framesOf('available').length).toBeLessThan(20);
  });

  test('come for the modes that have them, and not while nothing is handed out, wherever that was changed', async () => {
    const [board, socket] = await watched();
    const lanes = { pulled: 'pull', pushed: 'push', heard: 'watch', both: 'pull-or-watch' };
    for (const [lane, claim_mode] of Object.entries(lanes)) {
      await board.lane(lane, { claim_mode });
      await board.task(lane);
    }
    await socket.watch({ id: 'w', lanes: Object.keys(lanes) });
    for (const lane of ['heard', 'both']) await socket.frame('available', (frame) => frame.lane === lane);
    const heard = () => socket.framesOf('available').map((frame) => frame.lane);
    const { length } = heard();
    await board.call('POST', '/lanes/both/pause');
    await board.call('PATCH', '', { body: { settings: { paused: true } } });
    await board.task('heard', { title: 'in a pause' });
    await socket.event('w', (event) => event.data['title'] === 'in a pause');
    await board.call('PATCH', '', { body: { settings: { paused: false } } });
    await socket.frame('available', (frame) => frame.lane === 'heard' && frame.ready === 2);
    await board.call('POST', '/lanes/both/resume');
    await eventually('a hint after the resume', () => heard().slice(length).includes('both'));
    await board.call('PATCH', '/lanes/pulled', { body: { claim_mode: 'watch' } });
    await eventually('a hint after the change of mode', () => heard().includes('pulled'));
    expect(heard()).not.toContain('pushed');
  });
});

describe('hello', () => {
  test('makes the worker present with its version, and hints of its lane come without a watch', async () => {
    const [board, socket] = await watched();
    await board.lane('work');
    await board.task('work');
    const secret = expectStatus(await board.call('POST', '/lanes/work/keys', { body: {} }), 201).body.secret;
    const own = await openSocket(board.server, board.name, { token: secret });
    own.send({ type: 'hello', id: 'h', lane: 'work', worker: 'w-1', version: '7.1' });
    expect(await own.frame('reply', (frame) => frame.id === 'h')).toMatchObject({ ok: true });
    expect(await own.frame('available')).toMatchObject({ lane: 'work', ready: 1 });
    const { presence } = (await board.call('GET', '/lanes/work')).body.lane;
    expect(presence).toMatchObject({
      online: true,
      workers: [{ worker: 'w-1', version: '7.1', online: true }],
    });
    expect(socket.framesOf('available')).toEqual([]);
  });

  test('for another lane than the key’s is forbidden, and so it is for those who may not claim', async () => {
    const [board] = await servers.board();
    await board.lane('work');
    await board.lane('other');
    const secret = expectStatus(await board.call('POST', '/lanes/work/keys', { body: {} }), 201).body.secret;
    const body = { role: 'observer', name: 'o', boards: [board.name] };
    const observer = expectStatus(await board.server.call('POST', '/v1/keys', { body }), 201).body.secret;
    for (const [token, lane] of [
      [secret, 'other'],
      [observer, 'work'],
    ] as const) {
      const socket = await openSocket(board.server, board.name, { token });
      socket.send({ type: 'hello', id: 'h', lane, worker: 'w' });
      expect(await socket.frame('error')).toMatchObject({ id: 'h', code: 'forbidden', fatal: false });
    }
  });
});

test('a snapshot and a watch from its cursor are exactly the log, whenever the snapshot was taken', async () => {
  const [board, elsewhere] = await servers.board();
  let isOver = false;
  const writing = (async () => {
    while (!isOver) await Promise.all([board.task('work'), board.task('work')]);
  })();
  for (let round = 0; round < 5; round += 1) {
    const { body } = await elsewhere.call('GET', '/snapshot');
    const socket = await openSocket(board.server, board.name);
    await socket.watch({ id: 'w', after: body.cursor });
    const task = await board.task('work');
    const { seq } = await socket.event('w', (event) => event.task_id === task.id);
    const watched = socket
      .events('w')
      .filter((event) => event.seq <= seq)
      .map((event) => event.task_id);
    const known = new Set([...body.tasks.map((entry: { id: string }) => entry.id), ...watched]);
    const fold = Fold.of((await board.events()).filter((event) => event.seq <= seq));
    expect(known).toEqual(new Set(fold.tasks.keys()));
    expect(known.size).toBe(body.tasks.length + watched.length);
    socket.close();
  }
  isOver = true;
  await writing;
});

test('an idle watch gets a bookmark past what its filter hid, and can be resumed from there', async () => {
  // Pinned by the contract: at least every 15 s.
  const bookmark = await idle.frame('bookmark', (frame) => frame.id === 'w', 15_000);
  expect(bookmark.cursor).toBe((await idleBoard.events()).at(-1)?.cursor);
  const socket = await openSocket(servers.first, idleBoard.name);
  await socket.watch({ id: 'again', after: bookmark.cursor });
  const next = await idleBoard.task('work');
  await socket.event('again', (event) => event.task_id === next.id);
  expect(socket.events('again')).toHaveLength(1);
});
