import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { WebSocket } from 'ws';
import { WebSocket as NodeWebSocket } from 'ws';
import { connect } from '../../../src/client/client.ts';
import { systemTiming, type Timing } from '../../../src/client/timing.ts';
import type { StateName } from '../../../src/client/watch/machine.ts';
import type { WatchOptions } from '../../../src/client/watch/options.ts';
import type { WebSocketConstructor } from '../../../src/client/watch/socket.ts';
import { problem, ScriptedServer } from '../fixtures/scripted-server.ts';

let server: ScriptedServer;
let stop: AbortController;
/** Frames that clients sent, one list per socket. */
let received: Record<string, unknown>[][];
/** What the server does with each socket's watch frame. */
let onWatch: (socket: WebSocket, frame: Record<string, unknown>, index: number) => void;

beforeEach(async () => {
  server = await ScriptedServer.start();
  stop = new AbortController();
  received = [];
  onWatch = () => undefined;
  server.accept = (socket) => {
    const index = received.length;
    const frames: Record<string, unknown>[] = [];
    received.push(frames);
    socket.on('message', (data) => {
      const frame = JSON.parse(String(data)) as Record<string, unknown>;
      frames.push(frame);
      if (frame['type'] === 'watch') onWatch(socket, frame, index);
    });
  };
});
afterEach(async () => {
  stop.abort();
  await server.stop();
});

const FAST = { backoffBaseMs: 1, backoffCapMs: 2, connectMs: 5_000, silenceMs: 5_000, queueEventsMax: 1000 };
const event = (seq: number) => ({ seq, cursor: `c${seq}`, kind: 'task.created', board: 'default', data: {} });
const send = (socket: WebSocket, frame: object) => socket.send(JSON.stringify(frame));
const sendEvents = (socket: WebSocket, ...seqs: number[]) =>
  send(socket, { type: 'events', id: 'watch', events: seqs.map(event), cursor: `c${seqs.at(-1)}` });
const watching = (socket: WebSocket, cursor = 'c0') =>
  send(socket, { type: 'watching', id: 'watch', cursor });
const watch = (options: WatchOptions = {}, timing?: Timing) =>
  connect({ url: server.url, token: 'lk_test', timing }).watch(
    { ...options, limits: { ...FAST, ...options.limits } },
    stop.signal,
  );

async function take(source: AsyncIterable<{ seq: number }>, count: number): Promise<number[]> {
  const seqs: number[] = [];
  for await (const { seq } of source) {
    seqs.push(seq);
    if (seqs.length === count) break;
  }
  return seqs;
}

async function failureOf(source: AsyncIterable<unknown>): Promise<unknown> {
  try {
    for await (const _ of source);
    return undefined;
  } catch (error) {
    return error;
  }
}

