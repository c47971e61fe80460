/** Reads a whole backup and says what is in it: what a restore does before it touches anything. */
import { stat } from 'node:fs/promises';
import { BackupError } from './backup-error.ts';
import { readBackup } from './backup-reader.ts';
import { checkKnownMigrations } from './migration-level.ts';
import type { Header, Manifest } from './records.ts';

export interface VerifiedBackup {
  readonly header: Header;
  readonly manifest: Manifest;
  readonly sha256: string;
  readonly fileBytes: number;
  readonly rows: number;
  /** Of rows, before compression. */
  readonly bytes: number;
}

export interface VerifyOptions {
  readonly file: string;
  readonly migrationsDir: string;
  /** 0 to 1. */
  readonly onProgress: (share: number) => void;
  readonly signal: AbortSignal;
}

/** @throws BackupError when it is not whole, or of a schema that this release does not know */
export async function verifyBackup(options: VerifyOptions): Promise<VerifiedBackup> {
  const { file, migrationsDir, onProgress, signal } = options;
  const fileBytes = (await stat(file).catch(() => null))?.size ?? 0;
  let header: Header | null = null;
  for await (const item of readBackup(file)) {
    signal.throwIfAborted();
    if (item.kind === 'header') {
      header = item.header;
      await checkKnownMigrations(header.migrations, migrationsDir, file);
    } else if (item.kind === 'rows') onProgress(item.fileBytes / fileBytes);
    else if (item.kind === 'whole' && header !== null) {
      const { manifest, sha256 } = item;
      const sum = (key: 'rows' | 'bytes'): number =>
        manifest.tables.reduce((total, table) => total + table[key], 0);
      return { header, manifest, sha256, fileBytes, rows: sum('rows'), bytes: sum('bytes') };
    }
  }
  throw new BackupError(`${file} is not whole: it ends too early. Use another backup.`);
}
