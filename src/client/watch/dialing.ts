/**
 * How a watch and a worker's link come by their sockets: opens one, tells of it as long as it is theirs, asks by a plain request why there
 * was none, and says how long to wait before the next attempt. Decides nothing: when to do what is said by the machine of whoever dials.
 */
import { CLOSE_CODES } from '../../contract/constants.ts';
import { onAbort } from '../abort-hub.ts';
import { LanekeeperError, UnreachableError } from '../errors.ts';
import { fullJitterMs } from '../timing.ts';
import type { Transport } from '../transport.ts';
import { fillPath } from '../transport.ts';
import { asError } from './failure.ts';
import { LostHello } from './lost-hello.ts';
import type { WatchLimits } from './options.ts';
import type { WebSocketConstructor, WebSocketLike } from './socket.ts';
import { loadSocketFactory, openSocket } from './socket.ts';

export interface DialContext {
  readonly transport: Transport;
  readonly board: string;
  readonly webSocket: WebSocketConstructor | undefined;
}

interface DialingParts extends DialContext {
  readonly limits: Pick<WatchLimits, 'firstConnectMs' | 'backoffBaseMs' | 'backoffCapMs'>;
  /** A plain request that meets whatever may refuse the socket. */
  readonly ask: () => Promise<unknown>;
  /** Why an attempt to connect has failed that is going to be repeated. */
  readonly onConnectFailure: ((error: Error) => void) | undefined;
}

/** Told of the socket that is current alone. */
interface SocketListener {
  readonly onMade: (socket: WebSocketLike) => void;
  readonly onOpen: () => void;
  readonly onMessage: (data: unknown) => void;
  readonly onClose: (closed: Closed) => void;
}

interface Closed {
  readonly code: number;
  readonly reason?: string | undefined;
  /** As superseded, but maybe by a socket of our own. */
  readonly isExcused: boolean;
}

export class Dialing {
  readonly hello: LostHello;
  readonly #parts: DialingParts;
  #current: WebSocketLike | undefined;
  /** Until when the first connection must have come about; null: it has, or nobody has begun. */
  #firstConnectUntil: number | null = null;

  constructor(parts: DialingParts) {
    this.#parts = parts;
    this.hello = new LostHello(parts.transport.timing.now);
  }

  begin(): void {
    this.#firstConnectUntil = this.#parts.transport.timing.now() + this.#parts.limits.firstConnectMs;
  }

  onConnected(): void {
    this.#firstConnectUntil = null;
  }

  /** Calls back once, when the signal or the client's fires, or soon if it has. Returns the undo. */
  onAbort(signal: AbortSignal | undefined, abort: () => void): () => void {
    const sources = [signal, this.#parts.transport.signal].filter((source) => source !== undefined);
    const undo = sources.map((source) => onAbort(source, abort));
    if (sources.some((source) => source.aborted)) queueMicrotask(abort);
    return () => {
      for (const step of undo) step();
    };
  }

  /** @param isWanted Still, when the WebSocket has been loaded. */
  async open(isWanted: () => boolean, { onMade, onOpen, onMessage, onClose }: SocketListener): Promise<void> {
    const { transport, board, webSocket } = this.#parts;
    const [factory, token] = await Promise.all([loadSocketFactory(webSocket), transport.findToken()]);
    if (!isWanted()) return;
    const path = fillPath('/v1/boards/{board}/watch', { board });
    const socket = openSocket(factory, transport.url.replace(/^http/, 'ws') + path, token);
    this.#current = socket;
    onMade(socket);
    const whenCurrent = (act: () => void): void => {
      if (this.#current === socket) act();
    };
    socket.addEventListener('open', () => whenCurrent(onOpen));
    socket.addEventListener('error', () => undefined); // A close follows, and that is what counts.
    socket.addEventListener('message', ({ data }) => whenCurrent(() => onMessage(data)));
    socket.addEventListener('close', ({ code, reason }) =>
      whenCurrent(() => {
        const isExcused = code === CLOSE_CODES.superseded && this.hello.excuse();
        onClose({ code, reason, isExcused });
      }),
    );
  }

  /** The socket is closed or given up: nothing is told of it any more. */
  forget(): void {
    this.hello.onSocketGone();
    this.#current = undefined;
  }

  /**
   * A refused upgrade is a plain HTTP answer, which a browser hides: it is asked for. Resolves to why there is no point in another attempt;
   * null: there is one; undefined: nobody wants to know any more.
   */
  async probe(isWanted: () => boolean): Promise<Error | null | undefined> {
    const { transport } = this.#parts;
    const hadToken = transport.token !== undefined;
    const error = await this.#ask();
    if (!isWanted()) return undefined;
    const isRefusal =
      error instanceof LanekeeperError && error.status >= 400 && error.status < 500 && !error.retryable;
    // The question has found the token that the socket was without.
    if (!isRefusal && !hadToken && transport.token !== undefined) return null;
    if (isRefusal || this.#firstConnectLeftMs() <= 0) return error;
    this.#parts.onConnectFailure?.(error);
    return null;
  }

  async #ask(): Promise<Error> {
    const { transport, ask } = this.#parts;
    try {
      await ask();
    } catch (error) {
      return asError(error);
    }
    const { url } = transport;
    return new UnreachableError('it answers requests, but opens no WebSocket', { url, cause: undefined });
  }

  /** With full jitter. The last attempt to connect at all falls on the end of its time, not behind it. */
  delayMs(attempts: number, atLeastMs: number): number {
    const { limits, transport } = this.#parts;
    const { backoffBaseMs: baseMs, backoffCapMs: capMs } = limits;
    const delayMs = atLeastMs + fullJitterMs(attempts, { baseMs, capMs }, transport.timing.random);
    const leftMs = this.#firstConnectLeftMs();
    return leftMs > 0 ? Math.min(delayMs, leftMs) : delayMs;
  }

  #firstConnectLeftMs(): number {
    const until = this.#firstConnectUntil;
    return until === null ? Number.POSITIVE_INFINITY : until - this.#parts.transport.timing.now();
  }
}
