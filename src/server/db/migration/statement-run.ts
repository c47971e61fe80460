/** Runs one statement of a migration's file, which can be told by its tag in pg_stat_activity, and is cancelled when nobody wants it any more. */
import type { Runner } from '../client.ts';
import type { Migration } from './files.ts';

export const tagOf = ({ tag }: Migration): string => `/* migrate.${tag} */`;

/** Postgres would go on with a statement whose client has just left, and hold its locks meanwhile. */
export async function execute(
  sql: Runner,
  migration: Migration,
  { statement, signal }: { statement: string; signal: AbortSignal },
): Promise<void> {
  signal.throwIfAborted();
  const query = sql.unsafe(`${tagOf(migration)} ${statement}`).execute();
  const cancel = (): void => query.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  try {
    await query;
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}
