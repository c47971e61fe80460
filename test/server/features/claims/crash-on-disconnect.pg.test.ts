import { randomUUID } from 'node:crypto';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Claim } from '../../../../src/contract/claims.ts';
import { openDatabase } from '../../../../src/server/db/client.ts';
import type { Wake } from '../../../../src/server/db/wake.ts';
import { Attendance, Departures } from '../../../../src/server/features/claims/service.ts';
import { openWorkerSockets } from '../../../../src/server/features/lanes/service.ts';
import type { WorkerPort } from '../../../../src/server/features/watch/service.ts';
import { parseId, type Uuid } from '../../../../src/server/kernel/ids.ts';
import { auditBoard } from '../../../fixtures/audit.ts';
import { endClaim, makeBoard, type TestBoard } from '../../../fixtures/board.ts';
import { eventually, only } from '../../../fixtures/eventually.ts';
import { untilStanding } from '../../../fixtures/held-lock.ts';
import { useProxy } from '../../../fixtures/proxy.ts';
import { PushWorker, pushLane } from '../../../fixtures/push-worker.ts';
import { useTestServer } from '../../../fixtures/server.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';
import { openSocket } from '../../../fixtures/watch-socket.ts';

const servers = useTwoServers();

/** Longer than what still counts as at once. */
const AWAY_MS = 1500;

/** A worker that said hello; its claims ask for it themselves, or its hello does. */
async function helloOf(board: TestBoard, worker: string, fields: object = {}): Promise<PushWorker> {
  const opened = new PushWorker(await openSocket(board.server, board.name), 'work');
  const reply = await opened.hello(worker, { tokens: false, ...fields });
  expect(reply.ok).toBe(true);
  return opened;
}

const flagged = (board: TestBoard, worker: string, isFlagged = true): Promise<Claim> =>
  board.claim('work', { worker, crash_on_disconnect: isFlagged, lease_seconds: 600 });

/** A close that has been dealt with: its row says so. */
async function untilClosed(board: TestBoard, worker: string): Promise<void> {
  await eventually('the close is written', async () => {
    const [row] = await servers.database.sql<{ socket_closed_at: string | null }[]>`
      SELECT w.socket_closed_at FROM workers w JOIN boards b ON b.id = w.board_id
      WHERE b.name = ${board.name} AND w.worker = ${worker}`;
    return (row?.socket_closed_at ?? null) !== null;
  });
}

describe('when the socket of a worker closes', () => {
  test('the claims that asked for it crash at once, with evidence, and only those', async () => {
    const [board] = await servers.board();
    await board.lane('work');
    await board.tasks('work', 4, { backoff: { base_seconds: 0 } });
    const [crashing, second] = [await flagged(board, 'ann'), await flagged(board, 'ann')];
    const staying = await flagged(board, 'ann', false);
    const foreign = await flagged(board, 'bob');
    const worker = await helloOf(board, 'ann');
    await endClaim(board.server, crashing, 'heartbeat');
    const closedAt = performance.now();
    worker.socket.close();
    for (const { task } of [crashing, second])
      await board.until(task.id, ({ consecutive_failures: failures }) => failures === 1, 'has crashed');
    expect(performance.now() - closedAt).toBeLessThan(5000);
    const run = only(await board.runs(crashing.task.id));
    expect(run).toMatchObject({
      outcome: 'crashed',
      ended_by: { type: 'system', id: 'disconnect' },
      evidence: {
        limit: 'disconnect',
        socket_closed_at: expect.stringMatching(/Z$/),
        last_heartbeat_at: expect.stringMatching(/Z$/),
        lease_expires_at: expect.any(String),
      },
    });
    const told = (await board.events('&kinds=task.crashed')).find(
      (event) => event.run_id === crashing.run_id,
    );
    expect(told).toMatchObject({
      actor: { type: 'system', id: 'disconnect' },
      data: { evidence: run.evidence },
    });
    expect((await endClaim(board.server, crashing, 'complete')).body).toMatchObject({ reason: 'crashed' });
    for (const claim of [staying, foreign])
      expect((await endClaim(board.server, claim, 'heartbeat')).status).toBe(200);
    await auditBoard(servers.database.sql, board.name);
  });

  test('what was pushed to it crashes as its hello asked, but not what it never acknowledged: that is released', async () => {
    const [board] = await servers.board();
    await pushLane(board);
    await board.tasks('work', 3, { backoff: { base_seconds: 0 } });
    const worker = await helloOf(board, 'ann', { crash_on_disconnect: true });
    await worker.credit(3);
    const claims = await worker.untilClaims(3);
    const [heard, ...unheard] = claims;
    if (heard === undefined) throw new Error('there is a claim');
    worker.acknowledge(heard);
    // The reply comes after the acknowledgement was taken.
    await worker.credit(0);
    // Neither verdict waits for the other: what is being released is none of the crash's business.
    await servers.database.sql.begin(async (tx) => {
      for (const { task } of unheard)
        await tx`SELECT FROM tasks WHERE id = ${parseId('task', task.id) ?? ''} FOR UPDATE`;
      worker.socket.close();
      await board.until(heard.task.id, ({ status }) => status !== 'running', 'has crashed');
    });
    for (const { task } of claims)
      await board.until(task.id, ({ status }) => status !== 'running', 'was given up');
    const outcomes = await Promise.all(
      claims.map(async (claim) => only(await board.runs(claim.task.id)).outcome),
    );
    expect(outcomes).toEqual(['crashed', 'released', 'released']);
    await auditBoard(servers.database.sql, board.name);
  });

  test('claims of a worker that never had a socket are left to their leases, until it had one', async () => {
    const [board] = await servers.board();
    await board.lane('work');
    await board.task('work');
    const claim = await flagged(board, 'ann');
    const other = await helloOf(board, 'bob');
    other.socket.close();
    await untilClosed(board, 'bob');
    expect((await endClaim(board.server, claim, 'heartbeat')).status).toBe(200);
    (await helloOf(board, 'ann')).socket.close();
    await board.until(claim.task.id, ({ consecutive_failures: failures }) => failures === 1, 'has crashed');
  });
});

