/** The one place that constructs things and wires them together. */
import { randomInt } from 'node:crypto';
import { ROUTES } from '../contract/routes.ts';
import type { Config } from './config.ts';
import { openDatabase } from './db/client.ts';
import { knownMigrationCount } from './db/migrate.ts';
import { forgetOldAnswers } from './db/remembered-answers.ts';
import { createWake } from './db/wake.ts';
import { bindAuthRoutes } from './features/auth/routes.ts';
import { Authenticator, authorise, ClaimTokens, createPrincipalLimit, KeyService, makeApiKey, SecretBox, SigningKeys } from './features/auth/service.ts';
import { bindBoardRoutes } from './features/boards/routes.ts';
import { BoardService } from './features/boards/service.ts';
import { Claiming } from './features/claims/claiming.ts';
import { Reaper } from './features/claims/reaper.ts';
import { bindClaimRoutes } from './features/claims/routes.ts';
import { Running } from './features/claims/running.ts';
import { ClaimWaiters } from './features/claims/waiters.ts';
import { bindLaneRoutes } from './features/lanes/routes.ts';
import { ConfigCache, LaneService, PresenceTracker } from './features/lanes/service.ts';
import { bindSystemRoutes } from './features/system/routes.ts';
import { readDatabaseMs, readServerVersion } from './features/system/store.ts';
import { bindTaskRoutes } from './features/tasks/routes.ts';
import { TaskCreation, TaskService } from './features/tasks/service.ts';
import { bindWatchRoutes } from './features/watch/routes.ts';
import { BoardFeeds } from './features/watch/service.ts';
import { WatchSessions } from './features/watch/sessions.ts';
import { createApp } from './http/app.ts';
import { createBind } from './http/bind-route.ts';
import { Idempotency } from './http/idempotency.ts';
import { listen } from './http/listen.ts';
import { DatabaseClock } from './kernel/clock.ts';
import { IdSource } from './kernel/ids.ts';
import { createLifecycle } from './kernel/lifecycle.ts';
import type { Logger } from './observability/logger.ts';
import { createMetrics } from './observability/metrics.ts';
import { createUpgrade } from './ws/upgrade.ts';

export interface RunningServer {
  readonly url: string;
  readonly port: number;
  readonly databaseVersion: string;
  /** Answers 503 to new work, lets what runs finish, closes sockets with 1012, then lets go of the database. */
  stop(): Promise<void>;
}

interface ServerParts {
  readonly config: Config;
  readonly databaseUrl: string;
  /** Made an admin key for every board, unless it is one already. */
  readonly adminKey: string;
  readonly migrationsDir: string;
  readonly version: string;
  readonly logger: Logger;
}

/** A new admin key in the form of all keys; its row is made when the server starts with it. */
export function makeAdminKey(): string {
  return makeApiKey('admin', new IdSource(new DatabaseClock()).next());
}

/** Sweeps: the scheduler's promise is a second, the reaper's two. */
const SCHEDULER_INTERVAL_MS = 500;
const REAPER_INTERVAL_MS = 500;
const DRAIN_SWEEP_INTERVAL_MS = 500;
const PRESENCE_INTERVAL_MS = 2000;
/** With the authenticator's window this keeps a revoked key's sockets under a second. */
const REVOCATION_INTERVAL_MS = 250;
const CLOCK_INTERVAL_MS = 30_000;
const SIGNING_KEY_INTERVAL_MS = 60_000;
const FORGET_INTERVAL_MS = 60_000;
/** How long requests in flight may take to finish at a stop. */
const DRAIN_TIMEOUT_MS = 3000;

