/**
 * One WebSocket as the watch sees it: text frames in and out, a bound on what may lie unsent, liveness by ping, and close codes.
 * A peer that stops reading is the feature's to park; one that is dead is ended here.
 */
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';

export interface Connection {
  /** False: the peer is not reading fast enough; the frame was not taken and nothing more should be sent until onWritable. */
  send(text: string): boolean;
  /**
   * For answers to the peer's own frames: taken whatever lies unsent. Whoever answers must stop reading the peer while it has no room, or
   * one that sends and never reads would fill the memory.
   */
  answer(text: string): void;
  /** False: it is closing, or much lies unsent, so nothing should be begun for this peer until onWritable. */
  hasRoom(): boolean;
  /** Milliseconds for which there has been no room; 0: there is. */
  fullMs(): number;
  /** Stops and starts taking frames from the peer: those that it sends meanwhile wait on its own side. */
  setReading(isReading: boolean): void;
  /** @param listener Is told the text and what it took on the wire. */
  onMessage(listener: (text: string, bytes: number) => void): void;
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
/** How often a full socket's backlog is looked at: the drain of its stream only tells that all of it has gone. */
const WRITABLE_POLL_MS = 50;

/** @param stream The one under the socket. */
export function createConnection(socket: WebSocket, stream: Duplex): Connection {
  let isGathering = false;
  let writableTimer: NodeJS.Timeout | undefined;
  let fullSince = 0;
  let onWritable: () => void = () => undefined;
  endWhenDead(socket);
  socket.once('close', () => clearInterval(writableTimer));

  const lookForRoom = (): void => {
    if (writableTimer === undefined || socket.bufferedAmount > UNSENT_BYTES_MAX / 2) return;
    clearInterval(writableTimer);
    writableTimer = undefined;
    onWritable();
  };
  stream.on('drain', lookForRoom);
  const watchForRoom = (): void => {
    if (writableTimer !== undefined) return;
    fullSince = performance.now();
    writableTimer = setInterval(lookForRoom, WRITABLE_POLL_MS);
  };

  /** What is sent in one turn of the event loop goes out as one write: a system call costs more than a frame. */
  const write = (text: string): void => {
    if (!isGathering) {
      isGathering = true;
      stream.cork();
      process.nextTick(() => {
        isGathering = false;
        stream.uncork();
      });
    }
    socket.send(text);
  };
  const isFull = (bytes: number): boolean =>
    socket.bufferedAmount > 0 && socket.bufferedAmount + bytes > UNSENT_BYTES_MAX;

  return {
    get isOpen() {
      return socket.readyState === socket.OPEN;
    },
    send: (text) => {
      if (socket.readyState !== socket.OPEN) return true;
      if (isFull(Buffer.byteLength(text))) {
        watchForRoom();
        return false;
      }
      write(text);
      return true;
    },
    answer: (text) => {
      if (socket.readyState !== socket.OPEN) return;
      write(text);
      // Also when nobody asks for room: how long there is none is counted from now.
      if (isFull(0)) watchForRoom();
    },
    hasRoom: () => {
      if (socket.readyState !== socket.OPEN) return false;
      if (!isFull(0)) return true;
      watchForRoom();
      return false;
    },
    fullMs: () => (writableTimer === undefined ? 0 : performance.now() - fullSince),
    setReading: (isReading) => {
      if (isReading) socket.resume();
      else socket.pause();
    },
    onMessage: (listener) => {
      socket.on('message', (data: Buffer, isBinary: boolean) =>
        listener(isBinary ? '' : data.toString('utf8'), data.length),
      );
    },
    onWritable: (listener) => {
      onWritable = listener;
    },
    onClose: (listener) => {
      socket.once('close', listener);
    },
    close: (code, reason) => {
      socket.close(code, Buffer.from(reason).subarray(0, CLOSE_REASON_BYTES_MAX).toString());
      // Its answer to the close is still wanted.
      socket.resume();
    },
  };
}

/** Anything that arrives is a sign of life, not only a pong. */
function endWhenDead(socket: WebSocket): void {
  let isAlive = true;
  const ping = setInterval(() => {
    if (!isAlive) {
      socket.terminate();
      return;
    }
    // Nothing is heard from a peer that is not being read, and a pong would wait behind its frames.
    isAlive = socket.isPaused;
    socket.ping();
  }, PING_INTERVAL_MS);
  const markAlive = (): void => {
    isAlive = true;
  };
  socket.on('pong', markAlive);
  socket.on('message', markAlive);
  socket.on('error', () => socket.terminate());
  socket.once('close', () => clearInterval(ping));
}