describe('a watch', () => {
  test('authenticates by header on Node and asks for what it was given', async () => {
    onWatch = (socket) => {
      watching(socket);
      sendEvents(socket, 1);
    };
    await take(
      watch({
        after: 'start',
        lanes: ['factory'],
        kinds: ['task.*'],
        hello: { lane: 'factory', worker: 'w1' },
      }),
      1,
    );
    expect(server.upgrades[0]).toMatchObject({ url: '/v1/boards/default/watch' });
    expect(server.upgrades[0]?.headers).toMatchObject({
      authorization: 'Bearer lk_test',
      'sec-websocket-protocol': 'lanekeeper.v1',
    });
    expect(received[0]).toEqual([
      { type: 'hello', id: 'hello', lane: 'factory', worker: 'w1' },
      { type: 'watch', id: 'watch', after: 'start', lanes: ['factory'], kinds: ['task.*'] },
    ]);
  });

  test('authenticates by subprotocol where headers cannot be set, and never in the URL', async () => {
    onWatch = (socket) => {
      watching(socket);
      sendEvents(socket, 1);
    };
    const webSocket = NodeWebSocket as unknown as WebSocketConstructor;
    await take(connect({ url: server.url, token: 'lk_ü', webSocket }).watch({}, stop.signal), 1);
    const { headers, url } = server.upgrades[0] ?? { headers: {}, url: '' };
    const bearer = `lanekeeper.bearer.${Buffer.from('lk_ü').toString('base64url')}`;
    expect(headers['sec-websocket-protocol']).toBe(`lanekeeper.v1,${bearer}`);
    expect(headers.authorization).toBeUndefined();
    expect(url).not.toContain('lk_');
  });

  test('goes on from its cursor after a drop, without losing or repeating an event', async () => {
    onWatch = (socket, frame, index) => {
      watching(socket, String(frame['after']));
      if (index === 0) {
        sendEvents(socket, 1, 2);
        socket.terminate();
      } else {
        sendEvents(socket, 2, 3);
      }
    };
    expect(await take(watch({ after: 'start' }), 3)).toEqual([1, 2, 3]);
    expect(received.map((frames) => frames[0]?.['after'])).toEqual(['start', 'c2']);
  });

  test('comes back after a drain when the server says so', async () => {
    onWatch = (socket, frame, index) => {
      watching(socket, String(frame['after']));
      if (index === 0) send(socket, { type: 'drain', reconnect_after_ms: 5 });
      else sendEvents(socket, 1);
    };
    expect(await take(watch({ after: 'c0' }), 1)).toEqual([1]);
    expect(received).toHaveLength(2);
  });

  test('fetches again what was missing, and fails when it is still missing', async () => {
    onWatch = (socket, frame, index) => {
      watching(socket, String(frame['after']));
      if (index === 0) sendEvents(socket, 1, 3);
      if (index === 1) sendEvents(socket, 2, 3);
      if (index >= 1) sendEvents(socket, 5);
    };
    const source = watch({ after: 'start' });
    const seqs: number[] = [];
    await expect(async () => {
      for await (const { seq } of source) seqs.push(seq);
    }).rejects.toThrow('events are missing');
    expect(seqs).toEqual([1, 2, 3]);
    expect(received.map((frames) => frames[0]?.['after'])).toEqual(['start', 'c1', 'c3']);
  });

  test('stops reading when its consumer lags, and goes on where it was', async () => {
    onWatch = (socket, frame, index) => {
      watching(socket, String(frame['after']));
      if (index === 0) sendEvents(socket, 1, 2, 3);
      else sendEvents(socket, 4);
    };
    const states: StateName[] = [];
    const source = watch({
      after: 'start',
      limits: { queueEventsMax: 2 },
      onState: (state) => states.push(state),
    });
    await expect.poll(() => source.state).toBe('paused');
    expect(received).toHaveLength(1);
    expect(await take(source, 4)).toEqual([1, 2, 3, 4]);
    expect(received[1]?.[0]).toMatchObject({ after: 'c3' });
    expect(states).toEqual([
      'connecting',
      'subscribing',
      'live',
      'paused',
      'connecting',
      'subscribing',
      'live',
      'ended',
    ]);
  });

  test('leaves a server that has gone silent', async () => {
    onWatch = (socket, _, index) => {
      watching(socket);
      if (index === 1) sendEvents(socket, 1);
    };
    expect(await take(watch({ limits: { silenceMs: 30 } }), 1)).toEqual([1]);
  });

  test('passes hints on and ignores frames that it does not know', async () => {
    const hints: unknown[] = [];
    onWatch = (socket) => {
      watching(socket);
      send(socket, { type: 'from-the-future', id: 'watch' });
      socket.send('not json');
      send(socket, { type: 'available', lane: 'factory', ready: 3 });
      sendEvents(socket, 1);
    };
    await take(watch({ onAvailable: (lane, ready) => hints.push([lane, ready]) }), 1);
    expect(hints).toEqual([['factory', 3]]);
  });

  test('keeps the cursor of what its consumer has seen, and of bookmarks when idle', async () => {
    onWatch = (socket) => {
      watching(socket);
      sendEvents(socket, 1, 2);
      send(socket, { type: 'bookmark', id: 'watch', cursor: 'c9' });
    };
    const source = watch();
    await source.next();
    expect(source.cursor).toBe('c1');
    await source.next();
    expect(source.cursor).toBe('c2');
  });

  test('ends quietly when aborted, also in the middle of a wait', async () => {
    onWatch = (socket) => watching(socket);
    const source = watch();
    const next = source.next();
    await expect.poll(() => source.state).toBe('live');
    stop.abort();
    expect(await next).toEqual({ done: true, value: undefined });
    expect(await source.next()).toEqual({ done: true, value: undefined });
  });
});

