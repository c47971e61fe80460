/** Metrics in one place. Labels come from closed lists only: never a task, a lane or a board, whose number nobody bounds. */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

/** From a loopback round trip to a long poll. */
const SECONDS_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

export type Metrics = ReturnType<typeof createMetrics>;

export function createMetrics() {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: 'lanekeeper_' });
  const registers = [registry];
  return {
    registry,
    requests: new Histogram({
      name: 'lanekeeper_http_request_seconds',
      help: 'Duration of HTTP requests by operation and status; long polls include their wait.',
      labelNames: ['operation', 'status'],
      buckets: SECONDS_BUCKETS,
      registers,
    }),
    problems: new Counter({ name: 'lanekeeper_problems_total', help: 'Problems answered, by code.', labelNames: ['code'], registers }),
    claims: new Counter({ name: 'lanekeeper_claims_total', help: 'Tasks claimed through this server.', registers }),
    emptyClaims: new Counter({ name: 'lanekeeper_empty_claims_total', help: 'Claims that got nothing, by reason.', labelNames: ['reason'], registers }),
    claimWaitSeconds: new Histogram({
      name: 'lanekeeper_claim_queue_seconds',
      help: 'How long claimed tasks had been ready.',
      buckets: [...SECONDS_BUCKETS, 300, 1800, 7200, 86_400],
      registers,
    }),
    ends: new Counter({ name: 'lanekeeper_run_ends_total', help: 'Runs ended through this server, by outcome.', labelNames: ['outcome'], registers }),
    reaped: new Counter({ name: 'lanekeeper_reaped_total', help: 'Holds taken back by this server, by the limit that passed.', labelNames: ['limit'], registers }),
    heartbeats: new Counter({ name: 'lanekeeper_heartbeats_total', help: 'Heartbeats accepted by this server.', registers }),
    tasks: new Gauge({ name: 'lanekeeper_tasks', help: 'Tasks in the database, by status.', labelNames: ['status'], registers }),
    liveClaims: new Gauge({ name: 'lanekeeper_live_claims', help: 'Claims held in the database.', registers }),
    oldestReadySeconds: new Gauge({ name: 'lanekeeper_oldest_ready_seconds', help: 'Age of the task that has been ready longest.', registers }),
    watchSockets: new Gauge({ name: 'lanekeeper_watch_sockets', help: 'Watch sockets open on this server.', registers }),
    claimWaiters: new Gauge({ name: 'lanekeeper_claim_waiters', help: 'Long polls waiting for work on this server.', registers }),
    watchLagSeconds: new Histogram({
      name: 'lanekeeper_watch_lag_seconds',
      help: 'From the time of an event to its arrival at this server’s followers.',
      buckets: SECONDS_BUCKETS,
      registers,
    }),
    pollAgeSeconds: new Gauge({ name: 'lanekeeper_poll_age_seconds', help: 'Time since the floor poll of the log last succeeded.', registers }),
    oldestTransactionSeconds: new Gauge({
      name: 'lanekeeper_oldest_transaction_seconds',
      help: 'Age of the oldest transaction on the database: long ones keep dead rows of the queue from being removed.',
      registers,
    }),
  };
}
