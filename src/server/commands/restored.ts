/**
 * `lanekeeper restored`: to be run once after the database was restored by other means (pg_restore, point-in-time recovery, a copy of its
 * files) and before a server starts on it: until then nothing tells what clients hold of the time that was taken back.
 */
import { readConfig } from '../config.ts';
import { BackupError } from '../db/backup/backup-error.ts';
import { withConnection } from '../db/backup/database-names.ts';
import { countServerConnections, tellPastApart } from '../db/backup/tell-past-apart.ts';
import { openDataSource } from '../db/data-source.ts';
import { readRecord } from '../db/embedded/data-dir-record.ts';
import { migrateDatabase } from '../db/migrate.ts';
import { createLogger } from '../observability/logger.ts';
import { type Command, UsageError } from './command.ts';
import { migrationsDir } from './package-files.ts';
import { countOf } from './progress.ts';
import { say } from './terminal.ts';

async function restored(words: readonly string[]): Promise<void> {
  if (words.length > 0) throw new UsageError(`unknown: ${words.join(' ')}`);
  const config = readConfig();
  // Else one would be made, and told apart from nothing.
  if (config.databaseUrl === null && !(await readRecord(config.dataDir)).isInitialized)
    throw new BackupError(`There is no database in ${config.dataDir}, and DATABASE_URL is not set.`);
  const logger = createLogger(config.logLevel, config.logFormat);
  const source = await openDataSource(config, logger, new AbortController().signal);
  try {
    const url = await source.writableUrl();
    const { boards, tokensUntil } = await withConnection(url, async (sql) => {
      if ((await countServerConnections(sql)) > 0)
        throw new BackupError(
          'A Lanekeeper server is connected to the database. Nothing was changed. Stop all servers, then run this before the first one starts.',
        );
      await migrateDatabase(url, migrationsDir);
      return tellPastApart(sql, null);
    });
    say(
      [
        `The log of ${countOf(boards, 'board')} goes on from where it ends now: later cursors are refused as expired.`,
        ...(tokensUntil === null ? [] : [`Claim tokens issued after ${tokensUntil} are refused.`]),
        'API keys are those of that moment: revoke again what was revoked since.',
      ].join('\n'),
    );
  } finally {
    await source.close();
  }
}

export const command: Command = { usage: 'lanekeeper restored', run: restored };
