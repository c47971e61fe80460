/** What every feature stands on: the database, time, ids, metrics, wake-ups, and the way errors of background work are reported. */
import type { Config } from '../config.ts';
import { type Database, openDatabase } from '../db/client.ts';
import { isDatabaseAway } from '../db/failures.ts';
import { createWake, type Wake } from '../db/wake.ts';
import { SecretBox, SigningKeys } from '../features/auth/service.ts';
import { CLAIM_ACK_MS } from '../features/claims/service.ts';
import { readDatabaseMs, readServerVersion } from '../features/system/service.ts';
import { DatabaseClock } from '../kernel/clock.ts';
import { IdSource } from '../kernel/ids.ts';
import type { Lifecycle } from '../kernel/lifecycle.ts';
import { describeError, type Logger } from '../observability/logger.ts';
import { createMetrics, type Metrics } from '../observability/metrics.ts';
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
}

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
  readonly claimAckMs: number;
}

/** What every feature stands on. */
export async function createBase(
  parts: ServerParts,
  lifecycle: Lifecycle,
  onError: Base['onError'],
): Promise<Base> {
  const { config, logger } = parts;
  const database = openDatabase({ url: parts.databaseUrl });
  lifecycle.onStop('database', () => database.close());
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
    metrics: createMetrics(),
    tracing: createTracing(parts.version),
    wake: createWake({ database, mode: config.notify, onError: onError('wake') }),
    signingKeys,
    claimAckMs: parts.claimAckMs ?? CLAIM_ACK_MS,
  };
}