describe('a worker that comes back', () => {
  test('before the close is decided keeps everything: the row decides, under its lock', async () => {
    const [board, elsewhere] = await servers.board();
    const { sql } = servers.database;
    await board.lane('work');
    await board.task('work');
    const claim = await flagged(board, 'ann');
    const worker = await helloOf(board, 'ann');
    await sql.begin(async (tx) => {
      await tx`
        SELECT FROM workers w JOIN boards b ON b.id = w.board_id WHERE b.name = ${board.name} FOR UPDATE OF w`;
      // The hello stands before the close.
      const again = openSocket(elsewhere.server, board.name);
      (await again).send({ type: 'hello', id: 'h', lane: 'work', worker: 'ann' });
      await untilStanding(sql, 'presence.open_sockets', 'row');
      worker.socket.close();
      await untilStanding(sql, 'presence.close_sockets', 'row');
    });
    // Its own look at the row has come and gone once the socket of another worker, which closed later, is dealt with.
    const later = await helloOf(board, 'bob');
    later.socket.close();
    await untilClosed(board, 'bob');
    const [row] = await sql`
      SELECT w.socket_closed_at FROM workers w JOIN boards b ON b.id = w.board_id WHERE b.name = ${board.name} AND worker = 'ann'`;
    expect(row).toEqual({ socket_closed_at: null });
    expect((await endClaim(board.server, claim, 'complete')).status).toBe(200);
    await auditBoard(sql, board.name);
  });

  test('after it finds its claims crashed, and its hello waits until that is decided', async () => {
    const [board, elsewhere] = await servers.board();
    const { sql } = servers.database;
    await board.lane('work');
    const task = await board.task('work', { backoff: { base_seconds: 0 } });
    const claim = await flagged(board, 'ann');
    const worker = await helloOf(board, 'ann');
    const again = new PushWorker(await openSocket(elsewhere.server, board.name), 'work');
    let greeting: Promise<{ readonly ok: boolean }> | undefined;
    await sql.begin(async (tx) => {
      await tx`SELECT FROM tasks t JOIN boards b ON b.id = t.board_id WHERE b.name = ${board.name} FOR UPDATE OF t`;
      worker.socket.close();
      await untilStanding(sql, 'claims.lock_holds', 'row');
      greeting = again.hello('ann');
      await untilStanding(sql, 'presence.open_sockets', 'row');
    });
    expect((await greeting)?.ok).toBe(true);
    expect((await endClaim(board.server, claim, 'heartbeat')).body).toMatchObject({ reason: 'crashed' });
    expect(only(await board.runs(task.id)).outcome).toBe('crashed');
  });

  test('as a newer socket makes the older one no loss', async () => {
    const [board, elsewhere] = await servers.board();
    await board.lane('work');
    await board.task('work');
    const claim = await flagged(board, 'ann');
    const older = await helloOf(board, 'ann');
    await helloOf(elsewhere, 'ann');
    expect(await older.socket.closed()).toMatchObject({ code: 4409 });
    const later = await helloOf(board, 'bob');
    later.socket.close();
    await untilClosed(board, 'bob');
    expect((await endClaim(board.server, claim, 'complete')).status).toBe(200);
  });
});

