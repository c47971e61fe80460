/** The one place that constructs things and wires them together. */
import { randomInt } from 'node:crypto';
import { ROUTES } from '../contract/routes.ts';
import type { Config } from './config.ts';
import { BroadReads } from './db/broad-reads.ts';
import { type Database, openDatabase } from './db/client.ts';
import { isDatabaseAway } from './db/failures.ts';
import { knownMigrationCount } from './db/migrate.ts';
import { forgetOldAnswers } from './db/remembered-answers.ts';
import { createWake, type Wake } from './db/wake.ts';
import { bindAuthRoutes } from './features/auth/routes.ts';
import {
  Authenticator,
  authorise,
  ClaimTokens,
  createPrincipalLimit,
  KeyService,
  makeApiKey,
  SecretBox,
  SigningKeys,
  WaitingRequests,
} from './features/auth/service.ts';
import { bindBoardRoutes } from './features/boards/routes.ts';
import { BoardService } from './features/boards/service.ts';
import { bindClaimRoutes } from './features/claims/routes.ts';
import {
  Attendance,
  CLAIM_ACK_MS,
  Claiming,
  ClaimWaiters,
  Departures,
  HandingOver,
  Inbox,
  Outages,
  OutputFeeds,
  Outputs,
  Pushing,
  Reaper,
  Returns,
  Running,
  Signals,
  TakeoverAllowance,
  Takeovers,
} from './features/claims/service.ts';
import { bindLaneRoutes } from './features/lanes/routes.ts';
import { ConfigCache, LaneService, PresenceEdges, PresenceTracker } from './features/lanes/service.ts';
import { bindSystemRoutes } from './features/system/routes.ts';
import { readDatabaseMs, readServerVersion, SystemService } from './features/system/service.ts';
import { bindTaskRoutes } from './features/tasks/routes.ts';
import { TaskCreation, TaskService } from './features/tasks/service.ts';
import { EventStreams } from './features/watch/event-streams.ts';
import { bindWatchRoutes } from './features/watch/routes.ts';
import { BoardFeeds } from './features/watch/service.ts';
import { WatchSessions } from './features/watch/sessions.ts';
import { type App, createApp } from './http/app.ts';
import { createBind } from './http/bind-route.ts';
import { Idempotency } from './http/idempotency.ts';
import { listen } from './http/listen.ts';
import { DatabaseClock } from './kernel/clock.ts';
import { IdSource } from './kernel/ids.ts';
import { createLifecycle, type Lifecycle } from './kernel/lifecycle.ts';
import { describeError, type Logger } from './observability/logger.ts';
import { createMetrics, type Metrics } from './observability/metrics.ts';
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
  /** Only tests shorten it. */
  readonly claimAckMs?: number;
}

/** Sweeps: the scheduler's promise is a second, the reaper's two. */
const SCHEDULER_INTERVAL_MS = 500;
const REAPER_INTERVAL_MS = 500;
/** A quarter of the gap that counts as an outage. */
const PULSE_INTERVAL_MS = 500;
const DRAIN_SWEEP_INTERVAL_MS = 500;
/** The promise is that a lane is said to be online within two seconds. */
const PRESENCE_INTERVAL_MS = 1000;
const FORGET_WORKERS_INTERVAL_MS = 60_000;
/** Of two sockets with one worker name the older is closed within a second, wherever it is. */
const ATTENDANCE_INTERVAL_MS = 500;
/** A twentieth of the time that a pushed claim has for its claim_ack. */
const PUSH_INTERVAL_MS = 250;
/** With the authenticator's window this keeps a revoked key's sockets under a second. */
const REVOCATION_INTERVAL_MS = 250;
const CLOCK_INTERVAL_MS = 30_000;
const SIGNING_KEY_INTERVAL_MS = 60_000;
const FORGET_INTERVAL_MS = 60_000;
/** An outage is worth a line per place this often. */
const REPORT_INTERVAL_MS = 10_000;
/** How long requests in flight may take to finish at a stop. */
const DRAIN_TIMEOUT_MS = 3000;

/** A new admin key in the form of all keys; its row is made when the server starts with it. */
export function makeAdminKey(): string {
  return makeApiKey('admin', new IdSource(new DatabaseClock()).next());
}

export async function startServer(parts: ServerParts): Promise<RunningServer> {
  const { config, logger } = parts;
  const onError = createErrorReport(logger);
  const lifecycle = createLifecycle((name, error) => onError(name)(error));
  try {
    const base = await createBase(parts, lifecycle, onError);
    const services = createServices(base);
    await services.keys.ensureAdminKey(parts.adminKey, 'bootstrap');
    await services.boards.ensureDefault({ type: 'system', id: 'bootstrap' });
    const app = createApp(ROUTES, (error, requestId) =>
      logger.error({ requestId, error: describeError(error) }, 'request failed'),
    );
    await bindRoutes(app, base, services, parts);
    startSweeps(base, services);
    const { url, port } = await openDoors(app, base, services);
    return {
      url: config.publicUrl ?? url,
      port,
      databaseVersion: base.databaseVersion,
      stop: () => lifecycle.stop(),
    };
  } catch (error) {
    await lifecycle.stop();
    throw error;
  }
}

