import { createServer, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { EventBatch } from '../../../src/server/features/watch/event-batch.ts';
import { EventStream } from '../../../src/server/features/watch/event-stream.ts';
import { EventStreams } from '../../../src/server/features/watch/event-streams.ts';
import type { BatchFollower } from '../../../src/server/features/watch/followers.ts';
import type { LogRow } from '../../../src/server/features/watch/store.ts';
import type { AnswerStream } from '../../../src/server/http/answer-stream.ts';
import { prefersEventStream } from '../../../src/server/http/request-headers.ts';
import { writeAnswer } from '../../../src/server/http/write-answer.ts';
import { ProblemError } from '../../../src/server/kernel/problem-error.ts';
import { eventually } from '../../fixtures/eventually.ts';
import { logRow } from '../../fixtures/log-row.ts';

describe('the text of an endless answer', () => {
  let server: Server;
  let responses: ServerResponse[];
  beforeEach(async () => {
    responses = [];
    server = createServer((_incoming, outgoing) => {
      outgoing.on('error', () => undefined);
      responses.push(outgoing);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  /** Requests on one connection, and the responses to them. */
  async function ask(...methods: string[]): Promise<{ socket: Socket; outgoing: ServerResponse[] }> {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    socket.on('error', () => undefined);
    for (const method of methods) socket.write(`${method} / HTTP/1.1\r\nHost: a\r\n\r\n`);
    await eventually('the requests', () => responses.length === methods.length);
    return { socket, outgoing: responses };
  }

  function begin(outgoing: ServerResponse | undefined): AnswerStream {
    let opened: AnswerStream | undefined;
    if (outgoing)
      writeAnswer(outgoing, 'request', {
        status: 200,
        stream: { contentType: 'text/plain', begin: (stream) => (opened = stream) },
      });
    if (opened === undefined) throw new Error('a stream is begun in any case');
    return opened;
  }

  /** Until nothing goes out any more: some megabytes fit into the buffers of the two ends of the connection. */
  async function fill(stream: AnswerStream, text: string): Promise<void> {
    await eventually('no more is taken', () => {
      const isFull = !stream.send(text);
      for (let texts = 0; texts < 1000 && stream.send(text); texts += 1);
      return isFull;
    });
  }

  test('is bounded while nobody reads it, and room is told of when it is read', async () => {
    const { socket, outgoing } = await ask('GET');
    socket.pause();
    const stream = begin(outgoing[0]);
    let writable = 0;
    stream.onWritable(() => {
      writable += 1;
    });
    const text = 'x'.repeat(16 * 1024);
    await fill(stream, text);
    writable = 0;
    expect(outgoing[0]?.writableLength).toBeLessThan(128 * 1024 + 2 * text.length);
    expect(stream.stalledMs()).toBeGreaterThan(0);
    const stalledMs = stream.stalledMs();
    await eventually('time passes', () => stream.stalledMs() > stalledMs);
    expect(writable).toBe(0);
    socket.resume();
    await eventually('there is room', () => writable > 0);
    await eventually('nothing lies unsent', () => stream.stalledMs() === 0);
    expect(stream.send(text)).toBe(true);
  });

  test('ends whole for who reads, and its connection with it', async () => {
    const { socket, outgoing } = await ask('GET');
    const stream = begin(outgoing[0]);
    stream.send('last words');
    let closed = 0;
    stream.onClose(() => {
      closed += 1;
    });
    stream.end();
    expect([stream.isOpen, stream.send('more')]).toEqual([false, true]);
    let received = '';
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString();
    });
    await eventually('it is closed', () => closed === 1);
    await eventually('it is whole', () => received.endsWith('last words\r\n0\r\n\r\n'));
    await eventually('its connection is closed', () => socket.readableEnded || socket.destroyed);
    expect(received).toContain('Connection: close');
  });

  test('is cut off when its end is not read within a second', async () => {
    const { socket, outgoing } = await ask('GET');
    socket.pause();
    const stream = begin(outgoing[0]);
    const text = 'x'.repeat(64 * 1024);
    await fill(stream, text);
    let isClosed = false;
    stream.onClose(() => {
      isClosed = true;
    });
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    stream.end();
    vi.advanceTimersByTime(999);
    expect(outgoing[0]?.destroyed).toBe(false);
    vi.advanceTimersByTime(1);
    vi.useRealTimers();
    await eventually('it is closed', () => isClosed);
  });

  test('has closed already for a head, and for a client that has gone', async () => {
    const { socket, outgoing } = await ask('HEAD', 'GET');
    let closed = 0;
    const head = begin(outgoing[0]);
    head.onClose(() => {
      closed += 1;
    });
    expect([head.isOpen, closed]).toEqual([false, 1]);
    socket.destroy();
    await eventually('the client has gone', () => outgoing[1]?.req.socket.destroyed);
    const gone = begin(outgoing[1]);
    gone.onClose(() => {
      closed += 1;
    });
    expect([gone.isOpen, closed, gone.send('text')]).toEqual([false, 2, true]);
  });

  test('is let go with its connection, also while it stands behind another answer', async () => {
    const { socket, outgoing } = await ask('GET', 'GET');
    const stream = begin(outgoing[1]);
    stream.send('waits');
    let isClosed = false;
    stream.onClose(() => {
      isClosed = true;
    });
    expect(stream.isOpen).toBe(true);
    socket.destroy();
    await eventually('it is closed', () => isClosed);
    expect(stream.isOpen).toBe(false);
  });
});

/** An outlet that takes what the test lets it take. */
function fakeOutlet() {
  const state = { texts: [] as string[], isFull: false, isOpen: true, stalledMs: 0 };
  let onWritable: () => void = () => undefined;
  const closeListeners: (() => void)[] = [];
  const close = (): void => {
    if (!state.isOpen) return;
    state.isOpen = false;
    for (const listener of closeListeners) listener();
  };
  const outlet: AnswerStream = {
    get isOpen() {
      return state.isOpen;
    },
    send: (text) => {
      if (state.isFull) return false;
      state.texts.push(Buffer.from(text).toString());
      return true;
    },
    onWritable: (listener) => {
      onWritable = listener;
    },
    onClose: (listener) => void closeListeners.push(listener),
    stalledMs: () => state.stalledMs,
    end: close,
  };
  return { state, outlet, close, onWritable: () => onWritable() };
}

const BOARD = { id: 1, name: 'b', incarnation: 'aaaaaaaa' };

/** A board's log in memory. */
function fakeFeeds() {
  const followers = new Set<BatchFollower>();
  const rows: LogRow[] = [];
  const batchAfter = (seq: number, count: number): EventBatch => {
    const part = rows.slice(seq, seq + count);
    return new EventBatch(BOARD, seq, { rows: part, isAtEnd: seq + part.length === rows.length });
  };
  const feeds = {
    follow: async (_board: unknown, follower: BatchFollower) => {
      followers.add(follower);
      return { seq: rows.length, leave: () => followers.delete(follower) };
    },
    isLiveAfter: () => false,
    position: async (_board: unknown, after: string | null) => {
      if (after === 'expired') throw new ProblemError('cursor_expired', 'gone');
      return after === 'now' ? rows.length : 0;
    },
    readOn: async (_board: unknown, seq: number) => batchAfter(seq, 100),
  };
  const write = (count: number): void => {
    const before = rows.length;
    for (let seq = before + 1; seq <= before + count; seq += 1) rows.push(logRow(seq));
    const batch = batchAfter(before, count);
    for (const follower of followers) follower.onBatch(batch);
  };
  return { feeds: feeds as never, followers, write };
}

const ALL = { kinds: null, lanes: null, tasks: null };
const fail = (error: unknown): never => {
  throw error;
};
const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
};
const seqsOf = (texts: readonly string[]): number[] =>
  [...texts.join('').matchAll(/"seq":(\d+)/g)].map(([, seq]) => Number(seq));

async function setup() {
  const log = fakeFeeds();
  const outlet = fakeOutlet();
  const closed = vi.fn();
  const stream = new EventStream({
    board: BOARD,
    filter: ALL,
    feeds: log.feeds,
    onClose: closed,
    onError: fail,
  });
  stream.begin(outlet.outlet, await stream.start('now'));
  await settled();
  return { ...log, ...outlet, stream, closed };
}

describe('a stream of events', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('is parked where it stands while its client does not read, and goes on from the log', async () => {
    const { state, write, onWritable, stream } = await setup();
    write(1);
    await settled();
    state.isFull = true;
    write(300);
    await settled();
    expect(seqsOf(state.texts)).toEqual([1]);
    state.isFull = false;
    onWritable();
    await settled();
    write(1);
    await settled();
    expect(seqsOf(state.texts)).toEqual(Array.from({ length: 302 }, (_, index) => index + 1));
    stream.end();
  });

  test('is ended after a minute in which its client took nothing, and not before', async () => {
    const { state, closed, followers, stream } = await setup();
    state.isFull = true;
    state.stalledMs = 59_000;
    stream.tick();
    expect(state.isOpen).toBe(true);
    state.stalledMs = 61_000;
    stream.tick();
    expect([state.isOpen, followers.size, closed.mock.calls.length]).toEqual([false, 0, 1]);
  });

  test('that is idle says that it lives, and where it stands', async () => {
    const { state, stream } = await setup();
    expect(state.texts.join('')).toMatch(/^retry: \d+\nid: \S+\n\n$/);
    state.texts.length = 0;
    stream.tick();
    expect(state.texts.join('')).toMatch(/^: still here\n\nid: \S+\n\n$/);
    stream.end();
  });

  test('leaves nothing behind when its client goes', async () => {
    const { close, followers, closed, write, state, stream } = await setup();
    const before = state.texts.length;
    close();
    expect([followers.size, closed.mock.calls.length, vi.getTimerCount()]).toEqual([0, 1, 0]);
    write(3);
    stream.tick();
    await settled();
    expect(state.texts).toHaveLength(before);
  });

  test('that is ended before its answer has begun is over when it begins', async () => {
    const { feeds, followers } = fakeFeeds();
    const { outlet, state } = fakeOutlet();
    const stream = new EventStream({ board: BOARD, filter: ALL, feeds, onClose: vi.fn(), onError: fail });
    const starting = stream.start(null);
    stream.end();
    stream.begin(outlet, await starting);
    expect([state.isOpen, followers.size, vi.getTimerCount()]).toEqual([false, 0, 0]);
  });
});

describe('the streams of a server', () => {
  const refresh = vi.fn(async () => undefined);
  const caller = (keyId: string) => ({ kind: 'key', keyId }) as never;
  const request = (keyId: string, verify = async () => caller(keyId)) => ({
    board: BOARD,
    caller: caller(keyId),
    filter: ALL,
    after: 'now',
    authorization: `Bearer ${keyId}`,
    verify,
  });

  test('are limited for each credential, and a place is free again when its stream closes', async () => {
    const { feeds } = fakeFeeds();
    const streams = new EventStreams({ feeds, refresh, onError: fail });
    const first = await streams.answer(request('one'));
    for (let index = 1; index < 200; index += 1) await streams.answer(request('one'));
    await expect(streams.answer(request('one'))).rejects.toMatchObject({ code: 'rate_limited' });
    await streams.answer(request('another'));
    const { outlet, close } = fakeOutlet();
    first.stream?.begin(outlet);
    close();
    await streams.answer(request('one'));
    expect(streams.count).toBe(201);
    streams.drain();
    expect(streams.count).toBe(0);
  });

  test('take no place for a position that is refused, nor any while the server drains', async () => {
    const { feeds, followers } = fakeFeeds();
    const streams = new EventStreams({ feeds, refresh, onError: fail });
    await expect(streams.answer({ ...request('one'), after: 'expired' })).rejects.toMatchObject({
      code: 'cursor_expired',
    });
    expect([streams.count, followers.size]).toEqual([0, 0]);
    streams.drain();
    await expect(streams.answer(request('one'))).rejects.toMatchObject({ code: 'draining' });
  });

  test('end with their credential, but not because the database cannot say whether it still holds', async () => {
    const { feeds } = fakeFeeds();
    const reported: unknown[] = [];
    const streams = new EventStreams({ feeds, refresh, onError: (error) => reported.push(error) });
    const revoked = new ProblemError('unauthenticated', 'revoked');
    const expired = new ProblemError('token_expired', 'expired');
    const away = new Error('the database is away');
    for (const error of [revoked, expired, away])
      await streams.answer(request('one', () => Promise.reject(error)));
    await streams.closeRevoked();
    expect([streams.count, reported]).toEqual([1, [away]]);
    expect(refresh.mock.calls).toEqual([[['Bearer one', 'Bearer one', 'Bearer one']]]);
    streams.drain();
  });
});

test.each([
  [undefined, false],
  ['', false],
  ['*/*', false],
  ['text/html', false],
  ['text/event-stream', true],
  ['Text/Event-Stream; charset=utf-8', true],
  ['text/event-stream, */*', true],
  ['application/json, text/event-stream', false],
  ['application/json;q=0.5, text/event-stream', true],
  ['text/event-stream;q=0.1, application/json', false],
  ['text/event-stream;q=0', false],
  ['text/event-stream;q=much', false],
])('Accept: %s asks for a stream: %s', (accept, isStream) => {
  expect(prefersEventStream(accept)).toBe(isStream);
});
