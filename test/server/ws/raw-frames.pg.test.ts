import { afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { ServerFrame } from '../../../src/contract/frames.ts';
import { useBench } from '../../fixtures/bench.ts';
import { eventually } from '../../fixtures/eventually.ts';
import {
  closeBytes,
  dialRaw,
  frameBytes,
  OPCODES,
  type RawSocket,
  upgradeBytes,
  upgradeRaw,
} from '../../fixtures/raw-socket.ts';

const bench = useBench();
const { continuation, text, binary, close, ping, pong } = OPCODES;
const WATCH = JSON.stringify({ type: 'watch', id: 'w' });
const MEBIBYTE = 1024 * 1024;

/** Open before anything hostile is sent, and still served after all of it. */
let bystander: RawSocket;
beforeAll(async () => {
  await bench.makeLane('default', 'work');
});

async function open(): Promise<RawSocket> {
  const socket = await upgradeRaw(bench.server);
  expect(socket.status).toBe(101);
  return socket;
}

/** Every test: what is sent to one socket must not be felt by another. */
async function withBystander(hostile: () => Promise<void>): Promise<void> {
  bystander = await open();
  bystander.send({ type: 'watch', id: 'by' });
  await bystander.frame('watching');
  await hostile();
  const task = await bench.makeTask('default', { lane: 'work' });
  await eventually('the bystander hears of it', () =>
    bystander.frames.some(
      (frame) => frame.type === 'events' && frame.events.some((e) => e.task_id === task.id),
    ),
  );
  expect([bystander.isEnded, bystander.isWrong]).toEqual([false, false]);
  for (const frame of bystander.frames) ServerFrame.parse(frame);
}

describe('bytes that break the protocol end their socket with the right code, and no other', () => {
  const broken: [string, number, () => (Buffer | string)[]][] = [
    ['a frame without a mask', 1002, () => [frameBytes(text, WATCH, { isMasked: false })]],
    [
      'the first reserved bit (compression was not agreed on)',
      1002,
      () => [frameBytes(text, WATCH, { reserved: 4 })],
    ],
    ['the second reserved bit', 1002, () => [frameBytes(text, WATCH, { reserved: 2 })]],
    ['the third reserved bit', 1002, () => [frameBytes(text, WATCH, { reserved: 1 })]],
    ['a reserved opcode of data', 1002, () => [frameBytes(3, WATCH)]],
    ['a reserved opcode of control', 1002, () => [frameBytes(11)]],
    ['a continuation of nothing', 1002, () => [frameBytes(continuation, WATCH)]],
    [
      'a message that begins within another',
      1002,
      () => [frameBytes(text, '{"type":', { isLast: false }), frameBytes(text, WATCH)],
    ],
    ['a ping of 126 bytes', 1002, () => [frameBytes(ping, 'x'.repeat(126))]],
    ['a ping in fragments', 1002, () => [frameBytes(ping, 'x', { isLast: false })]],
    ['a close of one byte', 1002, () => [frameBytes(close, 'x')]],
    ['a close with a code that nobody may send', 1002, () => [closeBytes(1006)]],
    ['a close with a code out of range', 1002, () => [closeBytes(999)]],
    [
      'a close whose reason is not UTF-8',
      1007,
      () => [frameBytes(close, Buffer.from([0x03, 0xe8, 0xff, 0xfe]))],
    ],
    [
      'text that is not UTF-8',
      1007,
      () => [frameBytes(text, Buffer.from([0x7b, 0x22, 0xc3, 0x28, 0x22, 0x7d]))],
    ],
    ['text with half a surrogate pair', 1007, () => [frameBytes(text, Buffer.from([0xed, 0xa0, 0x80]))]],
    [
      'text that is not UTF-8 across fragments',
      1007,
      () => [frameBytes(text, Buffer.from([0xf0, 0x9f]), { isLast: false }), frameBytes(continuation, '("')],
    ],
    ['a frame over one MiB', 1009, () => [frameBytes(text, '', { declaredBytes: MEBIBYTE + 1 })]],
    ['a length of 2^62', 1009, () => [frameBytes(text, '', { declaredBytes: 2 ** 62, isLengthLong: true })]],
    [
      'fragments that come to more than one MiB',
      1009,
      () => [
        frameBytes(text, 'x'.repeat(MEBIBYTE - 10), { isLast: false }),
        frameBytes(continuation, 'x'.repeat(20)),
      ],
    ],
    [
      'a flood of fragments',
      1008,
      () => [
        frameBytes(text, '', { isLast: false }),
        ...Array.from({ length: 100 }, () => frameBytes(continuation, 'x', { isLast: false })),
      ],
    ],
    ['a binary frame', 4400, () => [frameBytes(binary, WATCH)]],
    ['an empty text', 4400, () => [frameBytes(text)]],
    ['HTTP in the place of frames', 1002, () => ['GET / HTTP/1.1\r\nHost: a\r\n\r\n']],
  ];
  test.each(broken)('%s: %i', async (_what, code, bytes) => {
    await withBystander(async () => {
      const socket = await open();
      for (const part of bytes()) socket.write(part);
      expect(await socket.closed()).toBe(code);
      expect(socket.isWrong).toBe(false);
      // What a peer sends after its end is not looked at.
      socket.write(frameBytes(text, WATCH));
    });
  });
});

describe('bytes that are unusual but right are served', () => {
  test('a frame that comes byte by byte, with a length longer than it need be', async () => {
    const socket = await open();
    for (const byte of frameBytes(text, WATCH, { isLengthLong: true })) {
      socket.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await socket.frame('watching')).toMatchObject({ id: 'w' });
  });

  test('a message in fragments with pings between them, each of which is answered', async () => {
    const socket = await open();
    socket.write(frameBytes(text, WATCH.slice(0, 5), { isLast: false }));
    socket.write(frameBytes(ping, 'one'));
    socket.write(frameBytes(continuation, WATCH.slice(5, 9), { isLast: false }));
    socket.write(frameBytes(pong, 'nobody asked'));
    socket.write(frameBytes(ping, 'x'.repeat(125)));
    socket.write(frameBytes(continuation, WATCH.slice(9)));
    expect(await socket.frame('watching')).toMatchObject({ id: 'w' });
    expect(socket.pongs).toEqual(['one', 'x'.repeat(125)]);
  });

  test('a frame that comes in one piece with the upgrade', async () => {
    const socket = await dialRaw(bench.server);
    socket.write(Buffer.concat([Buffer.from(upgradeBytes()), frameBytes(text, WATCH)]));
    expect(await socket.frame('watching')).toMatchObject({ id: 'w' });
  });

  test('a close is answered with its code, and the connection ends', async () => {
    const socket = await open();
    socket.write(closeBytes(4999, 'ünïcode'));
    expect(await socket.closed()).toBe(4999);
  });

  test('an offer to compress is not taken up', async () => {
    const socket = await upgradeRaw(bench.server, {
      headers: { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' },
    });
    expect(socket.status).toBe(101);
    expect(socket.head).not.toMatch(/sec-websocket-extensions/i);
    socket.send({ type: 'watch', id: 'w' });
    await socket.frame('watching');
    expect(socket.isWrong).toBe(false);
  });
});

describe('a peer that is silent', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  /** Two pings apart, so that the second finds the first unanswered. */
  const PINGS_MS = 2 * 25_000;

  test('is ended when it does not answer a ping; one that answers is not', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const [dead, alive] = [await open(), await open()];
    vi.advanceTimersByTime(25_000);
    await eventually('both are pinged', () => dead.pings > 0 && alive.pings > 0);
    alive.write(frameBytes(pong));
    alive.send({ type: 'watch', id: 'w' });
    await alive.frame('watching');
    vi.advanceTimersByTime(25_000);
    expect(await dead.closed()).toBe(1006);
    expect(alive.isEnded).toBe(false);
  });

  test('after half an upgrade, or half a frame, holds up nobody; half a frame is no sign of life', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const half = await dialRaw(bench.server);
    half.write(upgradeBytes().slice(0, 60));
    const cut = await open();
    cut.write(frameBytes(text, WATCH).subarray(0, 7));
    const other = await open();
    other.send({ type: 'watch', id: 'w' });
    await other.frame('watching');
    vi.advanceTimersByTime(PINGS_MS);
    expect(await cut.closed()).toBe(1006);
    expect([half.head, half.isEnded]).toEqual(['', false]);
  });
});

describe('memory', () => {
  test('is not set aside for what a peer only announces', async () => {
    const before = process.memoryUsage().rss;
    const sockets = await Promise.all(Array.from({ length: 200 }, () => open()));
    for (const socket of sockets) socket.write(frameBytes(text, 'x', { declaredBytes: MEBIBYTE }));
    await withBystander(async () => undefined);
    // They have announced 200 MiB.
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * MEBIBYTE);
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
    });
  });

  test('is not given to one that pings and does not read the answers: it is ended', async () => {
    await withBystander(async () => {
      const socket = await open();
      socket.pause();
      const pings = Buffer.concat(Array.from({ length: 500 }, () => frameBytes(ping, 'x'.repeat(125))));
      await eventually('the connection is closed', () => {
        socket.write(pings);
        return socket.isClosed;
      });
    });
  });
});