test('a server that stops takes nobody’s claims', async () => {
  const { database, first } = servers;
  const board = await makeBoard(first);
  await board.lane('work');
  await board.task('work');
  const stopping = await useTestServer(database.url);
  const claim = await flagged(board, 'ann');
  const worker = await helloOf(board.through(stopping), 'ann');
  await stopping.stop();
  expect(await worker.socket.closed()).toMatchObject({ code: 1012 });
  await untilClosed(board, 'ann');
  expect((await endClaim(first, claim, 'complete')).status).toBe(200);
});

describe('while the database is away', () => {
  test('the close stays owed, and the worker that comes back when it can keeps everything', async () => {
    const proxy = await useProxy(servers.database.url);
    const server = await useTestServer(proxy.url);
    const board = await makeBoard(server);
    await board.lane('work');
    await board.task('work');
    const claim = await flagged(board, 'ann');
    const worker = await helloOf(board, 'ann');
    proxy.cut();
    const closedAt = performance.now();
    worker.socket.close();
    await eventually(
      'the database is away',
      async () => (await server.call('GET', '/readyz')).status === 503,
    );
    await eventually('that was not just a moment', () => performance.now() - closedAt > AWAY_MS);
    proxy.pass();
    const direct = board.through(servers.first);
    // The close is made good at once. What it means for the claim has to wait for the worker, which finds the database later.
    await untilClosed(direct, 'ann');
    expect((await endClaim(direct.server, claim, 'heartbeat')).status).toBe(200);
    await helloOf(direct, 'ann');
    expect((await endClaim(direct.server, claim, 'complete')).status).toBe(200);
  });

  test('a close crashes the claims of a worker that has had the time to come back, and did not', async () => {
    const proxy = await useProxy(servers.database.url);
    const client = openDatabase({ url: proxy.url });
    const direct = openDatabase({ url: servers.database.url });
    onTestFinished(() => Promise.all([client.close(), direct.close()]).then(() => undefined));
    const [board] = await servers.board();
    await board.lane('work');
    await board.tasks('work', 2, { backoff: { base_seconds: 0 } });
    for (const worker of ['ann', 'bob']) await flagged(board, worker);
    const sql = servers.database.sql;
    // Sockets of a server that is no more, so that its departures are this test's.
    const ids = new Map([
      ['ann', randomUUID() as Uuid],
      ['bob', randomUUID() as Uuid],
    ]);
    const { id } = only(await sql<{ id: number }[]>`SELECT id FROM boards WHERE name = ${board.name}`);
    const open = (worker: string, socketId: Uuid) => {
      const openings = [{ lane: 'work', worker, version: null, socketId }];
      return openWorkerSockets(direct.cold, id, openings);
    };
    for (const [worker, socketId] of ids) await open(worker, socketId);
    let crashed = 0;
    const errors: unknown[] = [];
    const departures = new Departures({
      sql: client.cold,
      wake: { ring: () => undefined, nudge: () => undefined } as unknown as Wake,
      returns: { owes: () => false },
      onCrashed: (count) => {
        crashed += count;
      },
      onError: (error) => errors.push(error),
      settleMs: 1500,
    });
    const leave = (worker: string, socketId: Uuid) =>
      departures.leave({
        board: { id, name: board.name, incarnation: '' },
        lane: 'work',
        worker,
        socketId,
        isLost: true,
        mayCrashAtOnce: true,
      });
    await client.cold`SELECT 1`;
    proxy.cut();
    for (const [worker, socketId] of ids) leave(worker, socketId);
    await eventually('both were tried', () => errors.length > 0);
    proxy.pass();
    const sweeping = setInterval(() => departures.sweep(), 50);
    onTestFinished(() => clearInterval(sweeping));
    for (const worker of ids.keys()) await untilClosed(board, worker);
    await open('bob', randomUUID() as Uuid);
    await eventually('one has crashed', () => crashed === 1);
    const [row] = await sql`SELECT outcome, ended_by_id FROM runs WHERE board_id = ${id} AND worker = 'ann'`;
    expect(row).toEqual({ outcome: 'crashed', ended_by_id: 'disconnect' });
    expect(await sql`SELECT worker FROM claims WHERE board_id = ${id}`).toEqual([{ worker: 'bob' }]);
  });
});

