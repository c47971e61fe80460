/**
 * Sockets to Postgres that notice a peer that has gone silent. The driver waits for ever on a half-open connection, so this
 * watches every socket: once something was sent and nothing has come back for the deadline, the socket is destroyed, the driver
 * fails what was waiting on it, and the pool opens another. Statements that may run long are bounded by statement_timeout well
 * below this deadline. A race around each query would bound the caller's wait but leave the dead connection in the pool.
 * Over TLS the driver reads and writes beneath what is watched here: there, only the operating system's keep-alive notices.
 */
import { connect, type Socket } from 'node:net';

export interface DatabaseAddress {
  readonly host: string;
  readonly port: number;
}

interface Watched {
  readonly socket: Socket;
  /** Times of performance.now(); a socket waits for an answer while sentAt > receivedAt. */
  sentAt: number;
  receivedAt: number;
}

export class DeadlineSockets {
  readonly #addresses: readonly DatabaseAddress[];
  readonly #deadlineMs: number;
  readonly #watched = new Set<Watched>();
  readonly #timer: NodeJS.Timeout;
  #nextAddress = 0;

  constructor(addresses: readonly DatabaseAddress[], deadlineMs: number) {
    this.#addresses = addresses;
    this.#deadlineMs = deadlineMs;
    this.#timer = setInterval(() => this.#sweep(), Math.max(50, deadlineMs / 10));
    this.#timer.unref();
  }

  /** Opens the next socket, taking the hosts in turn. It is returned while still connecting: writes wait in it. */
  open(): Socket {
    const address = this.#addresses[this.#nextAddress % this.#addresses.length] ?? {
      host: '127.0.0.1',
      port: 5432,
    };
    this.#nextAddress += 1;
    const socket = address.host.startsWith('/')
      ? connect({ path: `${address.host}/.s.PGSQL.${address.port}` })
      : connect({ host: address.host, port: address.port, noDelay: true });
    this.#watch(socket);
    return socket;
  }

  close(): void {
    clearInterval(this.#timer);
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
    socket.once('close', () => this.#watched.delete(watched));
    this.#watched.add(watched);
  }

  #sweep(): void {
    const now = performance.now();
    for (const { socket, sentAt, receivedAt } of this.#watched) {
      if (sentAt > receivedAt && now - sentAt > this.#deadlineMs) {
        socket.destroy(new Error(`Postgres has not answered for ${this.#deadlineMs} ms`));
      }
    }
  }
}
