/** `lanekeeper restore`: puts a backup in the place of the database, looks whether one is good, or takes the last restore back. */
import { resolve } from 'node:path';
import { type Config, readConfig } from '../config.ts';
import {
  dropFormerDatabase,
  type Restored,
  restoreBackup,
  undoRestore,
} from '../db/backup/restore-backup.ts';
import { type VerifiedBackup, verifyBackup } from '../db/backup/verify-backup.ts';
import { type OpenedDatabase, openOwnDatabase } from '../db/data-dir-database.ts';
import { createLogger } from '../observability/logger.ts';
import { type Command, UsageError } from './command.ts';
import { interruptible } from './interruptible.ts';
import { migrationsDir } from './package-files.ts';
import { countOf, inMebibytes, inPercent, Progress, withCommas } from './progress.ts';
import { complain, say } from './terminal.ts';
import { whileOpen } from './while-open.ts';
import { readWords } from './words.ts';

async function restore(words: readonly string[]): Promise<void> {
  const { given, names } = readWords(words, ['check', 'replace', 'undo', 'drop-former', 'json']);
  const isOfFormer = given.has('undo') || given.has('drop-former');
  const [name, ...more] = names;
  if (more.length > 0 || (name === undefined) !== isOfFormer)
    throw new UsageError(isOfFormer ? 'this takes no file' : 'name one file');
  const config = readConfig();
  if (name === undefined) return changeFormer(config, given.has('undo'));
  const file = resolve(name);
  const progress = new Progress();
  await interruptible('nothing was changed', async (signal) => {
    try {
      const verified = await verifyBackup({
        file,
        migrationsDir,
        onProgress: (share) => progress.show(() => `check ${inPercent(share)}`),
        signal,
      });
      progress.clear();
      if (given.has('check')) {
        say(given.has('json') ? JSON.stringify(factsOf(file, verified)) : describe(file, verified));
        return;
      }
      const wanted = { file, verified, mayReplace: given.has('replace') };
      const restored = await putInPlace(config, wanted, { progress, signal });
      progress.clear();
      for (const warning of restored.warnings) complain(warning);
      say(
        given.has('json')
          ? JSON.stringify({
              ...factsOf(file, verified),
              former_database: restored.formerDatabase,
              left_behind: restored.leftBehind,
            })
          : describeRestored(file, verified, restored),
      );
    } finally {
      progress.clear();
    }
  });
}

async function putInPlace(
  config: Config,
  wanted: { readonly file: string; readonly verified: VerifiedBackup; readonly mayReplace: boolean },
  { progress, signal }: { readonly progress: Progress; readonly signal: AbortSignal },
): Promise<Restored> {
  return whileOpen(await open(config, signal), (database) =>
    restoreBackup({
      ...wanted,
      url: database.url,
      migrationsDir,
      clusterDir: database.clusterDir,
      onProgress: ({ table, rows, bytes, share }) =>
        progress.show(
          () =>
            `restore ${inPercent(share)}: ${table}, ${withCommas(rows)} rows, ${inMebibytes(bytes)} of ${inMebibytes(wanted.verified.bytes)}`,
        ),
      signal,
    }),
  );
}

async function changeFormer(config: Config, isUndo: boolean): Promise<void> {
  await whileOpen(await open(config, new AbortController().signal), async ({ url }) => {
    if (isUndo) {
      await undoRestore(url);
      say('The database from before the last restore is back. What was restored is kept aside in its place.');
    } else
      say(
        (await dropFormerDatabase(url))
          ? 'The database from before the last restore is deleted.'
          : 'There was none from before a restore.',
      );
  });
}

function open(config: Config, signal: AbortSignal): Promise<OpenedDatabase> {
  const logger = createLogger(config.logLevel, config.logFormat);
  const log = (line: string, fields?: Record<string, unknown>): void => logger.debug({ ...fields }, line);
  return openOwnDatabase({ ...config, log, signal });
}

function factsOf(file: string, { header, manifest, fileBytes, sha256, rows }: VerifiedBackup) {
  return {
    file,
    bytes: fileBytes,
    sha256,
    taken_at: header.taken_at,
    lanekeeper: header.lanekeeper,
    postgres: header.postgres,
    boards: header.boards,
    rows,
    tables: Object.fromEntries(manifest.tables.map((table) => [table.name, table.rows])),
  };
}

function describe(file: string, { header, fileBytes, sha256, rows }: VerifiedBackup): string {
  return [
    `${file} is whole: ${countOf(header.boards, 'board')}, ${countOf(rows, 'row')} as of ${header.taken_at}, ${inMebibytes(fileBytes)}`,
    `made by Lanekeeper ${header.lanekeeper} on PostgreSQL ${header.postgres}`,
    `SHA-256 ${sha256}`,
  ].join('\n');
}

function describeRestored(file: string, { header, rows }: VerifiedBackup, restored: Restored): string {
  const { formerDatabase, boards, tokensUntil, leftBehind } = restored;
  return [
    `Restored ${file}: ${countOf(boards, 'board')}, ${countOf(rows, 'row')}. It is ${header.taken_at} again.`,
    `Cursors from after it are refused as expired${tokensUntil === null ? '' : ', and so are claim tokens issued later'}.`,
    'API keys are those of that moment: revoke again what was revoked since.',
    ...(formerDatabase === null
      ? []
      : [
          `What was there before is kept as the database ${formerDatabase}. To go back to it: lanekeeper restore --undo. To be rid of it: lanekeeper restore --drop-former.`,
        ]),
    ...(leftBehind.length === 0
      ? []
      : [`Of the database before it, this one has not: ${leftBehind.join(', ')}. Give it what it needs.`]),
    'Start the server when you are ready: lanekeeper serve',
  ].join('\n');
}

export const command: Command = {
  usage: 'lanekeeper restore FILE [--check | --replace] [--json] | lanekeeper restore --undo | --drop-former',
  run: restore,
};
