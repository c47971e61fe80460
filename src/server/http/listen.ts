/** The listening socket: HTTP requests go to the application, upgrades to a WebSocket to the watch. */
import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { LIMITS } from '../../contract/constants.ts';
import type { App } from './app.ts';

export interface Listening {
  readonly port: number;
  readonly server: Server;
  /** Refuses new connections, waits for requests and sockets in flight at most `timeoutMs`, then closes what is left. */
  close(timeoutMs: number): Promise<void>;
}

interface ListenOptions {
  readonly app: App;
  readonly host: string;
  readonly port: number;
  readonly onUpgrade: (incoming: IncomingMessage, socket: Duplex, head: Buffer) => void;
}

/** Above any long poll, so that a proxy's keep-alive is never cut under a request. */
const KEEP_ALIVE_TIMEOUT_MS = (LIMITS.waitSecondsMax + 15) * 1000;
const HEADERS_TIMEOUT_MS = 15_000;
/** Ours carry a token of about 1 KiB; 16 KiB is Node's own default. */
const HEADER_BYTES_MAX = 16 * 1024;

class ListenError extends Error {
  override readonly name = 'ListenError';
}

export async function listen({ app, host, port, onUpgrade }: ListenOptions): Promise<Listening> {
  const server = createServer(
    { maxHeaderSize: HEADER_BYTES_MAX, keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS },
    app.handle,
  );
  server.headersTimeout = HEADERS_TIMEOUT_MS;
  server.requestTimeout = 0; // Bodies have their own limit; a long poll is not a slow request.
  // The server no longer knows them, and still waits for them to close.
  const upgraded = new Set<Duplex>();
  server.on('upgrade', (incoming: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (!isWebSocket(incoming)) {
      serveWithoutUpgrade(server, incoming, socket, head);
      return;
    }
    upgraded.add(socket);
    socket.once('close', () => upgraded.delete(socket));
    onUpgrade(incoming, socket, head);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(explain(error, host, port)));
    server.listen(port, host, resolve);
  });
  const address = server.address();
  return {
    server,
    port: typeof address === 'object' && address !== null ? address.port : port,
    close: (timeoutMs) =>
      new Promise((resolve) => {
        const timer = setTimeout(() => {
          server.closeAllConnections();
          for (const socket of upgraded) socket.destroy();
        }, timeoutMs);
        server.close(() => {
          clearTimeout(timer);
          resolve();
        });
        server.closeIdleConnections();
      }),
  };
}

function isWebSocket({ headers }: IncomingMessage): boolean {
  return (headers.upgrade ?? '').split(',').some((protocol) => protocol.trim().toLowerCase() === 'websocket');
}

/**
 * An offer to go on in another protocol, such as h2c, may be ignored; but with a listener for upgrades Node takes every such request for
 * one, and leaves its body unread. So the connection is given to the server again, as a new one that begins with the same request
 * without the offer: body, keep-alive and all bounds are those of any other request.
 */
function serveWithoutUpgrade(server: Server, incoming: IncomingMessage, socket: Duplex, head: Buffer): void {
  const ignore = (): void => undefined;
  const serve = (): void => {
    // Answers to requests before this one go out first: the connection taken anew would know nothing of them.
    const unfinished = '_httpMessage' in socket ? socket._httpMessage : null;
    if (unfinished instanceof ServerResponse) {
      unfinished.once('close', serve);
      return;
    }
    socket.off('error', ignore);
    if (socket.destroyed || !server.listening) {
      socket.destroy(); // A server that is closing would not find it again.
      return;
    }
    socket.unshift(Buffer.concat([headWithoutUpgrade(incoming), head]));
    server.emit('connection', socket);
  };
  // Nobody else listens until the server does again.
  socket.on('error', ignore);
  serve();
}

function headWithoutUpgrade({ method, url, httpVersion, rawHeaders }: IncomingMessage): Buffer {
  let text = `${method} ${url} HTTP/${httpVersion}\r\n`;
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    // No space: what kept to the bound on headers still does.
    if (name.toLowerCase() !== 'upgrade') text += `${name}:${rawHeaders[index + 1]}\r\n`;
  }
  // Node reads the bytes of header values as latin1.
  return Buffer.from(`${text}\r\n`, 'latin1');
}

function explain(error: NodeJS.ErrnoException, host: string, port: number): Error {
  if (error.code === 'EADDRINUSE') {
    return new ListenError(
      `Port ${port} on ${host} is in use. Stop what uses it, or choose another: PORT=7421 npm start (PORT=0 takes any free one).`,
    );
  }
  if (error.code === 'EACCES')
    return new ListenError(
      `Port ${port} needs privileges this process does not have. Choose one above 1023: PORT=7420.`,
    );
  return new ListenError(`Cannot listen on ${host}:${port}: ${error.message}`, { cause: error });
}
