/** An operation ends early when somebody asks for it, or when who made it may not go on. */
import { afterEach, describe, expect, test } from 'vitest';
import type { Operation } from '../../../../src/contract/bulk.ts';
import { auditBoard } from '../../../fixtures/audit.ts';
import { expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { eventually } from '../../../fixtures/eventually.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();
const boards: TestBoard[] = [];

/** Whatever a test did, the log says the same as the rows. */
afterEach(async () => {
  for (const board of boards.splice(0)) await auditBoard(servers.database.sql, board.name);
});

const TASKS = 120;
/** As many as one turn does. */
const DONE = 50;

async function newBoard(): Promise<[TestBoard, TestBoard]> {
  const pair = await servers.board();
  await pair[0].lane('work');
  await pair[0].tasks('work', TASKS);
  boards.push(pair[0]);
  return pair;
}

const read = async (board: TestBoard, id: string): Promise<Operation> =>
  expectStatus(await board.call('GET', `/operations/${id}`), 200).body.operation;

const make = async (board: TestBoard, token?: string): Promise<Operation> => {
  const body = { action: 'cancel', filter: { lane: 'work' } };
  const options = token === undefined ? { body } : { body, token };
  return expectStatus(await board.call('POST', '/tasks/bulk', options), 202).body.operation;
};

/** One task of the second turn is held meanwhile, so that the operation stands still after its first. */
async function whileItStands<T>(
  board: TestBoard,
  token: string | undefined,
  work: (made: Operation) => Promise<T>,
) {
  return servers.database.sql.begin(async (tx) => {
    await tx`
      SELECT FROM tasks WHERE id = (
        SELECT t.id FROM tasks t JOIN boards b ON b.id = t.board_id WHERE b.name = ${board.name} ORDER BY t.id OFFSET ${DONE + 10} LIMIT 1
      ) FOR UPDATE`;
    const made = await make(board, token);
    await eventually('it stands after one turn', async () => (await read(board, made.id)).succeeded === DONE);
    return { made, result: await work(made) };
  });
}

async function expectRestLeft(board: TestBoard, done: number): Promise<void> {
  const { counts } = (await board.call('GET', '')).body.board;
  expect([counts.cancelled, counts.ready]).toEqual([done, TASKS - done]);
  expect((await board.events('&kinds=task.cancelled')).length).toBe(done);
}

describe('an operation that is cancelled', () => {
  test('keeps what it has done, leaves the rest, and says who has stopped it', async () => {
    const [board, elsewhere] = await newBoard();
    const { made, result } = await whileItStands(board, undefined, async ({ id }) => {
      const answer = expectStatus(await elsewhere.call('POST', `/operations/${id}/cancel`), 200);
      return answer.body.operation as Operation;
    });
    expect(result).toMatchObject({
      status: 'stopped',
      stop_reason: 'cancelled',
      stopped_by: made.created_by,
      total: TASKS,
      succeeded: DONE,
      failed_count: 0,
    });
    expect(result.finished_at).not.toBeNull();
    // A wait for it is over, and another stop changes nothing.
    const headers = { Prefer: 'wait=60' };
    expect((await board.call('GET', `/operations/${made.id}`, { headers })).body.operation).toEqual(result);
    expect((await board.call('POST', `/operations/${made.id}/cancel`)).body.operation).toEqual(result);
    // As much time as the next one takes from beginning to end, the stopped one has not moved.
    const next = await make(board);
    await eventually('the next is done', async () => (await read(board, next.id)).status === 'done');
    expect(await read(board, made.id)).toEqual(result);
    expect((await board.events('&kinds=task.cancelled')).length).toBe(TASKS);
  });

  test('after it is done stays done; on another board there is none', async () => {
    const [board] = await newBoard();
    const [other] = await newBoard();
    const { id } = await make(board);
    await eventually('it is done', async () => (await read(board, id)).status === 'done');
    const answer = await board.call('POST', `/operations/${id}/cancel`);
    expect(answer.body.operation).toMatchObject({ status: 'done', stop_reason: null, stopped_by: null });
    expect((await other.call('POST', `/operations/${id}/cancel`)).code).toBe('not_found');
  });
});

describe('the key that made an operation', () => {
  const call = (method: string, path: string, body?: unknown) => servers.second.call(method, path, { body });
  const ways: readonly [string, (board: TestBoard, keyId: string) => Promise<unknown>][] = [
    ['is revoked', (_, keyId) => call('DELETE', `/v1/keys/${keyId}`)],
    [
      'expires',
      (board) => servers.database.sql`UPDATE api_keys SET expires_at = now() WHERE name = ${board.name}`,
    ],
    [
      'reaches the board no more',
      (board) => servers.database.sql`UPDATE api_keys SET boards = '{elsewhere}' WHERE name = ${board.name}`,
    ],
    [
      'has another role',
      (board) => servers.database.sql`UPDATE api_keys SET role = 'observer' WHERE name = ${board.name}`,
    ],
  ];

  test.each(ways)('%s: it does not go on', async (_, withdraw) => {
    const [board] = await newBoard();
    const body = { role: 'orchestrator', boards: [board.name], name: board.name };
    const { key, secret } = expectStatus(await call('POST', '/v1/keys', body), 201).body;
    const { made } = await whileItStands(board, secret, () => withdraw(board, key.id));
    const stopped = await eventually('it has ended', async () => {
      const operation = await read(board, made.id);
      return operation.status === 'running' ? null : operation;
    });
    expect(stopped).toMatchObject({ status: 'stopped', stop_reason: 'unauthorised', stopped_by: null });
    // The turn that stood at the lock, for half a second at most, had been begun before.
    expect([DONE, 2 * DONE]).toContain(stopped.succeeded);
    await expectRestLeft(board, stopped.succeeded);
  });
});