/** Work that repeats itself would fill the log during an outage: each place says so at most once in a while. */
function createErrorReport(logger: Logger): (where: string) => (error: unknown) => void {
  const reportedAt = new Map<string, number>();
  return (where) => (error) => {
    const now = performance.now();
    const isAway = isDatabaseAway(error);
    if (isAway && now - (reportedAt.get(where) ?? Number.NEGATIVE_INFINITY) < REPORT_INTERVAL_MS) return;
    if (isAway) reportedAt.set(where, now);
    logger.error(
      { where, error: describeError(error) },
      isAway ? 'the database is away' : 'background work failed',
    );
  };
}

interface Base {
  readonly config: Config;
  readonly logger: Logger;
  readonly lifecycle: Lifecycle;
  readonly onError: (where: string) => (error: unknown) => void;
  readonly database: Database;
  readonly databaseVersion: string;
  readonly clock: DatabaseClock;
  readonly ids: IdSource;
  readonly metrics: Metrics;
  readonly wake: Wake;
  readonly signingKeys: SigningKeys;
  readonly claimAckMs: number;
}

/** What every feature stands on. */
async function createBase(parts: ServerParts, lifecycle: Lifecycle, onError: Base['onError']): Promise<Base> {
  const { config, logger } = parts;
  const database = openDatabase({ url: parts.databaseUrl });
  lifecycle.onStop('database', () => database.close());
  const clock = new DatabaseClock();
  await clock.measure(() => readDatabaseMs(database.cold));
  const signingKeys = new SigningKeys(database.cold, new SecretBox(config.secret), clock);
  await signingKeys.maintain();
  return {
    config,
    logger,
    lifecycle,
    onError,
    database,
    databaseVersion: await readServerVersion(database.cold),
    clock,
    ids: new IdSource(clock),
    metrics: createMetrics(),
    wake: createWake({ database, mode: config.notify, onError: onError('wake') }),
    signingKeys,
    claimAckMs: parts.claimAckMs ?? CLAIM_ACK_MS,
  };
}

type Services = ReturnType<typeof createServices>;

function createServices(base: Base) {
  const { config, database, clock, ids, metrics, wake, signingKeys, onError } = base;
  const { hot, cold } = database;
  const tokens = new ClaimTokens(signingKeys, clock);
  const limit = createPrincipalLimit(config.rateLimitPerMinute);
  const authenticator = new Authenticator(cold, tokens);
  const keys = new KeyService(cold, ids);
  const boards = new BoardService(cold, wake);
  const presence = new PresenceTracker(cold);
  const configs = new ConfigCache(cold);
  const lanes = new LaneService({ sql: cold, wake, presence, configs, keys });
  const onLag = (seconds: number): void => metrics.watchLagSeconds.observe(seconds);
  const feeds = new BoardFeeds({ sql: cold, wake, clock, onError: onError('feed'), onLag });
  const tasks = new TaskService({ sql: cold, wake, ids });
  const creation = new TaskCreation({ hot, wake, ids, clock });
  const claims = createClaims(base, { tokens, presence, configs, feeds, tasks });
  const waiters = new ClaimWaiters(feeds);
  const reaper = new Reaper(cold, wake, (limit) => metrics.reaped.inc({ limit }));
  const outages = createOutages(base);
  const sessions = new WatchSessions({
    sql: cold,
    boards,
    feeds,
    presence,
    configs,
    openWorker: claims.pushing.open,
    followOutput: claims.outputFeeds.follow,
    authenticate: (authorization, address) => authenticator.authenticate(authorization, address),
    verify: (authorization) => authenticator.verify(authorization),
    limit: config.rateLimitPerMinute === null ? null : limit,
    onError: onError('watch'),
  });
  return {
    tokens,
    limit,
    authenticator,
    keys,
    boards,
    presence,
    lanes,
    feeds,
    tasks,
    creation,
    ...claims,
    waiters,
    reaper,
    outages,
    sessions,
    streams: new EventStreams({ feeds, onError: onError('event stream') }),
  };
}

interface ClaimParts {
  readonly tokens: ClaimTokens;
  readonly presence: PresenceTracker;
  readonly configs: ConfigCache;
  readonly feeds: BoardFeeds;
  readonly tasks: TaskService;
}

