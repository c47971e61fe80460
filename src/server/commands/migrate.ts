/** `lanekeeper migrate`: brings the schema up to date, or says what that would take, and does nothing else. */
import { type Config, readConfig } from '../config.ts';
import { openExistingDatabase } from '../db/data-dir-database.ts';
import { openDataSource } from '../db/data-source.ts';
import { migrateDatabase } from '../db/migrate.ts';
import {
  describeLocks,
  type MigrationPreview,
  previewMigrations,
  scriptOf,
} from '../db/migration/preview.ts';
import { createLogger, type Logger } from '../observability/logger.ts';
import { type Command, UsageError } from './command.ts';
import { migrationsDir } from './package-files.ts';
import { onStopSignal } from './stop-signal.ts';
import { complain, say } from './terminal.ts';
import { whileOpen } from './while-open.ts';

const DRY_RUN = '--dry-run';
const SHOW_SQL = '--show-sql';

async function migrate(words: readonly string[]): Promise<void> {
  const unknown = words.filter((word) => word !== DRY_RUN && word !== SHOW_SQL);
  if (unknown.length > 0) throw new UsageError(`unknown: ${unknown.join(' ')}`);
  const config = readConfig();
  const logger = createLogger(config.logLevel, config.logFormat);
  const stopping = new AbortController();
  void onStopSignal(stopping);
  if (words.length > 0) {
    await preview(config, words, logger, stopping.signal);
    return;
  }
  const source = await openDataSource(config, logger, stopping.signal);
  try {
    await apply(await source.writableUrl(), stopping.signal);
  } finally {
    await source.close();
  }
}

/** A database of its own that does not exist yet is not made for having a look at it; one that a server has running is looked at beside it. */
async function preview(
  config: Config,
  words: readonly string[],
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  const look = async (url: string | null): Promise<void> =>
    sayPreview(await previewMigrations(url, migrationsDir), words);
  if (config.databaseUrl === null) {
    const log = (line: string, fields?: Record<string, unknown>): void => logger.info({ ...fields }, line);
    const database = await openExistingDatabase({ ...config, log, signal });
    await (database === null ? look(null) : whileOpen(database, ({ url }) => look(url)));
    return;
  }
  const source = await openDataSource(config, logger, signal);
  try {
    await look(await source.writableUrl());
  } finally {
    await source.close();
  }
}

async function apply(url: string, signal: AbortSignal): Promise<void> {
  const { applied, total, newer } = await migrateDatabase(url, migrationsDir, { signal, report: complain });
  say(
    applied === 0
      ? `The schema is current: ${total} migrations.${newerText(newer)}`
      : `Applied ${applied} of ${total} migrations.`,
  );
}

const newerText = (newer: number): string =>
  newer === 0 ? '' : ` ${newer} of them are of a later release than this one.`;

function sayPreview(preview: MigrationPreview, words: readonly string[]): void {
  const { total, missing, newer } = preview;
  if (words.includes(SHOW_SQL)) {
    say(missing.length === 0 ? '-- The schema is current.' : scriptOf(preview));
    return;
  }
  if (missing.length === 0) {
    say(`The schema is current: ${total + newer} migrations.${newerText(newer)}`);
    return;
  }
  say(
    `Would apply ${missing.length} of ${total} migrations, each in a transaction of its own, and lock what stands below it:`,
  );
  const locks = describeLocks(missing);
  for (const { tag, isOutsideTransaction } of missing) {
    say(`  ${tag}${isOutsideTransaction ? '   (outside a transaction)' : ''}`);
    for (const line of locks.get(tag) ?? []) say(`    ${line}`);
  }
  say('Nothing was changed. --show-sql prints the SQL.');
}

export const command: Command = { usage: 'lanekeeper migrate [--dry-run] [--show-sql]', run: migrate };
