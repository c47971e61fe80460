// Decides whether dist/ still belongs to src/, and rebuilds it when not. Runs before every `npm start` and every
// `lanekeeper` call in a checkout, so it imports no dependency: the bundler is loaded only when there is work.
// Newest mtime alone was not enough: it misses a deleted file and a file replaced by an older one.

import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
export const DIST = join(ROOT, 'dist');
export const STAMP = join(DIST, '.stamp');

// What the bundle is made from, besides src/: the version that it reports, and the recipe.
const OTHER_INPUTS = [
  'package.json',
  'scripts/build.mjs',
  'scripts/build-dashboard.mjs',
  'scripts/driver-fix.mjs',
];

/**
 * Name, size and mtime of every input as one short string; reads no file content.
 * @returns {string}
 */
export function sourceFingerprint() {
  const hash = createHash('sha256');
  const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    .map((name) => join('src', name))
    .sort();
  for (const name of [...sources, ...OTHER_INPUTS]) {
    const { size, mtimeMs } = statSync(join(ROOT, name));
    hash.update(`${name}\0${size}\0${mtimeMs}\n`);
  }
  return hash.digest('hex');
}

/** @returns {boolean} true when dist/ was built from other sources than the present ones, or never. */
export function isStale() {
  return !existsSync(STAMP) || readFileSync(STAMP, 'utf8') !== sourceFingerprint();
}

/**
 * Builds when needed. Talks on stderr only, so that a command's own output stays clean.
 * Without src/ (an installed package) or with LANEKEEPER_NO_BUILD=1, dist/ is taken as it is.
 * @returns {Promise<void>}
 */
export async function ensureBuilt() {
  if (process.env['LANEKEEPER_NO_BUILD'] === '1' || !existsSync(join(ROOT, 'src')) || !isStale()) return;
  const { build } = await import('./build.mjs');
  await build({ log: (line) => process.stderr.write(`${line}\n`) });
}
