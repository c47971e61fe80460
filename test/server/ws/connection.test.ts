import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createConnection } from '../../../src/server/ws/connection.ts';

/** A socket whose peer reads when the test says so. */
class SlowSocket extends EventEmitter {
  readonly OPEN = 1;
  readonly readyState = 1;
  readonly isPaused = false;
  bufferedAmount = 0;
  send(text: string): void {
    this.bufferedAmount += Buffer.byteLength(text);
  }
  ping = (): undefined => undefined;
  terminate = (): undefined => undefined;
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('answers fill a connection like everything else: how long there is no room is counted, and its end is told', () => {
  const socket = new SlowSocket();
  const stream = Object.assign(new EventEmitter(), { cork: () => undefined, uncork: () => undefined });
  const connection = createConnection(socket as never, stream as never);
  let writable = 0;
  connection.onWritable(() => {
    writable += 1;
  });
  const answer = 'x'.repeat(100 * 1024);
  connection.answer(answer);
  connection.answer(answer);
  expect([connection.hasRoom(), connection.fullMs()]).toEqual([true, 0]);
  connection.answer(answer);
  vi.advanceTimersByTime(61_000);
  expect(connection.hasRoom()).toBe(false);
  expect(connection.fullMs()).toBe(61_000);
  socket.bufferedAmount = 0;
  vi.advanceTimersByTime(50);
  expect([connection.hasRoom(), connection.fullMs(), writable]).toEqual([true, 0, 1]);
  connection.answer(answer.repeat(3));
  socket.bufferedAmount = 0;
  stream.emit('drain');
  stream.emit('drain');
  expect([connection.fullMs(), writable]).toEqual([0, 2]);
  socket.emit('close');
});
