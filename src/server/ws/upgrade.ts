/**
 * The upgrade to a WebSocket: path, Origin and credential are checked while it is still HTTP, so a refusal is a plain answer.
 * Credentials come in the Authorization header or, from browsers, in a second subprotocol; never in the URL.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { BEARER_SUBPROTOCOL_PREFIX, LIMITS, WATCH_SUBPROTOCOL } from '../../contract/constants.ts';
import { asProblem, problemBody } from '../http/on-error.ts';
import { ProblemError } from '../kernel/problem-error.ts';
import { type Connection, createConnection } from './connection.ts';

export interface UpgradeRequest {
  readonly board: string;
  /** As an Authorization header would have it. */
  readonly authorization: string | undefined;
  readonly remoteAddress: string;
}

/** Admits the request; the returned function is called with the open connection. */
export type Admit = (request: UpgradeRequest) => Promise<(connection: Connection) => void>;

interface UpgradeOptions {
  readonly admit: Admit;
  readonly isOriginAllowed: (origin: string, host: string | undefined) => boolean;
  readonly onError: (error: unknown) => void;
}

/** An end may carry over its frame what it may carry as the body of its route. */
const FRAME_BYTES_MAX = LIMITS.bodyBytesMax;
const FRAGMENTS_MAX = 16;
/** The largest frame in segments of a slow link, some 1.4 KB each, twice. */
const BUFFERED_CHUNKS_MAX = 2048;
/** A peer that does not answer a close is cut off after this, well within the time that a stop may take. */
const CLOSE_TIMEOUT_MS = 1000;
const WATCH_PATH = /^\/v1\/boards\/([^/?#]+)\/watch$/;

export function createUpgrade({ admit, isOriginAllowed, onError }: UpgradeOptions) {
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: FRAME_BYTES_MAX,
    perMessageDeflate: false,
    closeTimeout: CLOSE_TIMEOUT_MS,
    maxFragments: FRAGMENTS_MAX,
    maxBufferedChunks: BUFFERED_CHUNKS_MAX,
    handleProtocols: (offered: Set<string>) => (offered.has(WATCH_SUBPROTOCOL) ? WATCH_SUBPROTOCOL : false),
  } as ConstructorParameters<typeof WebSocketServer>[0]);

  return (incoming: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const onSocketError = (): void => void socket.destroy();
    socket.on('error', onSocketError);
    const upgrade = async (): Promise<void> => {
      const request = readRequest(incoming, isOriginAllowed);
      const accept = await admit(request);
      if (socket.destroyed) return;
      socket.off('error', onSocketError);
      server.handleUpgrade(incoming, socket, head, (webSocket) =>
        accept(createConnection(webSocket, socket)),
      );
    };
    upgrade().catch((error: unknown) => {
      const problem = asProblem(error);
      if (problem.code === 'internal') onError(error);
      refuse(socket, problem);
    });
  };
}

function readRequest(
  incoming: IncomingMessage,
  isOriginAllowed: UpgradeOptions['isOriginAllowed'],
): UpgradeRequest {
  const path = (incoming.url ?? '').split('?', 1)[0] ?? '';
  const board = WATCH_PATH.exec(path)?.[1];
  if (board === undefined)
    throw new ProblemError('not_found', 'There is no WebSocket at this path.', {
      extensions: { resource: 'route' },
    });
  const { origin, host } = incoming.headers;
  if (origin !== undefined && !isOriginAllowed(origin, host)) {
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
  return { board, authorization, remoteAddress: incoming.socket.remoteAddress ?? '' };
}

function refuse(socket: Duplex, problem: ProblemError): void {
  const requestId = randomUUID();
  const body = JSON.stringify(problemBody(problem, requestId));
  const headers = {
    ...problem.headers,
    'Content-Type': 'application/problem+json',
    'Content-Length': String(Buffer.byteLength(body)),
    'X-Request-Id': requestId,
    Connection: 'close',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(
    `HTTP/1.1 ${problem.status} ${STATUS_TEXTS[problem.status] ?? 'Error'}\r\n${lines.join('')}\r\n${body}`,
  );
}

const STATUS_TEXTS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};
