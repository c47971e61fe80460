// Turns src/ into dist/: one ESM bundle per entry with shared chunks, plus the static files of the API page.
// Dependencies stay external: they are installed anyway, and native or optional ones cannot be bundled. The database driver is the one
// exception: it comes mended (driver-fix.mjs).
// Every file is written beside its place and renamed into it, and the stamp comes last, so that a process that
// starts while another one builds sees either the old file or the new one, never half of one.
// Types are checked by `npm run typecheck`, never here: this path runs at every first start.

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import * as esbuild from 'esbuild';
import { buildDashboard } from './build-dashboard.mjs';
import { DRIVER_CONNECTION, fixDriver } from './driver-fix.mjs';
import { DIST, isStale, ROOT, STAMP, sourceFingerprint } from './ensure-built.mjs';

// Bundled entries. Code that finds files of the package at run time must search upwards for package.json: after
// bundling, import.meta.url is that of an entry or of a chunk.
const ENTRIES = [
  'src/server/main.ts',
  'src/cli/main.ts',
  'src/client/index.ts',
  'src/testing/test-server.ts',
  'src/testing/supervisor.ts',
];

// All that the API page needs of swagger-ui, with the licences of what it carries.
const DOCS_UI_FILES = [
  'swagger-ui.css',
  'swagger-ui-bundle.js',
  'swagger-ui-bundle.js.LICENSE.txt',
  'LICENSE',
  'NOTICE',
];

/**
 * @param {{ clean?: boolean, declarations?: boolean, log?: (line: string) => void }} [options]
 *   clean removes dist/ first; declarations also emits the .d.ts of what users import (slow: runs the type checker).
 * @returns {Promise<void>}
 */
export async function build({ clean = false, declarations = false, log = console.log } = {}) {
  const startedAt = performance.now();
  const fingerprint = sourceFingerprint();
  if (clean) await rm(DIST, { recursive: true, force: true });
  await bundle(log);
  await copyDocsUi();
  await buildDashboard();
  if (declarations) await emitDeclarations(log);
  await writeAtomically(STAMP, fingerprint);
  log(`built dist/ in ${Math.round(performance.now() - startedAt)} ms`);
}

/** @param {(line: string) => void} log */
async function bundle(log) {
  const entries = ENTRIES.filter((entry) => existsSync(join(ROOT, entry)));
  for (const entry of ENTRIES) {
    if (!entries.includes(entry)) log(`skipped ${entry}: it does not exist`);
  }
  if (entries.length === 0) return;
  const { outputFiles } = await esbuild.build({
    absWorkingDir: ROOT,
    entryPoints: entries,
    outdir: DIST,
    outbase: 'src',
    entryNames: '[dir]/[name]',
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    packages: 'external',
    plugins: [mendedDriver],
    sourcemap: true,
    legalComments: 'none',
    logLevel: 'warning',
    write: false,
  });
  // esbuild keeps a process of its own; in `npm start` it would live as long as the server.
  await esbuild.stop();
  // Chunks before the entries that name them.
  const isChunk = (/** @type {string} */ path) => path.startsWith(join(DIST, 'chunks'));
  outputFiles.sort((a, b) => Number(isChunk(b.path)) - Number(isChunk(a.path)));
  for (const file of outputFiles) await writeAtomically(file.path, file.contents);
}

/** @type {esbuild.Plugin} */
const mendedDriver = {
  name: 'mended-driver',
  setup: ({ onResolve, onLoad }) => {
    onResolve({ filter: /^postgres$/ }, () => ({ path: fileURLToPath(import.meta.resolve('postgres')) }));
    onLoad({ filter: DRIVER_CONNECTION }, async ({ path }) => ({
      contents: fixDriver(await readFile(path, 'utf8')),
      loader: 'js',
    }));
  },
};

async function copyDocsUi() {
  const source = dirname(fileURLToPath(import.meta.resolve('swagger-ui-dist/package.json')));
  for (const name of DOCS_UI_FILES) {
    await writeAtomically(join(DIST, 'docs-ui', name), await readFile(join(source, name)));
  }
}

/**
 * The types of the client and of lanekeeper/testing in one run: both speak of the same ones.
 * @param {(line: string) => void} log
 */
async function emitDeclarations(log) {
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  await promisify(execFile)(process.execPath, [tsc, '-p', 'src/testing'], { cwd: ROOT });
  log('wrote dist/types');
}

/**
 * @param {string} path
 * @param {string | Uint8Array} contents
 */
async function writeAtomically(path, contents) {
  const temporary = `${path}.${process.pid}.tmp`;
  await mkdir(dirname(path), { recursive: true });
  await writeFile(temporary, contents);
  await rename(temporary, path);
}

/** @param {string[]} flags */
async function main(flags) {
  if (flags.includes('--if-stale') && !isStale()) return;
  await build({ clean: flags.includes('--clean'), declarations: flags.includes('--declarations') });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  main(process.argv.slice(2)).catch((error) => {
    // tsc reports on stdout, which execFile keeps in the error.
    console.error(error.stdout || error.message);
    console.error(`build failed in ${relative(process.cwd(), ROOT) || '.'}`);
    process.exitCode = 1;
  });
}
