/** What a database error means: away (503, retry), conflict (retry the transaction), or a bug. */

const QUERY_CANCELED = '57014';
/** read_only_sql_transaction: a standby, or a primary that has been told to take no more writes. */
const READ_ONLY = '25006';
/** Of our own: no answer within the caller's patience. */
const DEADLINE = 'DATABASE_DEADLINE';
/** Driver codes and SQLSTATE classes that say nothing about the statement, only about the connection or the server. */
const UNAVAILABLE_CODES = new Set([
  'CONNECTION_CLOSED',
  'CONNECTION_ENDED',
  'CONNECTION_DESTROYED',
  'CONNECT_TIMEOUT',
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ENOENT',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  '53300', // too_many_connections
  '57P01', // admin_shutdown
  '57P02', // crash_shutdown
  '57P03', // cannot_connect_now
  QUERY_CANCELED, // by statement_timeout
  '25P03', // idle_in_transaction_session_timeout
  READ_ONLY,
  'NO_WRITABLE_HOST', // of our own, writable-host.ts
  DEADLINE,
]);
const SERIALIZATION_FAILURE = '40001';
const LOCK_NOT_AVAILABLE = '55P03';
/** serialization_failure, deadlock_detected, lock_not_available: the transaction was rolled back whole. */
const CONFLICT_CODES = new Set([SERIALIZATION_FAILURE, '40P01', LOCK_NOT_AVAILABLE]);
const UNIQUE_VIOLATION = '23505';
const NOT_NULL_VIOLATION = '23502';

/** A code of Postgres or of the driver. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

export function isDatabaseAway(error: unknown): boolean {
  const code = codeOf(error);
  if (code !== undefined) return UNAVAILABLE_CODES.has(code) || code.startsWith('08');
  return error instanceof Error && error.message.startsWith('Postgres has not answered');
}

/** The server that answered is there, but takes no writes. */
export function isReadOnlyServer(error: unknown): boolean {
  return codeOf(error) === READ_ONLY;
}

/** The statement itself took too long, by Postgres's own clock. */
export function isStatementTimeout(error: unknown): boolean {
  return codeOf(error) === QUERY_CANCELED;
}

/** It took longer than its caller waits, or than Postgres lets a statement take: less of it at a time may do. */
export function isTooSlow(error: unknown): boolean {
  return isStatementTimeout(error) || codeOf(error) === DEADLINE;
}

/** A session is over, and its transaction with it: the connection broke, or this was Postgres's last word to it. */
export function isSessionOver(error: unknown): boolean {
  if (!isDatabaseAway(error)) return false;
  const isOfPostgres = typeof error === 'object' && error !== null && 'severity' in error;
  return !isOfPostgres || error.severity === 'FATAL' || error.severity === 'PANIC';
}

/** Somebody has had the lock for longer than the patience of the transaction. */
export function isLockTimeout(error: unknown): boolean {
  return codeOf(error) === LOCK_NOT_AVAILABLE;
}

export function isConflict(error: unknown): boolean {
  return CONFLICT_CODES.has(codeOf(error) ?? '');
}

/** The name of the unique constraint or index that a statement ran into, or null. */
export function violatedUnique(error: unknown): string | null {
  if (codeOf(error) !== UNIQUE_VIOLATION) return null;
  return typeof error === 'object' && error !== null && 'constraint_name' in error
    ? String(error.constraint_name)
    : '';
}

/**
 * The counter row did not match what the statement was decided on, so it handed out no sequence numbers and the events, which
 * must have one, rolled everything back.
 */
export function isStaleDecision(error: unknown): boolean {
  if (codeOf(error) !== NOT_NULL_VIOLATION || typeof error !== 'object' || error === null) return false;
  return (
    'table_name' in error &&
    // A partition or shard of the table has a number behind its name.
    /^events(_|$)/.test(String(error.table_name)) &&
    'column_name' in error &&
    error.column_name === 'seq'
  );
}

/** A change of a board found no counter row: the board was deleted while the change was under way. */
export class BoardGoneError extends Error {
  override readonly name = 'BoardGoneError';
}

/** Two transactions met in a way that no lock rules out: rolled back and run again, like what Postgres itself calls a conflict. */
export class RaceError extends Error {
  override readonly name = 'RaceError';
  readonly code = SERIALIZATION_FAILURE;
}
