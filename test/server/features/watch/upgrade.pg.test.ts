import { describe, expect, test, vi } from 'vitest';
import { endClaim, expectStatus } from '../../../fixtures/board.ts';
import { CountedRounds } from '../../../fixtures/counted-rounds.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';
import { openSocket, refusedSocket, type SocketOptions } from '../../../fixtures/watch-socket.ts';

const rounds = new CountedRounds();
vi.mock(import('../../../../src/server/kernel/lifecycle.ts'), async (importOriginal) => {
  const original = await importOriginal();
  return { ...original, createLifecycle: (report) => rounds.counting(original.createLifecycle)(report) };
});

const servers = useTwoServers();

async function makeKey(body: object): Promise<{ id: string; secret: string }> {
  const answer = expectStatus(await servers.first.call('POST', '/v1/keys', { body }), 201).body;
  return { id: answer.key.id, secret: answer.secret };
}

describe('an upgrade', () => {
  test('is accepted with a header or with the bearer subprotocol, which is never echoed', async () => {
    for (const isBearerOffered of [false, true]) {
      const socket = await openSocket(servers.first, 'default', { isBearerOffered });
      expect(socket.protocol).toBe('lanekeeper.v1');
      await socket.watch({ id: 'w' });
    }
  });

  const refusals: [string, string, SocketOptions, number, string][] = [
    ['no credential', 'default', { token: null }, 401, 'unauthenticated'],
    ['a wrong key', 'default', { token: 'not-a-key-but-long-enough-to-be' }, 401, 'unauthenticated'],
    [
      'a wrong key as subprotocol',
      'default',
      { token: 'nonsense', isBearerOffered: true },
      401,
      'unauthenticated',
    ],
    ['a board that does not exist', 'nowhere', {}, 404, 'not_found'],
    ['a foreign Origin', 'default', { origin: 'https://evil.example' }, 403, 'origin_not_allowed'],
    ['the Origin null', 'default', { origin: 'null' }, 403, 'origin_not_allowed'],
    ['no subprotocol of ours', 'default', { protocols: ['chat'] }, 400, 'invalid_request'],
  ];
  test.each(refusals)(
    'with %s is refused as a plain HTTP problem',
    async (_what, board, options, status, code) => {
      expect(await refusedSocket(servers.first, board, options)).toEqual({
        status,
        code,
        contentType: 'application/problem+json',
      });
    },
  );

  test('of a foreign board is refused like that of a missing one', async () => {
    const [board] = await servers.board();
    const { secret: token } = await makeKey({ role: 'observer', name: 'o', boards: ['default'] });
    expect(await refusedSocket(servers.first, board.name, { token })).toMatchObject({
      status: 404,
      code: 'not_found',
    });
  });

  test('from a page of the server’s own origin is accepted', async () => {
    const socket = await openSocket(servers.first, 'default', { origin: servers.first.url });
    await socket.watch({ id: 'w' });
  });
});

describe('a revoked key', () => {
  test('closes its sockets with 4401 within a second, on the other server too, and no others', async () => {
    const { id, secret: token } = await makeKey({ role: 'observer', name: 'o', boards: ['*'] });
    const sockets = await Promise.all(
      [servers.first, servers.second].map((server) => openSocket(server, 'default', { token })),
    );
    const stranger = await openSocket(servers.second, 'default');
    for (const socket of sockets) await socket.watch({ id: 'w' });
    expectStatus(await servers.first.call('DELETE', `/v1/keys/${id}`), 200, 204);
    const roundsSince = rounds.since('revoked sockets');
    for (const socket of sockets) expect((await socket.closed()).code).toBe(4401);
    expect(roundsSince() * rounds.intervalMs('revoked sockets')).toBeLessThanOrEqual(1000);
    await stranger.watch({ id: 'still here' });
    expect((await refusedSocket(servers.second, 'default', { token })).status).toBe(401);
  });
});

describe('a claim token', () => {
  test('sees the events of its own task and of no other, whatever it asks for', async () => {
    const [board, elsewhere] = await servers.board();
    await board.lane('work');
    await board.tasks('work', 2);
    const [mine, other] = [await board.claim('work'), await board.claim('work')];
    const socket = await openSocket(elsewhere.server, board.name, { token: mine.token });
    await socket.watch({ id: 'all', after: 'start' });
    await socket.watch({ id: 'other', after: 'start', tasks: [other.task.id] });
    await socket.watch({ id: 'lane', after: 'start', lanes: ['work'] });
    await endClaim(board.server, other, 'complete');
    await endClaim(board.server, mine, 'complete');
    for (const id of ['all', 'lane']) {
      await socket.event(id, (event) => event.kind === 'task.completed');
      expect(socket.events(id).map((event) => event.kind)).toEqual([
        'task.created',
        'task.claimed',
        'task.completed',
      ]);
      expect(new Set(socket.events(id).map((event) => event.task_id))).toEqual(new Set([mine.task.id]));
    }
    expect(socket.events('other')).toEqual([]);
    const log = await elsewhere.call('GET', '/events?after=start', { token: mine.token });
    expect(log.body.events).toEqual(socket.events('all'));
  });

  test('opens no other board', async () => {
    const [board] = await servers.board();
    const [foreign] = await servers.board();
    await board.lane('work');
    await board.task('work');
    const { token } = await board.claim('work');
    expect((await refusedSocket(board.server, foreign.name, { token })).status).toBe(404);
  });
});
