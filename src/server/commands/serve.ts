/** `lanekeeper serve`: one server from its start to its stop, and what a person sees at the start. */
import { announceServer, loadAdminKey } from '../bootstrap.ts';
import { makeAdminKey, type RunningServer, startServer } from '../compose.ts';
import { type Config, listUnknownSettings, readConfig } from '../config.ts';
import { openDataSource, whileReachable } from '../db/data-source.ts';
import { migrateDatabase } from '../db/migrate.ts';
import { createLogger, type Logger } from '../observability/logger.ts';
import { type Command, UsageError } from './command.ts';
import { dashboardDir, migrationsDir, packageVersion } from './package-files.ts';
import { onStopSignal } from './stop-signal.ts';
import { complain, EXIT, say } from './terminal.ts';

/** Pinned by the quality bars: a stop takes at most 5 s. */
const STOP_TIMEOUT_MS = 4800;
const LOOPBACK_HOSTS: readonly string[] = ['127.0.0.1', '::1', 'localhost'];

async function serve(words: readonly string[]): Promise<void> {
  const startedAt = performance.now();
  if (words.length > 0) throw new UsageError(`unknown: ${words.join(' ')}`);
  const config = readConfig();
  const logger = createLogger(config.logLevel, config.logFormat);
  for (const setting of listUnknownSettings())
    logger.warn({ setting }, 'there is no such setting; it is ignored');
  const stopping = new AbortController();
  const stopped = onStopSignal(stopping);
  const adminKey = await loadAdminKey(config.dataDir, config.adminKey, makeAdminKey);
  const source = await openDataSource(config, logger, stopping.signal);
  let server: RunningServer | undefined;
  let withdraw = (): Promise<void> => Promise.resolve();
  try {
    const start = async (): Promise<RunningServer> => {
      await bringSchemaUpToDate(await source.writableUrl(), logger, stopping.signal);
      return startServer({
        config,
        databaseUrl: source.url,
        adminKey: adminKey.secret,
        migrationsDir,
        dashboardDir,
        version: packageVersion(),
        logger,
      });
    };
    server = await whileReachable(start, logger, stopping.signal);
    withdraw = await announceServer(config.dataDir, server.ownUrl);
    // The server is ready all the same when the database has just gone away.
    const signInLink = isForWhoeverReads(config) ? await server.createSignInLink().catch(() => null) : null;
    say(
      readyBlock(server, {
        database: source.describe(server.databaseVersion),
        adminKeyFile: adminKey.file,
        signInLink,
        elapsedMs: performance.now() - startedAt,
      }),
    );
    await stopped;
  } finally {
    const deadline = setTimeout(() => {
      complain('the stop took too long; leaving now');
      process.exit(EXIT.error);
    }, STOP_TIMEOUT_MS);
    await withdraw();
    await server?.stop();
    await source.close();
    clearTimeout(deadline);
  }
}

async function bringSchemaUpToDate(url: string, logger: Logger, signal: AbortSignal): Promise<void> {
  const report = (line: string): void => logger.info(`schema: ${line}`);
  const { newer } = await migrateDatabase(url, migrationsDir, { signal, report });
  // What servers do in the middle of an upgrade, and after one that was taken back.
  if (newer > 0) logger.warn({ newer }, 'the schema is of a later release: good for one release back');
}

/** A link is for who started the server. Of a server for others, what it prints is collected, and read by people who are no admins. */
function isForWhoeverReads({ publicUrl, host }: Config): boolean {
  return process.stdout.isTTY === true || (publicUrl === null && LOOPBACK_HOSTS.includes(host));
}

interface ReadyFacts {
  readonly database: string;
  readonly adminKeyFile: string | null;
  readonly signInLink: string | null;
  readonly elapsedMs: number;
}

/**
 * The one place where the link is: for a person at the terminal, and no line of the log. Whoever collects what is printed keeps a code that
 * is good once and for ten minutes.
 */
function readyBlock(
  server: RunningServer,
  { database, adminKeyFile, signInLink, elapsedMs }: ReadyFacts,
): string {
  const local =
    adminKeyFile === null
      ? ['Admin key   as given in LANEKEEPER_ADMIN_KEY, or its file']
      : [`Admin key   in ${adminKeyFile} (readable by you only)`];
  return [
    '',
    `  lanekeeper ${packageVersion()} is ready at ${server.url}  (${(elapsedMs / 1000).toFixed(1)} s)`,
    '',
    ...dashboardLines(server.url, signInLink),
    `  API         ${server.url}/v1   described at ${server.url}/docs`,
    `  Watch       ${server.url.replace(/^http/, 'ws')}/v1/boards/default/watch`,
    `  Database    ${database}`,
    ...local.map((line) => `  ${line}`),
    '',
    '  Try next, in another terminal:',
    '    npx lanekeeper lanes register factory --kind persistent --claim-mode pull-or-watch --allowed-status-mutations own-claimed-only',
    "    npx lanekeeper work factory -- sh -c 'echo done'",
    '    npx lanekeeper tasks add "first task" --lane factory',
    '',
  ].join('\n');
}

function dashboardLines(url: string, signInLink: string | null): string[] {
  const another = 'npx lanekeeper dashboard';
  if (signInLink === null) return [`  Dashboard   ${url}   for a link that signs you in: ${another}`];
  return [
    `  Dashboard   ${signInLink}`,
    `              signs you in once, within 10 minutes; another link: ${another}`,
  ];
}

export const command: Command = { usage: 'lanekeeper serve', run: serve };
