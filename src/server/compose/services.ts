/** The features of one server, constructed and handed to each other. */
import { Attention, StrandedSweep, Why } from '../features/attention/service.ts';
import { AuditJournal, refuseSocket } from '../features/audit/service.ts';
import {
  Authenticator,
  ClaimTokens,
  createPrincipalLimit,
  KeyService,
  SignIn,
  WaitingRequests,
} from '../features/auth/service.ts';
import { BoardService } from '../features/boards/service.ts';
import { BulkRunner } from '../features/bulk/service.ts';
import { ClaimWaiters, Reaper } from '../features/claims/service.ts';
import { TaskImport } from '../features/imports/service.ts';
import { ConfigCache, LaneService, PresenceTracker } from '../features/lanes/service.ts';
import { Erasure, Linking, TaskService } from '../features/tasks/service.ts';
import { EventStreams } from '../features/watch/event-streams.ts';
import { BoardFeeds } from '../features/watch/service.ts';
import { WatchSessions } from '../features/watch/sessions.ts';
import type { Base } from './base.ts';
import { createClaims, createOutages } from './claims.ts';
import { createDelegations } from './delegations.ts';
import { createSpans } from './spans.ts';

export type Services = ReturnType<typeof createServices>;

function createTasks({ database, wake, ids, onError }: Base, boards: BoardService, keys: KeyService) {
  const shared = { sql: database.cold, wake, ids };
  const erasure = new Erasure(shared);
  const tasks = new TaskService({ ...shared, erasure });
  const bulk = { ...shared, boards, keys, erasure, onError: onError('bulk operation') };
  return { tasks, bulkRunner: new BulkRunner(bulk) };
}

function createFeeds({ database, wake, clock, metrics, onError }: Base): BoardFeeds {
  const onLag = (seconds: number): void => metrics.watchLagSeconds.observe(seconds);
  return new BoardFeeds({ sql: database.cold, wake, clock, onError: onError('feed'), onLag });
}

function createAuth({ config, database, clock, ids, signingKeys }: Base, journal: AuditJournal) {
  const { cold, lookups } = database;
  const tokens = new ClaimTokens(signingKeys, clock);
  const authenticator = new Authenticator(lookups, tokens, (code, address) =>
    journal.refuse({
      action: 'credential.refused',
      actor: { type: 'anonymous', id: null, name: null },
      ...{ code, address, operation: null, board: null, requestId: null },
    }),
  );
  return {
    tokens,
    limit: createPrincipalLimit(config.rateLimitPerMinute),
    authenticator,
    keys: new KeyService(cold, ids),
    signIn: new SignIn({ sql: cold, ids, authenticator, publicUrl: config.publicUrl }),
  };
}

export function createServices(base: Base) {
  const { config, database, clock, ids, metrics, wake, onError } = base;
  const { cold } = database;
  const journal = new AuditJournal(database.cold, config.auditDays);
  const { limit, ...auth } = createAuth(base, journal);
  const { tokens, authenticator, keys } = auth;
  const boards = new BoardService(cold, wake);
  const presence = new PresenceTracker(cold);
  const configs = new ConfigCache(cold);
  const lanes = new LaneService({ sql: cold, wake, presence, configs, keys });
  const feeds = createFeeds(base);
  const { tasks, bulkRunner } = createTasks(base, boards, keys);
  const spans = createSpans(base, boards);
  const returning = createDelegations(base, { boards, tasks, spans });
  const linking = new Linking({ sql: cold, wake, resolve: tasks.resolve.bind(tasks) });
  const imports = new TaskImport({ sql: cold, wake, ids, clock, configs });
  const why = new Why({ sql: cold, presence, tasks });
  const attention = new Attention(why);
  const stranded = new StrandedSweep({
    sql: database.sweeps,
    wake,
    why,
    onStranded: (reason) => metrics.stranded.inc({ reason }),
  });
  const claims = createClaims(base, { tokens, presence, configs, feeds, tasks, why, spans });
  const waiters = new ClaimWaiters(feeds);
  const reaper = new Reaper(database.sweeps, wake, (limit, boardId, held) => {
    metrics.reaped.inc({ limit });
    spans?.onReaped(boardId, held);
  });
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
    refresh: (authorizations) => authenticator.refresh(authorizations),
    limit: config.rateLimitPerMinute === null ? null : limit,
    onRefused: (caller, refused) => refuseSocket(journal, caller, refused),
    onClosed: spans?.onSocketClosed,
    onError: onError('watch'),
  });
  return {
    limit,
    journal,
    ...auth,
    boards,
    presence,
    lanes,
    feeds,
    tasks,
    linking,
    ...returning,
    imports,
    bulkRunner,
    why,
    attention,
    stranded,
    ...claims,
    waiters,
    reaper,
    outages,
    sessions,
    waitingRequests: new WaitingRequests(authenticator, onError('waiting requests')),
    streams: new EventStreams({
      feeds,
      refresh: (authorizations) => authenticator.refresh(authorizations),
      onError: onError('event stream'),
    }),
  };
}
