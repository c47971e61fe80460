/**
 * Runs one short program to its end, as the database account, and says what came of it. For probes only: the program
 * is killed at its deadline. What may run longer, or may leave something half done, goes through supervised-process.
 */
import { execFile } from 'node:child_process';

import type { RunAs } from './account.ts';
import { describeAccount, spawnIdentity } from './account.ts';
import { EmbeddedPostgresError, hasErrorCode } from './embedded-postgres-error.ts';

export type CommandResult =
  | { readonly kind: 'succeeded'; readonly output: string }
  | { readonly kind: 'failed'; readonly reason: string };

/** The probes take milliseconds; a machine that is busy with its first start may be a thousand times slower. */
const PROBE_TIMEOUT_MILLIS = 10_000;
/** Enough for any version line or loader message. */
const OUTPUT_BYTES_MAX = 64 * 1024;

export async function runCommand(
  runAs: RunAs,
  file: string,
  ...commandArguments: string[]
): Promise<CommandResult> {
  try {
    return await execute(runAs, file, commandArguments);
  } catch (error) {
    // Node throws this one; a program that cannot be run is a result.
    if (runAs !== null && hasErrorCode(error, 'EPERM', 'EINVAL')) {
      throw cannotSwitchTo(describeAccount(runAs), error);
    }
    throw error;
  }
}

function execute(runAs: RunAs, file: string, commandArguments: readonly string[]): Promise<CommandResult> {
  return new Promise((resolve) => {
    const options = {
      ...spawnIdentity(runAs),
      cwd: '/',
      env: { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', HOME: '/' },
      timeout: PROBE_TIMEOUT_MILLIS,
      killSignal: 'SIGKILL' as const,
      maxBuffer: OUTPUT_BYTES_MAX,
    };
    execFile(file, commandArguments, options, (error, stdout, stderr) => {
      if (error === null) {
        resolve({ kind: 'succeeded', output: stdout.trim() });
      } else {
        resolve({ kind: 'failed', reason: stderr.trim() === '' ? error.message : stderr.trim() });
      }
    });
  });
}

/** Asks the kernel rather than reading modes: access lists, mounts and security modules all have their say. */
export async function canEnterDirectory(runAs: RunAs, directory: string): Promise<boolean> {
  const result = await runCommand(runAs, '/bin/sh', '-c', 'cd -- "$1"', 'sh', directory);
  return result.kind === 'succeeded';
}

/** A root without the right to change its uid, such as a container that dropped all capabilities. */
function cannotSwitchTo(account: string, cause: unknown): EmbeddedPostgresError {
  return EmbeddedPostgresError.causedBy(
    cause,
    'account_unusable',
    `Postgres does not run as root, and this root may not switch to the account ${account} (missing SETUID or SETGID ` +
      'capability?). Start Lanekeeper as a user that is not root, or set DATABASE_URL to a Postgres that already runs.',
  );
}
