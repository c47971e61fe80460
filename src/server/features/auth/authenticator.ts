/**
 * Who is calling: an Authorization header → a principal. A key is looked up at most once per freshness window and then served from
 * memory, so a revoked key is refused everywhere within that window even if no notification ever arrives.
 *
 * Guessing must cost the database next to nothing: credentials that nobody has seen here are looked up a few at a time, and hardly any
 * for an address (of IPv6: a network of 64 bits, guesser.ts) that has used up its failures. A key that was good when it was last looked at is neither refused nor made to
 * wait, nor is a claim token, which is checked without the database: workers go on beside a guesser behind the same address.
 */
import { RateLimiterMemory, type RateLimiterRes } from 'rate-limiter-flexible';
import type { ProblemCode } from '../../../contract/problems.ts';
import type { Sql } from '../../db/client.ts';
import { withinDeadline } from '../../db/tx.ts';
import { boundedCache } from '../../kernel/bounded-cache.ts';
import { formatId } from '../../kernel/ids.ts';
import type { KeyPrincipal, Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import { Slots } from '../../kernel/slots.ts';
import { hashApiKey, isWellFormedApiKey } from './api-key.ts';
import type { ClaimTokens } from './claim-tokens.ts';
import { guesserOf } from './guesser.ts';
import { findLiveKey, findLiveKeys, type KeyRow, touchKey } from './store.ts';

/** Below the second in which a revocation must hold everywhere, with room for the query itself. */
const KEY_FRESH_MS = 500;
/** For whom figures are still shown while no key can be looked up. */
const KEY_KNOWN_MS = 3_600_000;
/** A use is noted at most this often. */
const TOUCH_INTERVAL_MS = 60_000;
const CACHED_KEYS_MAX = 10_000;
/** Pinned by the wire contract. */
const FAILED_AUTHENTICATIONS_PER_MINUTE = 300;
/** Look-ups of unknown keys: half of what the pool has connections, so that those of known keys find one. */
const UNKNOWN_LOOKUPS_MAX = 4;
/** A whole fleet that starts at once, each worker with a key of its own; a look-up takes a millisecond. */
const UNKNOWN_WAITING_MAX = 2000;
const UNKNOWN_WAIT_MS_MAX = 5000;
/**
 * What an address whose failures are used up may still have looked up: little for the database, and not nothing, because behind a proxy
 * everybody has one address, and who has just started there with a good key must not be locked out by somebody's bad one for good.
 */
const LOOKUPS_AFTERWARDS_PER_SECOND = 5;
/** A key given by hand may have any form; nobody's is longer than this. */
const CREDENTIAL_CHARACTERS_MAX = 8192;

interface CachedKey {
  readonly principal: KeyPrincipal;
  checkedAt: number;
  touchedAt: number;
}

export function principalOfKey(row: KeyRow): KeyPrincipal {
  return {
    kind: 'key',
    keyId: formatId('key', row.id),
    role: row.role,
    name: row.name,
    boards: row.boards === null ? '*' : new Set(row.boards),
    lane: row.lane,
    owner: row.owner,
    expiresAt: row.expires_at,
    hasMcpAliases: row.has_mcp_aliases,
  };
}

export function unauthenticated(detail: string): ProblemError {
  return new ProblemError('unauthenticated', detail, {
    headers: { 'WWW-Authenticate': 'Bearer realm="lanekeeper"' },
  });
}

export class Authenticator {
  readonly #sql: Sql;
  readonly #tokens: ClaimTokens;
  readonly #onRefusal: (code: ProblemCode, address: string) => void;
  readonly #keys = boundedCache<string, CachedKey>(CACHED_KEYS_MAX);
  readonly #lookups = new Map<string, Promise<CachedKey | null>>();
  readonly #failures = new RateLimiterMemory({ points: FAILED_AUTHENTICATIONS_PER_MINUTE, duration: 60 });
  readonly #afterwards = new RateLimiterMemory({ points: LOOKUPS_AFTERWARDS_PER_SECOND, duration: 1 });
  readonly #unknown = new Slots({
    runningMax: UNKNOWN_LOOKUPS_MAX,
    waitingMax: UNKNOWN_WAITING_MAX,
    waitMsMax: UNKNOWN_WAIT_MS_MAX,
    refusal: 'Too many credentials that are not known yet are being looked up; retry shortly.',
  });

  /** @param onRefusal Told of every failed authentication, also of those that are refused unseen. */
  constructor(sql: Sql, tokens: ClaimTokens, onRefusal: (code: ProblemCode, address: string) => void) {
    this.#sql = sql;
    this.#tokens = tokens;
    this.#onRefusal = onRefusal;
  }

  async authenticate(authorization: string | undefined, remoteAddress: string): Promise<Principal> {
    try {
      return await this.#principalOf(credentialOf(authorization), remoteAddress);
    } catch (error) {
      if (error instanceof ProblemError && error.code === 'unauthenticated')
        await this.#countFailure(remoteAddress);
      throw error;
    }
  }

  /** As authenticate, for a credential that was admitted before: a refusal is no sign of guessing. */
  async verify(authorization: string | undefined): Promise<Principal> {
    return this.#principalOf(credentialOf(authorization), null);
  }

  /** Whom a key was for when it was last looked up here; null when it never was, or longer ago than an outage is to be watched by it. */
  lastKnown(authorization: string | undefined): Principal | null {
    const key = this.#keys.get(BEARER.exec(authorization ?? '')?.[1] ?? '');
    return key !== undefined && performance.now() - key.checkedAt < KEY_KNOWN_MS ? key.principal : null;
  }

  /**
   * For a secret that is no credential but is guessed at like one: looked up under the bounds of unknown keys, and where `lookUp` finds
   * nothing (null) it is a failed authentication of the address.
   */
  async admitSecret<T>(remoteAddress: string, refusal: string, lookUp: () => Promise<T | null>): Promise<T> {
    const found = await this.#runUnknown(remoteAddress, lookUp);
    if (found !== null) return found;
    await this.#countFailure(remoteAddress);
    throw unauthenticated(refusal);
  }

  /** Looks at those of these credentials that are keys known here and no longer fresh, in one statement. What is not live any more is forgotten. */
  async refresh(authorizations: readonly (string | undefined)[]): Promise<void> {
    const due = new Map<string, CachedKey>();
    for (const authorization of authorizations) {
      const credential = BEARER.exec(authorization ?? '')?.[1] ?? '';
      const key = this.#keys.get(credential);
      if (key !== undefined && !isFresh(key)) due.set(credential, key);
    }
    if (due.size === 0) return;
    const checkedAt = performance.now();
    const hashes = [...due.keys()].map(hashApiKey);
    const rows = await withinDeadline(findLiveKeys(this.#sql, hashes));
    const live = new Map(rows.map((row) => [row.hash, row]));
    for (const [credential, { touchedAt }] of due) {
      const row = live.get(hashApiKey(credential));
      if (row === undefined) this.#keys.delete(credential);
      else this.#keys.set(credential, { principal: principalOfKey(row), checkedAt, touchedAt });
    }
  }

  async #principalOf(credential: string, remoteAddress: string | null): Promise<Principal> {
    if (credential.length > CREDENTIAL_CHARACTERS_MAX) throw unauthenticated('The credential is too long.');
    const key = this.#keys.get(credential);
    if (isFresh(key)) return key.principal;
    if (credential.startsWith('eyJ') && credential.split('.').length === 3)
      return this.#tokens.verify(credential);
    if (credential.startsWith('lk_') && !isWellFormedApiKey(credential))
      throw unauthenticated('The API key is mistyped or was not made here.');
    const isKnown = key !== undefined || remoteAddress === null;
    const fresh = await (isKnown ? this.#lookUp(credential) : this.#lookUpUnknown(credential, remoteAddress));
    if (fresh === null) throw unauthenticated('There is no such API key, or it was revoked or has expired.');
    return fresh.principal;
  }

  async #lookUpUnknown(credential: string, remoteAddress: string): Promise<CachedKey | null> {
    return this.#runUnknown(remoteAddress, async () => {
      const key = this.#keys.get(credential);
      return isFresh(key) ? key : this.#lookUp(credential);
    });
  }

  /** Whether it may is asked again when it is its turn: those before it may have failed meanwhile. */
  async #runUnknown<T>(remoteAddress: string, lookUp: () => Promise<T>): Promise<T> {
    const isAdmitted = await this.#admitUsedUp(remoteAddress);
    return this.#unknown.run(guesserOf(remoteAddress), async () => {
      if (!isAdmitted) await this.#admitUsedUp(remoteAddress);
      return lookUp();
    });
  }

  /** False: the address has failures left. True: it has none, and is let through all the same. */
  async #admitUsedUp(remoteAddress: string): Promise<boolean> {
    const used = await this.#failures.get(guesserOf(remoteAddress));
    if (used === null || used.consumedPoints < FAILED_AUTHENTICATIONS_PER_MINUTE) return false;
    try {
      await this.#afterwards.consume(guesserOf(remoteAddress));
      return true;
    } catch {
      this.#onRefusal('rate_limited', remoteAddress);
      throw tooManyFailures(used.msBeforeNext);
    }
  }

  /** Requests with one key share one look-up. */
  #lookUp(credential: string): Promise<CachedKey | null> {
    const running = this.#lookups.get(credential);
    if (running !== undefined) return running;
    const lookup = this.#readKey(credential).finally(() => this.#lookups.delete(credential));
    this.#lookups.set(credential, lookup);
    return lookup;
  }

  async #readKey(credential: string): Promise<CachedKey | null> {
    // The window starts before the read: what is revoked during it is noticed in time.
    const checkedAt = performance.now();
    const row = await withinDeadline(findLiveKey(this.#sql, hashApiKey(credential)));
    if (row === null) {
      this.#keys.delete(credential);
      return null;
    }
    const touchedAt = this.#keys.get(credential)?.touchedAt ?? Number.NEGATIVE_INFINITY;
    const isTouchDue = checkedAt - touchedAt > TOUCH_INTERVAL_MS;
    const cached = {
      principal: principalOfKey(row),
      checkedAt,
      touchedAt: isTouchDue ? checkedAt : touchedAt,
    };
    this.#keys.set(credential, cached);
    // Lost when the database goes away: the next use writes it again.
    if (isTouchDue) touchKey(this.#sql, row.id).catch(() => undefined);
    return cached;
  }

  async #countFailure(remoteAddress: string): Promise<void> {
    try {
      await this.#failures.consume(guesserOf(remoteAddress));
      this.#onRefusal('unauthenticated', remoteAddress);
    } catch (rejection) {
      this.#onRefusal('rate_limited', remoteAddress);
      throw tooManyFailures((rejection as RateLimiterRes).msBeforeNext);
    }
  }
}