describe('a watch fails', () => {
  test('with cursor_expired when the log no longer reaches back', async () => {
    const frame = {
      type: 'error',
      id: 'watch',
      code: 'cursor_expired',
      title: 'Too old',
      detail: 'd',
      fatal: false,
    };
    onWatch = (socket) => send(socket, frame);
    expect(await failureOf(watch({ after: 'c0' }))).toMatchObject({ code: 'cursor_expired', status: 410 });
  });

  test('with the reason that a refused upgrade hides from a browser', async () => {
    server.refuseUpgradesWith = 404;
    server.respond = () => problem(404, 'not_found');
    expect(await failureOf(watch({ board: 'nowhere' }))).toMatchObject({ code: 'not_found', status: 404 });
    expect(server.requests).toMatchObject([{ path: '/v1/boards/nowhere' }]);
  });

  test('when its key is revoked', async () => {
    onWatch = (socket) => socket.close(4401);
    expect(await failureOf(watch())).toMatchObject({ code: 'unauthenticated', status: 401 });
  });

  test('as superseded when a newer socket has said hello as its worker', async () => {
    onWatch = (socket) => socket.close(4409, 'newer');
    const failed = await failureOf(watch({ hello: { lane: 'l', worker: 'w' } }));
    expect(failed).toMatchObject({ code: 'superseded', status: 409, retryable: false });
  });

  test.each([
    // Gone before the server has answered its hello: written late, that one is the newer socket.
    [
      'once, when an earlier hello of its own was never answered: the next time somebody else has the name',
      false,
      3,
    ],
    ['at once, when all of its hellos were answered', true, 2],
  ])('as superseded %s', async (_, isAnswered, socketsExpected) => {
    onWatch = (socket, _frame, index) => {
      if (index > 0 || isAnswered) send(socket, { type: 'reply', id: 'hello', ok: true });
      watching(socket);
      if (index === 0) socket.close(1012);
      else socket.close(4409, 'newer');
    };
    const failed = await failureOf(watch({ hello: { lane: 'l', worker: 'w' } }));
    expect(failed).toMatchObject({ code: 'superseded', status: 409, retryable: false });
    expect(received).toHaveLength(socketsExpected);
  });

  test('as not found when its board is gone, and by the code for other broken rules', async () => {
    let reason = 'the board is gone';
    onWatch = (socket) => socket.close(1008, reason);
    expect(await failureOf(watch())).toMatchObject({ code: 'not_found', status: 404 });
    reason = 'too many fragments';
    expect(await failureOf(watch())).toMatchObject({
      code: 'unexpected_answer',
      detail: `${reason}, close code 1008`,
    });
  });

  test('with what kept it from connecting, when it never was connected within the time it was given', async () => {
    server.refuseUpgradesWith = 503;
    // Half of the time passes with each attempt, and none otherwise: the first is told, the second is the last.
    let nowMs = 0;
    server.respond = () => {
      nowMs += 50;
      return { status: 200, json: {} };
    };
    const told: string[] = [];
    const onConnectFailure = ({ message }: Error) => told.push(message);
    const source = watch(
      { limits: { firstConnectMs: 100 }, onConnectFailure },
      { ...systemTiming, now: () => nowMs },
    );
    expect(await failureOf(source)).toMatchObject({
      code: 'unreachable',
      message: expect.stringContaining('opens no WebSocket'),
    });
    expect(told).toEqual([`No answer from ${server.url}: it answers requests, but opens no WebSocket`]);
    expect(server.upgrades).toHaveLength(2);
  });

  test('but never for that reason once it was connected', async () => {
    onWatch = (socket, _, index) => {
      watching(socket);
      if (index === 0) {
        server.refuseUpgradesWith = 503;
        socket.close(1012);
      } else sendEvents(socket, 1);
    };
    // Over long before the last of the refusals.
    const source = watch({ limits: { firstConnectMs: 100 } });
    const started = performance.now();
    await expect
      .poll(() => server.upgrades.length > 3 && performance.now() - started > 100, { timeout: 10_000 })
      .toBe(true);
    server.refuseUpgradesWith = 0;
    expect(await take(source, 1)).toEqual([1]);
  });

  test('when its hello is refused', async () => {
    const reply = {
      type: 'reply',
      id: 'hello',
      ok: false,
      problem: { code: 'forbidden', title: 't', detail: 'd', status: 403 },
    };
    onWatch = (socket) => send(socket, reply);
    expect(await failureOf(watch({ hello: { lane: 'l', worker: 'w' } }))).toMatchObject({
      code: 'forbidden',
    });
  });

  test('but not while the server is only away', async () => {
    server.refuseUpgradesWith = 503;
    server.respond = () => problem(503, 'draining');
    onWatch = (socket) => {
      watching(socket);
      sendEvents(socket, 1);
    };
    const source = watch();
    await expect.poll(() => server.upgrades.length).toBeGreaterThan(2);
    server.refuseUpgradesWith = 0;
    expect(await take(source, 1)).toEqual([1]);
  });
});