/** Everything about claims: made, pushed, worked on, given back, taken over. */
function createClaims(base: Base, { tokens, presence, configs, feeds, tasks }: ClaimParts) {
  const { database, ids, metrics, wake, claimAckMs, onError } = base;
  const { hot, cold } = database;
  const work = createRunning(base, tokens, presence);
  const { inbox, returns } = work;
  const claiming = new Claiming({
    hot,
    wake,
    ids,
    configs,
    presence,
    tasks,
    onClaimed: (rows) => countClaims(metrics, rows),
    onEmpty: (reason) => metrics.emptyClaims.inc({ reason }),
    giveBack: (board, undelivered, reason) => returns.give(board, undelivered, reason),
  });
  const handingOver = new HandingOver(cold, tokens, inbox);
  const { departures, attendance } = createAttendance(base, returns);
  const pushing = new Pushing({
    ...work,
    sql: cold,
    claiming,
    handingOver,
    tokens,
    configs,
    feeds,
    claimAckMs,
    companions: [attendance, new Signals({ sql: cold, wake, inbox, onError: onError('signals') })],
    onError: onError('push'),
  });
  const allowance = new TakeoverAllowance(() => performance.now());
  const takeovers = new Takeovers({ sql: cold, wake, ids, configs, presence, returns, allowance });
  return { ...work, claiming, handingOver, departures, attendance, pushing, takeovers };
}

function createRunning(
  { database, metrics, wake, onError }: Base,
  tokens: ClaimTokens,
  presence: PresenceTracker,
) {
  const { hot, cold } = database;
  const inbox = new Inbox(cold);
  const outputFeeds = new OutputFeeds({ sql: cold, wake, onError: onError('output feed') });
  const outputs = new Outputs({ hot, cold, wake, feeds: outputFeeds });
  const running = new Running({
    hot,
    cold,
    wake,
    tokens,
    presence,
    inbox,
    onEnded: (outcome) => metrics.ends.inc({ outcome }),
    onBeats: (count) => metrics.heartbeats.inc(count),
  });
  const now = (): number => performance.now();
  const returns = new Returns({ running, now, onError: onError('undelivered claim') });
  return { inbox, running, outputFeeds, outputs, returns };
}

function createAttendance({ database: { cold }, wake, metrics, onError }: Base, returns: Returns) {
  const onCrashed = (count: number): void => metrics.reaped.inc({ limit: 'disconnect' }, count);
  const parts = { sql: cold, wake, returns, onCrashed, onError: onError('departed worker') };
  const departures = new Departures(parts);
  return { departures, attendance: new Attendance({ sql: cold, departures }) };
}

function createOutages({ database: { hot, cold }, logger, metrics }: Base): Outages {
  return new Outages({
    hot,
    cold,
    onOutage: ({ seconds, leases }) => {
      metrics.outages.inc();
      metrics.outageSeconds.inc(seconds);
      metrics.extendedLeases.inc(leases);
      // Every stop and start is an outage; one that nobody worked through is no news.
      logger[leases > 0 ? 'warn' : 'debug'](
        { seconds, leases },
        'every server or the database was away: live leases are extended by that',
      );
    },
  });
}

function countClaims(metrics: Metrics, rows: readonly { readonly waited_seconds: number }[]): void {
  metrics.claims.inc(rows.length);
  for (const row of rows) metrics.claimWaitSeconds.observe(Math.max(0, row.waited_seconds));
}

async function bindRoutes(app: App, base: Base, services: Services, parts: ServerParts): Promise<void> {
  const { database, metrics, wake, logger, lifecycle, signingKeys } = base;
  const { authenticator, keys, boards, lanes, feeds, tasks, waiters, sessions, streams } = services;
  const waitingRequests = new WaitingRequests(authenticator, base.onError('waiting requests'));
  lifecycle.every('revoked waits', REVOCATION_INTERVAL_MS, () => waitingRequests.refuseRevoked());
  const bind = createBind({
    app,
    signal: lifecycle.signal,
    gate: {
      authenticate: (authorization, address) => authenticator.authenticate(authorization, address),
      verify: (authorization) => authenticator.verify(authorization),
      watchOver: (authorization, refuse) => waitingRequests.enter(authorization, refuse),
      authorise: (caller, route, params) => authorise(caller, route.operationId, params),
      limit: services.limit,
    },
    observer: {
      observe: (route, status, seconds) =>
        metrics.requests.observe({ operation: route.operationId, status: String(status) }, seconds),
      onProblem: (problem, fields) => {
        metrics.problems.inc({ code: problem.code });
        const line = { ...fields, code: problem.code, error: describeError(problem.cause ?? problem) };
        if (problem.status >= 500) logger.error(line, 'request failed');
        else logger.debug({ ...fields, code: problem.code }, 'request refused');
      },
    },
  });
  const sql = database.cold;
  const reads = new BroadReads(database.broad);
  const idempotency = new Idempotency(sql);
  const system = new SystemService({
    sql,
    reads,
    metrics,
    knownMigrations: await knownMigrationCount(parts.migrationsDir),
    isDraining: () => lifecycle.signal.aborted,
    pollAgeMs: () => wake.pollAgeMs(),
    watchSockets: () => sessions.count,
    eventStreams: () => streams.count,
    claimWaiters: () => waiters.count,
  });
  bindSystemRoutes(bind, { app, system, version: parts.version });
  bindAuthRoutes(bind, { keys, signingKeys, idempotency });
  bindBoardRoutes(bind, boards);
  bindLaneRoutes(bind, { lanes, boards, keys, idempotency });
  bindTaskRoutes(bind, { ...services, wake, idempotency, reads });
  bindClaimRoutes(bind, { ...services, wake, idempotency: new Idempotency(database.hot) });
  bindWatchRoutes(bind, { feeds, streams, boards, lanes, tasks, reads });
}

