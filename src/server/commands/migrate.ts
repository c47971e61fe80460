/** `lanekeeper migrate`: brings the schema up to date, or says what that would take, and does nothing else. */
import { existsSync } from 'node:fs';
import { readConfig } from '../config.ts';
import { openDataSource } from '../db/data-source.ts';
import { migrateDatabase } from '../db/migrate.ts';
import {
  describeLocks,
  type MigrationPreview,
  previewMigrations,
  scriptOf,
} from '../db/migration/preview.ts';
import { createLogger } from '../observability/logger.ts';
import { type Command, UsageError } from './command.ts';
import { migrationsDir } from './package-files.ts';
import { onStopSignal } from './stop-signal.ts';
import { complain, say } from './terminal.ts';

const DRY_RUN = '--dry-run';
const SHOW_SQL = '--show-sql';

async function migrate(words: readonly string[]): Promise<void> {
  const unknown = words.filter((word) => word !== DRY_RUN && word !== SHOW_SQL);
  if (unknown.length > 0) throw new UsageError(`unknown: ${unknown.join(' ')}`);
  const config = readConfig();
  const logger = createLogger(config.logLevel, config.logFormat);
  const stopping = new AbortController();
  void onStopSignal(stopping);
  const isDryRun = words.length > 0;
  // A database of its own that does not exist yet is not made for having a look at it.
  if (isDryRun && config.databaseUrl === null && !existsSync(config.dataDir)) {
    sayPreview(await previewMigrations(null, migrationsDir), words);
    return;
  }
  const source = await openDataSource(config, logger, stopping.signal);
  try {
    if (isDryRun) sayPreview(await previewMigrations(await source.writableUrl(), migrationsDir), words);
    else await apply(await source.writableUrl(), stopping.signal);
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
