/**
 * Transactions with bounds: a deadline for the caller, and a few retries when Postgres rolled the whole thing back. What was
 * sent before the database went away may have been committed; callers answer 503 and their clients retry idempotently.
 */
import { begin } from './begin.ts';
import type { Sql, Tx } from './client.ts';
import { isConflict, isStaleDecision } from './failures.ts';

/** A caller's patience: above the driver's connect timeout, below a client's usual 10 s. */
const DEADLINE_MS = 8000;
/** Deadlocks are designed out; this covers the odd lock timeout of a migration, and claims decided while a lane was changed. */
const ATTEMPTS_MAX = 5;

class DatabaseDeadlineError extends Error {
  readonly code = 'DATABASE_DEADLINE';
}

/** Rejects when the database has not answered in time. The statement itself is ended by statement_timeout. */
export async function withinDeadline<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new DatabaseDeadlineError(`no answer within ${DEADLINE_MS} ms`)),
      DEADLINE_MS,
    );
  });
  try {
    return await Promise.race([work, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

export async function transaction<T>(sql: Sql, work: (tx: Tx) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await withinDeadline(begin(sql, '', work));
    } catch (error) {
      if (attempt >= ATTEMPTS_MAX || !(isConflict(error) || isStaleDecision(error))) throw error;
    }
  }
}
