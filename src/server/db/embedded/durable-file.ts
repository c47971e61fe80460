/**
 * Small files that are either the old one or the new one, also after a power cut, and that only their owner can read:
 * the owner of the directory, not whoever writes. Root that starts the server of a user once must not leave files there
 * that this user cannot read afterwards.
 */
import { randomBytes } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { isRoot } from './account.ts';

const PRIVATE_MODE = 0o600;
const UNFINISHED_NAME = /^postgres\..+\.[0-9a-f]{12}\.tmp$/;
/** A write takes milliseconds. */
const LEFTOVER_AGE_MILLIS = 3_600_000;

export async function writeDurableFile(path: string, text: string): Promise<void> {
  const unfinished = await writeUnfinishedFile(path, text);
  try {
    await rename(unfinished, path);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
  await syncFile(dirname(path));
}

/** Writes the text under a name beside the path and returns that name; the caller moves or links it. */
export async function writeUnfinishedFile(path: string, text: string): Promise<string> {
  const unfinished = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  const handle = await open(unfinished, 'wx', PRIVATE_MODE);
  try {
    await giveToOwnerOf(dirname(path), handle);
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  return unfinished;
}

/** Removes what writers that died left behind. Young files may belong to a writer that is at work. */
export async function removeLeftoverFiles(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!UNFINISHED_NAME.test(name)) {
      continue;
    }
    const path = join(directory, name);
    const status = await stat(path).catch(() => null);
    if (status !== null && Date.now() - status.mtimeMs > LEFTOVER_AGE_MILLIS) {
      await rm(path, { force: true });
    }
  }
}

/** Does nothing unless we are root in the directory of somebody else. */
export async function giveToOwnerOf(directory: string, file: FileHandle): Promise<void> {
  if (isRoot()) {
    const owner = await stat(directory);
    await file.chown(owner.uid, owner.gid);
  }
}

/** Works for a directory too, whose entries then are on disk. */
export async function syncFile(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
