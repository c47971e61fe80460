/**
 * One WebSocket as the watch sees it: text frames in and out, a bound on what may lie unsent, liveness by ping, and close codes.
 * A peer that stops reading is the feature's to park; one that is dead is ended here.
 *
 * Frames are written to the stream under the socket, whole, in one turn and already framed, so that one made once serves any number of peers. That is
 * sound as long as the socket itself holds nothing back, which it does not without compression; test/server/ws/connection.test.ts holds it to
 * that. A frame of 700 bytes to a thousand sockets took 7.3 ms of processor time like this, most of it system calls, 8.1 when the socket framed
 * a shared buffer, and 12 with a text made for each (Node 22, medians of 30).
 */
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import type { PreparedFrame } from './prepared-frame.ts';

export interface Connection {
  /** False: the peer is not reading fast enough; the frame was not taken and nothing more should be sent until onWritable. */
  send(frame: PreparedFrame): boolean;
  /**
   * For answers to the peer's own frames: taken whatever lies unsent. Whoever answers must stop reading the peer while it has no room, or
   * one that sends and never reads would fill the memory.
   */
  answer(frame: PreparedFrame): void;
  /** False: it is closing, or much lies unsent, so nothing should be begun for this peer until onWritable. */
  hasRoom(): boolean;
  /** Milliseconds for which there has been no room and nothing of what lies unsent has gone; 0: there is room. */
  stalledMs(): number;
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
/** RFC 6455 section 5.5: a control frame carries at most 125 bytes, two of which are the code. */
const CLOSE_REASON_BYTES_MAX = 123;
/** How often a full socket's backlog is looked at: the drain of its stream only tells that all of it has gone. */
const WRITABLE_POLL_MS = 50;

export class SocketConnection implements Connection {
  readonly #socket: WebSocket;
  readonly #stream: Duplex;
  readonly #onClose: (() => void)[] = [];
  #onWritable: (() => void) | undefined;
  #onMessage: ((text: string, bytes: number) => void) | undefined;
  #isAlive = true;
  /** Only while there is no room. */
  #shortage: Shortage | undefined;

  /** @param stream The one under the socket. */
  constructor(socket: WebSocket, stream: Duplex) {
    this.#socket = socket;
    this.#stream = stream;
    socket.on('message', (data: Buffer, isBinary: boolean) => {
      this.#isAlive = true;
      this.#onMessage?.(isBinary ? '' : data.toString('utf8'), data.length);
    });
    socket.on('pong', () => {
      this.#isAlive = true;
    });
    socket.on('error', () => socket.terminate());
    socket.once('close', () => {
      this.#endShortage();
      for (const listener of this.#onClose) listener();
    });
  }

  get isOpen(): boolean {
    return this.#socket.readyState === this.#socket.OPEN;
  }

  send(frame: PreparedFrame): boolean {
    if (!this.isOpen) return true;
    if (this.#isFull(frame.bytes)) {
      this.#watchForRoom(frame.bytes);
      return false;
    }
    this.#write(frame);
    return true;
  }

  answer(frame: PreparedFrame): void {
    if (!this.isOpen) return;
    this.#write(frame);
    // Also when nobody asks for room: how long there is none is counted from now.
    if (this.#isFull(0)) this.#watchForRoom(0);
  }

  hasRoom(): boolean {
    if (!this.isOpen) return false;
    if (!this.#isFull(0)) return true;
    this.#watchForRoom(0);
    return false;
  }

  stalledMs(): number {
    return this.#shortage === undefined ? 0 : performance.now() - this.#shortage.progressAt;
  }

  setReading(isReading: boolean): void {
    if (isReading) this.#socket.resume();
    else this.#socket.pause();
  }

  onMessage(listener: (text: string, bytes: number) => void): void {
    this.#onMessage = listener;
  }

  onWritable(listener: () => void): void {
    this.#onWritable = listener;
  }

  onClose(listener: () => void): void {
    this.#onClose.push(listener);
  }

  close(code: number, reason: string): void {
    this.#socket.close(code, Buffer.from(reason).subarray(0, CLOSE_REASON_BYTES_MAX).toString());
    // Its answer to the close is still wanted.
    this.#socket.resume();
  }

  /** Called once a ping interval. Anything that arrives is a sign of life, not only a pong. */
  checkLife(): void {
    if (!this.#isAlive) {
      this.#socket.terminate();
      return;
    }
    // Nothing is heard from a peer that is not being read, and a pong would wait behind its frames.
    this.#isAlive = this.#socket.isPaused;
    this.#socket.ping();
  }

  #isFull(bytes: number): boolean {
    const { bufferedAmount } = this.#socket;
    return bufferedAmount > 0 && bufferedAmount + bytes > UNSENT_BYTES_MAX;
  }

  #write(frame: PreparedFrame): void {
    holdBack(this.#stream);
    this.#stream.write(frame.wire);
    if (frame.tail !== null) this.#stream.write(frame.tail);
  }

  /** @param bytes That did not fit: to be told of less room would only make them be read from the log again. */
  #watchForRoom(bytes: number): void {
    const roomBytes = Math.max(0, Math.min(UNSENT_BYTES_MAX / 2, UNSENT_BYTES_MAX - bytes));
    if (this.#shortage !== undefined) {
      this.#shortage.roomBytes = Math.min(this.#shortage.roomBytes, roomBytes);
      return;
    }
    const look = (): void => this.#lookForRoom();
    this.#stream.on('drain', look);
    this.#shortage = {
      roomBytes,
      progressAt: performance.now(),
      unsentBytes: this.#socket.bufferedAmount,
      look,
      timer: setInterval(look, WRITABLE_POLL_MS),
    };
  }

  #lookForRoom(): void {
    const shortage = this.#shortage;
    if (shortage === undefined) return;
    const { bufferedAmount } = this.#socket;
    if (bufferedAmount > shortage.roomBytes) {
      if (bufferedAmount < shortage.unsentBytes) shortage.progressAt = performance.now();
      shortage.unsentBytes = Math.min(shortage.unsentBytes, bufferedAmount);
      return;
    }
    this.#endShortage();
    this.#onWritable?.();
  }

  #endShortage(): void {
    if (this.#shortage === undefined) return;
    clearInterval(this.#shortage.timer);
    this.#stream.off('drain', this.#shortage.look);
    this.#shortage = undefined;
  }
}

interface Shortage {
  /** There is room again when no more than this lies unsent. */
  roomBytes: number;
  /** When something of what lay unsent was last seen to have gone. */
  progressAt: number;
  /** The least that has been seen to lie unsent. */
  unsentBytes: number;
  readonly look: () => void;
  readonly timer: NodeJS.Timeout;
}

/** Streams written to in this turn of the event loop. What is sent in one turn goes out as one write: a system call costs more than a frame. */
const heldBack: Duplex[] = [];

function holdBack(stream: Duplex): void {
  if (stream.writableCorked > 0) return;
  stream.cork();
  if (heldBack.push(stream) === 1) process.nextTick(letGo);
}

function letGo(): void {
  for (const stream of heldBack) stream.uncork();
  heldBack.length = 0;
}
