import { beforeAll, describe, expect, test } from 'vitest';
import { makePageToken } from '../../../src/server/http/page-token.ts';
import { formatCursor } from '../../../src/server/kernel/cursor.ts';
import { formatId, type Uuid } from '../../../src/server/kernel/ids.ts';
import { uniqueName, useBench } from '../../fixtures/bench.ts';

const bench = useBench();
const BOARD = '/v1/boards/default';

async function refusalOf(method: string, path: string, body?: unknown) {
  const before = await bench.footprint();
  const answer = await bench.api.call(method, path, body === undefined ? {} : { body });
  expect(await bench.footprint(), path).toEqual(before);
  return { path, status: answer.status, code: answer.code };
}

describe('a bad path', () => {
  const missing = formatId('task', '018f4d2e-7c1a-7b3c-9d4e-5f6a7b8c9d0e' as Uuid);
  test.each([
    ['GET', '/v1/boards/UPPER', 400],
    ['GET', '/v1/boards/a%00b', 400],
    ['GET', '/v1/boards/%ED%A0%80', 400],
    ['GET', '/v1/boards/%ff', 400],
    ['GET', '/v1/boards/%zz', 400],
    ['GET', '/v1/boards/..%2f..%2fetc', 400],
    ['GET', '/v1/boards/__proto__', 400],
    ['GET', `/v1/boards/${'x'.repeat(65)}`, 400],
    ['PUT', '/v1/boards/Bad%20Name', 400],
    ['PUT', `${BOARD}/lanes/a%00`, 400],
    ['GET', `${BOARD}/lanes/nobody`, 404],
    ['GET', `${BOARD}/tasks/${'x'.repeat(256)}`, 400],
    ['GET', `${BOARD}/tasks/a%00b`, 400],
    ['GET', `${BOARD}/tasks/%ED%A0%80`, 404],
    ['GET', `${BOARD}/tasks/a%2Fb`, 404],
    ['GET', `${BOARD}/tasks/${missing}`, 404],
    ['GET', `${BOARD}/tasks/task_zzzz`, 404],
    ['GET', `${BOARD}/tasks/constructor`, 404],
    ['POST', `${BOARD}/tasks/${missing}/cancel`, 404],
    ['POST', `${BOARD}/tasks/${missing}/archive`, 404],
    ['GET', '/v1/runs/not-a-run', 400],
    ['GET', `/v1/runs/${missing}`, 400],
    ['GET', '/v1/runs/run_7zzzzzzzzzzzzzzzzzzzzzzzzz', 404],
    ['GET', '/v1/runs/run_00000000000000000000000000', 404],
    ['DELETE', '/v1/keys/key_7zzzzzzzzzzzzzzzzzzzzzzzzz', 404],
    ['DELETE', '/v1/keys/nothing', 400],
    ['GET', `${BOARD}/delegations/nothing`, 400],
    ['GET', `${BOARD}/delegations/deleg_7zzzzzzzzzzzzzzzzzzzzzzzzz`, 404],
    ['POST', `${BOARD}/delegations/deleg_00000000000000000000000000/cancel`, 404],
    ['GET', `${BOARD}/subscriptions/sub_7zzzzzzzzzzzzzzzzzzzzzzzzz`, 404],
    ['DELETE', `${BOARD}/subscriptions/sub_00000000000000000000000000`, 404],
    ['POST', '/v1/deliveries/nothing/retry', 400],
    ['POST', '/v1/deliveries/dlv_7zzzzzzzzzzzzzzzzzzzzzzzzz/retry', 404],
    ['POST', '/v1/deliveries/dlv_00000000000000000000000000/retry', 404],
    ['GET', `${BOARD}/sessions/a%00b/messages`, 400],
    ['GET', `${BOARD}/sessions/${'x'.repeat(2000)}/messages`, 400],
  ])('%s %s is refused', async (method, path, status) => {
    expect((await refusalOf(method, path)).status).toBe(status);
  });
});

