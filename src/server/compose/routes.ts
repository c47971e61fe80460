/** Every route, bound to the feature that answers it, behind the one gate. */
import { BroadReads } from '../db/broad-reads.ts';
import { knownMigrationCount } from '../db/migration/files.ts';
import { bindAttentionRoutes } from '../features/attention/routes.ts';
import { bindAuditRoutes } from '../features/audit/routes.ts';
import { bindAudited, refuse } from '../features/audit/service.ts';
import { bindAuthRoutes } from '../features/auth/routes.ts';
import { authorise } from '../features/auth/service.ts';
import { bindBoardRoutes } from '../features/boards/routes.ts';
import { bindBulkRoutes } from '../features/bulk/routes.ts';
import { BulkService } from '../features/bulk/service.ts';
import { bindClaimRoutes } from '../features/claims/routes.ts';
import { bindDashboardRoutes } from '../features/dashboard/routes.ts';
import { bindDelegationRoutes } from '../features/delegations/routes.ts';
import { bindDeliveryRoutes } from '../features/deliveries/routes.ts';
import { bindImportRoutes } from '../features/imports/routes.ts';
import { bindLaneRoutes } from '../features/lanes/routes.ts';
import { bindMcpRoutes } from '../features/mcp/routes.ts';
import { bindStatsRoutes } from '../features/stats/routes.ts';
import { bindSubscriptionRoutes } from '../features/subscriptions/routes.ts';
import { bindSystemRoutes } from '../features/system/routes.ts';
import { SystemService } from '../features/system/service.ts';
import { bindTaskRoutes } from '../features/tasks/routes.ts';
import { bindWatchRoutes } from '../features/watch/routes.ts';
import type { App } from '../http/app.ts';
import { createBind, type Gate, type RouteObserver } from '../http/bind-route.ts';
import { Idempotency } from '../http/idempotency.ts';
import { RequestTurns } from '../http/request-turns.ts';
import { RouteCalls } from '../http/route-calls.ts';
import { logProblem } from '../observability/logger.ts';
import type { Base, ServerParts } from './base.ts';
import { isOriginAllowedBy } from './origins.ts';
import type { Services } from './services.ts';

export async function bindRoutes(
  app: App,
  base: Base,
  services: Services,
  parts: ServerParts,
): Promise<void> {
  const { database, metrics, wake, logger, lifecycle, signingKeys } = base;
  const { keys, signIn, boards, lanes, feeds, tasks, waiters, sessions, streams } = services;
  const onProblem: RouteObserver['onProblem'] = (problem, fields) => {
    metrics.problems.inc({ code: problem.code });
    logProblem(logger, problem, fields);
  };
  const turns = new RequestTurns();
  const gate = gateOf(services);
  const observe: RouteObserver['observe'] = (route, status, seconds, traceparent) => {
    const { operationId: operation, method, path } = route;
    metrics.requests.observe({ operation, status: String(status) }, seconds);
    base.tracing?.request({ operation, method, path, status, seconds, traceparent: traceparent ?? null });
  };
  const { signal } = lifecycle;
  const observer = { observe, onProblem };
  const bindRoute = createBind({ app, turns, signal, peers: base.peers, gate, observer });
  const calls = new RouteCalls(bindRoute, { turns, authorise: gate.authorise });
  const bind = bindAudited(calls.bind, { journal: services.journal, boards });
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
  bindDashboardRoutes(app, parts.dashboardDir);
  bindAuthRoutes(bind, { keys, signIn, signingKeys, idempotency, clock: base.clock });
  bindAuditRoutes(bind, { journal: services.journal, boards, reads });
  bindBoardRoutes(bind, boards);
  bindLaneRoutes(bind, { lanes, boards, keys, idempotency });
  bindAttentionRoutes(bind, { ...services, reads });
  bindStatsRoutes(bind, { boards, reads });
  bindTaskRoutes(bind, { ...services, wake, idempotency, reads });
  const bulk = new BulkService({ sql, reads, ids: base.ids, tasks, runner: services.bulkRunner });
  bindBulkRoutes(bind, { bulk, boards, idempotency });
  bindDelegationRoutes(bind, { ...services, wake, idempotency });
  bindSubscriptionRoutes(bind, services);
  bindDeliveryRoutes(bind, { ...services, sql, idempotency });
  bindImportRoutes(bind, services);
  bindClaimRoutes(bind, { ...services, wake, idempotency: new Idempotency(database.hot) });
  bindWatchRoutes(bind, { feeds, streams, boards, lanes, tasks, reads });
  bindMcpRoutes(bindRoute, {
    calls,
    boards,
    feeds,
    holds: services.laneHolds,
    returns: services.returns,
    version: parts.version,
    isOriginAllowed: isOriginAllowedBy(base.config),
    observe: (tool, outcome, seconds) => metrics.mcpTools.observe({ tool, outcome }, seconds),
    onProblem,
  });
}

function gateOf({ authenticator, waitingRequests, journal, limit }: Services) {
  return {
    authenticate: (authorization, address) => authenticator.authenticate(authorization, address),
    lastKnown: (authorization) => authenticator.lastKnown(authorization),
    verify: (authorization) => authenticator.verify(authorization),
    watchOver: (authorization, onRefused) => waitingRequests.enter(authorization, onRefused),
    authorise: (caller, operation, params, from) => {
      try {
        authorise(caller, operation, params);
      } catch (error) {
        refuse(journal, caller, { error, operation, board: params['board'], from });
        throw error;
      }
    },
    limit,
  } satisfies Gate;
}
