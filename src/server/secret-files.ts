/**
 * Secrets that are given as files, as container platforms and systemd do: `NAME_FILE` holds the path, and the file what `NAME` would hold.
 * No message quotes a path's content, and none is taken from two places: whoever changes one of two would believe it was heard.
 */
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';

/** A key or a URL; what is larger is another file than the one that was meant. */
const FILE_BYTES_MAX = 64 * 1024;

export interface GivenSecrets {
  /** What the files hold, by the name of the setting. */
  readonly values: Readonly<Record<string, string>>;
  /** In words, each with the name of its variable. */
  readonly faults: readonly string[];
}

/** @param variables For the name of each setting that may be given so, that of the variable with its file. */
export function readSecretFiles(
  environment: Readonly<Record<string, string | undefined>>,
  variables: Readonly<Record<string, string>>,
): GivenSecrets {
  const values: Record<string, string> = {};
  const faults: string[] = [];
  for (const [name, variable] of Object.entries(variables)) {
    const path = environment[variable];
    if (path === undefined || path === '') continue;
    if (environment[name]) {
      faults.push(`${name} and ${variable} are both set: keep one of them`);
      continue;
    }
    try {
      values[name] = readSecret(path);
    } catch (error) {
      faults.push(`${variable} ${reasonOf(error)}`);
    }
  }
  return { values, faults };
}

class SecretFileError extends Error {
  override readonly name = 'SecretFileError';
}

function readSecret(path: string): string {
  const descriptor = openSync(path, 'r');
  try {
    const { size } = fstatSync(descriptor);
    if (size > FILE_BYTES_MAX)
      throw new SecretFileError(`names a file of ${size} bytes: a secret has at most ${FILE_BYTES_MAX}`);
    // Editors and `echo` end a file with a line break; nothing else is taken off.
    const text = readFileSync(descriptor, 'utf8').replace(/\r?\n$/, '');
    if (text === '') throw new SecretFileError('names an empty file');
    return text;
  } finally {
    closeSync(descriptor);
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof SecretFileError) return error.message;
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
  const known: Readonly<Record<string, string>> = {
    ENOENT: 'names a file that does not exist',
    EACCES: 'names a file that the account of the server may not read',
    EISDIR: 'names a directory',
  };
  return known[code] ?? `names a file that cannot be read (${code})`;
}
