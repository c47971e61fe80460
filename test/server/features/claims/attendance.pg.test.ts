import { describe, expect, test } from 'vitest';
import type { Lane } from '../../../../src/contract/lanes.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { eventually, only } from '../../../fixtures/eventually.ts';
import { openWorker, PushWorker, pushLane } from '../../../fixtures/push-worker.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';
import { openSocket } from '../../../fixtures/watch-socket.ts';

const servers = useTwoServers();

const laneOf = async (board: TestBoard): Promise<Lane> =>
  expectStatus(await board.call('GET', '/lanes/work'), 200).body.lane;

/** Far above the promised second, for a machine that is busy with other tests. */
const SUPERSEDED_WITHIN_MS = 10_000;

describe('a hello', () => {
  test('makes its lane online in the log at once, once, without touching what claims are decided on', async () => {
    const [board, elsewhere] = await servers.board();
    await board.lane('work');
    const version = async () =>
      only(
        await servers.database.sql<{ config_version: number }[]>`
          SELECT s.config_version::int FROM board_seq s JOIN boards b ON b.id = s.board_id WHERE b.name = ${board.name}`,
      ).config_version;
    const before = await version();
    const watcher = await openSocket(elsewhere.server, board.name);
    await watcher.watch({ id: 'w', kinds: ['lane.online'] });
    const saidAt = performance.now();
    await openWorker(board, { worker: 'ann' });
    await openWorker(elsewhere, { worker: 'bob' });
    const event = await watcher.event('w', () => true);
    // Promised within two seconds; the rest is for a machine that is busy with other tests.
    expect(performance.now() - saidAt).toBeLessThan(6000);
    expect(event).toMatchObject({ lane: 'work', actor: { type: 'system', id: 'presence' } });
    expect(event.data['workers']).toBeGreaterThan(0);
    const { presence } = await laneOf(board);
    expect(presence.online).toBe(true);
    expect(presence.workers.map(({ worker }) => worker).sort()).toEqual(['ann', 'bob']);
    expect([await version(), (await laneOf(board)).version]).toEqual([before, 1]);
  });

  test('shows the version that it names, and one without keeps it', async () => {
    const [board] = await servers.board();
    await board.lane('work');
    const worker = new PushWorker(await openSocket(board.server, board.name), 'work');
    await worker.hello('ann', { version: '7.1' });
    expect(only((await laneOf(board)).presence.workers)).toMatchObject({ worker: 'ann', version: '7.1' });
    await worker.hello('ann');
    expect(only((await laneOf(board)).presence.workers)).toMatchObject({ worker: 'ann', version: '7.1' });
  });

  test('for a lane that is not there is refused, and harms neither the socket nor its other lanes', async () => {
    const [board] = await servers.board();
    await board.lane('work');
    const worker = await openWorker(board, { worker: 'ann' });
    const refused = await worker.ask('hello', { lane: 'nowhere', worker: 'ann' });
    expect(refused).toMatchObject({ ok: false, type: 'error', code: 'lane_not_found', fatal: false });
    expect((await worker.hello('ann')).ok).toBe(true);
    await board.lane('nowhere');
    expect((await worker.ask('hello', { lane: 'nowhere', worker: 'ann' })).ok).toBe(true);
  });

  test('is answered and written for every socket, however many say it at once', async () => {
    const [board] = await servers.board();
    await board.lane('work');
    const sockets = await Promise.all(Array.from({ length: 60 }, () => openSocket(board.server, board.name)));
    const { sql } = servers.database;
    const replies = await Promise.all(
      sockets.map((socket, index) => new PushWorker(socket, 'work').hello(`w${index}`)),
    );
    expect(replies.every((reply) => reply.ok)).toBe(true);
    const rows = await sql`
      SELECT FROM workers w JOIN boards b ON b.id = w.board_id WHERE b.name = ${board.name} AND socket_id IS NOT NULL`;
    expect(rows).toHaveLength(60);
  });
});

