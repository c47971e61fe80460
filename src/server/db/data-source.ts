/** Which Postgres the server uses: the one of DATABASE_URL, or its own, which is started again when it dies. */
import postgres from 'postgres';
import type { Config } from '../config.ts';
import { pause } from '../kernel/lifecycle.ts';
import { describeError, type Logger } from '../observability/logger.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from './embedded/embedded-postgres.ts';
import { isDatabaseAway } from './failures.ts';
import { readHosts, withoutCredentials } from './hosts.ts';
import { WritableHost } from './writable-host.ts';

export interface DataSource {
  /** May name several hosts. */
  readonly url: string;
  /** The URL of the one host that takes writes now. */
  writableUrl(): Promise<string>;
  /** For people; without credentials. */
  describe(serverVersion: string): string;
  close(): Promise<void>;
}

/** A database that is starting beside us (compose, a reboot) gets this long. */
const REACHABLE_WITHIN_MS = 60_000;
const RETRY_MS = 1000;

export async function openDataSource(
  config: Config,
  logger: Logger,
  signal: AbortSignal,
): Promise<DataSource> {
  if (config.databaseUrl !== null) return openExternal(config.databaseUrl, logger, signal);
  return openEmbedded(config.dataDir, logger, signal);
}

async function openExternal(url: string, logger: Logger, signal: AbortSignal): Promise<DataSource> {
  const deadline = performance.now() + REACHABLE_WITHIN_MS;
  const { urls, isWritableSought } = readHosts(url);
  const writable = isWritableSought ? new WritableHost(urls) : null;
  const writableUrl = (): Promise<string> => writable?.find() ?? Promise.resolve(urls[0]);
  for (let attempt = 1; ; attempt += 1) {
    const problem = await tryConnect(writableUrl);
    if (problem === null) break;
    if (performance.now() > deadline || signal.aborted) {
      throw new Error(`The database of DATABASE_URL (${withoutCredentials(url)}) cannot be used: ${problem}`);
    }
    if (attempt === 1)
      logger.warn({ database: withoutCredentials(url), problem }, 'waiting for the database');
    await pause(RETRY_MS, signal);
  }
  return {
    url,
    writableUrl,
    describe: (version) => `PostgreSQL ${version} at ${withoutCredentials(url)}`,
    close: () => Promise.resolve(),
  };
}

/** Work of the start, done again when the database goes away under it; for as long as one that is not there yet is waited for. */
export async function whileReachable<T>(
  work: () => Promise<T>,
  logger: Logger,
  signal: AbortSignal,
): Promise<T> {
  const deadline = performance.now() + REACHABLE_WITHIN_MS;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      // The migrator wraps what the driver says.
      const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
      if (!isDatabaseAway(cause) || performance.now() > deadline || signal.aborted) throw error;
      logger.warn({ problem: describeError(error) }, 'the database went away during the start; trying again');
    }
    await pause(RETRY_MS, signal);
  }
}

/** null when it answers. */
async function tryConnect(findUrl: () => Promise<string>): Promise<string | null> {
  let sql: postgres.Sql | undefined;
  try {
    sql = postgres(await findUrl(), {
      max: 1,
      connect_timeout: 5,
      prepare: false,
      fetch_types: false,
      onnotice: () => undefined,
    });
    await sql`/* start.ping */ SELECT 1`;
    return null;
  } catch (error) {
    return error instanceof Error
      ? error.message || String(('code' in error && error.code) || error.name)
      : String(error);
  } finally {
    await sql?.end({ timeout: 1 });
  }
}

async function openEmbedded(dataDir: string, logger: Logger, signal: AbortSignal): Promise<DataSource> {
  const log = (line: string, fields?: Record<string, unknown>): void => logger.info({ ...fields }, line);
  let current: EmbeddedPostgres = await startEmbeddedPostgres({ dataDir, log, signal });
  const { url, notice, account } = current;
  const closing = new AbortController();

  /** Postgres was killed: start it again where the pools look for it. Requests meanwhile are answered 503. */
  const keepRunning = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      const ended = await Promise.race([current.exited, whenAborted(closing.signal)]);
      if (ended === 'closing') return;
      logger.error({ ...ended }, 'the embedded Postgres ended; starting it again');
      while (!closing.signal.aborted) {
        try {
          current = await startEmbeddedPostgres({ dataDir, log, signal: closing.signal });
          break;
        } catch (error) {
          logger.error(
            { error: error instanceof Error ? error.message : String(error) },
            'the embedded Postgres does not start',
          );
          await pause(RETRY_MS, closing.signal);
        }
      }
    }
  };
  const kept = keepRunning();
  return {
    url,
    writableUrl: () => Promise.resolve(url),
    describe: (version) => {
      const details = [
        `embedded PostgreSQL ${version} in ${current.clusterDir}`,
        account === null ? '' : `run as ${account}`,
        notice ?? '',
      ];
      return `${details.filter((detail) => detail !== '').join(', ')}   (set DATABASE_URL to use your own)`;
    },
    close: async () => {
      closing.abort();
      await kept;
      await current.stop();
    },
  };
}

function whenAborted(signal: AbortSignal): Promise<'closing'> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve('closing');
    else signal.addEventListener('abort', () => resolve('closing'), { once: true });
  });
}
