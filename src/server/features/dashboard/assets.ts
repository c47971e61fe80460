/**
 * The files of the built dashboard. What can be served is a list that is read from the folder when the page is first asked for; a name from
 * a request is a key of that list and never a path. A new build is noticed by the time of its index.html, which a build writes last.
 * Serving whatever lies below the folder was the alternative: then a way around the check of one path would be a way to every file.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

const gzipped = promisify(gzip);

/** All that a build makes; source maps stay at home. */
const MEDIA_TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};
/** The only ones beside index.html that may lie at the top. */
export const TOP_FILES = ['favicon.svg', 'favicon-attention.svg'] as const;
type TopFile = (typeof TOP_FILES)[number];
const PAGE_FILE = 'index.html';
/** A build has some ten; builds of a checkout leave those of earlier ones, of which the newest are enough. */
const FILES_MAX = 200;
/** Of one file; the first view's budget is 350 KB, compressed. */
const FILE_BYTES_MAX = 8 * 1024 * 1024;

export interface Asset {
  readonly body: Uint8Array;
  readonly contentType: string;
  /** null: it is no smaller that way. */
  readonly gzip: Uint8Array | null;
  readonly etag: string;
}

interface Build {
  /** Changes with every build. */
  readonly stamp: string;
  /** Name → where it is: `index.html`, the top files, and `assets/…`. */
  readonly paths: ReadonlyMap<string, string>;
  /** Read once each, when first asked for: at most FILES_MAX. */
  readonly loaded: Map<string, Promise<Asset>>;
}

export class DashboardAssets {
  readonly #folder: string;
  #build: Build | null = null;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** null: the dashboard has not been built. */
  page(): Promise<Asset | null> {
    return this.#find(PAGE_FILE);
  }

  topFile(name: TopFile): Promise<Asset | null> {
    return this.#find(name);
  }

  /** By its name below /assets/; null: there is none of that name. */
  asset(name: string): Promise<Asset | null> {
    return this.#find(`assets/${name}`);
  }

  async #find(name: string): Promise<Asset | null> {
    const build = await this.#currentBuild();
    const path = build?.paths.get(name);
    if (build === null || path === undefined) return null;
    const present = build.loaded.get(name);
    if (present !== undefined) return present;
    const loading = readAsset(path);
    build.loaded.set(name, loading);
    // A build that came in between took it away: the next one to ask finds out anew.
    loading.catch(() => build.loaded.delete(name));
    return loading;
  }

  async #currentBuild(): Promise<Build | null> {
    const stamp = await stampOf(join(this.#folder, PAGE_FILE));
    if (stamp === null) return null;
    if (this.#build?.stamp !== stamp) {
      const paths = await listFiles(this.#folder);
      this.#build = { stamp, paths, loaded: new Map() };
    }
    return this.#build;
  }
}

async function stampOf(path: string): Promise<string | null> {
  try {
    const { mtimeMs, size, ino } = await stat(path);
    return `${mtimeMs}-${size}-${ino}`;
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

async function listFiles(folder: string): Promise<ReadonlyMap<string, string>> {
  const paths = new Map<string, string>([[PAGE_FILE, join(folder, PAGE_FILE)]]);
  for (const name of TOP_FILES) {
    const path = join(folder, name);
    if ((await fileTime(path)) !== null) paths.set(name, path);
  }
  const names = await readdir(join(folder, 'assets')).catch((error: unknown) => {
    if (isMissing(error)) return [];
    throw error;
  });
  const found: { readonly name: string; readonly path: string; readonly timeMs: number }[] = [];
  for (const name of names) {
    const path = join(folder, 'assets', name);
    const timeMs = Object.hasOwn(MEDIA_TYPES, extname(name)) ? await fileTime(path) : null;
    if (timeMs !== null) found.push({ name, path, timeMs });
  }
  found.sort((one, other) => other.timeMs - one.timeMs);
  for (const { name, path } of found.slice(0, FILES_MAX)) paths.set(`assets/${name}`, path);
  return paths;
}

/** null: it is no file, or too large to be one of ours. */
async function fileTime(path: string): Promise<number | null> {
  try {
    const found = await stat(path);
    return found.isFile() && found.size <= FILE_BYTES_MAX ? found.mtimeMs : null;
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

async function readAsset(path: string): Promise<Asset> {
  const body = await readFile(path);
  const extension = extname(path);
  const packed = await gzipped(body, { level: 9 });
  return {
    body,
    contentType: MEDIA_TYPES[extension] ?? 'application/octet-stream',
    gzip: packed.length < body.length ? packed : null,
    etag: createHash('sha256').update(body).digest('base64url').slice(0, 22),
  };
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
}
