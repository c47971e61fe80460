/**
 * Writes a handler's answer straight to Node's response. Through the framework's Response object the same answer became a web
 * stream that was read back chunk by chunk: a fifth of the server's processor time in the benchmark's single cycle.
 */
import type { ServerResponse } from 'node:http';
import { HEADERS } from '../../contract/constants.ts';
import { STALLED_MS_MAX } from '../kernel/peer-patience.ts';
import { openAnswerStream } from './answer-stream.ts';
import type { Answer } from './exchange.ts';

/** Smaller ones fit into the buffers of a socket: to hold them costs no more than the connection itself. */
const LARGE_BODY_BYTES = 64 * 1024;

export function writeAnswer(outgoing: ServerResponse, requestId: string, answer: Answer): void {
  if (outgoing.destroyed) {
    // The client has gone; who must know was told by its close.
    answer.stream?.begin(openAnswerStream(outgoing));
    return;
  }
  const headers: Record<string, string | number> = {
    [HEADERS.requestId]: requestId,
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...answer.headers,
  };
  if (answer.stream) {
    beginStream(outgoing, answer.status, { ...headers, 'Content-Type': answer.stream.contentType });
    answer.stream.begin(openAnswerStream(outgoing));
    return;
  }
  const { body, contentType } = contentOf(answer);
  if (body === null) {
    outgoing.writeHead(answer.status, headers).end();
    return;
  }
  headers['Content-Type'] = contentType;
  const bytes = Buffer.byteLength(body);
  headers['Content-Length'] = bytes;
  // The socket's idle timer: writing starts it anew, Node destroys the socket when it ends, and puts its own in place after the answer.
  if (bytes > LARGE_BODY_BYTES) outgoing.setTimeout(STALLED_MS_MAX);
  // A text and its head go out in one write; bytes would take two.
  outgoing.writeHead(answer.status, headers).end(body);
}

/** Its connection ends with it: nothing else could be asked on it meanwhile, and a server that drains need not wait for it. */
function beginStream(
  outgoing: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string | number>>,
): void {
  // X-Accel-Buffering: proxies that gather answers before they pass them on would gather this one for ever.
  outgoing.writeHead(status, { ...headers, Connection: 'close', 'X-Accel-Buffering': 'no' });
  if (outgoing.req.method === 'HEAD') outgoing.end();
  else outgoing.flushHeaders();
}

interface Content {
  readonly body: string | Uint8Array | null;
  readonly contentType: string;
}

function contentOf({ raw, body }: Answer): Content {
  if (raw) return raw;
  if (body === undefined) return { body: null, contentType: '' };
  return { body: JSON.stringify(body), contentType: 'application/json' };
}
