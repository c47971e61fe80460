/**
 * Sockets to Postgres that notice a peer that has gone silent. The driver waits for ever on a half-open connection, so this
 * watches every socket: once something was sent and nothing has come back for the deadline, the socket is destroyed, the driver
 * fails what was waiting on it, and the pool opens another. Statements that may run long are bounded by statement_timeout well
 * below this deadline. A race around each query would bound the caller's wait but leave the dead connection in the pool.
 * Over TLS the driver reads and writes beneath what is watched here: there, only the operating system's keep-alive notices.
 */
import { connect, Socket } from 'node:net';
import type { DatabaseAddress } from './hosts.ts';

interface SocketOptions {
  /** Where the next connection goes; a promise that fails is a connection that fails. */
  readonly findAddress: () => DatabaseAddress | Promise<DatabaseAddress>;
  /** A connection has ended, for whatever reason. */
  readonly onClose: () => void;
  readonly deadlineMs: number;
}

interface Watched {
  readonly socket: Socket;
  /** Times of performance.now(); a socket waits for an answer while sentAt > receivedAt. */
  sentAt: number;
  receivedAt: number;
}

export class DeadlineSockets {
  readonly #options: SocketOptions;
  readonly #watched = new Set<Watched>();
  readonly #timer: NodeJS.Timeout;
  #isClosed = false;

  constructor(options: SocketOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#sweep(), Math.max(50, options.deadlineMs / 10));
    this.#timer.unref();
  }

  /**
   * Opens the next socket. It is handed over while still connecting: writes wait in it. A search for the host that fails is a socket that
   * breaks: the driver would forget a connection whose socket it never got.
   */
  open(): Socket | Promise<Socket> {
    const address = this.#options.findAddress();
    return address instanceof Promise
      ? address.then((found) => this.#connect(found), brokenSocket)
      : this.#connect(address);
  }

  /** Ends all connections: what is under way on them fails like with a database that has gone. */
  cut(reason: string): void {
    const error = Object.assign(new Error(reason), { code: 'CONNECTION_CLOSED' });
    for (const { socket } of this.#watched) socket.destroy(error);
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#timer);
  }

  #connect(address: DatabaseAddress): Socket | Promise<Socket> {
    if (this.#isClosed) return brokenSocket(new Error('the server is stopping'));
    const socket = address.host.startsWith('/')
      ? connect({ path: `${address.host}/.s.PGSQL.${address.port}` })
      : connect({ host: address.host, port: address.port, noDelay: true });
    this.#watch(socket);
    // The driver asks for the name when it checks a certificate, and when it says what went wrong.
    return Object.assign(socket, { host: address.host, port: address.port });
  }

  #watch(socket: Socket): void {
    const watched: Watched = { socket, sentAt: performance.now(), receivedAt: 0 };
    const write = socket.write.bind(socket);
    // The driver only ever calls write(chunk) and write(chunk, null); both go through unchanged.
    socket.write = ((...parameters: Parameters<Socket['write']>) => {
      if (watched.sentAt <= watched.receivedAt) watched.sentAt = performance.now();
      return write(...parameters);
    }) as Socket['write'];
    socket.on('data', () => {
      watched.receivedAt = performance.now();
    });
    // No listener: for TLS the driver takes all of them away, and every end of a socket goes through here.
    const destroy = socket.destroy.bind(socket);
    socket.destroy = (error) => {
      if (this.#watched.delete(watched)) this.#options.onClose();
      return destroy(error);
    };
    this.#watched.add(watched);
  }

  #sweep(): void {
    const now = performance.now();
    for (const { socket, sentAt, receivedAt } of this.#watched) {
      if (sentAt > receivedAt && now - sentAt > this.#options.deadlineMs) {
        socket.destroy(new Error(`Postgres has not answered for ${this.#options.deadlineMs} ms`));
      }
    }
  }
}

/** Breaks as soon as somebody can hear it. */
function brokenSocket(error: unknown): Promise<Socket> {
  const socket = new Socket();
  setImmediate(() => socket.destroy(error instanceof Error ? error : new Error(String(error))));
  return Promise.resolve(socket);
}
