/**
 * The packages of others that come with ours: those whose code is inside of what we publish, and those that npm installs beside it. Both are
 * read from the checkout as it is installed, so that the list is about the versions of package-lock.json.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as esbuild from 'esbuild';

export interface ThirdParty {
  readonly name: string;
  readonly version: string;
  /** SPDX expression; empty when the package names none. */
  readonly licence: string;
  /** Of licence and notice files, the package's own; empty for those that are not installed here. */
  readonly texts: readonly string[];
}

interface LockedPackage {
  readonly version?: string;
  readonly license?: string;
  readonly dev?: boolean;
  readonly link?: boolean;
}

interface Bundle {
  readonly entries: readonly string[];
  readonly platform: 'browser' | 'node';
  /** All that is imported by name stays outside, but for these. */
  readonly inlined: 'everything' | readonly string[];
}

/** What scripts/build.mjs and scripts/build-dashboard.mjs make. */
const BUNDLES: readonly Bundle[] = [
  { entries: ['src/dashboard/main.tsx'], platform: 'browser', inlined: 'everything' },
  {
    entries: ['src/server/main.ts', 'src/cli/main.ts', 'src/client/index.ts', 'src/testing/test-server.ts'],
    platform: 'node',
    inlined: ['postgres'],
  },
];
/** Copied as they are, for the page at /docs. */
const COPIED = ['swagger-ui-dist'];
const TEXT_FILE = /^(?:licen[cs]e|notice|copying|unlicense)(?:[.-].*)?$/i;
/** Names of other files' licences, which only speak for files that we do not carry. */
const OTHERS_TEXT = /\.js\.LICENSE\.txt$/;
const PACKAGE_OF_PATH = /^node_modules\/(?:.*\/node_modules\/)?((?:@[^/]+\/)?[^/]+)/;

/** Those whose code is in dist/, by name. */
export async function listBundled(root: string): Promise<ThirdParty[]> {
  const locked = readLock(root);
  const places = new Set(COPIED.map((name) => `node_modules/${name}`));
  for (const bundle of BUNDLES) {
    for (const path of await inputsOf(root, bundle)) {
      const place = PACKAGE_OF_PATH.exec(path)?.[0];
      if (place !== undefined) places.add(place);
    }
  }
  return [...places].map((place) => readPackage(root, place, locked)).sort(byName);
}

/** Those that `npm install` brings to users, on any platform: what the lock does not hold for development alone. */
export function listInstalled(root: string): ThirdParty[] {
  const locked = readLock(root);
  return Object.entries(locked)
    .filter(([place, { dev, link }]) => place !== '' && dev !== true && link !== true)
    .map(([place]) => readPackage(root, place, locked))
    .sort(byName);
}

async function inputsOf(root: string, { entries, platform, inlined }: Bundle): Promise<string[]> {
  const { metafile } = await esbuild.build({
    absWorkingDir: root,
    entryPoints: [...entries],
    ...{ bundle: true, format: 'esm', write: false, metafile: true, outdir: 'nowhere', logLevel: 'silent' },
    platform,
    jsx: 'automatic',
    define: { 'process.env.NODE_ENV': '"production"' },
    plugins: inlined === 'everything' ? [] : [keepOutside(inlined)],
  });
  return Object.keys(metafile.inputs);
}

/** As `packages: 'external'` does it, with exceptions. */
function keepOutside(inlined: readonly string[]): esbuild.Plugin {
  return {
    name: 'outside',
    setup: ({ onResolve }) => {
      onResolve({ filter: /^[^./]/ }, ({ path, kind }) =>
        kind === 'entry-point' || inlined.includes(path) ? undefined : { path, external: true },
      );
    },
  };
}

function readLock(root: string): Readonly<Record<string, LockedPackage>> {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, LockedPackage>>;
  };
  return lock.packages;
}

function readPackage(
  root: string,
  place: string,
  locked: Readonly<Record<string, LockedPackage>>,
): ThirdParty {
  const { version = '', license = '' } = locked[place] ?? {};
  return {
    name: PACKAGE_OF_PATH.exec(place)?.[1] ?? place,
    version,
    licence: license,
    texts: readTexts(join(root, place)),
  };
}

function readTexts(directory: string): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((name) => TEXT_FILE.test(name) && !OTHERS_TEXT.test(name))
    .sort()
    .map((name) => readFileSync(join(directory, name), 'utf8').replaceAll('\r\n', '\n').trim());
}

function byName(a: ThirdParty, b: ThirdParty): number {
  return compare(a.name, b.name) || compare(a.version, b.version);
}

/** By code units: the same order on every machine. */
function compare(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}
