/**
 * Picks a TCP port on the loopback address. Postgres cannot report a port it chose itself, so between our look and its
 * bind somebody else may take it: the caller tries again with another one.
 */
import { createServer } from 'node:net';

export const LOOPBACK_ADDRESS = '127.0.0.1';

/** The preferred port when it is free, so that a database that is started again keeps its address. */
export async function findFreePort(preferred: number | null): Promise<number> {
  if (preferred !== null) {
    const port = await tryPort(preferred).catch(() => null);
    if (port !== null) {
      return port;
    }
  }
  return tryPort(0);
}

function tryPort(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ host: LOOPBACK_ADDRESS, port, exclusive: true }, () => {
      const address = server.address();
      server.close(() => {
        if (address === null || typeof address === 'string') {
          reject(new Error('a TCP server reported no port'));
        } else {
          resolve(address.port);
        }
      });
    });
  });
}
