/** Whoever is refused is in the log, whichever way he came, with the board that it was about. */
import { expect, test } from 'vitest';
import { openDatabase } from '../../../../src/server/db/client.ts';
import { AuditJournal } from '../../../../src/server/features/audit/service.ts';
import { TestBoard } from '../../../fixtures/board.ts';
import { useTestDatabase } from '../../../fixtures/database.ts';
import { type TestServer, useTestServer } from '../../../fixtures/server.ts';
import { openSocket, refusedSocket } from '../../../fixtures/watch-socket.ts';

interface Entry {
  readonly actor: { readonly name: string | null; readonly type: string };
  readonly board: string | null;
  readonly code: string | null;
  readonly count: number;
  readonly address: string | null;
  readonly data: Readonly<Record<string, unknown>>;
}

async function makeKey(server: TestServer, body: Readonly<Record<string, unknown>>): Promise<string> {
  return (await server.call('POST', '/v1/keys', { body })).body.secret;
}

async function refusedOf(server: TestServer, token?: string): Promise<Entry[]> {
  const options = token === undefined ? {} : { token };
  return (await server.call('GET', '/v1/audit?actions=access.refused', options)).body.entries;
}

test('over requests and over sockets, at the upgrade and in a frame; and admins of the board see it', async () => {
  const { url } = await useTestDatabase();
  const server = await useTestServer(url);
  for (const name of ['first', 'second']) await server.call('PUT', `/v1/boards/${name}`, { body: {} });
  const observer = await makeKey(server, { role: 'observer', name: 'curious', boards: ['first'] });
  const admin = await makeKey(server, { role: 'admin', name: 'of the second', boards: ['second'] });
  await server.call('PUT', '/v1/boards/first/lanes/work', { token: observer, body: {} });
  const upgrade = await refusedSocket(server, 'second', { token: observer });
  expect(upgrade.status).toBe(404);
  await refusedSocket(server, 'no-such-board', { token: observer });
  const socket = await openSocket(server, 'first', { token: observer });
  socket.send({ type: 'hello', id: 'h', lane: 'work', worker: 'w' });
  await socket.frame('error', ({ id }) => id === 'h');
  socket.close();
  // A server that stops writes what it has summed up.
  await server.stop();
  const again = await useTestServer(url);
  const shown = ({ actor, board, code, count, address, data }: Entry) => [
    ...[actor.name, board, code, count, address],
    data['operation'] ?? 'many',
  ];
  expect((await refusedOf(again)).map(shown)).toEqual([
    ['curious', 'first', 'forbidden', 1, '127.0.0.1', 'putLane'],
    ['curious', 'second', 'not_found', 1, '127.0.0.1', 'watchBoard'],
    // Two places a caller and round; the others are one entry.
    ['curious', null, null, 2, '127.0.0.1', 'many'],
  ]);
  expect((await refusedOf(again, admin)).map(shown)).toEqual([
    ['curious', 'second', 'not_found', 1, '127.0.0.1', 'watchBoard'],
  ]);
});

test('a claim token is, where it reaches for the run of another, and where what it asks for is not for it', async () => {
  const { url } = await useTestDatabase();
  const server = await useTestServer(url);
  const board = new TestBoard(server, 'default');
  await board.lane('work');
  await board.tasks('work', 2);
  const [own, other] = [await board.claim('work'), await board.claim('work')];
  const answer = await server.call('POST', `/v1/runs/${other.run_id}/complete`, {
    token: own.token,
    body: {},
  });
  expect(answer.status).toBe(403);
  const subscribe = { platform: 'discord', chat_id: 'c' };
  const asked = { token: own.token, body: { title: 'a task', lane: 'work', subscribe } };
  expect((await board.call('POST', '/tasks', asked)).status).toBe(403);
  await server.stop();
  const again = await useTestServer(url);
  expect(await refusedOf(again)).toMatchObject([
    { actor: { type: 'claim' }, board: null, code: 'not_your_claim', data: { operation: 'completeRun' } },
    { actor: { type: 'claim' }, board: 'default', code: 'forbidden', data: { operation: 'createTask' } },
  ]);
});

test('what cannot be written down at once is not lost', async () => {
  const { url, sql } = await useTestDatabase();
  const database = openDatabase({ url });
  const journal = new AuditJournal(database.cold, 400);
  journal.refuse({
    action: 'credential.refused',
    actor: { type: 'anonymous', id: null, name: null },
    ...{ code: 'unauthenticated', operation: null, board: null, address: '192.0.2.1', requestId: null },
  });
  await sql`ALTER TABLE audit_entries RENAME TO away`;
  await expect(journal.writeRefusals()).rejects.toThrow('audit_entries');
  await sql`ALTER TABLE away RENAME TO audit_entries`;
  await journal.writeRefusals();
  await database.close();
  expect(await sql`SELECT action, count, address FROM audit_entries`).toMatchObject([
    { action: 'credential.refused', count: 1, address: '192.0.2.1' },
  ]);
});
