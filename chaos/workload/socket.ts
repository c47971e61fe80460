/** A socket to one of the servers as the load wants it: frames in, frames out, and an end that is always heard of. */
import { WebSocket } from 'ws';

export type Frame = Readonly<Record<string, unknown>> & { readonly type: string };

export interface SocketOptions {
  readonly url: string;
  readonly board: string;
  readonly key: string;
}

const SUBPROTOCOL = 'lanekeeper.v1';
/** A proxy may swallow the upgrade. */
const OPEN_WITHIN_MS = 4000;
/** The server pings every 20 to 30 s; a socket that is silent for longer than this is taken for half-open here. */
const SILENT_MS = 8000;
const LOOK_MS = 1000;

export class Socket {
  readonly #socket: WebSocket;
  readonly closed: Promise<void>;
  #heardAt = performance.now();

  private constructor(socket: WebSocket, onFrame: (frame: Frame) => void) {
    this.#socket = socket;
    socket.on('message', (data: Buffer) => {
      this.#heardAt = performance.now();
      if (socket.readyState === WebSocket.OPEN) onFrame(JSON.parse(data.toString('utf8')) as Frame);
    });
    socket.on('ping', () => {
      this.#heardAt = performance.now();
    });
    socket.on('pong', () => {
      this.#heardAt = performance.now();
    });
    socket.on('error', () => undefined);
    const timer = setInterval(() => {
      if (performance.now() - this.#heardAt > SILENT_MS) socket.terminate();
      else if (socket.readyState === WebSocket.OPEN) socket.ping(() => undefined);
    }, LOOK_MS);
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        clearInterval(timer);
        resolve();
      });
    });
  }

  /** null: it did not come about. */
  static open(options: SocketOptions, onFrame: (frame: Frame) => void): Promise<Socket | null> {
    const url = `${options.url.replace(/^http/, 'ws')}/v1/boards/${options.board}/watch`;
    const socket = new WebSocket(url, [SUBPROTOCOL], {
      headers: { Authorization: `Bearer ${options.key}` },
      handshakeTimeout: OPEN_WITHIN_MS,
    });
    const opened = new Socket(socket, onFrame);
    return new Promise((resolve) => {
      socket.once('open', () => resolve(opened));
      void opened.closed.then(() => resolve(null));
    });
  }

  get isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  send(frame: Frame): void {
    if (this.isOpen) this.#socket.send(JSON.stringify(frame), () => undefined);
  }

  /** Without a farewell, as a cut does. */
  terminate(): void {
    this.#socket.terminate();
  }
}
