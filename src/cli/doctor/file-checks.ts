/** What is on this machine: the directory of a local server and the file of profiles, both of which hold keys. */
import { access, constants, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Finding, fail, ok, reasonOf, skipped, warn } from './finding.ts';

/** Any right of group or others; and their right to change what is in a directory. */
const WIDE_BITS = 0o077;
const FOREIGN_WRITE_BITS = 0o022;

async function modeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).mode & 0o777;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

const octal = (mode: number): string => mode.toString(8).padStart(3, '0');

export async function checkDataDirectory(directory: string): Promise<Finding[]> {
  const name = 'data directory';
  try {
    const mode = await modeOf(directory);
    if (mode === undefined) return [skipped(name, `there is none at ${directory}`)];
    const findings = [await checkDirectory(name, directory, mode)];
    const key = await modeOf(join(directory, 'admin-key'));
    if (key !== undefined) findings.push(checkSecretFile('admin key', join(directory, 'admin-key'), key));
    return findings;
  } catch (error) {
    return [warn(name, reasonOf(error), 'run the doctor as the user that the server runs as')];
  }
}

async function checkDirectory(name: string, directory: string, mode: number): Promise<Finding> {
  if (hasModes() && (mode & FOREIGN_WRITE_BITS) !== 0)
    return fail(name, `others may change ${directory} (mode ${octal(mode)})`, `chmod go-w ${directory}`);
  const mayWrite = await access(directory, constants.R_OK | constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  );
  if (mayWrite) return ok(name, directory);
  return warn(
    name,
    `this user may not write to ${directory}`,
    'run the server, and its commands, as its owner',
  );
}

export async function checkProfilesFile(path: string): Promise<Finding> {
  const name = 'profiles';
  try {
    const mode = await modeOf(path);
    return mode === undefined
      ? skipped(name, `there are none at ${path}`)
      : checkSecretFile(name, path, mode);
  } catch (error) {
    return warn(name, reasonOf(error));
  }
}

function checkSecretFile(name: string, path: string, mode: number): Finding {
  if (hasModes() && (mode & WIDE_BITS) !== 0)
    return fail(name, `others may read the keys in ${path} (mode ${octal(mode)})`, `chmod 600 ${path}`);
  return ok(name, path);
}

/** Windows has access lists instead, of which the mode says nothing. */
function hasModes(): boolean {
  return process.platform !== 'win32';
}
