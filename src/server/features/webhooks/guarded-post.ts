/**
 * Posts to an address that somebody else has chosen. The address is judged where it is connected to, not before: a name is resolved once, all
 * it resolves to must be public, and that is what is connected to, so no second answer of a name server can lead elsewhere. Follows no
 * redirect, knows no proxy, keeps no connection, and reads no more of an answer than its head.
 */
import { lookup as resolveName } from 'node:dns';
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { isPublicAddress } from './public-address.ts';

/** Why nothing was sent: it will not be another time either. */
export class RefusedAddressError extends Error {
  override readonly name = 'RefusedAddressError';
}

/** Pinned by research: a receiver that needs longer is to queue it. */
const TIMEOUT_MS = 5000;
/** What https uses, and what is usual beside it. */
const PORTS: ReadonlySet<string> = new Set(['', '443', '8443']);

export interface PostedAnswer {
  readonly status: number;
  readonly retryAfter: string | null;
}

/** `host` or `host:port`, as in the URL: to these, and only these, plain http and addresses within the own network are allowed. */
export type TrustedHosts = ReadonlySet<string>;

/** Null: it may be posted to, as far as can be said without resolving it. */
export function refusalOf(url: URL, trusted: TrustedHosts): string | null {
  if (url.username !== '' || url.password !== '') return 'must not carry a user or a password';
  if (isTrusted(url, trusted)) return /^https?:$/.test(url.protocol) ? null : 'must be http or https';
  if (url.protocol !== 'https:') return 'must be https';
  if (!PORTS.has(url.port)) return 'must be on port 443 or 8443';
  const literal = url.hostname.replace(/^\[|\]$/g, '');
  return isIP(literal) !== 0 && !isPublicAddress(literal) ? 'must be a public address' : null;
}

function isTrusted(url: URL, trusted: TrustedHosts): boolean {
  return trusted.has(url.host) || trusted.has(url.hostname);
}

/** Resolves with the status; rejects when there is none, or with RefusedAddressError before anything was sent. */
export function postGuarded(
  address: string,
  headers: Readonly<Record<string, string>>,
  body: string,
  { trusted, signal }: { readonly trusted: TrustedHosts; readonly signal: AbortSignal },
): Promise<PostedAnswer> {
  const url = new URL(address);
  const refusal = refusalOf(url, trusted);
  if (refusal !== null) return Promise.reject(new RefusedAddressError(`the URL ${refusal}`));
  const request = url.protocol === 'https:' ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    const sent = request(url, {
      method: 'POST',
      headers: { ...headers, 'content-length': String(Buffer.byteLength(body)) },
      agent: false,
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
      ...(isTrusted(url, trusted) ? {} : { lookup: publicLookup }),
    });
    // For as long as it lives: a connection may still break when the answer is known.
    sent.on('error', reject);
    // An answer that is none (101: a change of protocol) ends it without a word.
    sent.once('close', () => reject(new Error('the receiver closed the connection without an answer')));
    sent.once('response', (answer) => {
      resolve({ status: answer.statusCode ?? 0, retryAfter: answer.headers['retry-after'] ?? null });
      // What it says beyond that is nothing to us.
      answer.destroy();
    });
    sent.end(body);
  });
}

/** Never asked for an address that is written as one: that is judged with the URL. */
const publicLookup: LookupFunction = (hostname, options, callback) => {
  resolveName(hostname, { ...options, all: true }, (error, addresses) => {
    if (error !== null) {
      callback(error, []);
      return;
    }
    const hidden = addresses.find(({ address }) => !isPublicAddress(address));
    if (hidden !== undefined || addresses.length === 0) {
      callback(new RefusedAddressError('the name does not resolve to public addresses only'), []);
      return;
    }
    const [first] = addresses;
    if (options.all === true || first === undefined) callback(null, addresses);
    else callback(null, first.address, first.family);
  });
};
