/**
 * The library links of the Postgres package. npm packages carry no symbolic links, so the package makes them in its
 * install script from a list; where install scripts are off (npm's `ignore-scripts`) the programs do not load until
 * somebody else makes them. Nothing outside the given directory is ever touched, whatever the list says.
 */
import { lstat, readFile, symlink } from 'node:fs/promises';
import { dirname, join, posix } from 'node:path';

import { hasErrorCode } from './embedded-postgres-error.ts';

interface LibraryLink {
  /** Relative to the native directory. */
  readonly path: string;
  /** What the link holds, relative to its own directory. */
  readonly pointsTo: string;
}

const LIST_FILE = 'pg-symlinks.json';

/** False when links are missing and cannot be made here, as in a read-only or foreign node_modules. */
export async function restoreLibraryLinks(nativeDirectory: string): Promise<boolean> {
  for (const link of await readLinks(nativeDirectory)) {
    const path = join(nativeDirectory, link.path);
    const isThere = await lstat(path).then(
      () => true,
      () => false,
    );
    if (!isThere && !(await makeLink(link.pointsTo, path))) {
      return false;
    }
  }
  return true;
}

async function makeLink(pointsTo: string, path: string): Promise<boolean> {
  try {
    await symlink(pointsTo, path);
    return true;
  } catch (error) {
    if (hasErrorCode(error, 'EEXIST')) {
      return true;
    }
    if (hasErrorCode(error, 'EACCES', 'EPERM', 'EROFS')) {
      return false;
    }
    throw error;
  }
}

async function readLinks(nativeDirectory: string): Promise<LibraryLink[]> {
  const text = await readFile(join(nativeDirectory, LIST_FILE), 'utf8').catch((error: unknown) => {
    if (hasErrorCode(error, 'ENOENT')) {
      return '[]';
    }
    throw error;
  });
  const list: unknown = JSON.parse(text);
  return Array.isArray(list) ? list.flatMap(parseLink) : [];
}

/** An entry reads `{"source": "native/lib/a.so.1.2", "target": "native/lib/a.so"}`: the target is the link to make. */
function parseLink(entry: unknown): LibraryLink[] {
  if (typeof entry !== 'object' || entry === null || !('source' in entry) || !('target' in entry)) {
    return [];
  }
  const source = insideNative(entry.source);
  const target = insideNative(entry.target);
  if (source === null || target === null) {
    return [];
  }
  return [{ path: target, pointsTo: posix.relative(dirname(target), source) }];
}

function insideNative(value: unknown): string | null {
  if (typeof value !== 'string') {
    return null;
  }
  const path = posix.relative('native', posix.normalize(value));
  return path === '' || path.startsWith('..') || posix.isAbsolute(path) ? null : path;
}