describe('a bad query', () => {
  test.each([
    '/tasks?limit=0',
    '/tasks?limit=201',
    '/tasks?limit=99999999999999999999',
    '/tasks?limit=-1',
    '/tasks?limit=1e2',
    '/tasks?limit=',
    '/tasks?limit=10&limit=20',
    '/tasks?status=sleeping',
    '/tasks?status=ready,',
    `/tasks?lane=${Array.from({ length: 51 }, (_, n) => `l${n}`).join(',')}`,
    '/tasks?label=nocolon',
    '/tasks?order=random',
    '/tasks?q=',
    '/tasks?q=%00',
    '/tasks?colour=red',
    '/tasks?tenant=%00',
    '/lanes?limit=1000000',
    '/delegations?status=sleeping',
    '/delegations?session_id=',
    '/delegations?session_id=%00',
    '/subscriptions?delegation_id=nothing',
    '/deliveries?status=pending,',
    '/deliveries?subscription_id=nothing',
    '/tasks?delegation=nothing',
    '/events?limit=1001',
    '/events?limit=x',
    '/events?kinds=task.exploded',
    '/events?tasks=,',
    '/events?after=',
  ])('%s is refused as invalid_request', async (query) => {
    expect(await refusalOf('GET', BOARD + query)).toMatchObject({ status: 400, code: 'invalid_request' });
  });

  test('of hundred wildcards is text like any other', async () => {
    const answer = await bench.api.get(`${BOARD}/tasks?q=${'%25_%5C'.repeat(60)}`);
    expect(answer.body.tasks).toEqual([]);
  });
});

describe('a page token', () => {
  const board = uniqueName('pages');
  let tasksToken: string;
  beforeAll(async () => {
    await bench.api.put(`/v1/boards/${board}`);
    for (const title of ['a', 'b', 'c']) {
      await bench.makeTask(board, { title });
      await bench.makeLane(board, `lane-${title}`);
    }
    const page = await bench.api.get(`/v1/boards/${board}/tasks?limit=1&order=created`);
    tasksToken = page.body.next_page_token;
  });

  test('of another list, order, filter or board is refused', async () => {
    expect(tasksToken).toEqual(expect.any(String));
    for (const path of [
      `/v1/boards?page_token=${tasksToken}`,
      `/v1/keys?page_token=${tasksToken}`,
      `/v1/boards/${board}/lanes?page_token=${tasksToken}`,
      `/v1/boards/${board}/tasks?page_token=${tasksToken}`,
      `/v1/boards/${board}/tasks?order=created&status=ready&page_token=${tasksToken}`,
      `/v1/boards/${board}/tasks?order=priority&page_token=${tasksToken}`,
      `/v1/boards/default/tasks?order=created&page_token=${tasksToken}`,
    ])
      expect(await refusalOf('GET', path)).toMatchObject({ status: 400, code: 'invalid_cursor' });
  });

  test('that is made up is refused, however well it is made', async () => {
    const { sql } = bench.database;
    const [row] = await sql`SELECT id FROM boards WHERE name = ${board}`;
    const [task] = (await bench.api.get(`/v1/boards/${board}/tasks?limit=1`)).body.tasks;
    const tasksScope = `tasks ${row?.['id']} created ${JSON.stringify({ statuses: null, lanes: null, labels: null, tenants: null, titlePart: null, parentId: null, delegationId: null, sessionId: null })}`;
    const good = makePageToken(tasksScope, [task.id, '0']);
    expect((await bench.api.get(`/v1/boards/${board}/tasks?order=created&page_token=${good}`)).status).toBe(
      200,
    );
    const forged: [string, string][] = [
      ['/v1/boards', makePageToken('boards', ['a\0b'])],
      ['/v1/boards', makePageToken('boards', ['\ud800'])],
      [`/v1/boards/${board}/lanes`, makePageToken(`lanes ${board}`, ['\0'])],
      ['/v1/keys', makePageToken('keys', ['nonsense'])],
      [`/v1/boards/${board}/tasks?order=created`, makePageToken(tasksScope, ['nonsense', '0'])],
      [`/v1/boards/${board}/tasks?order=created`, makePageToken(tasksScope, [task.id, '1e300'])],
      [
        `/v1/boards/${board}/tasks/${task.id}/comments`,
        makePageToken(`comments ${row?.['id']} ${task.id}`, ['x']),
      ],
      [
        `/v1/boards/${board}/tasks/${task.id}/runs`,
        makePageToken(`runs ${row?.['id']} ${task.id}`, ['9000000000']),
      ],
      [
        `/v1/boards/${board}/tasks/${task.id}/runs`,
        makePageToken(`runs ${row?.['id']} ${task.id}`, ['-1.5']),
      ],
      [
        `/v1/boards/${board}/delegations`,
        makePageToken(`delegations ${row?.['id']} [null,null]`, ['nonsense']),
      ],
      [`/v1/boards/${board}/subscriptions`, makePageToken(`subscriptions ${row?.['id']} `, ['nonsense'])],
      [
        `/v1/boards/${board}/deliveries`,
        makePageToken(`deliveries ${row?.['id']} [null,null,null]`, ['nonsense']),
      ],
      ...(
        [
          ['yesterday', task.id.replace('task', 'dlv')],
          ['1767607200000000', 'nonsense'],
          ['-1', task.id.replace('task', 'dlv')],
          ['1e15', task.id.replace('task', 'dlv')],
          ['9'.repeat(17), task.id.replace('task', 'dlv')],
        ] as const
      ).map((parts): [string, string] => [
        `/v1/boards/${board}/sessions/s1/messages`,
        makePageToken(`messages ${row?.['id']} s1`, [...parts]),
      ]),
    ];
    for (const [path, token] of forged) {
      const separator = path.includes('?') ? '&' : '?';
      expect(await refusalOf('GET', `${path}${separator}page_token=${token}`)).toMatchObject({
        status: 400,
        code: 'invalid_cursor',
      });
    }
  });

  test.each([
    'x',
    'AAAA',
    Buffer.from('[1,2]').toString('base64url'),
    Buffer.from('{}').toString('base64url'),
  ])('of nonsense (%s) is refused', async (token) => {
    expect(await refusalOf('GET', `/v1/boards?page_token=${token}`)).toMatchObject({
      code: 'invalid_cursor',
    });
  });
});

