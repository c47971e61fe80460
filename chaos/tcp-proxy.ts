/**
 * A TCP proxy on a loopback port that stays the same whatever becomes of what is behind it: lets everything through, late, not at all, or
 * swallows it without a word.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';

/** silent: connections stay, new ones are accepted, and no byte goes either way until all are cut. abandoning: see abandon(). */
type ProxyMode = 'pass' | 'cut' | 'delay' | 'silent' | 'abandoning';

/** The two sockets of one connection. */
interface Connection {
  readonly downstream: Socket;
  readonly upstream: Socket;
  /** Nothing goes through any more, for ever, and neither side is told of the other's end. */
  isAbandoned: boolean;
}

export class TcpProxy {
  readonly #server: Server;
  readonly #connections = new Set<Connection>();
  /** null: nothing is there, connections are refused. */
  #targetPort: number | null = null;
  #mode: ProxyMode = 'pass';
  #delayMs = 0;

  private constructor() {
    this.#server = createServer((downstream) => this.#accept(downstream));
  }

  static async open(): Promise<TcpProxy> {
    const proxy = new TcpProxy();
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once('error', reject);
      proxy.#server.listen(0, '127.0.0.1', resolve);
    });
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
    return address.port;
  }

  set target(port: number | null) {
    this.#targetPort = port;
  }

  pass(): void {
    // Connections whose bytes were swallowed can never be right again.
    if (this.#mode === 'silent') this.#drop();
    this.#mode = 'pass';
  }

  /**
   * Half-open for good: no byte of any connection that there is, or that is made until pass(), ever arrives, and nobody is told of the other
   * side's end. Later connections are as they should be. So each side must find out by itself, or waits until release().
   */
  abandon(): void {
    this.#mode = 'abandoning';
    for (const connection of this.#connections) connection.isAbandoned = true;
  }

  /** Ends what was abandoned, as the keep-alive of an operating system would in the end. */
  release(): void {
    for (const connection of this.#connections) if (connection.isAbandoned) end(connection);
  }

  /** Ends every connection, and every new one at once. */
  cut(): void {
    this.#mode = 'cut';
    this.#drop();
  }

  /** Everything arrives that much later, and nothing that was sent before something else arrives after it. */
  delay(delayMs: number): void {
    this.#mode = 'delay';
    this.#delayMs = delayMs;
  }

  silence(): void {
    this.#mode = 'silent';
  }

  async close(): Promise<void> {
    this.#drop();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #accept(downstream: Socket): void {
    if (this.#mode === 'cut' || this.#targetPort === null) {
      downstream.on('error', () => undefined);
      downstream.resetAndDestroy();
      return;
    }
    const upstream = connect({ host: '127.0.0.1', port: this.#targetPort, noDelay: true });
    downstream.setNoDelay(true);
    const connection = { downstream, upstream, isAbandoned: this.#mode === 'abandoning' };
    this.#connections.add(connection);
    this.#forward(connection, downstream, upstream);
    this.#forward(connection, upstream, downstream);
  }

  #forward(connection: Connection, from: Socket, to: Socket): void {
    const line = new DelayLine();
    const pass = (deliver: () => void): void =>
      line.push(deliver, this.#mode === 'delay' ? this.#delayMs : 0);
    from.on('data', (chunk) => {
      if (this.#mode === 'silent' || connection.isAbandoned) return;
      pass(() => {
        if (!to.destroyed) to.write(chunk);
      });
    });
    from.on('error', () => from.destroy());
    from.on('close', () => {
      if (to.destroyed) this.#connections.delete(connection);
      if (!connection.isAbandoned) pass(() => to.destroy());
    });
  }

  #drop(): void {
    for (const connection of this.#connections) end(connection);
  }
}

function end({ downstream, upstream }: Connection): void {
  downstream.resetAndDestroy();
  upstream.resetAndDestroy();
}

/**
 * First in, first out, each no sooner than its delay. A timer for each was tried, and put bytes before those that had come earlier: a
 * timer may be late, and what is not delayed does not wait for it.
 */
class DelayLine {
  readonly #waiting: { readonly deliver: () => void; readonly dueAt: number }[] = [];

  push(deliver: () => void, delayMs: number): void {
    if (delayMs === 0 && this.#waiting.length === 0) {
      deliver();
      return;
    }
    this.#waiting.push({ deliver, dueAt: performance.now() + delayMs });
    if (this.#waiting.length === 1) this.#wait(delayMs);
  }

  #wait(ms: number): void {
    setTimeout(() => {
      const now = performance.now();
      let head = this.#waiting[0];
      while (head !== undefined && head.dueAt <= now) {
        this.#waiting.shift();
        head.deliver();
        head = this.#waiting[0];
      }
      if (head !== undefined) this.#wait(head.dueAt - now);
    }, ms);
  }
}
