/**
 * A WebSocket straight on a TCP socket, for the same reason as HttpConnection: what the client costs is taken from what is measured.
 * Frames that are sent in one turn leave in one write. Text frames only, masked as the protocol wants it; pings are answered.
 * Reads only what our server sends: whole, unmasked, uncompressed frames. Anything else is an error, never a guess.
 */
import { createHash, randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';

export interface WebSocketTarget {
  readonly url: string;
  readonly path: string;
  readonly token: string;
  readonly subprotocol: string;
}

const HEAD_END = '\r\n\r\n';
/** RFC 6455, 1.3. */
const ACCEPT_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const OPCODE = { text: 1, close: 8, ping: 9, pong: 10 } as const;
const FINAL = 0x80;
const MASKED = 0x80;
const MASK_BYTES = 4;
/** Longer payloads have their length in 2 or in 8 bytes. */
const SHORT_BYTES_MAX = 125;
const LENGTH_16_BITS = 126;
const LENGTH_64_BITS = 127;
const LENGTH_16_BITS_MAX = 0xffff;

export class WebSocketConnection {
  readonly #socket: Socket;
  #received: Buffer;
  #unsent: Buffer[] = [];
  #onText: (text: string) => void = () => undefined;
  #onFailure: (error: Error) => void = () => undefined;

  private constructor(socket: Socket, rest: Buffer) {
    this.#socket = socket;
    this.#received = rest;
    socket.on('data', (chunk) => {
      this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
      this.#readFrames();
    });
    socket.on('error', (error) => this.#onFailure(error));
    socket.on('close', () => this.#onFailure(new Error('the server closed the socket')));
  }

  static async open(target: WebSocketTarget): Promise<WebSocketConnection> {
    const { hostname, port, host } = new URL(target.url);
    const socket = connect({ host: hostname, port: Number(port) });
    socket.setNoDelay(true);
    const key = randomBytes(16).toString('base64');
    socket.write(
      `GET ${target.path} HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n` +
        `Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Protocol: ${target.subprotocol}\r\nAuthorization: Bearer ${target.token}\r\n\r\n`,
    );
    const { head, rest } = await readHead(socket);
    const accept = createHash('sha1').update(`${key}${ACCEPT_SUFFIX}`).digest('base64');
    if (!head.startsWith('HTTP/1.1 101') || !head.includes(accept)) {
      socket.destroy();
      throw new Error(`the upgrade was answered with:\n${head}`);
    }
    return new WebSocketConnection(socket, rest);
  }

  /** To be called before anything is sent. */
  listen(onText: (text: string) => void, onFailure: (error: Error) => void): void {
    this.#onText = onText;
    this.#onFailure = onFailure;
  }

  send(text: string): void {
    this.#write(OPCODE.text, Buffer.from(text));
  }

  /** What comes from now on waits in the system's buffers, and then on the server's side. */
  pause(): void {
    this.#socket.pause();
  }

  /** So many bytes of a connection that is paused, once there are as many. */
  read(bytes: number): void {
    this.#socket.read(bytes);
  }

  close(): void {
    this.#onFailure = () => undefined;
    this.#socket.destroy();
  }

  #write(opcode: number, payload: Buffer): void {
    if (this.#unsent.length === 0) queueMicrotask(() => this.#flush());
    this.#unsent.push(frameOf(opcode, payload));
  }

  #flush(): void {
    this.#socket.write(Buffer.concat(this.#unsent));
    this.#unsent = [];
  }

  #readFrames(): void {
    let offset = 0;
    for (;;) {
      const frame = readFrame(this.#received, offset);
      if (frame === null) break;
      offset = frame.end;
      this.#take(frame.opcode, this.#received.subarray(frame.start, frame.end));
    }
    this.#received = this.#received.subarray(offset);
  }

  #take(opcode: number, payload: Buffer): void {
    if (opcode === OPCODE.text) this.#onText(payload.toString('utf8'));
    else if (opcode === OPCODE.ping) this.#write(OPCODE.pong, payload);
    else if (opcode === OPCODE.close)
      this.#socket.destroy(new Error(`the server closed: ${payload.toString()}`));
    else this.#socket.destroy(new Error(`a frame of kind ${opcode}`));
  }
}

/** Up to the end of the answer to the upgrade; frames may already follow it in the same chunk. */
function readHead(socket: Socket): Promise<{ readonly head: string; readonly rest: Buffer }> {
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0);
    const take = (chunk: Buffer): void => {
      received = Buffer.concat([received, chunk]);
      const end = received.indexOf(HEAD_END);
      if (end < 0) return;
      socket.off('data', take);
      socket.off('error', reject);
      resolve({ head: received.toString('latin1', 0, end), rest: received.subarray(end + HEAD_END.length) });
    };
    socket.on('data', take);
    socket.once('error', reject);
  });
}

interface FramePlace {
  readonly opcode: number;
  readonly start: number;
  readonly end: number;
}

/** null: the frame is not all there yet. */
function readFrame(buffer: Buffer, offset: number): FramePlace | null {
  if (buffer.length < offset + 2) return null;
  const first = buffer.readUInt8(offset);
  const second = buffer.readUInt8(offset + 1);
  if ((first & FINAL) === 0 || (second & MASKED) !== 0) throw new Error('a frame in parts, or masked');
  let start = offset + 2;
  let length = second;
  if (second === LENGTH_16_BITS) {
    if (buffer.length < start + 2) return null;
    length = buffer.readUInt16BE(start);
    start += 2;
  } else if (second === LENGTH_64_BITS) {
    if (buffer.length < start + 8) return null;
    length = Number(buffer.readBigUInt64BE(start));
    start += 8;
  }
  return buffer.length < start + length ? null : { opcode: first & 0x0f, start, end: start + length };
}

function frameOf(opcode: number, payload: Buffer): Buffer {
  const { length } = payload;
  if (length > LENGTH_16_BITS_MAX) throw new Error('none of our frames is that long');
  const headBytes = length > SHORT_BYTES_MAX ? 4 : 2;
  const frame = Buffer.allocUnsafe(headBytes + MASK_BYTES + length);
  frame.writeUInt8(FINAL | opcode, 0);
  if (length > SHORT_BYTES_MAX) {
    frame.writeUInt8(MASKED | LENGTH_16_BITS, 1);
    frame.writeUInt16BE(length, 2);
  } else {
    frame.writeUInt8(MASKED | length, 1);
  }
  const mask = (Math.random() * 2 ** 32) >>> 0;
  frame.writeUInt32BE(mask, headBytes);
  for (let index = 0; index < length; index += 1) {
    const key = (mask >>> (24 - 8 * (index % MASK_BYTES))) & 0xff;
    frame[headBytes + MASK_BYTES + index] = (payload[index] ?? 0) ^ key;
  }
  return frame;
}