interface OwnServer {
  readonly attendance: Attendance;
  readonly departures: Departures;
  /** Of workers that have crashed since. */
  crashed(): number;
  port(): WorkerPort;
  hello(port: WorkerPort, worker: string): Promise<void>;
}

/** Attendance as of one more server, whose sockets are this test's to open and close. */
async function ownServer(board: TestBoard, settleMs: number): Promise<OwnServer> {
  const { cold, close } = openDatabase({ url: servers.database.url });
  onTestFinished(close);
  const { id } = only(
    await servers.database.sql<{ id: number }[]>`SELECT id FROM boards WHERE name = ${board.name}`,
  );
  let crashed = 0;
  const departures = new Departures({
    sql: cold,
    wake: { ring: () => undefined, nudge: () => undefined } as unknown as Wake,
    returns: { owes: () => false },
    onCrashed: (count) => {
      crashed += count;
    },
    onError: (error) => {
      throw error;
    },
    settleMs,
  });
  const attendance = new Attendance({ sql: cold, departures });
  const sweeping = setInterval(() => departures.sweep(), 50);
  onTestFinished(() => clearInterval(sweeping));
  const ref = { id, name: board.name, incarnation: '' };
  return {
    attendance,
    departures,
    crashed: () => crashed,
    port: () => ({ socketId: randomUUID(), board: ref, end: () => undefined }) as unknown as WorkerPort,
    hello: (port, worker) => {
      const greeting = { lane: 'work', worker, version: null, hasTokens: false, isCrashOnDisconnect: false };
      return attendance.onHello(port, greeting);
    },
  };
}

/** Longer than a hello of a busy machine takes, and short enough to be waited for. */
const SETTLE_MS = 2000;

describe('a hello whose socket closes before it is answered', () => {
  /** Holds the row of a worker; hellos of others stand behind its hello. */
  const holdWorker = async (board: TestBoard, worker: string, within: () => Promise<void>): Promise<void> => {
    await servers.database.sql.begin(async (tx) => {
      await tx`
        SELECT FROM workers w JOIN boards b ON b.id = w.board_id
        WHERE b.name = ${board.name} AND w.worker = ${worker} FOR UPDATE OF w`;
      await within();
    });
  };
  const socketOf = async (board: TestBoard, worker: string) =>
    only(
      await servers.database.sql<{ socket_id: string; socket_closed_at: string | null }[]>`
        SELECT w.socket_id, w.socket_closed_at FROM workers w JOIN boards b ON b.id = w.board_id
        WHERE b.name = ${board.name} AND w.worker = ${worker}`,
    );

  test('while it waits for others is nothing: the socket on which its worker has come back elsewhere stays the one', async () => {
    const [board] = await servers.board();
    const { sql } = servers.database;
    await board.lane('work');
    await board.task('work');
    const claim = await flagged(board, 'ann');
    const own = await ownServer(board, 0);
    const zed = own.port();
    await own.hello(zed, 'zed');
    const ghost = own.port();
    const standing: Promise<void>[] = [];
    let live: PushWorker | undefined;
    await holdWorker(board, 'zed', async () => {
      standing.push(own.hello(zed, 'zed'));
      await untilStanding(sql, 'presence.open_sockets', 'row');
      standing.push(own.hello(ghost, 'ann'));
      own.attendance.onClose(ghost, 'lost');
      live = await helloOf(board, 'ann');
    });
    await Promise.all(standing);
    await own.departures.drain();
    expect(await socketOf(board, 'ann')).toMatchObject({ socket_closed_at: null });
    expect((await socketOf(board, 'ann')).socket_id).not.toBe(ghost.socketId);
    expect((await endClaim(board.server, claim, 'complete')).status).toBe(200);
    expect([live?.socket.closing, own.crashed()]).toEqual([null, 0]);
  });

  test('while it is being written may count as the newer, and crashes nothing before its worker could say hello again', async () => {
    const [board] = await servers.board();
    const { sql } = servers.database;
    await board.lane('work');
    await board.tasks('work', 2, { backoff: { base_seconds: 0 } });
    const [claim, lostClaim] = [await flagged(board, 'bob'), await flagged(board, 'eve')];
    const own = await ownServer(board, SETTLE_MS);
    await own.hello(own.port(), 'ann');
    const [bobs, eves] = [own.port(), own.port()];
    const standing: Promise<void>[] = [];
    let live: PushWorker | undefined;
    await holdWorker(board, 'ann', async () => {
      // One statement, in the order of the names.
      standing.push(own.hello(own.port(), 'ann'), own.hello(bobs, 'bob'), own.hello(eves, 'eve'));
      await untilStanding(sql, 'presence.open_sockets', 'row');
      for (const ghost of [bobs, eves]) own.attendance.onClose(ghost, 'lost');
      live = await helloOf(board, 'bob');
      await helloOf(board, 'eve');
    });
    await Promise.all(standing);
    expect((await socketOf(board, 'bob')).socket_id).toBe(bobs.socketId);
    // As its client does when it is sent away for a hello of its own.
    await helloOf(board, 'bob');
    expect(await live?.socket.closed()).toMatchObject({ code: 4409 });
    // Eve does not come back, and had the same time.
    await board.until(
      lostClaim.task.id,
      ({ consecutive_failures: failures }) => failures === 1,
      'has crashed',
    );
    expect(own.crashed()).toBe(1);
    expect((await endClaim(board.server, claim, 'complete')).status).toBe(200);
    await auditBoard(sql, board.name);
  });
});

