/**
 * The database's log file, kept below a size. Postgres writes to it directly, so that its log survives us and a busy
 * event loop never blocks it; what grew too long is moved to a second file and cut. Postgres' own log collector was
 * rejected: it rotates by size but deletes nothing.
 */
import type { FileHandle } from 'node:fs/promises';
import { copyFile, open } from 'node:fs/promises';
import { dirname } from 'node:path';

import { giveToOwnerOf } from './durable-file.ts';

export interface BoundedLog {
  readonly fileDescriptor: number;
  /** The end of what was written since the log had that size, for messages. */
  readTail(sinceBytes: number): Promise<string>;
  /** Grows with each line written; shows that a long recovery is still at work. */
  measureBytes(): Promise<number>;
  close(): Promise<void>;
}

/** A day of a normal server writes kilobytes; this holds the story of a bad day. Twice this is on disk at most, plus
 * what is written within one CHECK_MILLIS. */
const BYTES_MAX = 8 * 1024 * 1024;
const CHECK_MILLIS = 30_000;
/** Room for the dozen lines that a failed start writes. */
const TAIL_BYTES = 4 * 1024;

export async function openBoundedLog(path: string): Promise<BoundedLog> {
  const handle = await open(path, 'a+', 0o600);
  await giveToOwnerOf(dirname(path), handle);
  await cutWhenLong(handle, path);
  const timer = setInterval(() => {
    // A full disk is the database's news to tell, and the next check tries again.
    cutWhenLong(handle, path).catch(() => undefined);
  }, CHECK_MILLIS);
  timer.unref();
  return {
    fileDescriptor: handle.fd,
    readTail: (sinceBytes) => readTail(handle, sinceBytes),
    measureBytes: async () => (await handle.stat()).size,
    close: async () => {
      clearInterval(timer);
      await handle.close();
    },
  };
}

async function cutWhenLong(handle: FileHandle, path: string): Promise<void> {
  const { size } = await handle.stat();
  if (size > BYTES_MAX) {
    await copyFile(path, `${path}.1`);
    // Every writer appends, so each simply goes on at the new end.
    await handle.truncate(0);
  }
}

async function readTail(handle: FileHandle, sinceBytes: number): Promise<string> {
  const { size } = await handle.stat();
  const start = Math.max(Math.min(sinceBytes, size), size - TAIL_BYTES);
  const buffer = Buffer.alloc(size - start);
  await handle.read(buffer, 0, buffer.length, start);
  return buffer.toString('utf8').trim();
}
