/**
 * The one error of the embedded Postgres. The server's main prints the message and exits 1, so every message names
 * the cause and what to do about it. It never carries the database password.
 */

export type EmbeddedPostgresErrorCode =
  | 'aborted'
  | 'account_missing'
  | 'account_unusable'
  | 'already_running'
  | 'binaries_missing'
  | 'binaries_unusable'
  | 'cluster_missing'
  | 'cluster_unusable'
  | 'data_dir_unusable'
  | 'initdb_failed'
  | 'start_failed'
  | 'stop_failed'
  | 'system_dir_unusable'
  | 'unsupported_platform'
  | 'version_mismatch';

export class EmbeddedPostgresError extends Error {
  readonly code: EmbeddedPostgresErrorCode;

  constructor(code: EmbeddedPostgresErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'EmbeddedPostgresError';
    this.code = code;
  }

  static causedBy(cause: unknown, code: EmbeddedPostgresErrorCode, message: string): EmbeddedPostgresError {
    return new EmbeddedPostgresError(code, message, { cause });
  }
}

/** True for a Node system error with one of these codes, such as ENOENT. */
export function hasErrorCode(error: unknown, ...codes: readonly string[]): boolean {
  return (
    error instanceof Error && 'code' in error && typeof error.code === 'string' && codes.includes(error.code)
  );
}

/** One line for a message: what a caught value says about itself. */
export function describeError(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) {
    throw new EmbeddedPostgresError('aborted', 'The start of the embedded Postgres was cancelled.', {
      cause: signal.reason,
    });
  }
}