export async function startServer({ config, databaseUrl, adminKey, migrationsDir, version, logger }: ServerParts): Promise<RunningServer> {
  const onError = (where: string) => (error: unknown) => logger.error({ where, error: describeError(error) }, 'background work failed');
  const lifecycle = createLifecycle((name, error) => onError(name)(error));
  const database = openDatabase({ url: databaseUrl });
  const { hot, cold } = database;
  lifecycle.onStop('database', () => database.close());

  const clock = new DatabaseClock();
  await clock.measure(() => readDatabaseMs(cold));
  const databaseVersion = await readServerVersion(cold);
  const ids = new IdSource(clock);
  const metrics = createMetrics();
  const wake = createWake({ database, mode: config.notify, onError: onError('wake') });

  const signingKeys = new SigningKeys(cold, new SecretBox(config.secret), clock);
  await signingKeys.maintain();
  const tokens = new ClaimTokens(signingKeys, clock, config.publicUrl ?? 'lanekeeper');
  const authenticator = new Authenticator(cold, tokens);
  const keys = new KeyService(cold, ids);
  await keys.ensureAdminKey(adminKey, 'bootstrap');

  const boards = new BoardService(cold, wake);
  await boards.ensureDefault({ type: 'system', id: 'bootstrap' });
  const presence = new PresenceTracker(cold);
  const configs = new ConfigCache(cold);
  const lanes = new LaneService({ sql: cold, wake, presence, configs, keys });
  const feeds = new BoardFeeds({ sql: cold, wake, clock, onError: onError('feed'), onLag: (seconds) => metrics.watchLagSeconds.observe(seconds) });
  const tasks = new TaskService({ sql: cold, wake, ids });
  const creation = new TaskCreation({ hot, wake, ids, clock });
  const claiming = new Claiming({
    hot,
    cold,
    wake,
    ids,
    tokens,
    configs,
    presence,
    tasks,
    onClaimed: (rows) => {
      metrics.claims.inc(rows.length);
      for (const row of rows) metrics.claimWaitSeconds.observe(Math.max(0, row.waited_seconds));
    },
    onEmpty: (reason) => metrics.emptyClaims.inc({ reason }),
  });
  const running = new Running({
    hot,
    cold,
    wake,
    tokens,
    presence,
    onEnded: (outcome) => metrics.ends.inc({ outcome }),
    onBeats: (count) => metrics.heartbeats.inc(count),
  });
  const waiters = new ClaimWaiters(feeds);
  const reaper = new Reaper(cold, wake, (limit) => metrics.reaped.inc({ limit }));
  const sessions = new WatchSessions({
    sql: cold,
    boards,
    feeds,
    presence,
    authenticate: (authorization, address) => authenticator.authenticate(authorization, address),
    verify: (authorization) => authenticator.verify(authorization),
    onError: onError('watch'),
  });

  const app = createApp(ROUTES, (error, requestId) => logger.error({ requestId, error: describeError(error) }, 'request failed'));
  const limit = createPrincipalLimit(config.rateLimitPerMinute);
  const bind = createBind({
    app,
    signal: lifecycle.signal,
    gate: {
      authenticate: (authorization, address) => authenticator.authenticate(authorization, address),
      authorise: (caller, route, params) => authorise(caller, route.operationId, params),
      limit,
    },
    observer: {
      observe: (route, status, seconds) => metrics.requests.observe({ operation: route.operationId, status: String(status) }, seconds),
      onProblem: (problem, fields) => {
        metrics.problems.inc({ code: problem.code });
        if (problem.status >= 500) logger.error({ ...fields, code: problem.code, error: describeError(problem.cause ?? problem) }, 'request failed');
        else logger.debug({ ...fields, code: problem.code }, 'request refused');
      },
    },
  });
  const idempotency = new Idempotency(cold);
  bindSystemRoutes(bind, {
    app,
    sql: cold,
    metrics,
    version,
    knownMigrations: await knownMigrationCount(migrationsDir),
    isDraining: () => lifecycle.signal.aborted,
    pollAgeMs: () => wake.pollAgeMs(),
    watchSockets: () => sessions.count,
    claimWaiters: () => waiters.count,
  });
  bindAuthRoutes(bind, { keys, signingKeys, idempotency });
  bindBoardRoutes(bind, boards);
  bindLaneRoutes(bind, { lanes, boards, keys, idempotency });
  bindTaskRoutes(bind, { tasks, creation, boards, feeds, wake, idempotency, sql: cold });
  bindClaimRoutes(bind, { claiming, running, waiters, boards, tasks, tokens, feeds, idempotency: new Idempotency(hot), wake, onUndelivered: onError('undelivered') });
  bindWatchRoutes(bind, { feeds, boards, lanes, tasks, sql: cold });

  lifecycle.onStop('gathered work', async () => {
    await Promise.all([creation.drain(), claiming.drain(), running.drain()]);
    await presence.flush();
  });
  const woken = wake.run(lifecycle.signal);
  lifecycle.onStop('wake', () => woken);
  lifecycle.every('scheduler', SCHEDULER_INTERVAL_MS, () => tasks.wakeDueTasks());
  lifecycle.every('reaper', REAPER_INTERVAL_MS, () => reaper.sweep());
  lifecycle.every('drained lanes', DRAIN_SWEEP_INTERVAL_MS, () => lanes.pauseDrainedLanes((id) => boards.resolveId(id)));
  lifecycle.every('presence', PRESENCE_INTERVAL_MS, () => presence.flush());
  lifecycle.every('revoked sockets', REVOCATION_INTERVAL_MS, () => sessions.closeRevoked());
  lifecycle.every('clock', CLOCK_INTERVAL_MS, () => clock.measure(() => readDatabaseMs(cold)));
  lifecycle.every('signing keys', SIGNING_KEY_INTERVAL_MS, () => signingKeys.maintain());
  lifecycle.every('remembered answers', FORGET_INTERVAL_MS + randomInt(FORGET_INTERVAL_MS), () => forgetOldAnswers(cold));

  const ownOrigins = new Set([...config.allowedOrigins, ...(config.publicUrl === null ? [] : [new URL(config.publicUrl).origin])]);
  const listening = await listen({
    app,
    host: config.host,
    port: config.port,
    onUpgrade: createUpgrade({
      admit: sessions.admit,
      isOriginAllowed: (origin, host) => ownOrigins.has(origin) || (host !== undefined && origin === `http://${host}`),
      onError: onError('upgrade'),
    }),
  }).catch(async (error: unknown) => {
    await lifecycle.stop();
    throw error;
  });
  // Registered last, so it is the first to stop: nothing new comes in while the rest lets go.
  lifecycle.onStop('http', () => listening.close(DRAIN_TIMEOUT_MS));
  lifecycle.onStop('sockets', () => sessions.drain());
  return { url: config.publicUrl ?? urlOf(config.host, listening.port), port: listening.port, databaseVersion, stop: () => lifecycle.stop() };
}

function urlOf(host: string, port: number): string {
  const name = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`;
}

/** What the log may know of an error: never SQL parameters, which the driver hangs on it. */
function describeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: String(error) };
  const code = 'code' in error ? error.code : undefined;
  const cause = error.cause === undefined ? undefined : describeError(error.cause);
  return { name: error.name, message: error.message, code, stack: error.stack, cause };
}
