/**
 * One step of an upgrade: the next missing migration, in a transaction of its own under the ledger's lock, so that servers that start
 * together take turns and one that dies leaves nothing half done. It waits for table locks for a second and no longer: whoever waits for
 * one has all traffic on that table queue up behind it, and the callers of a server have more patience than that.
 */
import { begin } from '../begin.ts';
import type { Sql, Tx } from '../client.ts';
import { isConflict, isSessionOver } from '../failures.ts';
import { type Blockage, watchingBlockers } from './blockers.ts';
import type { Migration } from './files.ts';
import {
  createLedger,
  type LedgerHolder,
  missingOf,
  newerCount,
  readHolder,
  readLedger,
  recordMigration,
  tryLockEarlierMigrators,
  tryLockLedger,
} from './ledger.ts';
import { buildBeside } from './outside.ts';
import { execute, tagOf } from './statement-run.ts';

/** Far below the 8 s after which a caller is answered 503. */
const LOCK_TIMEOUT_MS = 1000;
/** A statement in a transaction keeps its locks to the end; what takes this long must not be in one. */
const STATEMENT_TIMEOUT_MS = 600_000;

export type Step =
  | { readonly kind: 'current'; readonly total: number; readonly newer: number }
  | { readonly kind: 'ledger_created' }
  | { readonly kind: 'applied'; readonly migration: Migration }
  /** Another server is migrating; `applied` so far. */
  | { readonly kind: 'busy'; readonly applied: number; readonly holder: LedgerHolder | null };

export interface StepOptions {
  readonly signal: AbortSignal;
  /** Of this migrator's sessions: by it others are known to be of one. */
  readonly applicationName: string;
  /** A build beside the traffic waits for as long as it takes: told every time that somebody was seen in its way. */
  readonly onWaiting: (migration: Migration, blockage: Blockage) => void;
}

/** It was rolled back for the sake of others, and may be tried again. */
export class BlockedError extends Error {
  override readonly name = 'BlockedError';
  readonly migration: Migration;
  readonly blockage: Blockage | null;

  constructor(migration: Migration, blockage: Blockage | null, cause: unknown) {
    super(`${migration.tag} is blocked`, { cause });
    this.migration = migration;
    this.blockage = blockage;
  }
}

export async function takeStep(
  sql: Sql,
  migrations: readonly Migration[],
  options: StepOptions,
): Promise<Step> {
  // Who misses nothing needs no lock: a server of the release before starts while a later one migrates for an hour.
  const seen = await readLedger(sql);
  if (seen !== null && missingOf(migrations, seen).length === 0)
    return { kind: 'current', total: seen.size, newer: newerCount(migrations, seen) };
  return begin(sql, '', async (tx): Promise<Step> => {
    await setBounds(tx);
    const busy = async (): Promise<Step> => {
      const holder = await readHolder(tx, options.applicationName);
      return { kind: 'busy', applied: seen?.size ?? 0, holder };
    };
    if (!(await tryLockLedger(tx))) return busy();
    const ledger = await readLedger(tx);
    const [migration] = missingOf(migrations, ledger);
    if (ledger !== null && migration === undefined)
      return { kind: 'current', total: ledger.size, newer: newerCount(migrations, ledger) };
    if (migration?.isOutsideTransaction !== true && !(await tryLockEarlierMigrators(tx))) return busy();
    if (ledger === null || migration === undefined) {
      await createLedger(tx);
      return { kind: 'ledger_created' };
    }
    await apply(sql, tx, migration, options);
    await recordMigration(tx, migration);
    return { kind: 'applied', migration };
  });
}

/** Of this transaction only: a pooler hands the session to somebody else behind it. */
async function setBounds(tx: Tx): Promise<void> {
  await tx`
    /* migrate.bounds */
    SELECT set_config('lock_timeout', ${String(LOCK_TIMEOUT_MS)}, true),
      set_config('statement_timeout', ${String(STATEMENT_TIMEOUT_MS)}, true),
      set_config('idle_in_transaction_session_timeout', '0', true)`;
}

/**
 * The driver leaves the last statement's portal open, and with it the snapshot that an index build beside it would wait for, as this
 * transaction waits for the build. A statement of the simple protocol closes both.
 */
async function letGoOfSnapshot(tx: Tx): Promise<void> {
  await tx.unsafe('/* migrate.let_go */ SELECT');
}

async function apply(
  sql: Sql,
  tx: Tx,
  migration: Migration,
  { signal, onWaiting }: StepOptions,
): Promise<void> {
  let blockage: Blockage | null = null;
  const work = async (): Promise<void> => {
    if (migration.isOutsideTransaction) {
      await letGoOfSnapshot(tx);
      return buildBeside(sql, migration, signal);
    }
    for (const statement of migration.statements) await execute(tx, migration, { statement, signal });
  };
  const onBlocked = (seen: Blockage): void => {
    blockage = seen;
    if (migration.isOutsideTransaction) onWaiting(migration, seen);
  };
  try {
    await watchingBlockers(sql, tagOf(migration), { work, onBlocked });
  } catch (error) {
    // As it is: `begin` must know that there is nobody to roll back for.
    if (isSessionOver(error)) throw error;
    if (signal.aborted) throw new Error(`The migration ${migration.tag} was stopped and taken back.`);
    if (isConflict(error)) throw new BlockedError(migration, blockage, error);
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`The migration ${migration.tag} failed and was taken back: ${reason}`, { cause: error });
  }
}
