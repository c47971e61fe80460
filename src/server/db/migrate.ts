/**
 * Brings the schema up to date while servers of the release before go on working on it. Replaces drizzle's migrator, which applies all that
 * is missing in one transaction and so keeps every table locked that it has touched until the last is done, waits for its locks without
 * giving way, and holds its turn by a lock of the session, which a pooler in transaction mode cannot carry.
 */
import postgres from 'postgres';
import { pause } from '../kernel/lifecycle.ts';
import type { Sql } from './client.ts';
import { describeBlockage } from './migration/blockers.ts';
import { readMigrations } from './migration/files.ts';
import { BlockedError, type Step, takeStep } from './migration/step.ts';

export interface MigrationResult {
  readonly applied: number;
  readonly total: number;
  /** How many of these a later release has applied. */
  readonly newer: number;
}

export interface MigrateOptions {
  /** Takes back what is under way. */
  readonly signal?: AbortSignal;
  /** One line for people: what was applied, and what is waited for. */
  readonly report?: (line: string) => void;
  /** Tests shorten it. */
  readonly patienceMs?: number;
}

/** Since the last progress: a backup or a report of some minutes is over then, what holds its locks longer needs a person. */
const PATIENCE_MS = 300_000;
const BACKOFF_MS_MIN = 250;
/** Often enough to find a gap between two long transactions, seldom enough that the traffic hardly notices. */
const BACKOFF_MS_MAX = 10_000;
/** The ledger's transaction, an index beside it, and a look at who stands in the way. */
const CONNECTIONS = 3;

/** Its own connections: what is set for a migration must not reach a pool. */
export function openMigrationSql(url: string): Sql {
  return postgres(url, {
    max: CONNECTIONS,
    onnotice: () => undefined,
    connect_timeout: 10,
    // Neither is understood by every pooler.
    prepare: false,
    fetch_types: false,
    connection: { application_name: 'lanekeeper migrate' },
  }) as unknown as Sql;
}

/**
 * Applies what is missing, one migration at a time; servers that start together take turns.
 * @throws Error that says which migration failed, or which lock it did not get and who has it; all before it stay applied.
 */
export async function migrateDatabase(
  url: string,
  migrationsDir: string,
  options: MigrateOptions = {},
): Promise<MigrationResult> {
  const { signal = new AbortController().signal, report = () => undefined } = options;
  const migrations = await readMigrations(migrationsDir);
  const sql = openMigrationSql(url);
  const patience = new Patience(options.patienceMs ?? PATIENCE_MS, signal);
  let applied = 0;
  let seen = -1;
  try {
    for (;;) {
      const startedAt = performance.now();
      const step = await takeStep(sql, migrations, signal).catch(asBlocked);
      if (step instanceof BlockedError) {
        await patience.wait(blockedText(step), report);
      } else if (step.kind === 'busy') {
        if (step.applied !== seen) patience.renew();
        seen = step.applied;
        await patience.wait('another server is migrating this database', report);
      } else if (step.kind === 'current') {
        return { applied, total: step.total, newer: step.newer };
      } else {
        patience.renew();
        if (step.kind !== 'applied') continue;
        applied += 1;
        report(`applied ${step.migration.tag} in ${Math.round(performance.now() - startedAt)} ms`);
      }
    }
  } finally {
    await sql.end({ timeout: 5 });
  }
}

function asBlocked(error: unknown): Step | BlockedError {
  if (error instanceof BlockedError) return error;
  throw error;
}

function blockedText({ migration, blockage }: BlockedError): string {
  const held = blockage === null ? 'a lock' : describeBlockage(blockage);
  return `the migration ${migration.tag} waits for ${held}`;
}

/** Waits that grow, and end: from the last progress on there is so much of it and no more. */
class Patience {
  readonly #ms: number;
  readonly #signal: AbortSignal;
  #since = performance.now();
  #backoffMs = BACKOFF_MS_MIN;
  #reported = '';

  constructor(ms: number, signal: AbortSignal) {
    this.#ms = ms;
    this.#signal = signal;
  }

  renew(): void {
    this.#since = performance.now();
    this.#backoffMs = BACKOFF_MS_MIN;
  }

  async wait(reason: string, report: (line: string) => void): Promise<void> {
    const waitedMs = performance.now() - this.#since;
    if (waitedMs >= this.#ms)
      throw new Error(
        `Given up after ${Math.round(waitedMs / 1000)} s: ${reason}. ` +
          'What was applied before stays, and this changed nothing. End what is in the way or wait for it, then start again.',
      );
    // At first, when it changes, and then as often as it is tried.
    if (reason !== this.#reported || this.#backoffMs === BACKOFF_MS_MAX) report(`${reason}; trying again`);
    this.#reported = reason;
    await pause(this.#backoffMs * (0.5 + Math.random() / 2), this.#signal);
    if (this.#signal.aborted) throw new Error('The migration was stopped.');
    this.#backoffMs = Math.min(this.#backoffMs * 2, BACKOFF_MS_MAX);
  }
}
