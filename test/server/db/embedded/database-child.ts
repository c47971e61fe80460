/**
 * A server reduced to its database, for tests that kill servers: starts the embedded Postgres of its first argument
 * (the options as JSON), says on stdout what happens, one JSON object a line, and takes orders on stdin. Bundled and
 * run as a process of its own.
 */
import { createInterface } from 'node:readline';

import type { EmbeddedPostgres } from '../../../../src/server/db/embedded/embedded-postgres.ts';
import { startEmbeddedPostgres } from '../../../../src/server/db/embedded/embedded-postgres.ts';
import { EmbeddedPostgresError } from '../../../../src/server/db/embedded/embedded-postgres-error.ts';

function tell(event: Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

async function run(): Promise<EmbeddedPostgres | null> {
  const options = JSON.parse(process.argv[2] ?? '{}') as { dataDir: string };
  const startedAt = performance.now();
  try {
    const database = await startEmbeddedPostgres({
      ...options,
      log: (line, fields) => tell({ event: 'log', line, fields }),
    });
    const { url, version, clusterDir, notice, account } = database;
    const millis = Math.round(performance.now() - startedAt);
    tell({ event: 'ready', url, version, clusterDir, notice, account, millis });
    return database;
  } catch (error) {
    const code = error instanceof EmbeddedPostgresError ? error.code : null;
    tell({ event: 'failed', code, message: error instanceof Error ? error.message : String(error) });
    process.exitCode = 1;
    return null;
  }
}

// The tests send the interrupt of a terminal to the whole process group; a server decides itself what it means.
process.on('SIGINT', () => tell({ event: 'interrupted' }));

const database = await run();
if (database !== null) {
  database.exited.then(
    (exit) => tell({ event: 'database ended', ...exit }),
    (error: unknown) => tell({ event: 'database ended', error: String(error) }),
  );
  for await (const order of createInterface({ input: process.stdin })) {
    if (order === 'stop') {
      const startedAt = performance.now();
      await database.stop();
      tell({ event: 'stopped', millis: Math.round(performance.now() - startedAt) });
      break;
    }
  }
  process.stdin.destroy();
}
