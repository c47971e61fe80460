import { EventEmitter, once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { SocketConnection } from '../../../src/server/ws/connection.ts';
import { PreparedFrame, SharedTail } from '../../../src/server/ws/prepared-frame.ts';
import { eventually } from '../../fixtures/eventually.ts';

/** A socket whose peer reads when the test says so. */
class SlowSocket extends EventEmitter {
  readonly OPEN = 1;
  readonly readyState = 1;
  readonly isPaused = false;
  bufferedAmount = 0;
  pings = 0;
  terminations = 0;
  ping = (): void => {
    this.pings += 1;
  };
  terminate = (): void => {
    this.terminations += 1;
  };
}

function setup() {
  const socket = new SlowSocket();
  const stream = Object.assign(new EventEmitter(), {
    writableCorked: 0,
    cork: () => undefined,
    uncork: () => undefined,
    write: (wire: Buffer) => {
      socket.bufferedAmount += wire.length;
    },
  });
  const connection = new SocketConnection(socket as never, stream as never);
  const state = { writable: 0 };
  connection.onWritable(() => {
    state.writable += 1;
  });
  return { socket, stream, connection, state };
}

const frameOf = (kib: number) => new PreparedFrame('x'.repeat(kib * 1024));

describe('a peer that does not read', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('is full by answers like by everything else: how long there is no room is counted, and its end is told', () => {
    const { socket, stream, connection, state } = setup();
    connection.answer(frameOf(100));
    connection.answer(frameOf(100));
    expect([connection.hasRoom(), connection.stalledMs()]).toEqual([true, 0]);
    connection.answer(frameOf(100));
    vi.advanceTimersByTime(61_000);
    expect(connection.hasRoom()).toBe(false);
    expect(connection.stalledMs()).toBe(61_000);
    socket.bufferedAmount = 0;
    vi.advanceTimersByTime(50);
    expect([connection.hasRoom(), connection.stalledMs(), state.writable]).toEqual([true, 0, 1]);
    connection.answer(frameOf(300));
    socket.bufferedAmount = 0;
    stream.emit('drain');
    stream.emit('drain');
    expect([connection.stalledMs(), state.writable]).toEqual([0, 2]);
    socket.emit('close');
    expect(vi.getTimerCount()).toBe(0);
  });

  test('but takes a little of it now and then is slow, not stalled', () => {
    const { socket, connection } = setup();
    connection.answer(frameOf(400));
    for (let second = 0; second < 90; second += 30) {
      vi.advanceTimersByTime(30_000);
      socket.bufferedAmount -= 1024;
      vi.advanceTimersByTime(50);
    }
    expect(connection.stalledMs()).toBeLessThan(1000);
    vi.advanceTimersByTime(60_000);
    expect(connection.stalledMs()).toBeGreaterThanOrEqual(60_000);
  });

  test('is told of room only when what did not fit would fit now', () => {
    const { socket, connection, state } = setup();
    expect(connection.send(frameOf(200))).toBe(true);
    expect(connection.send(frameOf(200))).toBe(false);
    socket.bufferedAmount = 100 * 1024;
    vi.advanceTimersByTime(1000);
    expect(state.writable).toBe(0);
    socket.bufferedAmount = 50 * 1024;
    vi.advanceTimersByTime(1000);
    expect(state.writable).toBe(1);
    expect(connection.send(frameOf(200))).toBe(true);
  });

  test('takes a frame of any size when nothing else is on its way', () => {
    const { connection } = setup();
    expect(connection.send(frameOf(1024))).toBe(true);
    expect(connection.send(frameOf(1))).toBe(false);
  });

  test('does not take the end of a frame without its beginning', () => {
    const { socket, connection } = setup();
    const frame = new SharedTail('x'.repeat(200 * 1024)).frameAfter('y'.repeat(1024));
    expect([connection.send(frame), socket.bufferedAmount]).toEqual([true, frame.bytes]);
    expect([connection.send(frame), socket.bufferedAmount]).toEqual([false, frame.bytes]);
  });

  test('is given up when not even a ping is answered, and not while it is the one that is not being read', () => {
    const { socket, connection } = setup();
    connection.checkLife();
    socket.emit('pong');
    connection.checkLife();
    expect([socket.pings, socket.terminations]).toEqual([2, 0]);
    connection.checkLife();
    expect([socket.pings, socket.terminations]).toEqual([2, 1]);
    const paused = setup();
    Object.assign(paused.socket, { isPaused: true });
    for (let round = 0; round < 3; round += 1) paused.connection.checkLife();
    expect(paused.socket.terminations).toBe(0);
  });
});

/** A pair of real sockets, and what writes to one of them past ws. */
async function openPair(): Promise<{ connection: SocketConnection; server: WebSocket; raw: Socket }> {
  const server = createServer();
  const sockets = new WebSocketServer({ noServer: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('it has a port');
  const raw = connect(address.port, '127.0.0.1');
  onTestFinished(() => {
    raw.destroy();
    server.close();
  });
  raw.write(
    'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
      `Sec-WebSocket-Key: ${Buffer.alloc(16).toString('base64')}\r\n\r\n`,
  );
  const [request, stream, head] = (await once(server, 'upgrade')) as [IncomingMessage, Duplex, Buffer];
  const webSocket = await new Promise<WebSocket>((resolve) =>
    sockets.handleUpgrade(request, stream, head, resolve),
  );
  return { connection: new SocketConnection(webSocket, stream), server: webSocket, raw };
}

test('frames written past the socket keep their place among those that it writes itself, of every length', async () => {
  const { connection, server, raw } = await openPair();
  const chunks: Buffer[] = [];
  raw.on('data', (chunk: Buffer) => chunks.push(chunk));
  // Either side of each border at which the form of the length changes.
  const lengths = [0, 1, 125, 126, 0xffff, 0x10000];
  const texts = lengths.map((length) => 'é'.padEnd(length, 'y').slice(0, length));
  for (const text of texts) {
    connection.answer(new PreparedFrame(text));
    const half = text.length >> 1;
    connection.answer(new SharedTail(text.slice(half)).frameAfter(text.slice(0, half)));
    server.send(text);
    server.ping('between');
  }
  const isCorked = server.bufferedAmount > 0;
  connection.close(1000, 'done');
  // The peer does not answer the close, so it is waited for here.
  const frames = await eventually('the close frame', () => {
    const received = framesIn(Buffer.concat(chunks));
    return received.at(-1)?.[0] === 8 ? received : null;
  });
  expect(isCorked).toBe(true);
  expect(frames.slice(0, -1)).toEqual(
    texts.flatMap((text) => [
      [1, text],
      [1, text],
      [1, text],
      [9, 'between'],
    ]),
  );
  expect(frames.at(-1)?.[0]).toBe(8);
});

/** The opcode and text of each frame after the answer to the upgrade. */
function framesIn(received: Buffer): [number, string][] {
  const frames: [number, string][] = [];
  let at = received.indexOf('\r\n\r\n') + 4;
  while (at < received.length) {
    const opcode = received.readUInt8(at) & 0x0f;
    let length = received.readUInt8(at + 1);
    at += 2;
    if (length === 126) {
      length = received.readUInt16BE(at);
      at += 2;
    } else if (length === 127) {
      length = Number(received.readBigUInt64BE(at));
      at += 8;
    }
    if (at + length > received.length) return [];
    frames.push([opcode, received.toString('utf8', at, at + length)]);
    at += length;
  }
  return frames;
}
