/** Whom a client speaks for: a token that was given, or one that is yet to come. */
import { LanekeeperError } from './errors.ts';

/** Asked before every attempt as long as there is no token; its first answer stays. From memory or a file, soon, and without rejecting. */
export type LateToken = () => Promise<string | undefined>;

/** A server that has just started opens its port before it says where its key is. */
export const LATE_TOKEN = { asksMax: 4, intervalMs: 250 } as const;

/** What may stand in a header. Checked here, because the platform's error would quote the token. */
const TOKEN = /^[\x21-\x7e]*$/;

export function authorizationOf(token: string | undefined): { readonly authorization?: string } {
  if (token === undefined) return {};
  if (!TOKEN.test(token)) throw new TypeError('The token has characters that no token has');
  return { authorization: `Bearer ${token}` };
}

/** No credential, or one that is none. Nothing was done. */
export function isUnauthenticated(error: unknown): boolean {
  return error instanceof LanekeeperError && error.code === 'unauthenticated';
}
