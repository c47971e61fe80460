/**
 * One WebSocket as the watch sees it: text frames in and out, a bound on what may lie unsent, liveness by ping, and close codes.
 * A peer that stops reading is the feature's to park; one that is dead is ended here.
 */
import type { WebSocket } from 'ws';

export interface Connection {
  /** False: the peer is not reading fast enough; the frame was not taken and nothing more should be sent until onWritable. */
  send(text: string): boolean;
  /** For answers to the peer's own frames: taken whatever lies unsent, because their number is bounded by what it sent. */
  answer(text: string): void;
  onMessage(listener: (text: string) => void): void;
  /** The peer has read enough that sending may go on. */
  onWritable(listener: () => void): void;
  onClose(listener: () => void): void;
  close(code: number, reason: string): void;
  readonly isOpen: boolean;
}

/** Unsent bytes per socket: a few hundred events. More only delays the moment at which the peer catches up from the log. */
const UNSENT_BYTES_MAX = 256 * 1024;
/** Below the idle timeouts of common proxies (60 s), and far above what a busy event loop delays a pong. */
const PING_INTERVAL_MS = 25_000;
/** RFC 6455 section 5.5: a control frame carries at most 125 bytes, two of which are the code. */
const CLOSE_REASON_BYTES_MAX = 123;
/** How often a parked socket's backlog is looked at; ws has no drain event. */
const WRITABLE_POLL_MS = 50;

export function createConnection(socket: WebSocket): Connection {
  let isAlive = true;
  let writableTimer: NodeJS.Timeout | undefined;
  let onWritable: () => void = () => undefined;
  const ping = setInterval(() => {
    if (!isAlive) {
      socket.terminate();
      return;
    }
    isAlive = false;
    socket.ping();
  }, PING_INTERVAL_MS);
  // Anything that arrives is a sign of life, not only a pong.
  const markAlive = (): void => {
    isAlive = true;
  };
  socket.on('pong', markAlive);
  socket.on('message', markAlive);
  socket.on('error', () => socket.terminate());
  socket.once('close', () => {
    clearInterval(ping);
    clearInterval(writableTimer);
  });

  const watchForRoom = (): void => {
    writableTimer ??= setInterval(() => {
      if (socket.bufferedAmount > UNSENT_BYTES_MAX / 2) return;
      clearInterval(writableTimer);
      writableTimer = undefined;
      onWritable();
    }, WRITABLE_POLL_MS);
  };

  return {
    get isOpen() {
      return socket.readyState === socket.OPEN;
    },
    send: (text) => {
      if (socket.readyState !== socket.OPEN) return true;
      if (socket.bufferedAmount > 0 && socket.bufferedAmount + text.length > UNSENT_BYTES_MAX) {
        watchForRoom();
        return false;
      }
      socket.send(text);
      return true;
    },
    answer: (text) => {
      if (socket.readyState === socket.OPEN) socket.send(text);
    },
    onMessage: (listener) => {
      socket.on('message', (data: Buffer, isBinary: boolean) =>
        listener(isBinary ? '' : data.toString('utf8')),
      );
    },
    onWritable: (listener) => {
      onWritable = listener;
    },
    onClose: (listener) => {
      socket.once('close', listener);
    },
    close: (code, reason) =>
      socket.close(code, Buffer.from(reason).subarray(0, CLOSE_REASON_BYTES_MAX).toString()),
  };
}
