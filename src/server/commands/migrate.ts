/** `lanekeeper migrate`: brings the schema up to date and does nothing else. */
import { readConfig } from '../config.ts';
import { openDataSource } from '../db/data-source.ts';
import { migrateDatabase } from '../db/migrate.ts';
import { createLogger } from '../observability/logger.ts';
import { type Command, UsageError } from './command.ts';
import { migrationsDir } from './package-files.ts';
import { say } from './terminal.ts';

async function migrate(words: readonly string[]): Promise<void> {
  if (words.length > 0) throw new UsageError(`unknown: ${words.join(' ')}`);
  const config = readConfig();
  const logger = createLogger(config.logLevel, config.logFormat);
  const source = await openDataSource(config, logger, new AbortController().signal);
  try {
    const { applied, total } = await migrateDatabase(source.url, migrationsDir);
    say(
      applied === 0
        ? `The schema is current: ${total} migrations.`
        : `Applied ${applied} of ${total} migrations.`,
    );
  } finally {
    await source.close();
  }
}

export const command: Command = { usage: 'lanekeeper migrate', run: migrate };
