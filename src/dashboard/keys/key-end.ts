/**
 * When a key that is issued here ends, in words. Pure. No key outlives the one that issued it, and what a sign-in link gives is a key of
 * half a day: whoever issues a key for a worker has to know. Times are written by whoever calls.
 */
import type { Key } from '../../client/index.ts';

type Issuer = Pick<Key, 'expires_at' | 'session'>;

const nameOf = ({ session }: Issuer): string => (session ? 'your sign-in' : 'your key');

/** Before: null where the issuer stays, and so may what it issues. `command` issues one elsewhere. */
export function endWarning(issuer: Issuer, command: string, write: (at: string) => string): string | null {
  if (issuer.expires_at === null) return null;
  return `A key issued now ends with ${nameOf(issuer)} at ${write(issuer.expires_at)}. For one that stays, sign in with an API key that has no end, or use “${command}”.`;
}

/** After: of the key that the server has made. */
export function endText(
  { expires_at: at }: Pick<Key, 'expires_at'>,
  issuer: Issuer,
  write: (at: string) => string,
): string {
  if (at === null) return 'It does not end by itself.';
  return at === issuer.expires_at
    ? `It ends on ${write(at)}, with ${nameOf(issuer)}.`
    : `It ends on ${write(at)}.`;
}

/** Local time as an input of the browser has it, to the minute below: the latest that may be entered. */
export function latestEntry(issuer: Issuer): string | undefined {
  if (issuer.expires_at === null) return undefined;
  const at = new Date(issuer.expires_at);
  const two = (part: number): string => String(part).padStart(2, '0');
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day}T${two(at.getHours())}:${two(at.getMinutes())}`;
}

export function writtenTime(at: string): string {
  return new Date(at).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' });
}
