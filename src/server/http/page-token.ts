/**
 * Page tokens: the sort key of the last row, bound to what was asked, so that a token cannot be carried to another list.
 */
import { ProblemError } from '../kernel/problem-error.ts';
import { isStorable } from './body.ts';

/** `scope` names the list and everything that its order and filter depend on. */
export function makePageToken(scope: string, key: readonly string[]): string {
  return Buffer.from(JSON.stringify([fingerprint(scope), ...key])).toString('base64url');
}

/** The `parts` of the sort key, or null without a token. */
export function readPageToken(token: string | undefined, scope: string, parts: number): string[] | null {
  if (token === undefined) return null;
  const decoded = decode(token);
  const isValid =
    Array.isArray(decoded) &&
    decoded.length === parts + 1 &&
    decoded.every((part) => typeof part === 'string' && isStorable(part));
  if (!isValid || decoded[0] !== fingerprint(scope)) throw badPageToken();
  return decoded.slice(1) as string[];
}

/** For a list that finds a part of the sort key to be none of its own. */
export function badPageToken(): ProblemError {
  return new ProblemError(
    'invalid_cursor',
    'The page token is not from a list with this address and these filters.',
  );
}

/** The token after the first `rows` of `found`, which was read with one row more than that; null at the end. */
export function nextPageToken<T>(
  found: readonly T[],
  rows: number,
  scope: string,
  keyOf: (row: T) => readonly string[],
): string | null {
  const last = found[rows - 1];
  return found.length > rows && last !== undefined ? makePageToken(scope, keyOf(last)) : null;
}

function decode(token: string): unknown {
  try {
    return JSON.parse(Buffer.from(token, 'base64url').toString('utf8'));
  } catch {
    return null; // Not JSON: not a token of ours, which the caller says.
  }
}

/** FNV-1a: only to tell lists apart, not to keep anyone out. */
function fingerprint(scope: string): string {
  let hash = 0x811c9dc5;
  for (let index = 0; index < scope.length; index += 1) {
    hash = Math.imul(hash ^ scope.charCodeAt(index), 0x01000193) >>> 0;
  }
  return hash.toString(36);
}
