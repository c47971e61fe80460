/**
 * The upgrade to a WebSocket: path, Origin and credential are checked while it is still HTTP, so a refusal is a plain answer.
 * Credentials come in the Authorization header or, from browsers, in a second subprotocol; never in the URL.
 */
import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { BEARER_SUBPROTOCOL_PREFIX, LIMITS, WATCH_SUBPROTOCOL } from '../../contract/constants.ts';
import { asProblem, problemBody } from '../http/on-error.ts';
import type { Peers } from '../http/peers.ts';
import { requestIdOf } from '../http/request-headers.ts';
import { WATCH_PATH } from '../http/watch-path.ts';
import { CLOSE_MS_MAX } from '../kernel/peer-patience.ts';
import { ProblemError } from '../kernel/problem-error.ts';
import { Rounds } from '../kernel/rounds.ts';
import { type Connection, SocketConnection } from './connection.ts';

export interface UpgradeRequest {
  readonly board: string;
  /** As an Authorization header would have it. */
  readonly authorization: string | undefined;
  readonly remoteAddress: string;
}

/** A place for one socket, taken until its connection closes. Exactly one of the two is called. */
export interface Admission {
  open(connection: Connection): void;
  /** The socket never opened: its place is free again. */
  withdraw(): void;
}

export type Admit = (request: UpgradeRequest) => Promise<Admission>;

interface UpgradeOptions {
  readonly admit: Admit;
  readonly isOriginAllowed: (origin: string, ownOrigin: string | undefined) => boolean;
  readonly peers: Peers;
  readonly onError: (error: unknown) => void;
}

/** An end may carry over its frame what it may carry as the body of its route. */
const FRAME_BYTES_MAX = LIMITS.bodyBytesMax;
const FRAGMENTS_MAX = 16;
/** The largest frame in segments of a slow link, some 1.4 KB each, twice. */
const BUFFERED_CHUNKS_MAX = 2048;
/** Below the idle timeouts of common proxies (60 s), and far above what a busy event loop delays a pong. */
const PING_INTERVAL_MS = 25_000;

export function createUpgrade({ admit, isOriginAllowed, peers, onError }: UpgradeOptions) {
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: FRAME_BYTES_MAX,
    perMessageDeflate: false,
    closeTimeout: CLOSE_MS_MAX,
    maxFragments: FRAGMENTS_MAX,
    maxBufferedChunks: BUFFERED_CHUNKS_MAX,
    handleProtocols: (offered: Set<string>) => (offered.has(WATCH_SUBPROTOCOL) ? WATCH_SUBPROTOCOL : false),
  } as ConstructorParameters<typeof WebSocketServer>[0]);
  // What the library finds wrong with a handshake is answered as everything else is.
  server.on('wsClientError', (error, socket, incoming) =>
    refuse(incoming, socket, handshakeProblem(error, incoming)),
  );
  const pings = new Rounds<SocketConnection>({
    intervalMs: PING_INTERVAL_MS,
    visit: (connection) => connection.checkLife(),
  });

  const open = (admission: Admission, webSocket: WebSocket, stream: Duplex): void => {
    const connection = new SocketConnection(webSocket, stream);
    pings.add(connection);
    connection.onClose(() => pings.remove(connection));
    admission.open(connection);
  };

  return (incoming: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const onSocketError = (): void => void socket.destroy();
    socket.on('error', onSocketError);
    const upgrade = async (): Promise<void> => {
      const request = readRequest(incoming, { isOriginAllowed, peers });
      const admission = await admit(request);
      let isOpen = false;
      if (!socket.destroyed) {
        socket.off('error', onSocketError);
        server.handleUpgrade(incoming, socket, head, (webSocket) => {
          isOpen = true;
          open(admission, webSocket, socket);
        });
      }
      // The client has gone meanwhile, or its handshake was no good and has been answered so.
      if (!isOpen) admission.withdraw();
    };
    upgrade().catch((error: unknown) => {
      const problem = asProblem(error);
      if (problem.code === 'internal') onError(error);
      refuse(incoming, socket, problem);
    });
  };
}

function readRequest(
  incoming: IncomingMessage,
  { isOriginAllowed, peers }: Pick<UpgradeOptions, 'isOriginAllowed' | 'peers'>,
): UpgradeRequest {
  const path = (incoming.url ?? '').split('?', 1)[0] ?? '';
  const board = WATCH_PATH.exec(path)?.[1];
  if (board === undefined)
    throw new ProblemError('not_found', 'There is no WebSocket at this path.', {
      extensions: { resource: 'route' },
    });
  const { origin } = incoming.headers;
  if (origin !== undefined && !isOriginAllowed(origin, peers.ownOriginOf(incoming))) {
    throw new ProblemError(
      'origin_not_allowed',
      'This Origin may not open a WebSocket here. Add it to LANEKEEPER_ALLOWED_ORIGINS.',
    );
  }
  const offered = (incoming.headers['sec-websocket-protocol'] ?? '')
    .split(',')
    .map((protocol) => protocol.trim());
  if (!offered.includes(WATCH_SUBPROTOCOL))
    throw new ProblemError('invalid_request', `Offer the subprotocol ${WATCH_SUBPROTOCOL}.`);
  const bearer = offered
    .find((protocol) => protocol.startsWith(BEARER_SUBPROTOCOL_PREFIX))
    ?.slice(BEARER_SUBPROTOCOL_PREFIX.length);
  const authorization =
    bearer === undefined
      ? incoming.headers.authorization
      : `Bearer ${Buffer.from(bearer, 'base64url').toString('utf8')}`;
  return { board, authorization, remoteAddress: peers.addressOf(incoming) };
}

function handshakeProblem({ message }: Error, { method }: IncomingMessage): ProblemError {
  if (method !== 'GET')
    return new ProblemError('method_not_allowed', 'A WebSocket is opened with GET.', {
      headers: { Allow: 'GET' },
    });
  return new ProblemError('invalid_request', `The handshake is not valid: ${message}.`, {
    headers: { 'Sec-WebSocket-Version': '13' },
  });
}

function refuse(incoming: IncomingMessage, socket: Duplex, problem: ProblemError): void {
  const requestId = requestIdOf(incoming);
  const body = JSON.stringify(problemBody(problem, requestId));
  const headers = {
    ...problem.headers,
    'Content-Type': 'application/problem+json',
    'Content-Length': String(Buffer.byteLength(body)),
    'X-Request-Id': requestId,
    // As around every other answer.
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    Connection: 'close',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const statusText = STATUS_CODES[problem.status] ?? 'Error';
  socket.end(`HTTP/1.1 ${problem.status} ${statusText}\r\n${lines.join('')}\r\n${body}`);
  // Node leaves a connection that was to be upgraded half open, and a refused peer could keep it so for ever.
  const timer = setTimeout(() => socket.destroy(), CLOSE_MS_MAX);
  socket.once('close', () => clearTimeout(timer));
  socket.resume();
}
