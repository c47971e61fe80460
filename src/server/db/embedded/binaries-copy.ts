/**
 * Copies the Postgres programs to a place where the database account can run them. The copy appears under its final
 * name only when it is complete and on disk, so a name that exists is a copy that works, and two starts at once end
 * with one copy. Modes are set rather than copied: an install under umask 077 is one of the reasons to copy.
 */
import { randomBytes } from 'node:crypto';
import { chmod, copyFile, mkdir, readdir, readlink, rename, rm, stat, symlink } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join } from 'node:path';

import { syncFile } from './durable-file.ts';
import { hasErrorCode } from './embedded-postgres-error.ts';

/** What only compilers and linkers read; a third of the files. */
const LEFT_OUT = /\.a$|^pkgconfig$|^pgxs$/;
/** Each file waits for its own sync, so a few at a time keep the disk busy; more gained nothing when measured. */
const FILES_AT_ONCE = 16;
/** A copy takes seconds, so an unfinished one of this age belongs to a start that died. */
const LEFTOVER_AGE_MILLIS = 3_600_000;
const EXECUTABLE = 0o111;

/** A name beside the destination that a later copy recognises as rubbish once it is old. */
export function unfinishedName(destination: string): string {
  return `${destination}.unfinished-${randomBytes(6).toString('hex')}`;
}

export async function copyBinaries(source: string, destination: string): Promise<void> {
  await removeLeftovers(destination);
  const unfinished = unfinishedName(destination);
  try {
    await copyDirectory(source, unfinished);
    await rename(unfinished, destination);
    await syncFile(dirname(destination));
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    // Another start was faster; its copy is as complete as ours was.
    if (!hasErrorCode(error, 'ENOTEMPTY', 'EEXIST')) {
      throw error;
    }
  }
}

async function copyDirectory(source: string, destination: string): Promise<void> {
  await mkdir(destination, { mode: 0o755 });
  await chmod(destination, 0o755);
  const files: string[] = [];
  for (const entry of await readdir(source, { withFileTypes: true })) {
    if (LEFT_OUT.test(entry.name)) {
      continue;
    }
    if (entry.isDirectory()) {
      await copyDirectory(join(source, entry.name), join(destination, entry.name));
    } else if (entry.isSymbolicLink()) {
      await copyLink(join(source, entry.name), join(destination, entry.name));
    } else if (entry.isFile()) {
      files.push(entry.name);
    }
  }
  while (files.length > 0) {
    const batch = files.splice(0, FILES_AT_ONCE);
    await Promise.all(batch.map((name) => copyOneFile(join(source, name), join(destination, name))));
  }
  await syncFile(destination);
}

/** Links point to their neighbours; one that leads elsewhere would not survive the move and is left out. */
async function copyLink(source: string, destination: string): Promise<void> {
  const target = await readlink(source);
  if (!isAbsolute(target) && !target.split('/').includes('..')) {
    await symlink(target, destination);
  }
}

async function copyOneFile(source: string, destination: string): Promise<void> {
  await copyFile(source, destination);
  const isProgram = ((await stat(source)).mode & EXECUTABLE) !== 0;
  await chmod(destination, isProgram ? 0o755 : 0o644);
  // Without it a power cut soon after would leave a copy that has its name and its files, but not their contents.
  await syncFile(destination);
}

async function removeLeftovers(destination: string): Promise<void> {
  const parent = dirname(destination);
  for (const name of await readdir(parent)) {
    if (!name.startsWith(`${basename(destination)}.unfinished-`)) {
      continue;
    }
    const status = await stat(join(parent, name));
    if (Date.now() - status.mtimeMs > LEFTOVER_AGE_MILLIS) {
      await rm(join(parent, name), { recursive: true, force: true });
    }
  }
}
