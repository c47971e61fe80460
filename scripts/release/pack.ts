/** Packs the checkout as npm publishes it, and reads what has come of it. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { findFaults, type Manifest, type PackedFile } from './tarball-rules.ts';

const run = promisify(execFile);
/** Of what npm says about each of some hundred files. */
const OUTPUT_BYTES_MAX = 16_000_000;
const EXECUTABLE = 0o111;

export interface Tarball {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** Builds first, from nothing: `prepack` does. */
async function pack(root: string, directory: string): Promise<Tarball> {
  mkdirSync(directory, { recursive: true });
  await run('npm', ['pack', '--pack-destination', directory], { cwd: root, maxBuffer: OUTPUT_BYTES_MAX });
  const [name, ...more] = readdirSync(directory).filter((file) => file.endsWith('.tgz'));
  if (name === undefined || more.length > 0) throw new Error(`npm pack left ${1 + more.length} packages`);
  const path = join(directory, name);
  const content = readFileSync(path);
  return { path, bytes: content.length, sha256: createHash('sha256').update(content).digest('hex') };
}

/** Two builds and two packings of the same sources are the same to the bit: what is published can be made again by anybody. */
export async function packTwice(root: string, directory: string): Promise<Tarball> {
  const first = await pack(root, join(directory, 'first'));
  const second = await pack(root, join(directory, 'second'));
  if (first.sha256 !== second.sha256)
    throw new Error(
      `Two packings of the same sources differ:\n  ${first.path}\n  ${second.path}\nUnpack both and compare.`,
    );
  return first;
}

/** @returns the number of files. Throws with all that is wrong. */
export async function checkTarball(tarball: Tarball, root: string, directory: string): Promise<number> {
  const place = join(directory, 'content');
  mkdirSync(place, { recursive: true });
  await run('tar', ['-xzf', tarball.path, '-C', place]);
  return checkContent(join(place, 'package'), tarball.bytes, root);
}

/** The same for a package that is unpacked already. */
export function checkContent(place: string, packedBytes: number, root: string): number {
  const files = readFiles(place);
  const manifest = JSON.parse(readFileSync(join(place, 'package.json'), 'utf8')) as Manifest;
  // Root's home is a word that documents use; it says nothing of this machine.
  const machinePaths = [root, homedir()].filter((path) => path.length > 1 && path !== '/root');
  const faults = findFaults({ files, packedBytes, manifest, machinePaths });
  if (faults.length > 0) throw new Error(['The package may not be published:', ...faults].join('\n  '));
  return files.length;
}

function readFiles(directory: string): PackedFile[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      const content = readFileSync(path);
      return {
        path: relative(directory, path).replaceAll('\\', '/'),
        bytes: content.length,
        isExecutable: (statSync(path).mode & EXECUTABLE) !== 0,
        text: content.includes(0) ? null : content.toString('utf8'),
      };
    });
}
