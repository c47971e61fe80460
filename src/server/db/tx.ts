/**
 * Transactions with bounds: a deadline for the caller, and a few retries when Postgres rolled the whole thing back. What was
 * sent before the database went away may have been committed; callers answer 503 and their clients retry idempotently.
 */
import { begin } from './begin.ts';
import type { Sql, Tx } from './client.ts';
import { isConflict, isLockTimeout, isStaleDecision } from './failures.ts';

/** A caller's patience: above the driver's connect timeout, below a client's usual 10 s. */
const DEADLINE_MS = 8000;
/**
 * Deadlocks are designed out, but for one: the deletion of a board comes to its tasks with the counter row in hand, and somebody may have a
 * task and wait for that. This covers it, the odd lock timeout of a migration, and claims decided while a lane was changed.
 */
const ATTEMPTS_MAX = 5;

class DatabaseDeadlineError extends Error {
  readonly code = 'DATABASE_DEADLINE';
}

/**
 * Rejects when the database has not answered in time. A running statement is ended by statement_timeout, but one that has stood in the
 * driver's queue may start only now: what it brings after all is handed to `onLate`, which must not throw.
 */
export async function withinDeadline<T>(work: Promise<T>, onLate?: (value: T) => void): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new DatabaseDeadlineError(`no answer within ${DEADLINE_MS} ms`)),
      DEADLINE_MS,
    );
  });
  try {
    return await Promise.race([work, deadline]);
  } catch (error) {
    if (onLate !== undefined && error instanceof DatabaseDeadlineError) work.then(onLate, ignore);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** What the caller has no patience for any more is rolled back; `onLate` hears of a commit that was on its way already. */
export function transaction<T>(
  sql: Sql,
  work: (tx: Tx) => Promise<T>,
  onLate?: (value: T) => void,
): Promise<T> {
  return retried(
    () => attempt(sql, work, onLate),
    (error) => isConflict(error) || isStaleDecision(error),
  );
}

/**
 * For sweeps, which come back anyway and have other boards to look after: what somebody has locked for so long is left to the next sweep,
 * where five attempts would hold up all the others for five times that.
 * @param patienceMs For each lock.
 */
export function impatientTransaction<T>(
  sql: Sql,
  patienceMs: number,
  work: (tx: Tx) => Promise<T>,
): Promise<T> {
  const patiently = async (tx: Tx): Promise<T> => {
    await tx`/* db.lock_timeout */ SELECT set_config('lock_timeout', ${`${patienceMs}ms`}, true)`;
    return work(tx);
  };
  return retried(
    () => attempt(sql, patiently),
    (error) => (isConflict(error) && !isLockTimeout(error)) || isStaleDecision(error),
  );
}

async function attempt<T>(sql: Sql, work: (tx: Tx) => Promise<T>, onLate?: (value: T) => void): Promise<T> {
  let isLate = false;
  const assertInTime = (): void => {
    if (isLate) throw new Error('the transaction came too late'); // For the driver; its caller has gone.
  };
  const committed = begin(sql, '', async (tx) => {
    assertInTime();
    const result = await work(tx);
    assertInTime();
    return result;
  });
  try {
    return await withinDeadline(committed, onLate);
  } finally {
    isLate = true;
  }
}

/** For one statement that is a transaction by itself: again when Postgres rolled it back for another's sake. */
export function retriedStatement<T>(run: () => Promise<T>): Promise<T> {
  return retried(() => withinDeadline(run()), isConflict);
}

async function retried<T>(run: () => Promise<T>, isWorthIt: (error: unknown) => boolean): Promise<T> {
  for (let attempts = 1; ; attempts += 1) {
    try {
      return await run();
    } catch (error) {
      if (attempts >= ATTEMPTS_MAX || !isWorthIt(error)) throw error;
    }
  }
}

function ignore(): void {
  // It has brought nothing, and its caller knows already.
}
