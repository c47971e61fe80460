/** The listening socket: HTTP requests go to the application, upgrades to the watch. */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { LIMITS } from '../../contract/constants.ts';
import type { App } from './app.ts';

export interface Listening {
  readonly port: number;
  readonly server: Server;
  /** Refuses new connections, waits for requests in flight at most `timeoutMs`, then closes what is left. */
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
  server.on('upgrade', onUpgrade);
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
        const timer = setTimeout(() => server.closeAllConnections(), timeoutMs);
        server.close(() => {
          clearTimeout(timer);
          resolve();
        });
        server.closeIdleConnections();
      }),
  };
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
