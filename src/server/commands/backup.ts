/** `lanekeeper backup`: the whole database in one file, beside a server that runs or without one. */
import { constants, setPriority } from 'node:os';
import { resolve } from 'node:path';
import { type Config, readConfig } from '../config.ts';
import { BackupError } from '../db/backup/backup-error.ts';
import { PACE_BYTES_PER_SECOND } from '../db/backup/pace.ts';
import { type TakenBackup, takeBackup } from '../db/backup/take-backup.ts';
import { openExistingDatabase } from '../db/data-dir-database.ts';
import { createLogger } from '../observability/logger.ts';
import { type Command, UsageError } from './command.ts';
import { interruptible } from './interruptible.ts';
import { migrationsDir, packageVersion } from './package-files.ts';
import { countOf, inMebibytes, inPercent, Progress, withCommas } from './progress.ts';
import { say } from './terminal.ts';
import { whileOpen } from './while-open.ts';
import { readWords } from './words.ts';

async function backup(words: readonly string[]): Promise<void> {
  const { given, names } = readWords(words, ['force', 'fast', 'json']);
  const [name, ...more] = names;
  if (name === undefined || more.length > 0) throw new UsageError('name one file');
  const file = resolve(name);
  const config = readConfig();
  const startedAt = performance.now();
  const taken = await interruptible('nothing is left of the backup', (signal) =>
    take(config, { file, mayReplace: given.has('force'), isFast: given.has('fast') }, signal),
  );
  const seconds = (performance.now() - startedAt) / 1000;
  say(given.has('json') ? asJson(file, taken, seconds) : asText(file, taken, { seconds, config }));
}

interface Wanted {
  readonly file: string;
  readonly mayReplace: boolean;
  readonly isFast: boolean;
}

async function take(config: Config, wanted: Wanted, signal: AbortSignal): Promise<TakenBackup> {
  const logger = createLogger(config.logLevel, config.logFormat);
  const database = await openExistingDatabase({
    ...config,
    log: (line, fields) => logger.debug({ ...fields }, line),
    signal,
  });
  if (database === null) throw new BackupError(`There is no database in ${config.dataDir}.`);
  const progress = new Progress();
  if (!wanted.isFast) setPriority(constants.priority.PRIORITY_LOW);
  try {
    return await whileOpen(database, ({ url, isLocal }) =>
      takeBackup({
        url,
        file: wanted.file,
        mayReplace: wanted.mayReplace,
        migrationsDir,
        version: packageVersion(),
        bytesPerSecond: wanted.isFast ? null : PACE_BYTES_PER_SECOND,
        isLocal: isLocal && !wanted.isFast,
        onProgress: ({ table, rows, bytes, fileBytes, share }) =>
          progress.show(
            () =>
              `backup ${inPercent(share)}: ${table}, ${withCommas(rows)} rows, ${inMebibytes(bytes)} read, ${inMebibytes(fileBytes)} written`,
          ),
        signal,
      }),
    );
  } finally {
    progress.clear();
  }
}

const rowsOf = ({ manifest }: TakenBackup): number =>
  manifest.tables.reduce((total, { rows }) => total + rows, 0);

function asJson(file: string, taken: TakenBackup, seconds: number): string {
  const { header, manifest, bytes, sha256 } = taken;
  return JSON.stringify({
    file,
    bytes,
    sha256,
    taken_at: header.taken_at,
    boards: header.boards,
    rows: rowsOf(taken),
    row_bytes: manifest.tables.reduce((total, table) => total + table.bytes, 0),
    tables: Object.fromEntries(manifest.tables.map((table) => [table.name, table.rows])),
    left_out: header.left_out,
    seconds: Number(seconds.toFixed(3)),
  });
}

function asText(
  file: string,
  taken: TakenBackup,
  { seconds, config }: { readonly seconds: number; readonly config: Config },
): string {
  const { header, bytes, sha256 } = taken;
  return [
    `Backed up ${countOf(header.boards, 'board')}, ${countOf(rowsOf(taken), 'row')} as of ${header.taken_at}, in ${seconds.toFixed(1)} s: ${file} (${inMebibytes(bytes)})`,
    `SHA-256 ${sha256}`,
    ...(header.left_out.length === 0
      ? []
      : [`Left out, because they are not Lanekeeper's: ${header.left_out.join(', ')}`]),
    'Tasks, results and the audit log are in it as they are, and API keys as hashes: keep it as you keep the database.',
    config.secret === null
      ? 'It also holds the keys that claim tokens are signed with, and the secrets of webhooks: keep it like a password.'
      : 'Keep LANEKEEPER_SECRET as well, and elsewhere: signing keys and the secrets of webhooks are sealed with it, but for those made before it was set.',
  ].join('\n');
}

export const command: Command = { usage: 'lanekeeper backup FILE [--force] [--fast] [--json]', run: backup };
