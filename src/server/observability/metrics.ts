/** Metrics in one place. Labels come from closed lists only: never a task, a lane or a board, whose number nobody bounds. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { PROBLEM_CODES } from '../../contract/problems.ts';
import { RETENTION_KINDS } from '../../contract/retention.ts';
import { OUTCOMES } from '../../contract/statuses.ts';
import { WHY_CODES } from '../../contract/why.ts';

/** From a loopback round trip to a long poll. */
const SECONDS_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** From a look at nothing to one that is too slow for its turn. */
const SWEEP_BUCKETS = [0.001, 0.01, 0.05, 0.1, 0.5, 1, 5];

/** What a hold runs out of. */
export const HOLD_LIMITS = ['cancel_deadline', 'disconnect', 'lease', 'max_runtime', 'no_progress'] as const;
export const DELIVERY_OUTCOMES = ['acked', 'nacked', 'deferred', 'dead'] as const;

export type Metrics = ReturnType<typeof createMetrics>;

let measured: Registry | undefined;

/** The figures of the process, whatever number of servers it runs: each time more would leave a timer and an observer behind for good. */
function measureProcess(): Registry {
  if (measured === undefined) {
    measured = new Registry();
    collectDefaultMetrics({ register: measured, prefix: 'lanekeeper_' });
  }
  return measured;
}

export function createMetrics() {
  const own = new Registry();
  const metrics = {
    ...createRequestMetrics([own]),
    ...createWorkMetrics([own]),
    ...createGauges([own]),
  };
  return { registry: Registry.merge([measureProcess(), own]), ...metrics };
}

function createRequestMetrics(registers: Registry[]) {
  return {
    requests: new Histogram({
      name: 'lanekeeper_http_request_seconds',
      help: 'Duration of HTTP requests by operation and status; long polls include their wait.',
      labelNames: ['operation', 'status'],
      buckets: SECONDS_BUCKETS,
      registers,
    }),
    problems: countedFromZero(
      new Counter({
        name: 'lanekeeper_problems_total',
        help: 'Problems answered, by code.',
        labelNames: ['code'],
        registers,
      }),
      'code',
      PROBLEM_CODES,
    ),
    mcpTools: new Histogram({
      name: 'lanekeeper_mcp_tool_seconds',
      help: 'Duration of tool calls over MCP by tool and outcome (ok, refused, failed); waits included.',
      labelNames: ['tool', 'outcome'],
      buckets: SECONDS_BUCKETS,
      registers,
    }),
    statements: new Histogram({
      name: 'lanekeeper_statement_seconds',
      help: 'Duration of statements by pool of connections, with the wait for one.',
      labelNames: ['pool'],
      buckets: SECONDS_BUCKETS,
      registers,
    }),
    slowStatements: new Counter({
      name: 'lanekeeper_slow_statements_total',
      help: 'Statements that took longer than LANEKEEPER_SLOW_STATEMENT_MS, by their tag.',
      labelNames: ['statement'],
      registers,
    }),
    sweepSeconds: new Histogram({
      name: 'lanekeeper_sweep_seconds',
      help: 'Duration of what this server does by itself again and again, by sweep.',
      labelNames: ['sweep'],
      buckets: SWEEP_BUCKETS,
      registers,
    }),
    watchLagSeconds: new Histogram({
      name: 'lanekeeper_watch_lag_seconds',
      help: 'From the time of an event to its arrival at the followers on this server.',
      buckets: SECONDS_BUCKETS,
      registers,
    }),
  };
}

/** A series that begins with its first occurrence has not increased by it, as Prometheus sees it: an alert would miss the first one. */
function countedFromZero<L extends string>(
  counter: Counter<L>,
  label: L,
  values: readonly string[],
): Counter<L> {
  for (const value of values) counter.inc({ [label]: value } as Record<L, string>, 0);
  return counter;
}