describe('a cursor', () => {
  test('that is made up, of another board, of another log or beyond the end is refused', async () => {
    const board = uniqueName('log');
    await bench.api.put(`/v1/boards/${board}`);
    const { cursor } = (await bench.api.get(BOARD)).body.board;
    const [row] = await bench.database.sql`
      SELECT b.id, b.log_incarnation, s.seq::int FROM boards b JOIN board_seq s ON s.board_id = b.id WHERE b.name = ${board}`;
    const own = { boardId: row?.['id'], incarnation: row?.['log_incarnation'], seq: row?.['seq'] };
    const log = `/v1/boards/${board}/events?after=`;
    expect((await bench.api.get(log + formatCursor(own))).status).toBe(200);
    for (const bad of [
      cursor,
      'abc',
      'now.or.never',
      '%F0%9F%98%80',
      formatCursor({ ...own, seq: own.seq + 1 }),
      formatCursor({ ...own, seq: Number.MAX_SAFE_INTEGER }),
      `${formatCursor(own)}A`,
    ])
      expect(await refusalOf('GET', log + bad)).toMatchObject({ status: 400, code: 'invalid_cursor' });
    // A restore replaced the log: the position is lost, as one that was pruned.
    const replaced = formatCursor({ ...own, incarnation: '00000000' });
    expect(await refusalOf('GET', log + replaced)).toMatchObject({ status: 410, code: 'cursor_expired' });
  });
});

describe('a filter of the log', () => {
  test.each([
    ['tasks', 'bogus'],
    ['tasks', 'an-external-ref'],
    ['tasks', 'task_01jcqk0v3te8sr3x6y9m2b4n5p,run_01jcqk0v3te8sr3x6y9m2b4n5p'],
    ['lanes', 'Bad Lane'],
    ['lanes', 'good,'],
    ['kinds', 'task.nonsense'],
  ])('of %s that could never match (%s) is refused, as JSON and as a stream', async (name, value) => {
    const path = `/v1/boards/default/events?${name}=${encodeURIComponent(value)}`;
    for (const Accept of ['application/json', 'text/event-stream']) {
      const answer = await bench.api.get(path, { headers: { Accept } });
      expect([answer.status, answer.code]).toEqual([400, 'invalid_request']);
      expect(answer.body.errors).toMatchObject([{ pointer: `/${name}` }]);
    }
  });
});

describe('the address of the watch socket', () => {
  test('without an upgrade says that it is one', async () => {
    const answer = await bench.server.call('GET', '/v1/boards/default/watch');
    expect([answer.status, answer.code]).toEqual([400, 'invalid_request']);
    expect(answer.body.detail).toContain('WebSocket');
    const posted = await bench.server.call('POST', '/v1/boards/default/watch', { body: {} });
    expect([posted.status, posted.code, posted.headers.get('Allow')]).toEqual([
      405,
      'method_not_allowed',
      'GET',
    ]);
  });
});
