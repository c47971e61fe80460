/** A database for as long as a command's work takes. */
import type { OpenedDatabase } from '../db/data-dir-database.ts';
import { complain } from './terminal.ts';

/** What was done stays done: that the database does not stop in good order afterwards is told, and is no failure of the command. */
export async function whileOpen<T>(
  database: OpenedDatabase,
  work: (database: OpenedDatabase) => Promise<T>,
): Promise<T> {
  const result = await work(database).catch(async (error: unknown) => {
    await database.close().catch(() => undefined);
    throw error;
  });
  await database.close().catch((error: unknown) => {
    complain(
      `all is done, but the database did not stop in good order: ${error instanceof Error ? error.message : String(error)}`,
    );
  });
  return result;
}