describe('of two sockets with one worker name', () => {
  test.each([
    ['the same server', 0],
    ['another server', 1],
  ])('the newer wins, on %s: the older is closed as superseded, and the claims stay', async (_, at) => {
    const boards = await servers.board();
    const [board] = boards;
    const elsewhere = boards[at] as TestBoard;
    await pushLane(board);
    await board.tasks('work', 2);
    const older = await openWorker(board, { worker: 'ann', tokens: true });
    await older.credit(2);
    const [kept, unheard] = await older.untilClaims(2);
    if (kept === undefined || unheard === undefined) throw new Error('two claims were pushed');
    older.acknowledge(kept);
    expect((await older.verb('heartbeat', kept)).ok).toBe(true);
    const newer = await openWorker(elsewhere, { worker: 'ann' });
    expect(await older.socket.closed(SUPERSEDED_WITHIN_MS)).toMatchObject({ code: 4409 });
    // What had not been acknowledged went back, is pushed to the newer, and its attempt was no failure.
    await newer.credit(1);
    const again = await newer.claim();
    expect(again).toMatchObject({ task: { id: unheard.task.id, consecutive_failures: 0 }, attempt: 2 });
    expect((await newer.verb('complete', kept)).ok).toBe(true);
    expect((await newer.verb('complete', again)).ok).toBe(true);
    // It stays the one, whatever the older one's close brings: a later close on the same server has been written, so that one has been.
    const last = await openWorker(board, { worker: 'bob' });
    last.socket.close();
    const closedAt = async (worker: string) => {
      const rows = await servers.database.sql<{ socket_closed_at: string | null }[]>`
        SELECT w.socket_closed_at FROM workers w JOIN boards b ON b.id = w.board_id WHERE b.name = ${board.name} AND w.worker = ${worker}`;
      return only(rows).socket_closed_at;
    };
    await eventually('the later close is written', () => closedAt('bob'));
    expect(await closedAt('ann')).toBeNull();
    expect(newer.socket.closing).toBeNull();
  });

  test('exactly one is left, however many say hello at once on both servers', async () => {
    const boards = await servers.board();
    await boards[0].lane('work');
    const sockets = await Promise.all(
      Array.from({ length: 12 }, (_, index) => {
        const { server, name } = boards[index % 2] as TestBoard;
        return openSocket(server, name);
      }),
    );
    for (const socket of sockets) socket.send({ type: 'hello', id: 'h', lane: 'work', worker: 'ann' });
    const open = () => sockets.filter((socket) => socket.closing === null);
    await eventually('all but one are closed', () => open().length === 1, SUPERSEDED_WITHIN_MS);
    for (const { closing } of sockets.filter((socket) => socket.closing !== null))
      expect(closing).toMatchObject({ code: 4409 });
    const survivor = new PushWorker(only(open()), 'work');
    expect((await survivor.hello('ann')).ok).toBe(true);
  });

  test('neither is closed when they speak for two lanes, or are one', async () => {
    const [board, elsewhere] = await servers.board();
    await board.lane('work');
    await board.lane('other');
    const one = await openWorker(board, { worker: 'ann' });
    const other = await openWorker(elsewhere, { worker: 'ann', lane: 'other' });
    const both = await openWorker(board, { worker: 'bob' });
    expect((await both.ask('hello', { lane: 'other', worker: 'bob' })).ok).toBe(true);
    expect((await both.hello('bob')).ok).toBe(true);
    // Until the next look has been, which a pair that does collide shows.
    const loser = await openWorker(board, { worker: 'eve' });
    await openWorker(elsewhere, { worker: 'eve' });
    await loser.socket.closed(SUPERSEDED_WITHIN_MS);
    expect([one, other, both].map(({ socket }) => socket.closing)).toEqual([null, null, null]);
  });
});

describe('the close of a socket', () => {
  test('is written to the row of its worker, and shown with what the reaper decides later', async () => {
    const [board] = await servers.board();
    const { sql } = servers.database;
    await board.lane('work');
    const task = await board.task('work');
    const claim = await board.claim('work', { worker: 'ann' });
    const worker = await openWorker(board, { worker: 'ann' });
    worker.socket.close();
    await eventually('the close is written', async () => {
      const [row] = await sql<{ socket_closed_at: string | null }[]>`
        SELECT w.socket_closed_at FROM workers w JOIN boards b ON b.id = w.board_id WHERE b.name = ${board.name}`;
      return row?.socket_closed_at !== null;
    });
    // Nobody asked for more: the claim goes on.
    expect((await endClaim(board.server, claim, 'heartbeat')).status).toBe(200);
    expect(await board.read(task.id)).toMatchObject({ status: 'running' });
  });
});
