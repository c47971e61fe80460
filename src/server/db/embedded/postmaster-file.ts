/**
 * Reads postmaster.pid, the file in which a running Postgres says who it is and how far its start has come. It outlives
 * a Postgres that was killed, so what it says holds only together with a look at the process.
 */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { hasErrorCode } from './embedded-postgres-error.ts';

export interface PostmasterFile {
  readonly pid: number;
  readonly isReady: boolean;
}

const FILE = 'postmaster.pid';
/** Lines of the file, as Postgres 10 and later write them. */
const PID_LINE = 0;
const STATUS_LINE = 7;

/** Null when there is none, or when Postgres has only begun to write it. */
export async function readPostmasterFile(clusterDir: string): Promise<PostmasterFile | null> {
  const text = await readFile(join(clusterDir, FILE), 'utf8').catch((error: unknown) => {
    if (hasErrorCode(error, 'ENOENT')) {
      return '';
    }
    throw error;
  });
  const lines = text.split('\n');
  const pid = Number.parseInt(lines[PID_LINE] ?? '', 10);
  return pid > 0 ? { pid, isReady: lines[STATUS_LINE]?.trim() === 'ready' } : null;
}

export async function removePostmasterFile(clusterDir: string): Promise<void> {
  await rm(join(clusterDir, FILE), { force: true });
}
