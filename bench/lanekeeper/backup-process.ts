/** A backup in a process of its own, as `lanekeeper backup` makes it of the server's own Postgres: lowest priority, at its pace. */
import { rm } from 'node:fs/promises';
import { constants, setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import { PACE_BYTES_PER_SECOND } from '../../src/server/db/backup/pace.ts';
import { takeBackup } from '../../src/server/db/backup/take-backup.ts';

/** What the parent asks for, as the one argument. */
export interface BackupRequest {
  readonly url: string;
  readonly file: string;
}

export interface BackupFigures {
  readonly seconds: number;
  /** Of rows, and of the file. */
  readonly rowBytes: number;
  readonly fileBytes: number;
  readonly rows: number;
}

async function main({ url, file }: BackupRequest): Promise<BackupFigures> {
  setPriority(constants.priority.PRIORITY_LOW);
  const startedAt = performance.now();
  const { manifest, bytes } = await takeBackup({
    url,
    file,
    mayReplace: true,
    migrationsDir: fileURLToPath(new URL('../../drizzle', import.meta.url)),
    version: 'bench',
    bytesPerSecond: PACE_BYTES_PER_SECOND,
    isLocal: true,
    onProgress: () => undefined,
    signal: new AbortController().signal,
  });
  const seconds = (performance.now() - startedAt) / 1000;
  await rm(file);
  const sum = (key: 'rows' | 'bytes'): number =>
    manifest.tables.reduce((total, table) => total + table[key], 0);
  return { seconds, rowBytes: sum('bytes'), fileBytes: bytes, rows: sum('rows') };
}

process.send?.(await main(JSON.parse(process.argv[2] ?? '{}') as BackupRequest));
process.disconnect();