test('of a socket that was several workers all are given the time to come back, and all crash after it', async () => {
  const [board] = await servers.board();
  await board.lane('work');
  await board.tasks('work', 3, { backoff: { base_seconds: 0 } });
  for (const worker of ['ann', 'bob', 'eve']) await flagged(board, worker);
  const own = await ownServer(board, 500);
  const port = own.port();
  for (const worker of ['ann', 'bob', 'eve']) await own.hello(port, worker);
  for (const worker of ['ann', 'bob', 'eve'])
    own.departures.leave({
      board: port.board,
      lane: 'work',
      worker,
      socketId: port.socketId,
      isLost: true,
      mayCrashAtOnce: false,
    });
  await own.departures.drain();
  expect(own.crashed()).toBe(0);
  await eventually('all have crashed', () => own.crashed() === 3);
});

describe('a worker that goes on without a socket', () => {
  /** Its socket has closed, and what that means for its claims is decided when it had the time to come back. */
  const leave = (own: OwnServer, port: WorkerPort) =>
    own.departures.leave({
      board: port.board,
      lane: 'work',
      worker: 'ann',
      socketId: port.socketId,
      isLost: true,
      mayCrashAtOnce: false,
    });

  test('keeps what it has claimed since its socket closed, whenever that is looked at', async () => {
    const [board] = await servers.board();
    await board.lane('work');
    await board.tasks('work', 2, { backoff: { base_seconds: 3600 } });
    const before = await flagged(board, 'ann');
    const own = await ownServer(board, SETTLE_MS);
    const port = own.port();
    await own.hello(port, 'ann');
    leave(own, port);
    await own.departures.drain();
    const since = await flagged(board, 'ann');
    await board.until(before.task.id, ({ consecutive_failures: failures }) => failures === 1, 'has crashed');
    await own.departures.drain();
    expect(own.crashed()).toBe(1);
    expect((await endClaim(board.server, since, 'complete')).status).toBe(200);
    await auditBoard(servers.database.sql, board.name);
  });

  test('keeps it also when the close could not be written at once', async () => {
    const [board] = await servers.board();
    const { sql } = servers.database;
    await board.lane('work');
    await board.tasks('work', 2, { backoff: { base_seconds: 3600 } });
    const before = await flagged(board, 'ann');
    const own = await ownServer(board, 500);
    const port = own.port();
    await own.hello(port, 'ann');
    let since: Claim | undefined;
    await sql.begin(async (tx) => {
      await tx`SELECT FROM workers w JOIN boards b ON b.id = w.board_id WHERE b.name = ${board.name} FOR UPDATE OF w`;
      leave(own, port);
      await untilStanding(sql, 'presence.close_sockets', 'row');
      since = await flagged(board, 'ann');
    });
    await board.until(before.task.id, ({ consecutive_failures: failures }) => failures === 1, 'has crashed');
    expect(own.crashed()).toBe(1);
    expect((await endClaim(board.server, since as Claim, 'complete')).status).toBe(200);
  });
});
