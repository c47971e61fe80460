/** Named servers with their keys, kept for the user in one file that only they may read. */
import { chmod, mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { isObject, parseObject } from '../client/errors.ts';
import type { Environment } from './environment.ts';
import { UsageError } from './exit-codes.ts';

export interface Profile {
  readonly url: string;
  readonly token: string;
  readonly board?: string | undefined;
}

export interface Profiles {
  /** Used when none is named. */
  readonly current: string | null;
  readonly profiles: Readonly<Record<string, Profile>>;
}

export function noSuchProfile({ profiles }: Profiles, name: string): string {
  return `There is no profile "${name}" (known: ${Object.keys(profiles).join(', ') || 'none'})`;
}

/** @throws UsageError when there is none of this name. */
export async function forgetProfile(path: string, kept: Profiles, name: string): Promise<void> {
  if (!Object.hasOwn(kept.profiles, name)) throw new UsageError(noSuchProfile(kept, name));
  const profiles = Object.fromEntries(Object.entries(kept.profiles).filter(([each]) => each !== name));
  await writeProfiles(path, { current: kept.current === name ? null : kept.current, profiles });
}

const NONE: Profiles = { current: null, profiles: {} };
/** Readable and writable for the owner alone. */
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;
/** Any right of group or others. */
const WIDE_BITS = 0o077;

export function profilesPath(env: Environment): string {
  const base = env['XDG_CONFIG_HOME'] || join(env['HOME'] || homedir(), '.config');
  return join(base, 'lanekeeper', 'profiles.json');
}

export async function readProfiles(path: string, warn: (text: string) => void): Promise<Profiles> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
    const { mode } = await stat(path);
    if (process.platform !== 'win32' && (mode & WIDE_BITS) !== 0) {
      warn(`warning: others may read the keys in ${path}; run: chmod 600 ${path}`);
    }
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return NONE;
    throw error;
  }
  return parseProfiles(text, path);
}

function parseProfiles(text: string, path: string): Profiles {
  const parsed = parseObject(text);
  const listed = parsed?.['profiles'];
  if (parsed === undefined || !isObject(listed))
    throw new Error(`${path} is not a file of profiles; mend or delete it`);
  const profiles: Record<string, Profile> = {};
  for (const [name, value] of Object.entries(listed)) {
    if (!isObject(value)) continue;
    const { url, token, board } = value;
    if (typeof url !== 'string' || typeof token !== 'string') continue;
    profiles[name] = { url, token, ...(typeof board === 'string' ? { board } : {}) };
  }
  const { current } = parsed;
  return { current: typeof current === 'string' ? current : null, profiles };
}

/** Replaces the file in one step, so that a crash leaves the old one or the new one. */
export async function writeProfiles(path: string, profiles: Profiles): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: DIRECTORY_MODE });
  const temporary = `${path}.${process.pid}.new`;
  await writeFile(temporary, `${JSON.stringify(profiles, null, 2)}\n`, { mode: FILE_MODE });
  // The mode of writeFile is only a wish when the file was there already.
  await chmod(temporary, FILE_MODE);
  await rename(temporary, path);
}
