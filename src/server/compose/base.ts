/** What every feature stands on: the database, time, ids, metrics, wake-ups, and the way errors of background work are reported. */
import type { Config } from '../config.ts';
import { type Database, openDatabase } from '../db/client.ts';
import { isDatabaseAway } from '../db/failures.ts';
import { missingRoleBounds } from '../db/role-bounds.ts';
import type { StatementWatch } from '../db/statement-watch.ts';
import { createWake, type Wake } from '../db/wake.ts';
import { SecretBox, SigningKeys } from '../features/auth/service.ts';
import { CLAIM_ACK_MS, QueueHeads } from '../features/claims/service.ts';
import { readDatabaseMs, readServerVersion } from '../features/system/service.ts';
import { Peers } from '../http/peers.ts';
import { DatabaseClock } from '../kernel/clock.ts';
import { IdSource } from '../kernel/ids.ts';
import type { Lifecycle } from '../kernel/lifecycle.ts';
import { describeError, type Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import { SlowStatements } from '../observability/slow-statements.ts';
import { createTracing, type Tracing } from '../observability/tracing.ts';

export interface ServerParts {
  readonly config: Config;
  readonly databaseUrl: string;
  /** Made an admin key for every board, unless it is one already. */
  readonly adminKey: string;
  readonly migrationsDir: string;
  /** The built dashboard; may be missing. */
  readonly dashboardDir: string;
  readonly version: string;
  readonly logger: Logger;
  /** Only tests shorten it. */
  readonly claimAckMs?: number;
  /** Only tests say which looks are slow. */
  readonly queueHeads?: QueueHeads;
}

/** How late the summary of a minute may be. */
const SUMMARY_INTERVAL_MS = 10_000;
/** An outage is worth a line per place this often. */
const REPORT_INTERVAL_MS = 10_000;
/** Work that repeats itself would fill the log during an outage: each place says so at most once in a while. */
export function createErrorReport(logger: Logger): (where: string) => (error: unknown) => void {
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

export interface Base {
  readonly config: Config;
  readonly logger: Logger;
  readonly lifecycle: Lifecycle;
  readonly onError: (where: string) => (error: unknown) => void;
  readonly database: Database;
  readonly databaseVersion: string;
  readonly clock: DatabaseClock;
  readonly ids: IdSource;
  readonly metrics: Metrics;
  /** null: nobody in this process collects spans. */
  readonly tracing: Tracing | null;
  readonly wake: Wake;
  readonly signingKeys: SigningKeys;
  readonly peers: Peers;
  readonly claimAckMs: number;
  readonly queueHeads: QueueHeads;
}

/** What every feature stands on. */
export async function createBase(
  parts: ServerParts,
  lifecycle: Lifecycle,
  metrics: Metrics,
  onError: Base['onError'],
): Promise<Base> {
  const { config, logger } = parts;
  const slow = new SlowStatements({ logger, count: (tag) => metrics.slowStatements.inc({ statement: tag }) });
  const database = openDatabase({
    url: parts.databaseUrl,
    isPooled: config.notify === 'poll',
    watch: watchOf(config, metrics, slow),
  });
  lifecycle.onStop('database', () => database.close());
  lifecycle.every('slow statements', SUMMARY_INTERVAL_MS, async () => slow.summarise());
  if (config.notify === 'poll') {
    const statements = await missingRoleBounds(database.cold);
    if (statements.length > 0)
      logger.warn({ statements }, 'sessions may be shared, and the database role has no bounds of its own');
  }
  const clock = new DatabaseClock();
  await clock.measure(() => readDatabaseMs(database.cold));
  const signingKeys = new SigningKeys(database.lookups, new SecretBox(config.secret), clock);
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
    metrics,
    tracing: createTracing(parts.version),
    wake: createWake({ database, mode: config.notify, onError: onError('wake') }),
    signingKeys,
    peers: new Peers(config),
    claimAckMs: parts.claimAckMs ?? CLAIM_ACK_MS,
    queueHeads: parts.queueHeads ?? new QueueHeads(),
  };
}

function watchOf({ slowStatementMs }: Config, metrics: Metrics, slow: SlowStatements): StatementWatch {
  const pools = new Map<string, { observe(seconds: number): void }>();
  return {
    slowMs: slowStatementMs === 0 ? Number.POSITIVE_INFINITY : slowStatementMs,
    onEnd: (pool, seconds) => {
      const known = pools.get(pool);
      if (known !== undefined) {
        known.observe(seconds);
        return;
      }
      const child = metrics.statements.labels({ pool });
      pools.set(pool, child);
      child.observe(seconds);
    },
    onSlow: (pool, facts) => slow.report(pool, facts),
  };
}
