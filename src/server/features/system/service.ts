/** Whether the server can do its work, and the figures that only the database knows. */

import { RETENTION_KINDS } from '../../../contract/retention.ts';
import { DELEGATION_STATUSES, TASK_STATUSES } from '../../../contract/statuses.ts';
import type { BroadReads } from '../../db/broad-reads.ts';
import type { Sql } from '../../db/client.ts';
import { withinDeadline } from '../../db/tx.ts';
import type { Metrics } from '../../observability/metrics.ts';
import { GROWING_TABLES, readRetentionGauges } from '../retention/service.ts';
import { countAppliedMigrations, readGauges, readOldestReadySeconds } from './store.ts';

export { readDatabaseMs, readServerVersion } from './store.ts';

interface SystemParts {
  readonly sql: Sql;
  readonly reads: BroadReads;
  readonly metrics: Metrics;
  readonly knownMigrations: number;
  readonly isDraining: () => boolean;
  readonly pollAgeMs: () => number;
  readonly watchSockets: () => number;
  readonly eventStreams: () => number;
  readonly claimWaiters: () => number;
}

interface Check {
  readonly ok: boolean;
  readonly detail: string;
}

/** A look at every board, and what they say changes slowly. */
const SLOW_GAUGES_MS = 30_000;
/** Several missed floor polls in a row: followers of this server would be late. */
const POLL_AGE_MAX_MS = 5000;

export class SystemService {
  readonly #parts: SystemParts;
  #slowReadAt = Number.NEGATIVE_INFINITY;
  /** When the figures of the database were last read; at first, when this began. */
  #gaugesReadAt = performance.now();

  constructor(parts: SystemParts) {
    this.#parts = parts;
  }

  async readiness(): Promise<Record<string, Check>> {
    const { sql, knownMigrations, isDraining, pollAgeMs } = this.#parts;
    const pollAge = pollAgeMs();
    const checks: Record<string, Check> = {
      draining: isDraining()
        ? { ok: false, detail: 'the server is shutting down' }
        : { ok: true, detail: 'accepting work' },
      log_poll: { ok: pollAge < POLL_AGE_MAX_MS, detail: `last looked ${Math.round(pollAge)} ms ago` },
    };
    try {
      const applied = await withinDeadline(countAppliedMigrations(sql));
      checks['database'] = { ok: true, detail: 'reachable' };
      checks['schema'] = {
        ok: applied >= knownMigrations,
        detail:
          applied > knownMigrations
            ? `${applied} migrations applied, of which this release knows ${knownMigrations}`
            : `${applied} of ${knownMigrations} migrations applied`,
      };
    } catch {
      // Why is in the log of the requests that failed; here it only matters that it did.
      checks['database'] = { ok: false, detail: 'does not answer' };
    }
    return checks;
  }

  /** All metrics in the text format of Prometheus, with the gauges read now. */
  async scrape(): Promise<{ body: string; contentType: string }> {
    const { reads, metrics, pollAgeMs, watchSockets, eventStreams, claimWaiters } = this.#parts;
    metrics.watchSockets.set(watchSockets());
    metrics.eventStreams.set(eventStreams());
    metrics.claimWaiters.set(claimWaiters());
    metrics.pollAgeSeconds.set(pollAgeMs() / 1000);
    try {
      const gauges = await reads.read('gauges', readGauges);
      for (const status of TASK_STATUSES) metrics.tasks.set({ status }, gauges.statuses[status] ?? 0);
      for (const status of DELEGATION_STATUSES)
        metrics.delegations.set({ status }, gauges.delegations[status] ?? 0);
      metrics.oldestDueDeliverySeconds.set(gauges.oldestDueDeliverySeconds);
      metrics.liveClaims.set(gauges.liveClaims);
      metrics.oldestReadySeconds.set(await reads.read('gauges', readOldestReadySeconds));
      metrics.oldestTransactionSeconds.set(gauges.oldestTransactionSeconds);
      metrics.uncountedEvents.set(gauges.uncountedEvents);
      await this.#readSlow();
      this.#gaugesReadAt = performance.now();
    } catch {
      // A scrape while the database is away, or slow, still shows the process's own figures; how old the others are, it says.
    }
    metrics.gaugesAgeSeconds.set((performance.now() - this.#gaugesReadAt) / 1000);
    return { body: await metrics.registry.metrics(), contentType: metrics.registry.contentType };
  }

  async #readSlow(): Promise<void> {
    const { reads, metrics } = this.#parts;
    if (performance.now() - this.#slowReadAt < SLOW_GAUGES_MS) return;
    const { lagSeconds, oldestSeconds, tableBytes } = await reads.read('gauges', readRetentionGauges);
    this.#slowReadAt = performance.now();
    for (const kind of RETENTION_KINDS) {
      metrics.retentionLagSeconds.set({ kind }, lagSeconds[kind] ?? 0);
      metrics.oldestRowSeconds.set({ kind }, oldestSeconds[kind] ?? 0);
    }
    for (const table of GROWING_TABLES) metrics.tableBytes.set({ table }, tableBytes[table] ?? 0);
  }
}