/** Everything that runs by itself, on every server: locks are skipped, so there is no leader to lose. */
function startSweeps({ lifecycle, wake, clock, database, signingKeys }: Base, services: Services): void {
  const { creation, claiming, running, presence, tasks, reaper, outages, lanes, boards, sessions, pushing } =
    services;
  lifecycle.onStop('gathered work', async () => {
    await Promise.all([creation.drain(), claiming.drain(), running.drain(), services.outputs.drain()]);
    await services.attendance.drain();
    await services.departures.drain();
    await presence.flush();
  });
  const woken = wake.run(lifecycle.signal);
  lifecycle.onStop('wake', () => woken);
  lifecycle.every('scheduler', SCHEDULER_INTERVAL_MS, (signal) => tasks.wakeDueTasks(signal));
  lifecycle.every('pulse', PULSE_INTERVAL_MS, (signal) => outages.beat(signal));
  lifecycle.every('reaper', REAPER_INTERVAL_MS, (signal) => reaper.sweep(signal));
  lifecycle.every('drained lanes', DRAIN_SWEEP_INTERVAL_MS, () =>
    lanes.pauseDrainedLanes((id) => boards.resolveId(id)),
  );
  const edges = new PresenceEdges({ sql: database.cold, wake, presence });
  lifecycle.every('presence', PRESENCE_INTERVAL_MS, (signal) => edges.sweep(signal));
  lifecycle.every('workers long gone', FORGET_WORKERS_INTERVAL_MS, () => presence.forgetLongGone());
  lifecycle.every('attendance', ATTENDANCE_INTERVAL_MS, async () => {
    services.departures.sweep();
    await services.attendance.sweep();
  });
  lifecycle.every('push', PUSH_INTERVAL_MS, async () => pushing.sweep());
  lifecycle.every('revoked sockets', REVOCATION_INTERVAL_MS, () => sessions.closeRevoked());
  lifecycle.every('revoked streams', REVOCATION_INTERVAL_MS, () => services.streams.closeRevoked());
  lifecycle.every('clock', CLOCK_INTERVAL_MS, () => clock.measure(() => readDatabaseMs(database.cold)));
  lifecycle.every('signing keys', SIGNING_KEY_INTERVAL_MS, () => signingKeys.maintain());
  const forgetIntervalMs = FORGET_INTERVAL_MS + randomInt(FORGET_INTERVAL_MS);
  lifecycle.every('remembered answers', forgetIntervalMs, () => forgetOldAnswers(database.cold));
}

async function openDoors(
  app: App,
  { config, lifecycle, onError }: Base,
  { sessions, streams, pushing }: Services,
): Promise<{ url: string; port: number }> {
  const publicOrigin = config.publicUrl === null ? [] : [new URL(config.publicUrl).origin];
  const allowedOrigins = new Set([...config.allowedOrigins, ...publicOrigin]);
  const listening = await listen({
    app,
    host: config.host,
    port: config.port,
    onUpgrade: createUpgrade({
      admit: sessions.admit,
      // A page of our own: the browser names the very host it asks.
      isOriginAllowed: (origin, host) =>
        allowedOrigins.has(origin) || (host !== undefined && origin === `http://${host}`),
      onError: onError('upgrade'),
    }),
  });
  // Registered last, so they stop first: nothing new comes in while the rest lets go.
  lifecycle.onStop('http', () => listening.close(DRAIN_TIMEOUT_MS));
  lifecycle.onStop('push', () => pushing.drain());
  lifecycle.onStop('event streams', () => streams.drain());
  lifecycle.onStop('sockets', () => sessions.drain());
  return { url: urlOf(config.host, listening.port), port: listening.port };
}

function urlOf(host: string, port: number): string {
  const name = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`;
}
