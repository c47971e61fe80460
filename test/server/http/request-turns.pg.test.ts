/** Whoever floods the server with ordinary requests stands before nobody else's, and one claim token has no more than so many. */
import { expect, onTestFinished, test, vi } from 'vitest';
import { RequestTurns, UNDER_WAY_PER_CLAIM_MAX } from '../../../src/server/http/request-turns.ts';
import { endClaim, expectStatus, makeBoard, type TestBoard } from '../../fixtures/board.ts';
import { useTestDatabase } from '../../fixtures/database.ts';
import { eventually } from '../../fixtures/eventually.ts';
import { holdCounter, untilTestEnds } from '../../fixtures/held-lock.ts';
import { type CallAnswer, useTestServer } from '../../fixtures/server.ts';

/** Several times what all connections would do at once. */
const FLOOD = 120;

async function useBoard(): Promise<{ board: TestBoard; sql: Parameters<typeof holdCounter>[0] }> {
  const { url, sql } = await useTestDatabase();
  const board = await makeBoard(await useTestServer(url));
  await board.lane('work');
  await board.task('work');
  return { board, sql };
}

const comment = (board: TestBoard, task: string, token?: string): Promise<CallAnswer> =>
  board.call('POST', `/tasks/${task}/comments`, { body: { body: 'x' }, ...(token && { token }) });

test('a claim token has so many requests under way and no more; its heartbeats, ends and long polls go on', async () => {
  const { board, sql } = await useBoard();
  const { token, task, run_id } = await board.claim('work');
  const entered = vi.spyOn(RequestTurns.prototype, 'enter');
  onTestFinished(() => entered.mockRestore());
  // It waits already, and is not counted.
  const waiting = board.call('GET', `/tasks/${task.id}`, { token, headers: { Prefer: 'wait=30' } });
  await eventually('it waits', () => entered.mock.calls.some(([, isWaiting]) => isWaiting));
  const lock = await untilTestEnds(holdCounter(sql, board.name));
  const comments = Array.from({ length: UNDER_WAY_PER_CLAIM_MAX }, () => comment(board, task.id, token));
  await eventually('all are under way', () => entered.mock.calls.length === 1 + UNDER_WAY_PER_CLAIM_MAX);

  const refused = [
    await comment(board, task.id, token),
    await endClaim(board.server, { run_id, token }, 'messages/ack', { ids: [`msg_${'0'.repeat(26)}`] }),
    await board.call('POST', '/tasks', { body: { title: 'a child' }, token }),
    await board.call('GET', `/tasks/${task.id}`, { token }),
  ];
  for (const answer of refused)
    expect([answer.status, answer.code, answer.headers.get('Retry-After')]).toEqual([
      429,
      'rate_limited',
      '1',
    ]);
  const output = await endClaim(board.server, { run_id, token }, 'output', { lines: ['a line'] });
  expect(output.status).toBe(200);
  // Both stand at the counter row or behind who does, and neither is refused.
  const beat = endClaim(board.server, { run_id, token }, 'heartbeat');
  await lock.release();
  for (const answer of await Promise.all(comments)) expect(answer.status).toBe(201);
  expect((await beat).status).toBe(200);
  expectStatus(await comment(board, task.id, token), 201);
  expectStatus(await endClaim(board.server, { run_id, token }, 'complete'), 200);
  expect(expectStatus(await waiting, 200).body.task.status).toBe('done');
});

test('a request of one key is answered at once, whatever another key has sent before it, and while all of that waits for a lock', async () => {
  const { board, sql } = await useBoard();
  const task = await board.task(null);
  const quiet = await makeBoard(board.server);
  const calm = await quiet.task(null);
  const body = { role: 'orchestrator', name: 'quiet', boards: ['*'] };
  const { secret } = expectStatus(await board.server.call('POST', '/v1/keys', { body }), 201).body;
  const asked = vi.spyOn(RequestTurns.prototype, 'run');
  onTestFinished(() => asked.mockRestore());
  const lock = await untilTestEnds(holdCounter(sql, board.name));
  let answered = 0;
  const flood = Array.from({ length: FLOOD }, async () => {
    expectStatus(await comment(board, task.id), 201);
    answered += 1;
  });
  await eventually('all of it has come', () => asked.mock.calls.length === FLOOD);
  expectStatus(await comment(quiet, calm.id, secret), 201);
  expectStatus(await quiet.call('GET', `/tasks/${calm.id}`), 200);
  expect(answered).toBe(0);
  await lock.release();
  await Promise.all(flood);
});
