/** The server as it was before the newest migration, built out of the history of this checkout. */
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as esbuild from 'esbuild';
import { DRIVER_CONNECTION, fixDriver } from '../../scripts/driver-fix.mjs';
import { ROOT } from '../fixtures/server-process.ts';

const MIGRATIONS = 'drizzle/*.sql';
/** An archive of sources; far above what there is. */
const ARCHIVE_BYTES_MAX = 256 * 1024 * 1024;

export interface PreviousServer {
  readonly ref: string;
  /** To be started with `serve`. */
  readonly program: string;
  remove(): Promise<void>;
}

function git(...words: string[]): Buffer {
  try {
    return execFileSync('git', words, { cwd: ROOT, stdio: 'pipe', maxBuffer: ARCHIVE_BYTES_MAX });
  } catch (error) {
    throw new Error(
      'The previous server is built out of the history of this checkout, which is missing or cut off. ' +
        'Get it with `git fetch --unshallow --tags`, or name a commit that is here: LANEKEEPER_UPGRADE_FROM=<commit>.',
      { cause: error },
    );
  }
}

const lines = (output: Buffer): string[] =>
  output
    .toString('utf8')
    .split('\n')
    .filter((line) => line !== '');
const countMigrations = (ref: string): number =>
  lines(git('ls-tree', '--name-only', ref, 'drizzle/')).filter((name) => name.endsWith('.sql')).length;

/**
 * LANEKEEPER_UPGRADE_FROM; else the newest release, if the schema has changed since; else the commit before the newest migration, which is
 * HEAD while that is not committed.
 */
function previousRef(): string {
  const named = process.env['LANEKEEPER_UPGRADE_FROM'];
  if (named) return lines(git('rev-parse', '--verify', `${named}^{commit}`))[0] ?? named;
  const here = countMigrations('HEAD');
  const [release] = lines(git('tag', '--list', 'v*', '--merged', 'HEAD', '--sort', '-version:refname'));
  if (release !== undefined && countMigrations(release) < here) return release;
  if (lines(git('status', '--porcelain', '--', MIGRATIONS)).some((line) => line.startsWith('?')))
    return 'HEAD';
  const [newest] = lines(
    git('log', '-1', '--first-parent', '-m', '--format=%H', '--diff-filter=A', '--', MIGRATIONS),
  );
  return lines(git('rev-parse', '--verify', `${newest}^`))[0] ?? 'HEAD^';
}

export async function buildPreviousServer(): Promise<PreviousServer> {
  const ref = previousRef();
  const folder = await mkdtemp(join(tmpdir(), 'lanekeeper-previous-'));
  const archive = git('archive', '--format=tar', ref, 'src', 'drizzle', 'package.json', 'openapi.yaml');
  execFileSync('tar', ['-x', '-C', folder], { input: archive });
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  await esbuild.build({
    absWorkingDir: folder,
    entryPoints: ['src/server/main.ts'],
    outdir: join(folder, 'dist'),
    outbase: 'src',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    packages: 'external',
    plugins: [mendedDriver],
    logLevel: 'silent',
  });
  await esbuild.stop();
  return {
    ref,
    program: join(folder, 'dist/server/main.js'),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** As in every build: without it a lost connection would be this test's failure. */
const mendedDriver: esbuild.Plugin = {
  name: 'mended-driver',
  setup: ({ onResolve, onLoad }) => {
    onResolve({ filter: /^postgres$/ }, () => ({ path: join(ROOT, 'node_modules/postgres/src/index.js') }));
    onLoad({ filter: DRIVER_CONNECTION }, async ({ path }) => ({
      contents: fixDriver(await readFile(path, 'utf8')),
      loader: 'js',
    }));
  },
};
