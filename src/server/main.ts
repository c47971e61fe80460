/** The server's command line: `serve` and `migrate`. Signals, exit codes, and what a person sees at the start. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { announceServer, loadAdminKey } from './bootstrap.ts';
import { makeAdminKey, type RunningServer, startServer } from './compose.ts';
import { type Config, ConfigError, readConfig } from './config.ts';
import { openDataSource, whileReachable } from './db/data-source.ts';
import { migrateDatabase } from './db/migrate.ts';
import { createLogger, type Logger } from './observability/logger.ts';

/** A terminal and `npm start` both pass on one Ctrl-C: signals this close together are one. */
const SAME_SIGNAL_MS = 1000;
/** Pinned by the quality bars: a stop takes at most 5 s. */
const STOP_TIMEOUT_MS = 4800;

const EXIT = { ok: 0, error: 1, usage: 2 } as const;

const packageRoot = findPackageRoot(dirname(fileURLToPath(import.meta.url)));
const migrationsDir = join(packageRoot, 'drizzle');
const dashboardDir = join(packageRoot, 'dist', 'dashboard');

function findPackageRoot(from: string): string {
  for (let dir = from; ; dir = dirname(dir)) {
    if (existsSync(join(dir, 'package.json'))) return dir;
    if (dir === dirname(dir)) throw new Error('no package.json above the server');
  }
}

function packageVersion(): string {
  const parsed: unknown = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8'));
  return typeof parsed === 'object' && parsed !== null && 'version' in parsed
    ? String(parsed.version)
    : '0.0.0';
}

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const complain = (text: string): void => void process.stderr.write(`lanekeeper: ${text}\n`);

async function serve(config: Config, logger: Logger): Promise<void> {
  const startedAt = performance.now();
  const stopping = new AbortController();
  const stopped = onStopSignal(stopping);
  const adminKey = await loadAdminKey(config.dataDir, config.adminKey, makeAdminKey);
  const source = await openDataSource(config, logger, stopping.signal);
  let server: RunningServer | undefined;
  let withdraw = (): Promise<void> => Promise.resolve();
  try {
    const start = async (): Promise<RunningServer> => {
      await migrateDatabase(source.url, migrationsDir);
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
    withdraw = await announceServer(config.dataDir, server.url);
    // The server is ready all the same when the database has just gone away.
    const signInLink = await server.createSignInLink().catch(() => null);
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
      ? ['Admin key   as given in LANEKEEPER_ADMIN_KEY']
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

/** Resolves at the first SIGINT or SIGTERM; a further one, at least a second later, ends the process at once. */
function onStopSignal(stopping: AbortController): Promise<void> {
  return new Promise((resolve) => {
    let firstAt: number | undefined;
    const onSignal = (): void => {
      const now = performance.now();
      if (firstAt === undefined) {
        firstAt = now;
        stopping.abort();
        resolve();
      } else if (now - firstAt >= SAME_SIGNAL_MS) {
        process.exit(EXIT.error);
      }
    };
    process.on('SIGINT', onSignal);
    process.on('SIGTERM', onSignal);
  });
}

async function migrate(config: Config, logger: Logger): Promise<void> {
  const source = await openDataSource(config, logger, new AbortController().signal);
  try {
    const { applied, total } = await migrateDatabase(source.url, migrationsDir);
    say(
      applied === 0
        ? `The schema is current: ${total} migrations.`
        : `Applied ${applied} of ${total} migrations.`,
    );
  } finally {
    await source.close();
  }
}

const USAGE =
  'usage: lanekeeper serve | lanekeeper migrate   (settings come from the environment: see .env.example)';

async function main(command: string | undefined, rest: readonly string[]): Promise<number> {
  if (rest.includes('--help') || rest.includes('-h')) {
    say(USAGE);
    return EXIT.ok;
  }
  if ((command !== 'serve' && command !== 'migrate') || rest.length > 0) {
    complain(USAGE);
    return EXIT.usage;
  }
  try {
    const config = readConfig();
    const logger = createLogger(config.logLevel, config.logFormat);
    await (command === 'serve' ? serve(config, logger) : migrate(config, logger));
    return EXIT.ok;
  } catch (error) {
    complain(error instanceof Error ? error.message : String(error));
    return error instanceof ConfigError ? EXIT.usage : EXIT.error;
  }
}

// A rejection that nobody handles is a bug, but it must not take down the lanes of everyone else.
process.on('unhandledRejection', (error) =>
  complain(`unhandled rejection: ${error instanceof Error ? error.stack : String(error)}`),
);
// Exits by itself once everything is closed; a timer that was forgotten would show here as a hang, so end it.
process.exit(await main(process.argv[2], process.argv.slice(3)));
