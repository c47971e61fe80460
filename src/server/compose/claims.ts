/** Everything about claims, constructed and wired: made, pushed, worked on, given back, taken over, judged. */
import type { Outcome } from '../../contract/statuses.ts';
import type { Why } from '../features/attention/service.ts';
import type { ClaimTokens } from '../features/auth/service.ts';
import {
  Attendance,
  Claiming,
  Departures,
  HandingOver,
  Inbox,
  LaneHolds,
  LostClaims,
  Outages,
  OutputFeeds,
  Outputs,
  Pushing,
  Reclaiming,
  Returns,
  Running,
  Signals,
  TakeoverAllowance,
  Takeovers,
  TaskContext,
} from '../features/claims/service.ts';
import type { ConfigCache, PresenceTracker } from '../features/lanes/service.ts';
import type { TaskService } from '../features/tasks/service.ts';
import type { BoardFeeds } from '../features/watch/service.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { Base } from './base.ts';
import type { Spans } from './spans.ts';

interface ClaimParts {
  readonly tokens: ClaimTokens;
  readonly presence: PresenceTracker;
  readonly configs: ConfigCache;
  readonly feeds: BoardFeeds;
  readonly tasks: TaskService;
  readonly why: Why;
  readonly spans: Spans | null;
}

/** Everything about claims: made, pushed, worked on, given back, taken over. */
export function createClaims(
  base: Base,
  { tokens, presence, configs, feeds, tasks, why, spans }: ClaimParts,
) {
  const { database, ids, metrics, wake, claimAckMs, queueHeads, onError } = base;
  const { hot, cold } = database;
  const work = createRunning(base, tokens, presence, spans);
  const { inbox, returns } = work;
  const claiming = new Claiming({
    hot,
    wake,
    ids,
    heads: queueHeads,
    configs,
    presence,
    tasks,
    explain: why.explain.bind(why),
    onClaimed: (board, rows) => {
      countClaims(metrics, rows);
      spans?.onClaimed(board, rows);
    },
    onEmpty: (reason) => metrics.emptyClaims.inc({ reason }),
    giveBack: (board, undelivered, reason) => returns.give(board, undelivered, reason),
  });
  const handingOver = new HandingOver(cold, tokens, inbox);
  const context = new TaskContext(cold, tasks);
  const { departures, attendance } = createAttendance(base, returns);
  const signals = new Signals({ sql: cold, wake, inbox, onError: onError('signals') });
  const lostClaims = new LostClaims({ sql: cold, wake, onError: onError('lost claims') });
  const pushing = new Pushing({
    ...work,
    sql: cold,
    claiming,
    handingOver,
    tokens,
    configs,
    feeds,
    claimAckMs,
    lostClaims,
    socketListeners: [attendance, signals, lostClaims],
    onError: onError('push'),
  });
  const allowance = new TakeoverAllowance(() => performance.now());
  const takeovers = new Takeovers({ sql: cold, wake, ids, configs, presence, returns, allowance });
  const onEnded = (outcome: Outcome): void => metrics.ends.inc({ outcome });
  const reclaiming = new Reclaiming({ sql: cold, wake, tasks, onEnded });
  const laneHolds = new LaneHolds(cold);
  return {
    ...work,
    claiming,
    handingOver,
    context,
    departures,
    attendance,
    pushing,
    takeovers,
    reclaiming,
    laneHolds,
  };
}

function createRunning(
  { database, metrics, wake, onError }: Base,
  tokens: ClaimTokens,
  presence: PresenceTracker,
  spans: Spans | null,
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
    onReplies: spans === null ? null : (board, replies) => spans.onReplies(board, replies),
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

export function createOutages({ database, logger, metrics }: Base): Outages {
  return new Outages({
    sql: database.sweeps,
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
