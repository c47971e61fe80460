/**
 * Brings the schema up to date while servers of the release before go on working on it. Replaces drizzle's migrator, which applies all that
 * is missing in one transaction and so keeps every table locked that it has touched until the last is done, waits for its locks without
 * giving way, and holds its turn by a lock of the session, which a pooler in transaction mode cannot carry.
 */
import postgres from 'postgres';
import type { Sql } from './client.ts';
import { RaceError } from './failures.ts';
import { type Blockage, describeBlockage } from './migration/blockers.ts';
import { type Migration, readMigrations } from './migration/files.ts';
import { describeHolder, type LedgerHolder } from './migration/ledger.ts';
import { ChangingLine, Patience } from './migration/patience.ts';
import { readStatement } from './migration/statement.ts';
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
/** A step that is kept from its locks has ended long before, so this one does something. */
const AT_WORK_SECONDS = 5;
const APPLICATION_NAME = 'lanekeeper migrate';
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
    connection: { application_name: APPLICATION_NAME },
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
  const { signal = new AbortController().signal } = options;
  const lines = new ChangingLine(options.report ?? (() => undefined));
  const migrations = await readMigrations(migrationsDir);
  const sql = openMigrationSql(url);
  const patience = new Patience(options.patienceMs ?? PATIENCE_MS, lines, signal);
  const onWaiting = (migration: Migration, blockage: Blockage): void => {
    const who = [blockage.relation, ...blockage.blockers.map(({ pid }) => pid)].join(' ');
    lines.report(waitingText(migration, blockage), `${migration.tag} ${who}`);
  };
  const stepOptions = { signal, applicationName: APPLICATION_NAME, onWaiting };
  let applied = 0;
  try {
    for (;;) {
      const startedAt = performance.now();
      const step = await takeStep(sql, migrations, stepOptions).catch(asBlocked);
      if (step instanceof BlockedError) {
        if (step.cause instanceof RaceError) patience.extend();
        await patience.wait(blockedText(step));
      } else if (step.kind === 'busy') {
        patience.observeOthers(step.applied, isAtWork(step.holder));
        await patience.wait(describeHolder(step.holder));
      } else if (step.kind === 'current') {
        return { applied, total: step.total, newer: step.newer };
      } else {
        patience.renew();
        if (step.kind !== 'applied') continue;
        applied += 1;
        lines.report(`applied ${step.migration.tag} in ${Math.round(performance.now() - startedAt)} ms`);
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

/** An index that is being built, or a statement that has its locks. */
function isAtWork(holder: LedgerHolder | null): boolean {
  return holder !== null && (holder.builderPid !== null || (holder.seconds ?? 0) >= AT_WORK_SECONDS);
}

function blockedText({ migration, blockage, cause }: BlockedError): string {
  if (cause instanceof RaceError) return `the migration ${migration.tag} waits: ${cause.message}`;
  const held = blockage === null ? 'a lock' : describeBlockage(blockage);
  return `the migration ${migration.tag} waits for ${held}`;
}

/** Of an index that is built beside the traffic, and stays where it is. */
function waitingText({ tag, statements }: Migration, blockage: Blockage): string {
  const built = readStatement(statements[0] ?? '');
  const what = built.kind === 'create_index' ? ` with its index on "${built.table}"` : '';
  return `the migration ${tag}${what} waits for ${describeBlockage(blockage)}`;
}
