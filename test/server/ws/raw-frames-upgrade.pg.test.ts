import { describe, expect, test } from 'vitest';
import { ProblemBody } from '../../../src/contract/problems.ts';
import { useBench } from '../../fixtures/bench.ts';
import { eventually } from '../../fixtures/eventually.ts';
import { type RawSocket, upgradeRaw } from '../../fixtures/raw-socket.ts';
import { ADMIN_KEY } from '../../fixtures/server.ts';

const bench = useBench();
const published = useBench({
  publicUrl: 'https://lanes.example.com',
  allowedOrigins: ['https://board.example.com', 'http://localhost:5173'],
});

/** The refusal, whole: its body is a problem, and the connection is closed. */
async function refusalOf(socket: RawSocket): Promise<[number, string]> {
  await eventually('the connection is closed', () => socket.isEnded);
  expect(socket.head).toContain('application/problem+json');
  const problem = ProblemBody.parse(JSON.parse(socket.body));
  expect(problem.status).toBe(socket.status);
  return [socket.status, problem.code];
}

describe('an upgrade that is wrong is refused as a problem, and its connection closed', () => {
  const wrong: [string, Parameters<typeof upgradeRaw>[1], number, string][] = [
    ['no version', { headers: { 'Sec-WebSocket-Version': null } }, 400, 'invalid_request'],
    ['an old version', { headers: { 'Sec-WebSocket-Version': '7' } }, 400, 'invalid_request'],
    ['no key', { headers: { 'Sec-WebSocket-Key': null } }, 400, 'invalid_request'],
    ['a key that is too short', { headers: { 'Sec-WebSocket-Key': 'c2hvcnQ=' } }, 400, 'invalid_request'],
    ['another method', { method: 'POST' }, 405, 'method_not_allowed'],
    ['a path without a socket', { path: '/v1/boards/default/events' }, 404, 'not_found'],
    ['a path below the socket', { path: '/v1/boards/default/watch/more' }, 404, 'not_found'],
    ['a board with a slash', { path: '/v1/boards/a%2Fb/watch' }, 404, 'not_found'],
    ['no subprotocol', { headers: { 'Sec-WebSocket-Protocol': null } }, 400, 'invalid_request'],
    [
      'another version of it',
      { headers: { 'Sec-WebSocket-Protocol': 'lanekeeper.v2' } },
      400,
      'invalid_request',
    ],
    [
      'a malformed list',
      { headers: { 'Sec-WebSocket-Protocol': 'lanekeeper.v1,,' } },
      400,
      'invalid_request',
    ],
    [
      'the same one twice',
      { headers: { 'Sec-WebSocket-Protocol': 'lanekeeper.v1, lanekeeper.v1' } },
      400,
      'invalid_request',
    ],
    ['no credential', { headers: { Authorization: null } }, 401, 'unauthenticated'],
    [
      'a credential in the address, which is not looked at',
      {
        path: `/v1/boards/default/watch?token=${ADMIN_KEY}&access_token=${ADMIN_KEY}`,
        headers: { Authorization: null },
      },
      401,
      'unauthenticated',
    ],
  ];
  test.each(wrong)('%s', async (_what, options, status, code) => {
    expect(await refusalOf(await upgradeRaw(bench.server, options))).toEqual([status, code]);
  });

  test('a version that is not spoken is answered with those that are', async () => {
    const socket = await upgradeRaw(bench.server, { headers: { 'Sec-WebSocket-Version': '99' } });
    expect(socket.head).toMatch(/^sec-websocket-version: .*\b13\b/im);
  });

  test('and a peer that then does not close its own side is cut off', async () => {
    const socket = await upgradeRaw(bench.server, { headers: { Authorization: null } });
    expect(await refusalOf(socket)).toEqual([401, 'unauthenticated']);
    await eventually('what is sent arrives nowhere', () => {
      socket.write('more');
      return socket.isClosed;
    });
  });

  test('and the server goes on: the next one is accepted, whatever the case of its words', async () => {
    const socket = await upgradeRaw(bench.server, {
      headers: { Upgrade: 'WebSocket', Connection: 'keep-alive, upgrade' },
    });
    expect(socket.status).toBe(101);
  });
});

describe('an Origin', () => {
  const origins: [string, string, string, number][] = [
    ['of the public address', 'https://lanes.example.com', 'internal:7420', 101],
    ['of the public address, but without TLS', 'http://lanes.example.com', 'internal:7420', 403],
    ['of the public address, at another port', 'https://lanes.example.com:8443', 'internal:7420', 403],
    ['that is allowed', 'https://board.example.com', 'internal:7420', 101],
    ['that is allowed, with its port', 'http://localhost:5173', 'internal:7420', 101],
    ['that is allowed, but for its port', 'http://localhost:5174', 'internal:7420', 403],
    ['below one that is allowed', 'https://evil.board.example.com', 'internal:7420', 403],
    ['that begins as one that is allowed', 'https://board.example.com.evil.example', 'internal:7420', 403],
    ['of the host that is asked', 'http://127.0.0.1:7420', '127.0.0.1:7420', 101],
    ['of the host that is asked, at another port', 'http://127.0.0.1:7421', '127.0.0.1:7420', 403],
    ['that is null', 'null', 'internal:7420', 403],
    ['that is empty', '', 'internal:7420', 403],
    ['that is no origin', 'file:///etc/passwd', 'internal:7420', 403],
    ['that is a list', 'https://board.example.com, https://evil.example', 'internal:7420', 403],
  ];
  test.each(origins)('%s: %s', async (_what, origin, host, status) => {
    const socket = await upgradeRaw(published.server, { headers: { Origin: origin, Host: host } });
    expect(socket.status).toBe(status);
    if (status === 403) expect(await refusalOf(socket)).toEqual([403, 'origin_not_allowed']);
  });

  test('is asked for before the credential, so that a page learns nothing about keys', async () => {
    const headers = { Origin: 'https://evil.example', Authorization: 'Bearer not-a-key-but-long-enough' };
    expect(await refusalOf(await upgradeRaw(bench.server, { headers }))).toEqual([403, 'origin_not_allowed']);
  });

  test('may be missing: it is for browsers, and everybody else brings a credential', async () => {
    expect((await upgradeRaw(published.server)).status).toBe(101);
  });
});
