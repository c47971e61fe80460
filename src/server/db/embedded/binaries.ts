/**
 * Hands out Postgres programs that the database account can really run. The proof is a run of `postgres --version`
 * under that account; only when it fails are the programs copied. Reading modes instead was rejected: it knows nothing
 * of access lists, noexec mounts, missing libraries or another C library.
 */
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

import type { RunAs } from './account.ts';
import { copyBinaries, unfinishedName } from './binaries-copy.ts';
import { describeError, EmbeddedPostgresError, hasErrorCode } from './embedded-postgres-error.ts';
import { restoreLibraryLinks } from './library-links.ts';
import type { PlatformPackage } from './platform-package.ts';
import { runCommand } from './run-command.ts';
import { findForeignWriter, findSystemDirectories } from './system-directory.ts';

export interface PostgresBinaries {
  readonly postgres: string;
  readonly initdb: string;
  /** As the program says it, such as 18.4. */
  readonly version: string;
  readonly major: number;
}

export interface BinariesOptions {
  readonly platformPackage: PlatformPackage;
  readonly runAs: RunAs;
  /** Where somebody who is not root keeps a copy. */
  readonly dataDir: string;
  /** Where root keeps a copy; see system-directory. */
  readonly systemDirectories: readonly string[];
  readonly log: (line: string, fields?: Record<string, unknown>) => void;
}

type Trial = PostgresBinaries | { readonly reason: string };

export async function prepareBinaries(options: BinariesOptions): Promise<PostgresBinaries> {
  const { nativeDirectory, label } = options.platformPackage;
  const hasLinks = await restoreLibraryLinks(nativeDirectory);
  const inPlace: Trial = hasLinks
    ? await tryBinaries(nativeDirectory, options.runAs)
    : { reason: 'library links are missing there and cannot be made' };
  if (!('reason' in inPlace)) {
    return inPlace;
  }
  const reasons = [`${nativeDirectory}: ${inPlace.reason}`];
  for await (const directory of findCopyDirectories(options)) {
    const copy = await tryCopy({ source: nativeDirectory, directory, label }, options);
    if (!('reason' in copy)) {
      return copy;
    }
    reasons.push(`${directory}: ${copy.reason}`);
  }
  throw new EmbeddedPostgresError(
    'binaries_unusable',
    `The Postgres programs do not run here (${reasons.join('; ')}). They need glibc on Linux and a file system without ` +
      'noexec. Set DATABASE_URL to a Postgres that already runs.',
  );
}

async function* findCopyDirectories(options: BinariesOptions): AsyncGenerator<string, void> {
  if (options.runAs === null) {
    yield options.dataDir;
  } else {
    yield* findSystemDirectories(options.systemDirectories, options.runAs);
  }
}

async function tryCopy(
  copy: { readonly source: string; readonly directory: string; readonly label: string },
  options: BinariesOptions,
): Promise<Trial> {
  const destination = join(copy.directory, `postgres-binaries-${copy.label}`);
  const existing = await tryTrustedCopy(destination, options.runAs);
  if (!('reason' in existing)) {
    return existing;
  }
  try {
    await moveAside(destination);
    await copyBinaries(copy.source, destination);
    await restoreLibraryLinks(destination);
  } catch (error) {
    return { reason: describeError(error) };
  }
  const fresh = await tryTrustedCopy(destination, options.runAs);
  if ('reason' in fresh) {
    await rm(destination, { recursive: true, force: true });
  } else {
    options.log('copied the Postgres programs to where they can be run', { directory: destination });
  }
  return fresh;
}

/**
 * Makes room where a copy exists that does not work. It is moved rather than deleted: a server that started from it may
 * still run, and a machine under load may have failed the trial. The next copy deletes it when it is old.
 */
async function moveAside(destination: string): Promise<void> {
  try {
    await rename(destination, unfinishedName(destination));
  } catch (error) {
    if (!hasErrorCode(error, 'ENOENT')) {
      throw error;
    }
  }
}

/** As root, a program is run only from where root alone can have put it. */
async function tryTrustedCopy(directory: string, runAs: RunAs): Promise<Trial> {
  if (runAs !== null) {
    const writer = await findForeignWriter(join(directory, 'bin')).catch(describeError);
    if (writer !== null) {
      return { reason: writer };
    }
  }
  return tryBinaries(directory, runAs);
}

async function tryBinaries(nativeDirectory: string, runAs: RunAs): Promise<Trial> {
  const postgres = join(nativeDirectory, 'bin', 'postgres');
  const result = await runCommand(runAs, postgres, '--version');
  if (result.kind === 'failed') {
    return { reason: result.reason };
  }
  const version = /\(PostgreSQL\) ((\d+)\S*)/.exec(result.output);
  if (version?.[1] === undefined || version[2] === undefined) {
    return { reason: `its version line reads "${result.output}"` };
  }
  return {
    postgres,
    initdb: join(nativeDirectory, 'bin', 'initdb'),
    version: version[1],
    major: Number.parseInt(version[2], 10),
  };
}