function createWorkMetrics(registers: Registry[]) {
  const counter = (name: string, help: string) => new Counter({ name, help, registers });
  const labelled = (name: string, help: string, label: string, values: readonly string[] = []) =>
    countedFromZero(new Counter({ name, help, labelNames: [label], registers }), label, values);
  return {
    claims: counter('lanekeeper_claims_total', 'Tasks claimed through this server.'),
    emptyClaims: labelled('lanekeeper_empty_claims_total', 'Claims that got nothing, by reason.', 'reason'),
    claimWaitSeconds: new Histogram({
      name: 'lanekeeper_claim_queue_seconds',
      help: 'How long claimed tasks had been ready.',
      buckets: [...SECONDS_BUCKETS, 300, 1800, 7200, 86_400],
      registers,
    }),
    ends: labelled(
      'lanekeeper_run_ends_total',
      'Runs ended through this server, by outcome.',
      'outcome',
      OUTCOMES,
    ),
    reaped: labelled(
      'lanekeeper_reaped_total',
      'Holds taken back by this server, by the limit that passed.',
      'limit',
      HOLD_LIMITS,
    ),
    stranded: labelled(
      'lanekeeper_stranded_total',
      'Ready tasks that nobody had claimed for too long, as this server found them, by the first reason.',
      'reason',
      WHY_CODES,
    ),
    deliveries: labelled(
      'lanekeeper_deliveries_total',
      'What was said of deliveries through this server: acked, nacked (to be tried again), deferred, dead.',
      'outcome',
      DELIVERY_OUTCOMES,
    ),
    pruned: labelled(
      'lanekeeper_pruned_total',
      'Rows pruned by this server because they had been kept for as long as their board says, by kind; of tasks, one each.',
      'kind',
      RETENTION_KINDS,
    ),
    heartbeats: counter('lanekeeper_heartbeats_total', 'Heartbeats accepted by this server.'),
    outages: counter(
      'lanekeeper_outages_total',
      'Gaps in which every server or the database was away, as this server ended them.',
    ),
    outageSeconds: counter('lanekeeper_outage_seconds_total', 'Duration of those gaps.'),
    extendedLeases: counter('lanekeeper_extended_leases_total', 'Leases extended for those gaps.'),
  };
}

function createGauges(registers: Registry[]) {
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers });
  const byLabel = (name: string, help: string, label: string) =>
    new Gauge({ name, help, labelNames: [label], registers });
  return {
    tasks: new Gauge({
      name: 'lanekeeper_tasks',
      help: 'Tasks in the database, by status.',
      labelNames: ['status'],
      registers,
    }),
    delegations: new Gauge({
      name: 'lanekeeper_delegations',
      help: 'Delegations in the database, by status.',
      labelNames: ['status'],
      registers,
    }),
    oldestDueDeliverySeconds: gauge(
      'lanekeeper_oldest_due_delivery_seconds',
      'How long the delivery that has been due longest waits to be sent.',
    ),
    liveClaims: gauge('lanekeeper_live_claims', 'Claims held in the database.'),
    oldestReadySeconds: gauge(
      'lanekeeper_oldest_ready_seconds',
      'Age of the ready task that is first of its lane and priority for longest; paused boards and lanes, and those of people, left out.',
    ),
    gaugesAgeSeconds: gauge(
      'lanekeeper_gauges_age_seconds',
      'Time since the figures that only the database knows were last read.',
    ),
    uncountedEvents: gauge(
      'lanekeeper_uncounted_events',
      'Events of all boards that the statistics for charts have still to add up.',
    ),
    retentionLagSeconds: byLabel(
      'lanekeeper_retention_lag_seconds',
      'How long what is due to be pruned has been so, at the most, by kind.',
      'kind',
    ),
    oldestRowSeconds: byLabel(
      'lanekeeper_oldest_row_seconds',
      'Age of the oldest row of all boards, by kind: how far back the history goes.',
      'kind',
    ),
    tableBytes: byLabel(
      'lanekeeper_table_bytes',
      'Disk use of the tables that grow with the work, with their indexes.',
      'table',
    ),
    watchSockets: gauge('lanekeeper_watch_sockets', 'Watch sockets open on this server.'),
    eventStreams: gauge('lanekeeper_event_streams', 'Streams of server-sent events open on this server.'),
    claimWaiters: gauge('lanekeeper_claim_waiters', 'Long polls waiting for work on this server.'),
    pollAgeSeconds: gauge(
      'lanekeeper_poll_age_seconds',
      'Time since the floor poll of the log last succeeded.',
    ),
    oldestTransactionSeconds: gauge(
      'lanekeeper_oldest_transaction_seconds',
      'Age of the oldest transaction on the database: long ones keep dead rows of the queue from being removed.',
    ),
  };
}