function isFresh(key: CachedKey | undefined): key is CachedKey {
  return key !== undefined && performance.now() - key.checkedAt < KEY_FRESH_MS;
}

const BEARER = /^Bearer +(\S+)$/i;

function credentialOf(authorization: string | undefined): string {
  const credential = BEARER.exec(authorization ?? '')?.[1];
  if (credential === undefined) throw unauthenticated('Send a credential as Authorization: Bearer ….');
  return credential;
}

function tooManyFailures(msBeforeNext: number): ProblemError {
  const seconds = Math.ceil(msBeforeNext / 1000);
  return new ProblemError('rate_limited', 'Too many failed authentications from this address.', {
    headers: {
      ...rateLimitHeaders('failed-auth', FAILED_AUTHENTICATIONS_PER_MINUTE, 0, seconds),
      'Retry-After': String(seconds),
    },
  });
}

/** The RateLimit header fields of the IETF draft, version 11. */
function rateLimitHeaders(
  policy: string,
  perMinute: number,
  remaining: number,
  resetSeconds: number,
): Record<string, string> {
  return {
    RateLimit: `"${policy}";r=${remaining};t=${resetSeconds}`,
    'RateLimit-Policy': `"${policy}";q=${perMinute};w=60`,
  };
}

/** Per principal, only where the operator asked for it. */
export function createPrincipalLimit(
  requestsPerMinute: number | null,
): (caller: Principal) => Promise<Record<string, string>> {
  if (requestsPerMinute === null) return () => Promise.resolve({});
  const limiter = new RateLimiterMemory({ points: requestsPerMinute, duration: 60 });
  return async (caller) => {
    const key = caller.kind === 'key' ? caller.keyId : caller.runId;
    try {
      const used = await limiter.consume(key);
      return rateLimitHeaders(
        'principal',
        requestsPerMinute,
        used.remainingPoints,
        Math.ceil(used.msBeforeNext / 1000),
      );
    } catch (rejection) {
      const seconds = Math.ceil((rejection as RateLimiterRes).msBeforeNext / 1000);
      throw new ProblemError(
        'rate_limited',
        `This principal may send ${requestsPerMinute} requests a minute.`,
        {
          headers: {
            ...rateLimitHeaders('principal', requestsPerMinute, 0, seconds),
            'Retry-After': String(seconds),
          },
          cause: rejection,
        },
      );
    }
  };
}
